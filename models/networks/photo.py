"""The photo model: every quality of a photograph from one small convolutional network.

    x --g_a--> y --(gain)--> round --> y_hat --(1/gain)--> g_s --> x_hat
               |                         ^
              h_a --> z --> z_hat --> h_s + 4-step context --> mean, scale index
                      ^
                4-step context of z --> mean, scale index

x is RGB in [0, 1]; y sits at 1/16 of the picture, z at 1/64 (names as in Balle 2018, arXiv:1802.01436).
g_a, g_s and h_a are float. h_s and the contexts are plain 1x1 and depthwise layers with ReLU, so that export can
turn them into exact integers.

All networks work in the *signal domain* and never see the quality; it enters through per-channel tables alone:
gains in front of both roundings, an offset on scale indices (the logarithm of the same gain), a bias on the hyper
features, what the context of z reads in place of these, and a modulation in g_s. So g_a and h_a run once however many
qualities are tried.

Beside g_a and g_s lies a linear transform of 16x16x3 patches, initialised with the KLT of training patches, while the
non-linear branches start at zero: training begins as transform coding.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caecodec.entropy.order import PHASES, STEPS, group_at
from caecodec.models.networks.layers import Block, between, conv1x1, depth_to_space, space_to_depth
from caecodec.models.networks.levels import LambdaRange, error_weight
from caecodec.models.networks.rate_model import SCALE_MIN, SCALE_STEP, code, scale_of_index
from caecodec.tune import TUNES, Tune

PATCH = 16
# parameters with a row for each anchor of each tune
TABLES = ("log_gain", "log_gain_out", "log_gain_z", "psi_bias", "psi_z", "modulation")
# target, mean, scale and weight of the latents of one step -> their values and bits
Coder = Callable[[Tensor, Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class PhotoConfig(LambdaRange):
    """Sizes of a photo model. `n`, `z`: channels of y and z; the rest widths and depths.

    z_hyper_width, z_context_width and z_context_depth are to the context of z what hyper_width, context_width and
    context_depth are to that of y. tunes: sets of tables, each for all levels; of two the first is for the eye, the
    second for PSNR (`caecodec.tune`).
    """

    n: int = 320
    z: int = 96
    ga_width: int = 128
    ga_depth: int = 3
    gs_width: int = 96
    gs_depth: int = 4
    hyper_width: int = 128
    context_width: int = 128
    context_depth: int = 1
    z_hyper_width: int = 16
    z_context_width: int = 128
    z_context_depth: int = 1
    anchors: int = 8
    tunes: int = 1
    lambda_min: float = 0.0002
    lambda_max: float = 0.4

    def __post_init__(self) -> None:
        if self.n % STEPS or self.z % STEPS or min(self.n, self.z) < 1 or self.anchors < 2:
            raise ValueError(f"n = {self.n} and z = {self.z} must be multiples of {STEPS}, anchors at least 2")
        if not 1 <= self.tunes <= len(TUNES):
            raise ValueError(f"tunes = {self.tunes} must be 1 or {len(TUNES)}")
        self.require_range()

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for recipes and weight files."""
        return asdict(self)


def split_phases(x: Tensor) -> Tensor:
    """(B, C, 2h, 2w) -> (4, B*h*w, C), in the order of PHASES."""
    x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
    return torch.stack([x[:, i::2, j::2].reshape(-1, x.shape[-1]) for i, j in PHASES])


def merge_phases(x: Tensor, like: Tensor) -> Tensor:
    """(4, B*h*w, C) -> (B, C, 2h, 2w) with the batch and extent of `like`."""
    b, _, h, w = like.shape
    p = x.reshape(4, b, h // 2, w // 2, -1)
    top = torch.stack((p[0], p[2]), dim=3)  # (B, h, w, 2, C): columns (0,0), (0,1)
    bottom = torch.stack((p[3], p[1]), dim=3)
    return torch.stack((top, bottom), dim=2).reshape(b, h, w, -1).permute(0, 3, 1, 2)


class Analysis(nn.Module):
    """g_a: (B, 3, H, W) in [-1/2, 1/2] -> y (B, N, H/16, W/16)."""

    def __init__(self, c: PhotoConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * PATCH * PATCH, c.n, bias=False)
        self.stem = conv1x1(3 * 64, c.ga_width)
        self.blocks = nn.Sequential(*(Block(c.ga_width) for _ in range(c.ga_depth)))
        self.down = nn.Conv2d(c.ga_width, c.n, 3, stride=2, padding=1)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Pixels to latents; the linear branch stays in float32 whatever autocast says."""
        y = self.down(self.blocks(self.stem(space_to_depth(x, 8))))
        latents: Tensor = y.float() + self.linear_branch(x)
        return latents

    def linear_branch(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, N, H/16, W/16), float32."""
        with torch.autocast(x.device.type, enabled=False):
            patches = space_to_depth(x.float(), PATCH).permute(0, 2, 3, 1)  # (B, H/16, W/16, 768)
            y: Tensor = self.linear(patches).permute(0, 3, 1, 2)
            return y


class Synthesis(nn.Module):
    """g_s: y (B, N, h, w), modulation (B, C, 1, 1) -> (B, 3, 16h, 16w) in about [-1/2, 1/2]."""

    def __init__(self, c: PhotoConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(c.n, 3 * PATCH * PATCH, bias=False)
        self.stem = conv1x1(c.n, 4 * c.gs_width)
        self.blocks = nn.Sequential(*(Block(c.gs_width) for _ in range(c.gs_depth)))
        self.head = nn.Conv2d(c.gs_width, 3 * 64, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def features(self, y: Tensor, modulation: Tensor) -> Tensor:
        """(B, N, h, w) -> (B, C, 2h, 2w): everything before the last layer."""
        features: Tensor = self.blocks(depth_to_space(self.stem(y), 2) * modulation)
        return features

    def forward(self, y: Tensor, modulation: Tensor) -> Tensor:
        """Latents to pixels; the linear branch stays in float32 whatever autocast says."""
        x = depth_to_space(self.head(self.features(y, modulation)), 8)
        return x.float() + self.linear_branch(y)

    def linear_branch(self, y: Tensor) -> Tensor:
        """(B, N, h, w) -> (B, 3, 16h, 16w), float32."""
        with torch.autocast(y.device.type, enabled=False):
            return depth_to_space(self.linear(y.float().permute(0, 2, 3, 1)).permute(0, 3, 1, 2), PATCH)


class HyperAnalysis(nn.Module):
    """h_a: normalised y (B, N, 4h, 4w) -> z (B, Z, h, w)."""

    def __init__(self, c: PhotoConfig) -> None:
        super().__init__()
        self.stem = conv1x1(c.n, c.hyper_width)
        self.block1 = Block(c.hyper_width)
        self.down1 = conv1x1(4 * c.hyper_width, c.hyper_width)
        self.block2 = Block(c.hyper_width)
        self.down2 = conv1x1(4 * c.hyper_width, c.z)

    def forward(self, u: Tensor) -> Tensor:
        """Two halvings by space-to-depth and a 1x1."""
        x = self.block1(self.stem(u))
        x = self.block2(self.down1(space_to_depth(x, 2)))
        z: Tensor = self.down2(space_to_depth(x, 2)).float()
        return z


class HyperSynthesis(nn.Module):
    """h_s: dequantised z (B, Z, h, w) -> hyper features psi (B, C, 4h, 4w). Becomes integers at export."""

    def __init__(self, c: PhotoConfig) -> None:
        super().__init__()
        self.up1 = conv1x1(c.z, 4 * c.hyper_width)
        self.block1 = Block(c.hyper_width)
        self.up2 = conv1x1(c.hyper_width, 4 * c.hyper_width)
        self.block2 = Block(c.hyper_width)

    def forward(self, z: Tensor) -> Tensor:
        """Two doublings by a 1x1 and depth-to-space."""
        x = self.block1(depth_to_space(self.up1(z), 2))
        psi: Tensor = self.block2(depth_to_space(self.up2(x), 2))
        return psi


class Context(nn.Module):
    """Means and scale indices of one step from psi and what earlier steps decoded. Becomes integers at export.

    Step 0 reads psi alone. Steps 1 to 3 each have an adaptor, share the trunk, and have a head per (step, group). There
    is one of y, n channels of it, and one of z.
    """

    def __init__(self, n: int, psi: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = conv1x1(psi, width)
        self.adaptors = nn.ModuleList(conv1x1(n + psi, width) for _ in range(STEPS - 1))
        self.trunk = nn.Sequential(*(Block(width) for _ in range(depth)))
        # (step, group, in, out): out holds n/4 means, then n/4 scale indices
        self.head_weight = nn.Parameter(torch.randn(STEPS, STEPS, width, n // 2) * 1e-2)
        self.head_bias = nn.Parameter(torch.zeros(STEPS, STEPS, n // 2))

    @classmethod
    def of_y(cls, c: PhotoConfig) -> Context:
        """Reads what h_s makes of z."""
        return cls(c.n, c.hyper_width, c.context_width, c.context_depth)

    @classmethod
    def of_z(cls, c: PhotoConfig) -> Context:
        """Reads what is the same in all cells and pictures of a quality."""
        return cls(c.z, c.z_hyper_width, c.z_context_width, c.z_context_depth)

    def forward(self, step: int, psi: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        """psi (B, C, H, W), known (B, N, H, W) zero where unknown -> mean, index: (4, B*H/2*W/2, N/4) by phase."""
        if known is None:
            features = torch.relu(self.first(psi))
        else:
            features = self.trunk(torch.relu(self.adaptors[step - 1](torch.cat((known, psi), dim=1))))
        groups = [group_at(step, phase) for phase in range(STEPS)]
        # stacked one by one: indexing by a list would copy it to the device and wait
        weight, bias = (torch.stack([t[step, g] for g in groups]) for t in (self.head_weight, self.head_bias))
        out = torch.bmm(split_phases(features), weight.to(features.dtype)).float() + bias[:, None, :]
        mean, index = out.chunk(2, dim=-1)
        return mean, index


class PhotoModel(nn.Module):
    """The whole model. `forward` is the training pass; the codec runs its parts (`caecodec.engines.torch.photo`)."""

    normaliser: Tensor

    def __init__(self, config: PhotoConfig) -> None:
        super().__init__()
        self.config = c = config
        self.g_a, self.g_s = Analysis(c), Synthesis(c)
        self.h_a, self.h_s = HyperAnalysis(c), HyperSynthesis(c)
        self.context, self.context_z = Context.of_y(c), Context.of_z(c)
        rows = c.tunes * c.anchors  # of TABLES
        self.log_gain = nn.Parameter(torch.zeros(rows, c.n))
        self.log_gain_out = nn.Parameter(torch.zeros(rows, c.n))  # what g_s multiplies by, minus -log_gain
        self.log_gain_z = nn.Parameter(torch.zeros(rows, c.z))
        self.psi_bias = nn.Parameter(torch.zeros(rows, c.hyper_width))
        spread = torch.linspace(-1, 1, c.anchors)[:, None] * torch.randn(c.z_hyper_width)
        self.psi_z = nn.Parameter(spread.repeat(c.tunes, 1))
        self.modulation = nn.Parameter(torch.ones(rows, c.gs_width))
        with torch.no_grad():
            self.context_z.head_bias[:, :, c.z // 4 :] = math.log(1.0 / SCALE_MIN) / SCALE_STEP
        # normaliser w: brings the channels of y to similar size in front of h_a and the context
        self.register_buffer("normaliser", torch.ones(c.n))

    @torch.no_grad()
    def start_as_klt(self, basis: Tensor, deviation: Tensor) -> None:
        """Start as transform coding. basis (768, N) orthonormal columns, deviation (N,) of each coefficient."""
        c = self.config
        self.g_a.linear.weight.copy_(basis.T)
        self.g_s.linear.weight.copy_(basis)
        deviation = deviation.clamp_min(1e-3)
        self.normaliser.copy_(deviation**-0.5)
        for a in range(c.anchors):
            self.log_gain[a :: c.anchors].fill_(c.first_log_gain(a / (c.anchors - 1)))
        for stem in (self.g_s.stem, self.h_a.stem):
            fan_in_power = (deviation if stem is self.h_a.stem else deviation**2).sum()
            stem.weight.normal_(0, float(fan_in_power) ** -0.5)
        self.g_s.stem.weight.mul_(self.normaliser[None, :, None, None])
        self.g_s.stem.weight.mul_(float((deviation**2).sum() / deviation.sum()) ** 0.5)
        index = torch.log(deviation * self.normaliser / SCALE_MIN) / SCALE_STEP
        self.context.head_bias[:, :, c.n // 4 :] = index.reshape(STEPS, -1)

    def freeze_encoder(self) -> None:
        """Leave everything that only the encoder uses as it is: for the last part of training (see `forward`)."""
        for part in (self.g_a, self.h_a):
            part.requires_grad_(False)
        for table in (self.log_gain, self.log_gain_z):
            table.requires_grad_(False)

    def freeze_networks(self) -> None:
        """Leave all but TABLES as it is."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in TABLES)

    def tuned(self, tune: Tune) -> PhotoModel:
        """The same networks with the tables of a tune alone; they share their memory, and none can be trained."""
        c = self.config
        first = c.anchors * (TUNES.index(tune) if c.tunes > 1 else 0)
        one = copy.copy(self)
        one.config = replace(c, tunes=1)
        # a module looks its parameters up here; those of the copy must not be those of this one
        one._parameters = dict(self._parameters)
        for name in TABLES:
            rows = getattr(self, name).detach()[first : first + c.anchors]
            one._parameters[name] = nn.Parameter(rows, requires_grad=False)
        return one

    def analyse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, 3, H, W) in [0, 1], H and W multiples of 64 -> y (B, N, H/16, W/16), z (B, Z, H/64, W/64): no gains."""
        y = self.g_a(x - 0.5)
        return y, self.h_a(y * self.normaliser[None, :, None, None])

    def forward(
        self,
        x: Tensor,
        level: Tensor,
        hard: bool = False,
        rdo: float = 0.0,
        tune: Tensor | None = None,
        latents: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """x (B, 3, H, W) in [0, 1], H and W multiples of 64; level (B,) in [0, 1]; tune (B,), 0 without it.

        Returns x_hat (B, 3, H, W), and bits_y, bits_z (B,) in bits per pixel. Training the whole model counts bits of
        noisy latents and rounds straight-through. `hard` is what the codec does, symbols as they are coded, with
        rate-distortion optimised rounding of strength `rdo`; it trains a decoder whose encoder is frozen. `latents`:
        what `analyse` makes of x, where that is known.
        """
        pixels = x.shape[2] * x.shape[3]
        at = self.position(level, tune)
        y, z = self.analyse(x) if latents is None else latents
        log_gain = between(self.log_gain, at)
        log_gain_out = between(self.log_gain_out, at) - log_gain
        w = self.normaliser[None, :, None, None]

        log_gain_z = between(self.log_gain_z, at)
        z_hat, bits_z = self.code_z(z * log_gain_z.exp(), at, functools.partial(code, hard=hard, rdo=0.0))
        psi = self.h_s(z_hat * (-log_gain_z).exp()) + between(self.psi_bias, at)

        weight = None
        if rdo:
            lam = self.config.lambda_at(level)[:, None, None, None]
            power = self.g_s.linear.weight.detach().square().sum(0)[None, :, None, None]
            weight = error_weight(lam, power, (2 * log_gain_out.detach()).exp())  # (B, N, 1, 1)
        coder = Steps(self.context, psi, log_gain - w.log(), functools.partial(code, hard=hard, rdo=rdo), weight)
        y_hat, bits_y = coder(y * log_gain.exp())
        x_hat = self.g_s(y_hat * log_gain_out.exp(), between(self.modulation, at)) + 0.5
        return {"x_hat": x_hat, "bits_y": bits_y / pixels, "bits_z": bits_z / pixels}

    def position(self, level: Tensor, tune: Tensor | None = None) -> Tensor:
        """Levels (B,) in [0, 1] and tunes (B,), the first without -> where they are in the rows of TABLES, (B,)."""
        c = self.config
        within = level.clamp(0, 1) * (c.anchors - 1)
        return within if tune is None else within + c.anchors * tune

    def code_z(self, z: Tensor, at: Tensor, coder: Coder) -> tuple[Tensor, Tensor]:
        """z (B, Z, h, w) after its gain, its `position` (B,) -> z_hat of that shape and bits (B,), as `Steps` codes."""
        b, _, h, w = z.shape
        psi = between(self.psi_z, at).expand(b, -1, h + h % 2, w + w % 2)
        return Steps(self.context_z, psi, between(self.log_gain_z, at), coder)(z)


@dataclass  # neither frozen nor with slots: torch.compile of 2.11 on Python 3.12 cannot make such
class Steps:
    """The four context steps over y, or over z, differentiable.

    log_ratio (B, N, 1, 1) = log(gain / w) takes the context's normalised domain to the quantiser's; z has no w.
    """

    context: Context
    psi: Tensor
    log_ratio: Tensor
    code: Coder
    weight: Tensor | None = None

    def __call__(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """y (B, N, H, W) after the gain -> y_hat of the same shape, bits per picture (B,). psi has an even extent."""
        b, n, h, w = y.shape
        if h % 2 or w % 2:  # positions beyond the edge are unknown, and take no bits
            beyond = (0, w % 2, 0, h % 2)
            inside = split_phases(F.pad(y.new_ones(b, 1, h, w), beyond))  # (4, M, 1)
            y = F.pad(y, beyond)
        else:
            inside = None
        cells = y.shape[2] * y.shape[3] // 4

        def rows(table: Tensor) -> Tensor:  # (B, N, 1, 1) -> (B*cells, 4, N/4)
            return table.reshape(b, 1, 4, n // 4).expand(b, cells, 4, n // 4).reshape(-1, 4, n // 4)

        by_phase = split_phases(y).reshape(4, -1, 4, n // 4)
        ratio_rows = rows(self.log_ratio)
        weight_rows = None if self.weight is None else rows(self.weight)
        done = [[torch.zeros_like(by_phase[0, :, 0]) for _ in range(4)] for _ in range(4)]  # [phase][group]
        bits = y.new_zeros(b)
        known: Tensor | None = None
        for step in range(STEPS):
            mean, index = self.context(step, self.psi, known)
            groups = [group_at(step, phase) for phase in range(4)]
            target = torch.stack([by_phase[p, :, g] for p, g in enumerate(groups)])  # (4, M, N/4)
            ratio = torch.stack([ratio_rows[:, g] for g in groups])
            weight = None if weight_rows is None else torch.stack([weight_rows[:, g] for g in groups])
            mean = mean * ratio.exp()
            scale = scale_of_index(index + ratio / SCALE_STEP)
            value, cost = self.code(target, mean, scale, weight)
            if inside is not None:
                value, cost = value * inside, cost * inside
            bits = bits + cost.reshape(4, b, -1).sum((0, 2))
            for p, g in enumerate(groups):
                done[p][g] = value[p]
            decoded = torch.stack([torch.cat(groups_of_phase, dim=-1) for groups_of_phase in done])
            y_hat = merge_phases(decoded, y)
            known = y_hat * (-self.log_ratio).exp()
        return y_hat[:, :, :h, :w], bits
