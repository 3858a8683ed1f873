"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas 2024, https://arxiv.org/abs/2409.11321).

Parameters of one shape are stacked and updated together: a hundred small products become a few batched ones, without
which an accelerator would spend its time on launching kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

GRAM_EVERY = 4  # steps; the preconditioner changes far more slowly than the gradient
SMALLEST_SIDE = 8  # below it a parameter counts as a vector


class SOAP(Optimizer):
    """SOAP for matrices, Adam for vectors and what counts as one.

    A convolution counts as out x in*k*k, a table of matrices as each of them.

    A side longer than `max_side` keeps the identity as its basis. Bases are refreshed by one power iteration and a QR
    every `every` steps, shape after shape, so that no step is slow. Parameters must keep having a gradient, or none,
    from the first step on.
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
            alike: dict[tuple[int, int], list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    alike.setdefault(_as_matrices(p)[1:], []).append(p)
            for number, (shape, members) in enumerate(alike.items()):
                self._update(members, shape, group, number)
        return loss

    def _update(self, members: list[Tensor], shape: tuple[int, int], group: dict[str, Any], number: int) -> None:
        """members: parameters that are K matrices of one shape (m, n); their state is kept under the first."""
        beta1, beta2 = group["betas"]
        g = torch.cat([p.grad.reshape(_as_matrices(p)).float() for p in members if p.grad is not None])  # (K, m, n)
        state = self.state[members[0]]
        if not state:
            self._start(state, g, group)
        state["step"] += 1
        count = int(state["step"])

        state["m"].lerp_(g, 1 - beta1)
        g_eigen, m_eigen = _rotate(g, state), _rotate(state["m"], state)
        state["v"].mul_(beta2).addcmul_(g_eigen, g_eigen, value=1 - beta2)
        correction = (1 - beta2**count) ** 0.5 / (1 - beta1**count)
        update = _rotate_back(m_eigen * correction / (state["v"].sqrt() + group["eps"]), state)
        parts = torch.split(update, [_as_matrices(p)[0] for p in members])
        moves = [u.reshape(p.shape).to(p.dtype) for u, p in zip(parts, members, strict=True)]
        torch._foreach_add_(members, moves, alpha=-group["lr"])

        for side in (0, 1):
            if f"gram{side}" not in state:
                continue
            if count % GRAM_EVERY == 0:
                state[f"gram{side}"].lerp_(_gram(g, side), 1 - beta2)
            if (count + number) % group["every"] == 0:
                _refresh(state, side)

    @staticmethod
    def _start(state: dict[str, Any], g: Tensor, group: dict[str, Any]) -> None:
        state["step"] = 0
        state["m"] = torch.zeros_like(g)  # momentum, in the parameters' own basis
        state["v"] = torch.zeros_like(g)  # second moment, in the eigenbasis
        for side, length in enumerate(g.shape[1:]):
            if min(g.shape[1:]) >= SMALLEST_SIDE and length <= group["max_side"]:
                state[f"gram{side}"] = _gram(g, side)
                state[f"basis{side}"] = _eigenvectors(state[f"gram{side}"])


def _as_matrices(p: Tensor) -> tuple[int, int, int]:
    """How many matrices a parameter is, and their shape."""
    if p.ndim == 4 and min(p.shape[2:]) >= SMALLEST_SIDE:  # no kernel is that large: a table of matrices
        return (p.shape[0] * p.shape[1], p.shape[2], p.shape[3])
    return (1, p.shape[0], p[0].numel()) if p.ndim > 1 else (1, 1, p.numel())


def _gram(g: Tensor, side: int) -> Tensor:
    return g @ g.mT if side == 0 else g.mT @ g


def _eigenvectors(gram: Tensor) -> Tensor:
    """By falling eigenvalue, (K, s, s) -> (K, s, s)."""
    # a first gradient of a fresh network may be all but zero: a little of the identity, or LAPACK gives up
    mean = gram.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-30)[:, None, None]
    eye = torch.eye(gram.shape[1], device=gram.device, dtype=gram.dtype)
    vectors: Tensor = torch.linalg.eigh(gram / mean + 1e-6 * eye)[1]
    return vectors.flip(2).contiguous()


def _rotate(g: Tensor, state: dict[str, Any]) -> Tensor:
    if "basis0" in state:
        g = state["basis0"].mT @ g
    return g @ state["basis1"] if "basis1" in state else g


def _rotate_back(g: Tensor, state: dict[str, Any]) -> Tensor:
    if "basis0" in state:
        g = state["basis0"] @ g
    return g @ state["basis1"].mT if "basis1" in state else g


def _refresh(state: dict[str, Any], side: int) -> None:
    """One step of orthogonal iteration; v is permuted along so that it stays with its eigenvector."""
    basis, gram = state[f"basis{side}"], state[f"gram{side}"]
    product = gram @ basis  # (K, s, s)
    order = torch.argsort((basis * product).sum(1), dim=1, descending=True)  # (K, s)
    index = order[:, :, None] if side == 0 else order[:, None, :]
    state["v"] = state["v"].gather(side + 1, index.expand_as(state["v"]))
    columns = product.gather(2, order[:, None, :].expand_as(product))
    state[f"basis{side}"] = torch.linalg.qr(columns)[0].contiguous()
