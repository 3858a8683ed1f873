"""SSIMULACRA 2.1: how alike two pictures look, from 100 (the same) down; 90 cannot be told apart, 70 is good, 50 fair.

A measure by Jon Sneyers (https://github.com/cloudinary/ssimulacra2), fitted to what people said of 22,000 compressed
pictures. At six scales, in the colour space XYB: where structure differs (SSIM), where edges came to be (ringing,
blocks) and where they went (blur), each as a mean and as a 4-norm, weighted and summed.

Everything is float32 in numpy. The weights and the blur are what the authors' program has; scores differ from its own
by less than 0.01 (tests/pictures/test_ssimulacra2.py).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

SCALES = 6
SMALLEST_SIDE = 8  # pixels; coarser scales of a picture are left out below it
SSIM_FLOOR = 0.0009  # C2 of SSIM
OPSIN = np.array(  # linear RGB -> responses of long, medium and short cones
    [[0.30, 0.622, 0.078], [0.23, 0.692, 0.078], [0.24342268924547819, 0.20476744424496821, 0.5518098665095536]]
)
OPSIN_BIAS = 0.0037930732552754493
_RESPONSES = 65_000  # steps of a table, from no response of a cone to the most that pixels cause
_ROWS = 16  # at a time through tables, so that all of it stays in the processor's cache
# by channel X, Y, B; by scale; then the means of the maps SSIM, ringing and blur, then their 4-norms
WEIGHTS = np.array(
    [
        [  # X
            [0.0, 0.0007376606707406586, 0.0, 0.0, 0.0007793481682867309, 0.0],
            [0.0, 0.0004371155730107379, 0.0, 1.1041726426657346, 0.00066284834129271, 0.00015231632783718752],
            [0.0, 0.0016406437456599754, 0.0, 1.8422455520539298, 11.441172603757666, 0.0],
            [0.0007989109436015163, 0.000176816438078653, 0.0, 1.8787594979546387, 10.94906990605142, 0.0],
            [
                0.0007289346991508072,
                0.9677937080626833,
                0.0,
                0.00014003424285435884,
                0.9981766977854967,
                0.00031949755934435053,
            ],
            [0.0004550992113792063, 0.0, 0.0, 0.0013648766163243398, 0.0, 0.0],
        ],
        [  # Y
            [0.0, 0.0, 0.0, 7.466890328078848, 0.0, 17.445833984131262],
            [0.0006235601634041466, 0.0, 0.0, 6.683678146179332, 0.00037724407979611296, 1.027889937768264],
            [225.20515300849274, 0.0, 0.0, 19.213238186143016, 0.0011401524586618361, 0.001237755635509985],
            [176.39317598450694, 0.0, 0.0, 24.43300999870476, 0.28520802612117757, 0.0004485436923833408],
            [0.0, 0.0, 0.0, 34.77906344483772, 44.835625328877896, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        ],
        [  # B
            [0.0, 0.0008680556573291698, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0005313191874358747, 0.0, 0.00016533814161379112, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0004179171803251336, 0.0017290828234722833, 0.0],
            [0.0020827005846636437, 0.0, 0.0, 8.826982764996862, 23.19243343998926, 0.0],
            [
                95.1080498811086,
                0.9863978034400682,
                0.9834382792465353,
                0.0012286405048278493,
                171.2667255897307,
                0.9807858872435379,
            ],
            [0.0, 0.0, 0.0, 0.0005130064588990679, 0.0, 0.00010854057858411537],
        ],
    ]
)  # (3, SCALES, 6)


def gaussian_taps(sigma: float = 1.5) -> NDArray[np.float64]:
    """The blur: a Gaussian as a sum of three cosines (Charalampidis 2016, doi:10.1109/TSP.2016.2549985)."""
    radius = round(3.2795 * sigma + 0.2546)
    omega = np.array([1, 3, 5]) * math.pi / (2 * radius)
    p = np.array([1, -1, 1]) / np.tan(omega / 2)
    r = np.array([1, -1, 1]) * p * p / np.sin(omega)
    rho = np.exp(-0.5 * sigma**2 * omega**2) / radius
    d13, d35, d51 = p[0] * r[1] - r[0] * p[1], p[1] * r[2] - r[1] * p[2], p[2] * r[0] - r[2] * p[0]
    zeta = np.array([d35 / d13, d51 / d13, 1.0])
    beta = np.linalg.solve(np.stack((p, r, zeta)), np.array([1.0, radius**2 - sigma**2, zeta @ rho]))
    # at both ends of its radius the sum is zero
    return np.array([beta @ np.cos(omega * n) for n in range(1 - radius, radius)])


def score(original: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """SSIMULACRA 2.1 of two sRGB pictures (H, W, 3) or (H, W), uint8: 100 for the same, lower the less alike.

    Raises ValueError where shapes differ or a side is below 8 pixels.
    """
    if original.shape != other.shape:
        raise ValueError(f"pictures of {original.shape[:2]} and {other.shape[:2]} cannot be compared")
    if min(original.shape[:2]) < SMALLEST_SIDE:
        raise ValueError(f"SSIMULACRA2 needs sides of at least {SMALLEST_SIDE} pixels, not {original.shape[:2]}")
    a, b = _linear(original), _linear(other)
    total = 0.0
    for scale in range(SCALES):
        if min(a.shape[1:]) < SMALLEST_SIDE:
            break
        if scale:
            a, b = _halved(a), _halved(b)
        total += float((WEIGHTS[:, scale] * _norms(_xyb(a), _xyb(b))).sum())
    return score_of(total)


def score_of(total: float) -> float:
    """The weighted sum of all norms -> the score, fitted to what people said."""
    x = 0.9562382616834844 * total
    x = 2.326765642916932 * x - 0.020884521182843837 * x * x + 6.248496625763138e-05 * x * x * x
    return 100.0 - 10.0 * x**0.6276336467831387 if x > 0 else 100.0


def lightness(picture: NDArray[np.uint8]) -> Plane:
    """(H, W, 3) or (H, W) uint8 sRGB -> Y of XYB, (H, W), within 0.0003: by tables, for encoders have little time."""
    added, half_root = _cone_tables()
    found: Plane = np.empty(picture.shape[:2], np.float32)
    for top in range(0, len(picture), _ROWS):
        rows = picture[top : top + _ROWS]
        planes = [rows] * 3 if rows.ndim == 2 else [np.ascontiguousarray(rows[..., c]) for c in range(3)]
        parts = []
        for of_cone in added:  # no index is out of bounds: "clip" is the quickest way to look up
            response = of_cone[0].take(planes[0], mode="clip")
            for table, plane in zip(of_cone[1:], planes[1:], strict=True):
                response += table.take(plane, mode="clip")
            parts.append(half_root.take(response, mode="clip"))
        np.add(parts[0], parts[1], out=found[top : top + _ROWS])
    return found


@lru_cache(1)
def _cone_tables() -> tuple[NDArray[np.uint16], Plane]:
    """What a sample of red, green and blue adds to the response of long and of medium cones, (2, 3, 256) in steps; and
    what a response adds to Y, (65536,).
    """
    added = np.rint(_RESPONSES * OPSIN[:2, :, None] * _linear_table()).astype(np.uint16)
    root = np.cbrt(np.arange(65536) / _RESPONSES + OPSIN_BIAS) - OPSIN_BIAS ** (1 / 3) + 0.01
    return added, (root / 2).astype(np.float32)


def _linear(picture: NDArray[np.uint8]) -> Plane:
    """(H, W, 3) or (H, W) uint8 sRGB -> (3, H, W) linear light."""
    planes = np.broadcast_to(picture[None], (3, *picture.shape)) if picture.ndim == 2 else picture.transpose(2, 0, 1)
    return _linear_table()[planes]


@lru_cache(1)
def _linear_table() -> Plane:
    x = np.arange(256) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _halved(x: Plane) -> Plane:
    """(3, H, W) -> (3, ceil(H/2), ceil(W/2)): means of 2x2, the last row and column repeated."""
    h, w = x.shape[1:]
    if h % 2 or w % 2:
        x = np.pad(x, ((0, 0), (0, h % 2), (0, w % 2)), mode="edge")
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) * np.float32(0.25)


def _xyb(linear: Plane) -> Plane:
    """(3, H, W) linear light -> XYB, each about 0..1, with B - Y in the place of B."""
    cones = np.cbrt(np.tensordot(OPSIN.astype(np.float32), linear, 1) + np.float32(OPSIN_BIAS))
    cones -= np.float32(OPSIN_BIAS ** (1 / 3))
    x, y = (cones[0] - cones[1]) * np.float32(0.5), (cones[0] + cones[1]) * np.float32(0.5)
    return np.stack((x * np.float32(14) + np.float32(0.42), y + np.float32(0.01), cones[2] - y + np.float32(0.55)))


BLOCK = 64  # columns of a picture that one matrix product blurs


@lru_cache(64)
def _band(width: int) -> Plane:
    """(width + 2 radius, width): what each output of a blurred block takes of its inputs."""
    taps = gaussian_taps()
    band = np.zeros((width + len(taps) - 1, width), np.float32)
    for i in range(width):
        band[i : i + len(taps), i] = taps
    return band


def _blur(x: Plane) -> Plane:
    """Blur (K, H, W) in both directions; beyond the picture is zero, as in the authors' program."""
    radius = len(gaussian_taps()) // 2
    for _ in range(2):
        k, h, w = x.shape
        padded = np.zeros((k, h, w + 2 * radius), np.float32)
        padded[:, :, radius:-radius] = x
        blurred = np.empty((k, w, h), np.float32)  # transposed: the second pass is the other direction
        for left in range(0, w, BLOCK):
            width = min(BLOCK, w - left)
            np.matmul(
                _band(width).T,
                padded[:, :, left : left + width + 2 * radius].transpose(0, 2, 1),
                out=blurred[:, left : left + width],
            )
        x = blurred
    return x


def _norms(a: Plane, b: Plane) -> NDArray[np.float64]:
    """XYB of both pictures at one scale -> (3, 6): mean of SSIM, ringing, blur; their 4-norms."""
    result = np.empty((3, 6))
    for channel in range(3):
        x, y = a[channel], b[channel]
        mean_x, mean_y, xx, yy, xy = _blur(np.stack((x, y, x * x, y * y, x * y)))
        structure = 2 * (xy - mean_x * mean_y) + np.float32(SSIM_FLOOR)
        spread = (xx - mean_x * mean_x) + (yy - mean_y * mean_y) + np.float32(SSIM_FLOOR)
        unlike = np.maximum(1 - (1 - np.square(mean_x - mean_y)) * structure / spread, 0)
        edges = (1 + np.abs(y - mean_y)) / (1 + np.abs(x - mean_x)) - 1
        maps = (unlike, np.maximum(edges, 0), np.maximum(-edges, 0))
        for number, values in enumerate(maps):
            squared = np.square(values)
            result[channel, number] = values.mean(dtype=np.float64)
            result[channel, 3 + number] = np.square(squared).mean(dtype=np.float64) ** 0.25
    return result
