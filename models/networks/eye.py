"""What people see, as a loss: SSIMULACRA 2.1 with gradients, for whole batches of crops.

The measure itself, with its sources, is `caecodec.pictures.ssimulacra2`; here the same maps and weights are torch
operations. Crops are parts of pictures, so they are mirrored at their borders, where a whole picture ends in zeros.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caecodec.pictures.ssimulacra2 import OPSIN, OPSIN_BIAS, SCALES, SMALLEST_SIDE, SSIM_FLOOR, WEIGHTS, gaussian_taps

_WHOLE = 256  # sides up to which a blur is one product with a whole matrix, as compiled training likes it
_BLOCK = 64


class EyeDistance(nn.Module):
    """100 - SSIMULACRA2 of crops of one size; compiles to one graph, which halves its time on a CPU."""

    opsin: Tensor
    weights: Tensor

    def __init__(self, height: int, width: int | None = None) -> None:
        """height, width: of the crops in pixels, square without a width. Raises ValueError for a side below 8."""
        super().__init__()
        sides = [height, height if width is None else width]
        if min(sides) < SMALLEST_SIDE:
            raise ValueError(f"SSIMULACRA2 needs sides of at least {SMALLEST_SIDE} pixels, not {min(sides)}")
        self.register_buffer("opsin", torch.tensor(OPSIN, dtype=torch.float32))
        self.register_buffer("weights", torch.tensor(WEIGHTS, dtype=torch.float32))
        self.scales = 0
        while self.scales < SCALES:
            for name, length in zip(("rows", "columns"), sides, strict=True):
                self.register_buffer(f"{name}{self.scales}", _blur_matrix(length))
            self.scales += 1
            if min(sides) < SMALLEST_SIDE:
                break  # coarser scales are left out
            sides = [-(-side // 2) for side in sides]

    def forward(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """(B, 3, height, width) in [0, 1] both -> (B,); the gradient goes to `x_hat` alone."""
        with torch.autocast(x.device.type, enabled=False):
            a, b = (_linear(t.float().contiguous()) for t in (x.detach(), x_hat))
            total = torch.zeros(len(x), device=x.device)
            for scale in range(self.scales):
                if scale:
                    a, b = _halved(a), _halved(b)
                blurs = getattr(self, f"rows{scale}"), getattr(self, f"columns{scale}")
                norms = _norms(self._xyb(a), self._xyb(b), *blurs)
                total = total + (self.weights[:, scale] * norms).sum((1, 2))
            s = total * 0.9562382616834844
            s = 2.326765642916932 * s - 0.020884521182843837 * s * s + 6.248496625763138e-05 * s**3
            # the power has no slope at zero that a step could follow
            distance: Tensor = 10 * s.clamp_min(1e-3) ** 0.6276336467831387
            return distance

    def _xyb(self, linear: Tensor) -> Tensor:
        """(B, 3, H, W) linear light -> XYB as `caecodec.pictures.ssimulacra2` has it."""
        cones = torch.einsum("oc,bchw->bohw", self.opsin, linear) + OPSIN_BIAS
        # pixels may leave 0..1 in training, and a cube root has no slope at zero
        cones = cones.clamp_min(1e-4) ** (1 / 3) - OPSIN_BIAS ** (1 / 3)
        x, y = 0.5 * (cones[:, 0] - cones[:, 1]), 0.5 * (cones[:, 0] + cones[:, 1])
        return torch.stack((x * 14 + 0.42, y + 0.01, cones[:, 2] - y + 0.55), 1)


def eye_lambda(lam: Tensor) -> Tensor:
    """lambda on 255^2 MSE -> lambda on `EyeDistance`, at which both buy about the same rate on photographs."""
    return 0.4 * lam**0.695


def _linear(x: Tensor) -> Tensor:
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp_min(0.04) + 0.055) / 1.055) ** 2.4)


def _halved(x: Tensor) -> Tensor:
    h, w = x.shape[2:]
    if h % 2 or w % 2:
        x = F.pad(x, (0, w % 2, 0, h % 2), mode="replicate")
    return F.avg_pool2d(x, 2)


def _blur_matrix(length: int) -> Tensor:
    """(length, length): row i holds the taps around i, mirrored at the ends."""
    taps = gaussian_taps()
    matrix = torch.zeros(length, length, dtype=torch.float64)
    for i in range(length):
        for j, tap in enumerate(taps, i - len(taps) // 2):
            inside = -1 - j if j < 0 else 2 * length - 1 - j if j >= length else j
            matrix[i, inside] += tap
    return matrix.float()


class _Along(torch.autograd.Function):
    """x (..., L) times a matrix (L, L) that is zero away from its diagonal, block by block."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        return _banded(x, matrix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (matrix,) = ctx.saved_tensors
        return _banded(grad, matrix.T), None


def _banded(x: Tensor, matrix: Tensor) -> Tensor:
    length, reach = x.shape[-1], len(gaussian_taps()) // 2
    out = torch.empty_like(x)
    for left in range(0, length, _BLOCK):
        right = min(left + _BLOCK, length)
        near = slice(max(0, left - reach), min(length, right + reach))
        out[..., left:right] = x[..., near] @ matrix[near, left:right]
    return out


def _blurred(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B, C, H, W) blurred in both directions."""
    if max(x.shape[2:]) <= _WHOLE:
        return rows @ (x @ columns.T)
    along: Tensor = _Along.apply(x, columns.T)  # type: ignore[no-untyped-call]
    across: Tensor = _Along.apply(along.transpose(2, 3).contiguous(), rows.T)  # type: ignore[no-untyped-call]
    return across.transpose(2, 3)


def _norms(a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """XYB of both pictures at one scale -> (B, 3, 6): mean of SSIM, ringing, blur; their 4-norms."""
    mean_a, aa, mean_b, bb, ab = (_blurred(t, rows, columns) for t in (a, a * a, b, b * b, a * b))
    structure = 2 * (ab - mean_a * mean_b) + SSIM_FLOOR
    spread = (aa - mean_a * mean_a) + (bb - mean_b * mean_b) + SSIM_FLOOR
    unlike = (1 - (1 - (mean_a - mean_b).square()) * structure / spread).clamp_min(0)
    edges = (1 + (b - mean_b).abs()) / (1 + (a - mean_a).abs()) - 1
    maps = (unlike, edges.clamp_min(0), (-edges).clamp_min(0))
    means = [values.mean((2, 3)) for values in maps]
    fourths = [(values.square().square().mean((2, 3)) + 1e-20) ** 0.25 for values in maps]
    return torch.stack(means + fourths, -1)
