from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from caecodec.models.training.soap import SOAP


def badly_scaled_loss(weight: Tensor, target: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return (left @ (weight - target) @ right).square().mean()


def train(optimizer: torch.optim.Optimizer, weight: nn.Parameter, steps: int) -> float:
    generator = torch.Generator().manual_seed(1)
    target = torch.randn(weight.shape, generator=generator)
    # rotated, badly scaled axes on both sides: what a diagonal preconditioner cannot see
    left, right = (torch.linalg.qr(torch.randn(s, s, generator=generator))[0] for s in weight.shape)
    left, right = torch.logspace(0, -2, len(left))[:, None] * left, right * torch.logspace(0, -2, len(right))
    loss = torch.zeros(())
    for _ in range(steps):
        optimizer.zero_grad()
        loss = badly_scaled_loss(weight, target, left, right)
        loss.backward()
        optimizer.step()
    return loss.item()


def test_rotated_badly_scaled_axes_are_learned_faster_than_by_adam() -> None:
    losses = {}
    for name, kind in (("soap", SOAP), ("adam", torch.optim.Adam)):
        weight = nn.Parameter(torch.zeros(16, 24))
        losses[name] = train(kind([weight], lr=3e-2), weight, 300)
    assert losses["soap"] < 0.5 * losses["adam"]


def test_parameters_of_one_shape_are_updated_as_if_alone() -> None:
    torch.manual_seed(0)
    together = [nn.Parameter(torch.randn(8, 12)) for _ in range(3)] + [nn.Parameter(torch.randn(5))]
    alone = [nn.Parameter(p.detach().clone()) for p in together]
    one = SOAP(together, lr=1e-2, every=4)
    many = [SOAP([p], lr=1e-2, every=4) for p in alone]
    for step in range(40):
        for a, b in zip(together, alone, strict=True):
            a.grad = torch.randn(a.shape, generator=torch.Generator().manual_seed(step * 10 + a.shape[0])) + a.detach()
            b.grad = a.grad.clone()
        one.step()
        for optimizer in many:
            optimizer.step()
    for a, b in zip(together[:3], alone[:3], strict=True):
        # the vector comes second in its group and is refreshed at other steps; it has no basis, so it is alike too
        assert torch.allclose(a, b, atol=1e-4)
    assert torch.allclose(together[3], alone[3], atol=1e-6)


def test_state_survives_a_checkpoint() -> None:
    torch.manual_seed(0)
    first, second = (nn.Parameter(torch.ones(8, 8)) for _ in range(2))
    a, b = SOAP([first], lr=1e-2), SOAP([second], lr=1e-2)
    for step in range(30):
        first.grad = torch.randn(8, 8, generator=torch.Generator().manual_seed(step))
        a.step()
    with torch.no_grad():
        second.copy_(first)
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    for parameter, optimizer in ((first, a), (second, b)):
        parameter.grad = torch.full((8, 8), 0.3)
        optimizer.step()
    assert torch.equal(first, second)


def test_parameters_without_gradient_are_left_alone() -> None:
    moving, still = nn.Parameter(torch.ones(8, 8)), nn.Parameter(torch.ones(8, 8))
    optimizer = SOAP([still, moving], lr=1e-2)
    moving.grad = torch.ones(8, 8)
    optimizer.step()
    assert torch.equal(still, torch.ones(8, 8))
    assert not torch.equal(moving, torch.ones(8, 8))


def test_state_with_the_momentum_in_another_basis_is_refused() -> None:
    weight = nn.Parameter(torch.ones(8, 8))
    optimizer = SOAP([weight], lr=1e-2)
    state = optimizer.state_dict()
    for group in state["param_groups"]:
        del group["momentum_in"]  # as versions before had it
    with pytest.raises(ValueError, match="momentum in another basis"):
        optimizer.load_state_dict(state)


def test_products_in_bfloat16_learn_as_well() -> None:
    losses = {}
    for kind in (torch.float32, torch.bfloat16):
        weight = nn.Parameter(torch.zeros(16, 24))
        losses[kind] = train(SOAP([weight], lr=3e-2, turn_in=kind), weight, 300)
    assert losses[torch.bfloat16] < 1.5 * losses[torch.float32]


def test_momentum_follows_its_bases_when_they_turn() -> None:
    """In its own basis the momentum is what an average of plain gradients is, however often bases were refreshed."""
    torch.manual_seed(0)
    weight, plain = nn.Parameter(torch.randn(8, 12)), torch.zeros(8, 12)
    optimizer = SOAP([weight], lr=0.0, every=3)
    for _ in range(20):
        weight.grad = torch.randn(8, 12)
        optimizer.step()
        plain.lerp_(weight.grad, 1 - 0.95)
    state = optimizer.state[weight]
    assert torch.allclose(state["basis0"][0] @ state["m"][0] @ state["basis1"][0].T, plain, atol=1e-4)
