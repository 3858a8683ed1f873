"""Encoder and decoder of the autoencoders of the literature, many pictures at once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from caecodec.engines.tables import of_autoencoder
from caecodec.engines.torch.device import memory
from caecodec.engines.torch.engine import Engine, Float, array_of, load_network, pixels_of
from caecodec.errors import ModelError
from caecodec.models.networks.autoencoder import NETWORKS, AutoencoderConfig
from caecodec.models.networks.layers import channels_last, conv1x1
from caecodec.pictures.picture import Pixels
from caecodec.zoo.file import Model


class TorchAutoencoderEngine(Engine):
    """See `caecodec.engines.protocol.AutoencoderEngine`."""

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        super().__init__(model, device, precision)
        # sizes are the tensors', which the id covers; a configuration could ask for any amount of memory
        coded, inside = model.tensors["turn.weight"].shape[:2]
        sizes = {"coded": coded, "units": inside}
        self.config = AutoencoderConfig(**(dict(model.info.config) | sizes))  # type: ignore[arg-type]
        network = load_network(NETWORKS[self.config.kind](self.config), model.tensors, "network.")
        expect_normalised(network)
        for part in (network.encoder, network.decoder) if hasattr(network, "encoder") else ():
            fold_batch_norm(part)
        self.network = channels_last(network.to(self.device))
        inside, rows, columns = network.latent
        self._turn = load_network(conv1x1(inside, coded), model.tensors, "turn.").to(self.device)
        self.turn_back = load_network(conv1x1(coded, inside), model.tensors, "turn_back.").to(self.device)
        self.picture = self.config.picture
        self.latent = (coded, rows, columns)
        self.places = sum(c * h * w for c, h, w in network.cells)
        channels: int = coded
        self.expect(dict.fromkeys(of_autoencoder(model.tensors), channels))

    def analyse(self, pixels: Pixels) -> tuple[Float, NDArray[np.uint8]]:
        with memory(self.device), torch.inference_mode(), self.autocast():
            y, places = self.network.encode(self.tensor(pixels).float() / 255)
            y = self._turn(y)
            rows = [p.permute(0, 2, 3, 1).flatten(1).to(torch.uint8) for p in places]
            flat = torch.cat(rows, dim=1) if rows else torch.empty(len(pixels), 0, dtype=torch.uint8)
            return array_of(y.float()), flat.cpu().numpy()

    def decoded(self, y: Tensor) -> Tensor:
        """y (P, C, h, w) of a model without places -> pictures (P, C, H, W), about in [0, 1]."""
        shown: Tensor = self.network.decode(self.turn_back(y), [])
        return shown

    def synthesise(self, symbols: NDArray[np.int32], places: NDArray[np.int32], quality: int) -> Pixels:
        with memory(self.device), torch.inference_mode():
            offset, gain = self.tables["offset"][quality - 1], self.tables["gain_out"][quality - 1]
            y = (self.tensor(symbols).float() + offset[:, None, None]) * gain[:, None, None]
            parts, start = [], 0
            for c, h, w in self.network.cells:
                part = torch.from_numpy(places[:, start : start + c * h * w].astype(np.int64)).to(self.device)
                parts.append(part.reshape(-1, h, w, c).permute(0, 3, 1, 2))
                start += c * h * w
            return pixels_of(self.network.decode(self.turn_back(y), parts))


def expect_normalised(network: nn.Module) -> None:
    """Raise ModelError where a batch normalisation multiplies by, or adds, what no float32 holds."""
    for name, norm in network.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            mean, variance = (norm.get_buffer(f"running_{part}") for part in ("mean", "var"))
            scale = norm.weight / (variance + norm.eps).sqrt()
            if not (scale.isfinite().all() and (norm.bias - mean * scale).isfinite().all()):
                raise ModelError(f"tensors network.{name}.* give numbers beyond float32")


def fold_batch_norm(network: nn.Module) -> None:
    """Put every batch normalisation of a Sequential into the convolution in front of it."""
    if not isinstance(network, nn.Sequential):
        return
    for i in range(len(network) - 1):
        layer, norm = network[i], network[i + 1]
        if isinstance(norm, nn.BatchNorm2d) and isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            network[i] = fuse_conv_bn_eval(layer, norm, transpose=isinstance(layer, nn.ConvTranspose2d))
            network[i + 1] = nn.Identity()
