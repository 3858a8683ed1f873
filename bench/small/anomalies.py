"""Anomalies: a class that an autoencoder was trained without, found by its reconstruction error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caecodec.bench.small.figures import draw_roc
from caecodec.errors import UsageError
from caecodec.models.data.datasets import SmallSet
from caecodec.models.export.model_file import load_checkpoint
from caecodec.models.networks.autoencoder import AutoencoderModel

BATCH = 250


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Reconstruction error as a sign of the class that training never saw, over the whole test split.

    auc: of 0.5 is no sign at all; mse: means of pictures, on 0..1.
    """

    checkpoint: str
    form: str
    without: str
    pictures: int
    positives: int
    auc: float
    mse_known: float
    mse_without: float


@dataclass(frozen=True, slots=True)
class Seeker:
    """An autoencoder that was trained without a class, on the device where it runs."""

    name: str  # of its checkpoint
    model: AutoencoderModel
    without: str
    device: torch.device

    @torch.no_grad()
    def errors(self, small: SmallSet) -> NDArray[np.float64]:
        """MSE of each picture, on 0..1, (P,). A codec form runs at its best quality."""
        found = []
        for part in torch.split(small.pictures, BATCH):
            x = part.to(self.device).permute(0, 3, 1, 2).float() / 255  # (B, C, H, W)
            if self.model.config.form == "drawn":
                out = self.model(x)
            else:
                out = self.model(x, torch.ones(len(x), device=self.device), hard=True)
            found.append((out["x_hat"].float() - x).square().mean((1, 2, 3)).cpu().double())
        errors: NDArray[np.float64] = torch.cat(found).numpy()
        return errors


def open_seeker(checkpoint: Path, test: SmallSet) -> Seeker:
    """A checkpoint that can be tried on a test set. Raises UsageError that says what is wrong with it."""
    model, record = load_checkpoint(checkpoint)
    if not isinstance(model, AutoencoderModel):
        raise UsageError(f"{checkpoint}: --anomaly takes an autoencoder of the literature, as drawn or as codec")
    without = record.get("without")
    if not without:
        hint = f"caecodec train {model.config.kind} --drawn --without CLASS --data PATH trains one that has not"
        raise UsageError(f"{checkpoint}: this model has seen every class; {hint}")
    if without not in test.classes:
        known = ", ".join(test.classes) or "no labels"
        raise UsageError(f"{checkpoint}: trained without the class {without!r}; the set {test.name} has {known}")
    channels, height, width = model.config.picture
    if tuple(test.pictures.shape[1:]) != (height, width, channels):
        found = "x".join(map(str, test.pictures.shape[1:]))
        raise UsageError(
            f"{checkpoint}: takes pictures of {height}x{width}x{channels}, those of {test.name} are {found}"
        )
    positive = test.labels == test.classes.index(without)
    if positive.all() or not positive.any():
        raise UsageError(f"{checkpoint}: the test needs pictures of {without!r}, and of others")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Seeker(str(checkpoint), model.to(device), without, device)


def find_anomalies(seeker: Seeker, test: SmallSet) -> tuple[Anomaly, bytes]:
    """How well the class left out is found among the others, and its ROC as PNG."""
    positive = (test.labels == test.classes.index(seeker.without)).numpy()
    errors = seeker.errors(test)
    auc = area_under_roc(positive, errors)
    anomaly = Anomaly(
        checkpoint=seeker.name,
        form=seeker.model.config.form,
        without=seeker.without,
        pictures=len(test),
        positives=int(positive.sum()),
        auc=auc,
        mse_known=float(errors[~positive].mean()),
        mse_without=float(errors[positive].mean()),
    )
    return anomaly, draw_roc(positive, errors, auc, f"{seeker.without}, by its reconstruction error")


def area_under_roc(positive: NDArray[np.bool_], score: NDArray[np.floating[Any]]) -> float:
    """The chance that a positive scores above a negative, ties counting half; each (P,), of both kinds at least one."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, score))
