"""Changes of code that the photo model does not keep: each replaces a part of it for the rest of the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caecodec.models.networks import layers, photo, rate_model
from caecodec.models.networks.photo import PhotoConfig, PhotoModel
from caecodec.models.training import photo as photo_task


def _put(owner: Any, name: str, value: Any) -> None:
    """Replace a part of the model, for the rest of this process."""
    setattr(owner, name, value)


def no_shortcut() -> None:
    """The linear branches give nothing, and the last layers are drawn at random."""

    def without(branch: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
        return lambda part, x: branch(part, x) * 0.0

    for part in (photo.Analysis, photo.Synthesis):
        _put(part, "linear_branch", without(part.linear_branch))
    start = PhotoModel.start_as_klt

    def start_without(self: PhotoModel, basis: Tensor, deviation: Tensor) -> None:
        start(self, basis, deviation)
        # the last layers carry the transform now: the same basis, spread over them, would be the shortcut again
        for layer in (self.g_a.down, self.g_s.head):
            nn.init.xavier_uniform_(layer.weight)

    _put(PhotoModel, "start_as_klt", start_without)


Step = Callable[[photo.Context, int, Tensor, Tensor | None], tuple[Tensor, Tensor]]
CONTEXT: Step = photo.Context.forward


def context(forward: Step) -> Callable[[], None]:
    """A step of the context model becomes `forward`."""

    def patch() -> None:
        _put(photo.Context, "forward", forward)

    return patch


def _blind(known: Tensor | None) -> Tensor | None:
    return None if known is None else torch.zeros_like(known)


def scale_from_z(self: photo.Context, step: int, psi: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """A step whose means are from the latents known, its scales from z alone."""
    # the same heads and trunk, which see zeros where latents would be
    return CONTEXT(self, step, psi, known)[0], CONTEXT(self, step, psi, _blind(known))[1]


def one_step(self: photo.Context, step: int, psi: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """A step that knows nothing but z."""
    return CONTEXT(self, step, psi, _blind(known))


def two_steps() -> None:
    """The first two steps know nothing, the last two what came of the first two."""
    seen: list[Tensor] = []  # what was known after the first two steps

    def forward(self: photo.Context, step: int, psi: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        if step == 2 and known is not None:
            seen[:] = [known]
        return CONTEXT(self, step, psi, seen[0] if step == 3 else known if step == 2 else _blind(known))

    _put(photo.Context, "forward", forward)


class GatedBlock(nn.Module):
    """A block whose second half multiplies two halves of its features instead of cutting at zero (NAFNet, 2022)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.mix_in, self.mix_out = layers.conv1x1(c, c), layers.conv1x1(c, c)
        self.depthwise = nn.Conv2d(c, c, 3, padding=1, groups=c)
        self.expand, self.project = layers.conv1x1(c, 2 * c), layers.conv1x1(c, c)
        for last in (self.mix_out, self.project):
            nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.mix_out(self.depthwise(F.relu(self.mix_in(x))))
        a, b = self.expand(x).chunk(2, dim=1)
        out: Tensor = x + self.project(a * b)
        return out


class SmoothBlock(layers.Block):
    """The block with the steep SiLU of DCVC-RT (2025), x * sigmoid(4x), in place of ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        inner = self.mix_in(x)
        x = x + self.mix_out(self.depthwise(inner * torch.sigmoid(4 * inner)))
        inner = self.expand(x)
        out: Tensor = x + self.project(inner * torch.sigmoid(4 * inner))
        return out


class LargeBlock(layers.Block):
    """The block with a depthwise 5x5."""

    def __init__(self, c: int) -> None:
        super().__init__(c)
        self.depthwise = nn.Conv2d(c, c, 5, padding=2, groups=c)


def blocks_of_transforms(block: type[nn.Module]) -> Callable[[], None]:
    """g_a and g_s are built of `block`; hyperprior and context stay as they are."""

    def patch() -> None:
        for part in (photo.Analysis, photo.Synthesis):
            build: Callable[..., None] = part.__init__

            def init(self: nn.Module, c: PhotoConfig, build: Callable[..., None] = build) -> None:
                _put(photo, "Block", block)
                build(self, c)
                _put(photo, "Block", layers.Block)

            _put(part, "__init__", init)

    return patch


def laplace() -> None:
    """Rates are those of Laplace distributions of the same deviations."""

    def bits(v: Tensor, scale: Tensor) -> Tensor:
        b = scale / 2**0.5

        def cdf(t: Tensor) -> Tensor:
            return 0.5 + 0.5 * t.sign() * -torch.expm1(-t.abs() / b)

        v = v.abs()
        return -torch.log2((cdf(0.5 - v) - cdf(-0.5 - v)).clamp_min(2.0**-24))

    for user in (rate_model, photo):  # of y, and of z
        _put(user, "gaussian_bits", bits)


def levels_at_random() -> None:
    """Levels of a batch are drawn one by one."""
    _put(photo_task, "levels", lambda batch, device: torch.rand(batch, device=device))


def no_modulation() -> None:
    """g_s is told no quality."""
    features = photo.Synthesis.features

    def unmodulated(self: photo.Synthesis, y: Tensor, modulation: Tensor) -> Tensor:
        return features(self, y, modulation * 0 + 1)

    _put(photo.Synthesis, "features", unmodulated)


def ycbcr() -> None:
    """The non-linear branches work in YCbCr; the linear ones stay in RGB."""
    rgb = torch.tensor(((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081)))
    analyse, synthesise = photo.Analysis.forward, photo.Synthesis.forward

    def colour(x: Tensor, matrix: Tensor) -> Tensor:
        return torch.einsum("dc,bchw->bdhw", matrix, x.float()).contiguous(memory_format=torch.channels_last)

    def g_a(self: photo.Analysis, x: Tensor) -> Tensor:
        linear = self.linear_branch(x)
        y = analyse(self, colour(x, rgb))
        return y - self.linear_branch(colour(x, rgb)) + linear

    def g_s(self: photo.Synthesis, y: Tensor, modulation: Tensor) -> Tensor:
        linear = self.linear_branch(y)
        return colour(synthesise(self, y, modulation) - linear, rgb.inverse()) + linear

    _put(photo.Analysis, "forward", g_a)
    _put(photo.Synthesis, "forward", g_s)


def gently() -> None:
    """New blocks of a grown model read what comes in at a twentieth of the usual scale."""
    from caecodec.models.training import grow
    from caecodec.models.training import photo as photo_task

    def grown(weights: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        result = grow.grown(weights, fresh)
        for name in fresh.keys() - weights.keys():
            if name.endswith(("mix_in.weight", "expand.weight")):
                result[name] = result[name] * 0.05
        return result

    _put(photo_task, "grown", grown)
