"""g_a, h_a and g_s of the photo family on torch, one tile at a time: for GPUs, and for gradients.

Float networks with the weights of the integers: pixels may differ from those of the exact engines by one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from caecodec.engines.protocol import Refinement, Trial
from caecodec.engines.torch import start
from caecodec.engines.torch.device import memory
from caecodec.engines.torch.engine import Engine, Float, array_of, pixels_of
from caecodec.engines.torch.integers import load_integers, multiplier
from caecodec.entropy.fixed_point import ACTIVATION, MODULATION_BITS, ONE, SAMPLE, SAMPLE_BITS
from caecodec.entropy.tables import Tables
from caecodec.models.networks.layers import depth_to_space, space_to_depth
from caecodec.models.networks.photo import Analysis, HyperAnalysis, PhotoConfig, Synthesis
from caecodec.pictures.cells import CELL
from caecodec.pictures.picture import DEEP_MAX, Deep, Pixels
from caecodec.stages import stage
from caecodec.zoo.file import Model

if TYPE_CHECKING:
    from caecodec.engines.torch.refine import Rounds

_SAMPLES = 2.0**-SAMPLE_BITS / SAMPLE


def _deep(x: Tensor) -> Tensor:
    """Samples in about [0, 1] -> 0..65535, rounded."""
    return (x * DEEP_MAX).round().clamp(0, DEEP_MAX)


class TorchPhotoEngine(Engine):
    """See `caecodec.engines.protocol.PhotoEngine`."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        super().__init__(model, device, precision)
        self._model = model
        self._refiner: Rounds | None = None  # made when it is first needed
        config = PhotoConfig(**model.info.config)  # type: ignore[arg-type]
        self._g_a = load_integers(Analysis(config), model.tensors, "g_a").to(self.device)
        self._g_s = load_integers(Synthesis(config), model.tensors, "g_s").to(self.device)
        self._h_a = load_integers(HyperAnalysis(config), model.tensors, "h_a").to(self.device)
        self._unit_y, self._unit_z = (
            torch.from_numpy(np.array(model.tensors[f"{part}.unit"], np.float32)).to(self.device)
            for part in ("g_a", "h_a")
        )
        self._scale = multiplier(model.tensors, "h_a.scale").to(self.device)[:, None, None]
        self._to_g_s = multiplier(model.tensors, "quality.to_g_s").to(self.device)
        modulation = np.asarray(model.tensors["quality.modulation"], np.float32) * np.float32(2.0**-MODULATION_BITS)
        self._modulation = torch.from_numpy(modulation).to(self.device)
        # what the encoder's last layer rounds would be coded; the decoder's last layer in bfloat16 moves no picture by
        # more than 0.0003 dB, for the linear branch beside it carries most of it and stays in float32
        for body in (self._g_a.stem, self._g_a.blocks, self._g_s.stem, self._g_s.blocks, self._g_s.head):
            body.to(self.body)
        # a 3x3 at 1/8 reaches half a cell
        self.halo_in = -(-(config.ga_depth + 1) // 2)
        self.halo_out = -(-(config.gs_depth + 1) // 2)

    @property
    def networks(self) -> tuple[nn.Module, nn.Module]:
        """g_a and g_s, to be looked at."""
        return self._g_a, self._g_s

    @stage("g_a")
    def analyse(self, pixels: Pixels, inner: tuple[slice, slice]) -> tuple[Float, Float]:
        with memory(self.device), torch.inference_mode():
            x = self.tensor(pixels[None]).float() * 2 - SAMPLE
            features = self._g_a.blocks(self._g_a.stem(space_to_depth(x, 8).to(self.body)))
            y = self._g_a.down(features.float()) + self._g_a.linear_branch(x)
            y = y[:, :, inner[0], inner[1]]
            below, beside = -y.shape[2] % 4, -y.shape[3] % 4
            z = self._h_a(F.pad(y * self._scale, (0, beside, 0, below), mode="replicate"))
            units = (self._unit_y, self._unit_z)
            y_real, z_real = (array_of(t * unit[:, None, None])[0] for t, unit in zip((y, z), units, strict=True))
            return y_real, z_real

    @stage("g_s")
    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        with memory(self.device), torch.inference_mode():
            y = self.tensor(y_hat[None]).float() / ONE
            pixels: Pixels = pixels_of(self.decoded(y, quality))[0]
            return pixels

    @stage("g_s")
    def synthesise_deep(self, y_hat: NDArray[np.int32], quality: int) -> Deep:
        with memory(self.device), torch.inference_mode():
            x = self.decoded(self.tensor(y_hat[None]).float() / ONE, quality)
            samples: Deep = array_of(_deep(x))[0].astype(np.uint16)
            return samples

    @stage("g_s")
    def synthesise_small(self, y_hat: NDArray[np.int32], quality: int, side: int) -> Deep:
        with memory(self.device), torch.inference_mode():
            y = self._activations(self.tensor(y_hat[None]).float() / ONE, quality)
            x = F.avg_pool2d(self._g_s.linear_branch(y), CELL // side)
            samples: Deep = array_of(_deep(x * _SAMPLES + 0.5))[0].astype(np.uint16)
            return samples

    def _activations(self, y_hat: Tensor, quality: int) -> Tensor:
        return (y_hat * (self._to_g_s[quality - 1] * ONE)[:, None, None]).clamp(-ACTIVATION, ACTIVATION)

    def decoded(self, y_hat: Tensor, quality: int) -> Tensor:
        """y_hat (1, N, h, w) in quantiser steps -> x_hat (1, 3, 16h, 16w) in about [0, 1], unrounded, with gradient."""
        y = self._activations(y_hat, quality)
        modulation = self._modulation[quality - 1][None, :, None, None].to(self.body)
        features = self._g_s.features(y.to(self.body), modulation)
        x = depth_to_space(self._g_s.head(features).float(), 8) + self._g_s.linear_branch(y)
        return x * _SAMPLES + 0.5

    def trial(self, tile: Refinement, tables: Tables) -> Trial:
        return self._rounds(tables).trial(tile)

    def _rounds(self, tables: Tables) -> Rounds:
        from caecodec.engines.torch.refine import Rounds

        if self._refiner is None:
            with start.undisturbed():
                self._refiner = Rounds(self._model, self, tables)
        return self._refiner
