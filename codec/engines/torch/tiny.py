"""g_a and g_s of the `tiny` family, many pictures of one size at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caecodec.engines.torch.device import memory
from caecodec.engines.torch.engine import Engine, Float, array_of, load_network, pixels_of
from caecodec.entropy.fixed_point import ONE
from caecodec.models.networks.tiny import Analysis, Synthesis, TinyConfig
from caecodec.pictures.picture import Pixels
from caecodec.zoo.file import Model


class TorchTinyEngine(Engine):
    """See `caecodec.engines.protocol.TinyEngine`."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        super().__init__(model, device, precision)
        config: dict[str, Any] = dict(model.info.config)
        config |= {k: tuple(v) for k, v in config.items() if isinstance(v, list)}
        self.config = TinyConfig(**config)
        self._g_a = load_network(Analysis(self.config), model.tensors, "g_a.").to(self.device)
        self._g_s = load_network(Synthesis(self.config), model.tensors, "g_s.").to(self.device)
        self.expect(dict.fromkeys(("gain", "gain_out", "weight"), self.config.n) | {"modulation": self.config.gs_width})

    def analyse(self, pixels: Pixels) -> Float:
        with memory(self.device), torch.inference_mode(), self.autocast():
            y = self._g_a(self.tensor(pixels).float() / 255 - 0.5)
            return array_of(y)

    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        with memory(self.device), torch.inference_mode():
            scale = self.tables["gain_out"][quality - 1] / ONE
            y = self.tensor(y_hat).float() * scale[:, None, None]
            return pixels_of(self._g_s(y, self.tables["modulation"][quality - 1][None, :, None, None]) + 0.5)
