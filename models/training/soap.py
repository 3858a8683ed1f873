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
    from the first step on. `turn_in`: products with the bases are taken in this type; gradients of bfloat16 autocast
    carry no more digits than that, and a CPU multiplies it twice as fast. Bases and moments stay in float32.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        every: int = 20,
        max_side: int = 512,
        turn_in: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "every": every, "max_side": max_side})
        for group in self.param_groups:
            group["momentum_in"] = "eigenbasis"
        self._turn_in = turn_in
        self._cast: dict[Tensor, dict[int, Tensor]] = {}  # bases in `turn_in`; not part of the state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """State of a run that stopped. Raises ValueError for one that kept its momentum in another basis."""
        if any(group.get("momentum_in") != "eigenbasis" for group in state_dict["param_groups"]):
            raise ValueError("the optimiser's state is of an older version, which kept its momentum in another basis")
        self._cast.clear()
        super().load_state_dict(state_dict)

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

        bases = self._bases(members[0], state)
        g_eigen = _rotate(g.to(self._turn_in), bases).float()
        state["m"].lerp_(g_eigen, 1 - beta1)
        state["v"].mul_(beta2).addcmul_(g_eigen, g_eigen, value=1 - beta2)
        direction = state["m"] / state["v"].sqrt().add_(group["eps"])
        update = _rotate_back(direction.to(self._turn_in), bases)
        correction = (1 - beta2**count) ** 0.5 / (1 - beta1**count)
        parts = torch.split(update, [_as_matrices(p)[0] for p in members])
        moves = [u.reshape(p.shape).to(p.dtype) for u, p in zip(parts, members, strict=True)]
        torch._foreach_add_(members, moves, alpha=-group["lr"] * correction)

        for side in (0, 1):
            if f"gram{side}" not in state:
                continue
            if count % GRAM_EVERY == 0:
                state[f"gram{side}"].lerp_(_gram(g, side), 1 - beta2)
            if (count + number) % group["every"] == 0:
                _refresh(state, side)
                self._cast.pop(members[0], None)

    def _bases(self, first: Tensor, state: dict[str, Any]) -> dict[int, Tensor]:
        if first not in self._cast:
            found = {side: state[f"basis{side}"] for side in (0, 1) if f"basis{side}" in state}
            self._cast[first] = {side: basis.to(self._turn_in) for side, basis in found.items()}
        return self._cast[first]

    @staticmethod
    def _start(state: dict[str, Any], g: Tensor, group: dict[str, Any]) -> None:
        state["step"] = 0
        state["m"] = torch.zeros_like(g)  # momentum and second moment, in the eigenbasis
        state["v"] = torch.zeros_like(g)
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


def _rotate(g: Tensor, bases: dict[int, Tensor]) -> Tensor:
    if 0 in bases:
        g = bases[0].mT @ g
    return g @ bases[1] if 1 in bases else g


def _rotate_back(g: Tensor, bases: dict[int, Tensor]) -> Tensor:
    if 0 in bases:
        g = bases[0] @ g
    return g @ bases[1].mT if 1 in bases else g


def _refresh(state: dict[str, Any], side: int) -> None:
    """One step of orthogonal iteration; m is turned to the new basis, v permuted to stay with its eigenvector."""
    basis, gram = state[f"basis{side}"], state[f"gram{side}"]
    product = gram @ basis  # (K, s, s)
    order = torch.argsort((basis * product).sum(1), dim=1, descending=True)  # (K, s)
    index = order[:, :, None] if side == 0 else order[:, None, :]
    state["v"] = state["v"].gather(side + 1, index.expand_as(state["v"]))
    columns = product.gather(2, order[:, None, :].expand_as(product))
    state[f"basis{side}"] = fresh = torch.linalg.qr(columns)[0].contiguous()
    turn = fresh.mT @ basis
    state["m"] = turn @ state["m"] if side == 0 else state["m"] @ turn.mT
