"""The Karhunen-Loeve transform, which the linear branches start as."""

from __future__ import annotations

import torch
from torch import Tensor


def klt_of(rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Karhunen-Loeve transform of patches (P, side) -> basis (side, n) and deviations (n,), as `klt`."""
    return largest((rows.T @ rows / len(rows)).double(), n)


def largest(second: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Eigenvectors (side, n) of the second moments with the largest values, and the square roots of these."""
    values, vectors = torch.linalg.eigh(second)
    keep = torch.arange(len(second) - 1, len(second) - 1 - n, -1)
    return vectors[:, keep].float(), values[keep].clamp_min(0).sqrt().float()
