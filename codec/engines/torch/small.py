"""The float networks of small-picture models, many pictures of one size at once. Imports torch, as `engine` does.

Arrays at the border are (P, height, width, channels) numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from caecodec.engines.torch.photo import PRECISIONS, fast_bfloat16, load_network, memory, pick_device
from caecodec.entropy.fixed_point import ONE, QUALITIES
from caecodec.errors import ModelError, UsageError
from caecodec.models.networks.autoencoder import NETWORKS, AutoencoderConfig
from caecodec.models.networks.layers import channels_last, conv1x1
from caecodec.models.networks.tiny import Analysis, Synthesis, TinyConfig
from caecodec.zoo.find import Model

Float = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class _SmallEngine:
    def __init__(self, model: Model, device: str, precision: str) -> None:
        if precision not in PRECISIONS:
            raise UsageError(f"unknown precision {precision!r}: choose {', '.join(PRECISIONS)}")
        self.device = pick_device(device)
        fast = fast_bfloat16(self.device) if precision == "auto" else precision == "bfloat16"
        self.body = torch.bfloat16 if fast else torch.float32
        self.tables = {
            key[6:]: torch.from_numpy(np.array(value)).to(self.device)
            for key, value in model.tensors.items()
            if key.startswith("float.")
        }

    def expect(self, widths: Mapping[str, int]) -> None:
        """Raise ModelError unless these tables are there, whole and finite: name -> columns."""
        for name, width in widths.items():
            table = self.tables[name]
            if table.shape != (QUALITIES, width) or not table.isfinite().all():
                raise ModelError(f"table float.{name} is malformed")

    def gain(self, quality: int, name: str = "gain") -> Float:
        """A row of a table, (channels,)."""
        row: Float = self.tables[name][quality - 1].cpu().numpy()
        return row

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """(P, H, W, C) -> (P, C, H, W) on the device; the memory stays as it is, which is channels_last."""
        whole = np.require(array, requirements=("C", "W"))
        return torch.from_numpy(whole).to(self.device).permute(0, 3, 1, 2)

    def autocast(self) -> torch.autocast:
        """bfloat16 where it is fast. Only encoders use it: what a decoder rounds is seen."""
        return torch.autocast(self.device.type, self.body, enabled=self.body == torch.bfloat16)


class AutoencoderEngine(_SmallEngine):
    """Encoder and decoder of one autoencoder."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        super().__init__(model, device, precision)
        self.config = AutoencoderConfig(**model.info.config)  # type: ignore[arg-type]
        network = load_network(NETWORKS[self.config.kind](self.config), model.tensors, "network.")
        for part in (network.encoder, network.decoder) if hasattr(network, "encoder") else ():
            fold_batch_norm(part)
        self.network = channels_last(network.to(self.device))
        inside, rows, columns = network.latent
        coded = self.config.coded or inside
        self._turn = load_network(conv1x1(inside, coded), model.tensors, "turn.").to(self.device)
        self._turn_back = load_network(conv1x1(coded, inside), model.tensors, "turn_back.").to(self.device)
        self.picture = self.config.picture
        self.latent = (coded, rows, columns)
        self.places = sum(c * h * w for c, h, w in network.cells)
        self.expect(dict.fromkeys(("gain", "gain_out", "offset"), coded))

    def analyse(self, pixels: Pixels) -> tuple[Float, NDArray[np.uint8]]:
        """Pixels (P, H, W, C) -> y (P, h, w, channels), places (P, K) in raster order (row, column, channel)."""
        with memory(self.device), torch.inference_mode(), self.autocast():
            y, places = self.network.encode(self.tensor(pixels).float() / 255)
            y = self._turn(y)
            rows = [p.permute(0, 2, 3, 1).flatten(1).to(torch.uint8) for p in places]
            flat = torch.cat(rows, dim=1) if rows else torch.empty(len(pixels), 0, dtype=torch.uint8)
            return y.float().permute(0, 2, 3, 1).contiguous().cpu().numpy(), flat.cpu().numpy()

    def synthesise(self, symbols: NDArray[np.int32], places: NDArray[np.int32], quality: int) -> Pixels:
        """Symbols (P, h, w, channels) and places (P, K) -> pixels (P, H, W, C). Always in float32."""
        with memory(self.device), torch.inference_mode():
            offset, gain = self.tables["offset"][quality - 1], self.tables["gain_out"][quality - 1]
            y = (self.tensor(symbols).float() + offset[:, None, None]) * gain[:, None, None]
            parts, start = [], 0
            for c, h, w in self.network.cells:
                part = torch.from_numpy(places[:, start : start + c * h * w].astype(np.int64)).to(self.device)
                parts.append(part.reshape(-1, h, w, c).permute(0, 3, 1, 2))
                start += c * h * w
            return _pixels(self.network.decode(self._turn_back(y), parts))


class TinyEngine(_SmallEngine):
    """g_a and g_s of the tiny model."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        super().__init__(model, device, precision)
        config: dict[str, Any] = dict(model.info.config)
        config |= {k: tuple(v) for k, v in config.items() if isinstance(v, list)}
        self.config = TinyConfig(**config)
        self._g_a = load_network(Analysis(self.config), model.tensors, "g_a.").to(self.device)
        self._g_s = load_network(Synthesis(self.config), model.tensors, "g_s.").to(self.device)
        self.expect(dict.fromkeys(("gain", "gain_out", "weight"), self.config.n) | {"modulation": self.config.gs_width})

    def analyse(self, pixels: Pixels) -> Float:
        """Pixels (P, H, W, 3), sides multiples of 8 -> y (P, H/8, W/8, N), before its gain."""
        with memory(self.device), torch.inference_mode(), self.autocast():
            y = self._g_a(self.tensor(pixels).float() / 255 - 0.5)
            latents: Float = y.permute(0, 2, 3, 1).contiguous().cpu().numpy()
            return latents

    def synthesise(self, y_hat: NDArray[np.int32], quality: int) -> Pixels:
        """y_hat (P, h, w, N) in fixed point -> pixels (P, 8h, 8w, 3)."""
        with memory(self.device), torch.inference_mode():
            scale = self.tables["gain_out"][quality - 1] / ONE
            y = self.tensor(y_hat).float() * scale[:, None, None]
            return _pixels(self._g_s(y, self.tables["modulation"][quality - 1][None, :, None, None]) + 0.5)


def _pixels(x: Tensor) -> Pixels:
    """(P, C, H, W) in [0, 1] -> (P, H, W, C) uint8."""
    rounded = torch.floor(x * 255 + 0.5).clamp(0, 255).to(torch.uint8)
    pixels: Pixels = rounded.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def fold_batch_norm(network: nn.Module) -> None:
    """Put every batch normalisation of a Sequential into the convolution in front of it."""
    if not isinstance(network, nn.Sequential):
        return
    for i in range(len(network) - 1):
        layer, norm = network[i], network[i + 1]
        if isinstance(norm, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            network[i] = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, nn.ConvTranspose2d))
            network[i + 1] = nn.Identity()
