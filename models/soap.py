"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas 2024, https://arxiv.org/abs/2409.11321)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

GRAM_EVERY = 4  # steps; the preconditioner changes far more slowly than the gradient


class SOAP(Optimizer):
    """SOAP for matrices (a convolution counts as out x in*k*k), Adam for everything with a side of 1 or too long.

    A side longer than `max_side` keeps the identity as its basis. The bases are refreshed by one power iteration and
    a QR every `every` steps, spread over the steps so that none is slow.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        every: int = 20,
        max_side: int = 512,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "every": every, "max_side": max_side})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = closure() if closure else None
        for group in self.param_groups:
            for number, p in enumerate(group["params"]):
                if p.grad is not None:
                    self._update(p, p.grad, group, number)
        return loss

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any], number: int) -> None:
        beta1, beta2 = group["betas"]
        flat = p.shape[0], p[0].numel() if p.ndim else 1
        sides = [side for side, length in enumerate(flat) if p.ndim > 1 and 1 < length <= group["max_side"]]
        if min(flat) < 8:
            sides = []
        g = grad.reshape(flat).float()
        state = self.state[p]
        if not state:
            state["step"] = 0
            state["m"] = torch.zeros_like(g)  # momentum, in the parameter's own basis
            state["v"] = torch.zeros_like(g)  # second moment, in the eigenbasis
            for side in sides:
                gram = g @ g.T if side == 0 else g.T @ g
                state[f"gram{side}"] = gram
                state[f"basis{side}"] = torch.linalg.eigh(gram)[1].flip(1).contiguous()
        state["step"] += 1
        count = state["step"]

        state["m"].lerp_(g, 1 - beta1)
        g_eigen, m_eigen = _rotate(g, state), _rotate(state["m"], state)
        state["v"].mul_(beta2).addcmul_(g_eigen, g_eigen, value=1 - beta2)
        correction = (1 - beta2**count) ** 0.5 / (1 - beta1**count)
        update = m_eigen * correction / (state["v"].sqrt() + group["eps"])
        p.add_(_rotate_back(update, state).reshape(p.shape).to(p.dtype), alpha=-group["lr"])

        for side in sides:
            if count % GRAM_EVERY == 0:
                gram = g @ g.T if side == 0 else g.T @ g
                state[f"gram{side}"].lerp_(gram, 1 - beta2)
            if (count + number) % group["every"] == 0:
                _refresh(state, side)


def _rotate(g: Tensor, state: dict[str, Any]) -> Tensor:
    if "basis0" in state:
        g = state["basis0"].T @ g
    return g @ state["basis1"] if "basis1" in state else g


def _rotate_back(g: Tensor, state: dict[str, Any]) -> Tensor:
    if "basis0" in state:
        g = state["basis0"] @ g
    return g @ state["basis1"].T if "basis1" in state else g


def _refresh(state: dict[str, Any], side: int) -> None:
    """One step of orthogonal iteration; v is permuted along so that it stays with its eigenvector."""
    basis, gram = state[f"basis{side}"], state[f"gram{side}"]
    product = gram @ basis
    order = torch.argsort((basis * product).sum(0), descending=True)
    state["v"] = state["v"].index_select(side, order)
    state[f"basis{side}"] = torch.linalg.qr(product[:, order])[0].contiguous()
