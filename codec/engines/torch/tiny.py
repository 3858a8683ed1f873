"""g_a and g_s of the `tiny` family on torch, many pictures of one size at once: float networks, as in `photo`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from caecodec.engines.torch.device import memory
from caecodec.engines.torch.engine import Engine, Float, array_of, pixels_of
from caecodec.engines.torch.integers import load_integers, multiplier
from caecodec.entropy.fixed_point import ACTIVATION, MODULATION_BITS, SAMPLE, SAMPLE_BITS
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
        self._g_a = load_integers(Analysis(self.config), model.tensors, "g_a").to(self.device)
        self._g_s = load_integers(Synthesis(self.config), model.tensors, "g_s").to(self.device)
        self._unit = torch.from_numpy(np.array(model.tensors["g_a.unit"], np.float32)).to(self.device)[:, None, None]
        self._to_g_s = multiplier(model.tensors, "quality.to_g_s").to(self.device)
        modulation = np.asarray(model.tensors["quality.modulation"], np.float32) * np.float32(2.0**-MODULATION_BITS)
        self._modulation = torch.from_numpy(modulation).to(self.device)
        self.expect(dict.fromkeys(("gain", "weight"), self.config.n))

    def analyse(self, pixels: Pixels) -> Float:
        with memory(self.device), torch.inference_mode(), self.autocast():
            y = self._g_a(self.tensor(pixels).float() * 2 - SAMPLE)
            return array_of(y.float() * self._unit)

    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        with memory(self.device), torch.inference_mode():
            y = (self.tensor(y_hat).float() * self._to_g_s[quality - 1][:, None, None]).clamp(-ACTIVATION, ACTIVATION)
            x = self._g_s(y, self._modulation[quality - 1][None, :, None, None])
            return pixels_of(x * (2.0**-SAMPLE_BITS / SAMPLE) + 0.5)
