"""Five convolutional autoencoders of the literature, each as its authors drew it, and the codec made of each.

    as drawn   x --encoder--> y (floats) --decoder--> x_hat
    as codec   x --encoder--> 1x1 --> y --(gain)--> round --(1/gain)--> 1x1 --decoder--> x_hat

x is (B, C, H, W) in [0, 1], C = 1 or 3, of the one size the model takes. The prior is factorised: every channel of y
has a density of its own, and nothing else is looked at, so that decoding needs no network before the decoder's and is
exact by construction. The 1x1 layers on both sides of the rounding are the codec's only addition: as drawn, the encoder
spreads a picture over many channels that say the same, and each would be paid for. Quality enters through gains in
front of the rounding (Cui 2021, arXiv:2003.02012).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from caecodec.models.networks.context import Context, ContextSizes
from caecodec.models.networks.klt import klt_of
from caecodec.models.networks.layers import conv1x1, interpolate
from caecodec.models.networks.levels import LambdaRange, error_weight
from caecodec.models.networks.quantize import add_noise, round_ste
from caecodec.models.networks.rate_model import MixturePrior

FORMS = ("codec", "drawn")
STARTING_PICTURES = 2000


@dataclass(frozen=True, slots=True)
class AutoencoderConfig(LambdaRange):
    """Which autoencoder, and its codec. `units`: of the dense y of the two that have one; `unpool`: of `mnist`."""

    kind: str
    form: str = "codec"
    units: int = 128
    unpool: str = "indices"  # or "fixed"
    coded: int = 0  # channels of y that are coded, fewer than the network's where these say the same; 0: as many
    groups: tuple[int, ...] = ()  # of the context, as `tiny` has it; none: the prior is factorised
    splits: tuple[int, ...] = ()
    context_width: int = 48
    context_hidden: int = 96
    anchors: int = 6
    lambda_min: float = 0.002
    lambda_max: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in NETWORKS:
            raise ValueError(f"unknown kind {self.kind!r}; known are {', '.join(sorted(NETWORKS))}")
        if self.form not in FORMS or self.unpool not in ("indices", "fixed"):
            raise ValueError("form must be 'codec' or 'drawn', unpool 'indices' or 'fixed'")
        if self.anchors < 2 or self.units < 1:
            raise ValueError("anchors must be at least 2, units positive")
        if self.groups:
            if any(side % 2 for side in NETWORKS[self.kind].latent[1:]):
                raise ValueError(f"y of {self.kind} has no 2x2 blocks of cells for a context to go over")
            self.context.require_channels(self.coded or NETWORKS[self.kind].latent[0])
        self.require_range()

    @property
    def context(self) -> ContextSizes:
        """Sizes of the context."""
        return ContextSizes(self.groups, self.splits, self.context_width, self.context_hidden)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for recipes and weight files."""
        return asdict(self)

    @property
    def picture(self) -> tuple[int, int, int]:
        """Channels, height and width of the pictures it takes."""
        return NETWORKS[self.kind].picture


def conv(c_in: int, c_out: int, *, padding: int = 1) -> nn.Conv2d:
    """A 3x3 convolution."""
    return nn.Conv2d(c_in, c_out, 3, padding=padding)


def up_conv(c_in: int, c_out: int, stride: int = 1) -> nn.ConvTranspose2d:
    """A 3x3 transposed convolution; with stride 2 it doubles the sides."""
    return nn.ConvTranspose2d(c_in, c_out, 3, stride, padding=1, output_padding=stride - 1)


def batch_norm(c: int) -> list[nn.Module]:
    """Batch normalisation and ReLU."""
    return [nn.BatchNorm2d(c), nn.ReLU()]


class Network(nn.Module):
    """One autoencoder. `picture`, `latent`: (C, H, W) of x and y; `cells`: of each unpooling, outermost first."""

    picture: tuple[int, int, int]
    latent: tuple[int, int, int]
    cells: tuple[tuple[int, int, int], ...] = ()

    encoder: nn.Module
    decoder: nn.Module

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """x (B, C, H, W) -> y (B, *latent), and the place 0..3 of the maximum in each cell, (B, *cells[i]) int64."""
        return self.encoder(x).reshape(-1, *self.latent), []

    def decode(self, y: Tensor, places: list[Tensor]) -> Tensor:
        """y (B, *latent) and places as `encode` gave them -> x_hat (B, C, H, W) in [0, 1]."""
        x_hat: Tensor = self.decoder(y)
        return x_hat


class Cifar10(Network):
    """Conv to 64, three of (Conv, BatchNorm, ReLU, MaxPool) to 512; three of (ConvTranspose, BatchNorm, ReLU), Conv."""

    picture = (3, 32, 32)
    latent = (512, 4, 4)

    def __init__(self, c: AutoencoderConfig) -> None:
        super().__init__()
        down: list[nn.Module] = [conv(3, 64), *batch_norm(64)]
        up: list[nn.Module] = []
        for width in (64, 128, 256):
            down += [conv(width, 2 * width), *batch_norm(2 * width), nn.MaxPool2d(2)]
        for width in (512, 256, 128):
            up += [up_conv(width, width // 2, stride=2), *batch_norm(width // 2)]
        self.encoder = nn.Sequential(*down)
        self.decoder = nn.Sequential(*up, conv(64, 3), nn.Sigmoid())


class Cifar100(Network):
    """Three of (Conv, BatchNorm, MaxPool), 64, 128, 256; dense y; Dense, three of (ConvTranspose, UpSampling)."""

    picture = (3, 32, 32)

    def __init__(self, c: AutoencoderConfig) -> None:
        super().__init__()
        self.latent = (c.units, 1, 1)
        down: list[nn.Module] = []
        for c_in, c_out in ((3, 64), (64, 128), (128, 256)):
            down += [conv(c_in, c_out), *batch_norm(c_out), nn.MaxPool2d(2)]
        up: list[nn.Module] = [nn.Flatten(), nn.Linear(c.units, 256 * 16), nn.ReLU(), nn.Unflatten(1, (256, 4, 4))]
        for c_in, c_out in ((256, 256), (256, 128), (128, 64)):
            up += [up_conv(c_in, c_out), *batch_norm(c_out), nn.Upsample(scale_factor=2)]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(256 * 16, c.units))
        self.decoder = nn.Sequential(*up, up_conv(64, 3), nn.Sigmoid())


class Cifar10Dense(Network):
    """Two of (Conv, ReLU, MaxPool), 32 and 64, flattened to a dense y; Dense and two ConvTranspose of stride 2."""

    picture = (3, 32, 32)

    def __init__(self, c: AutoencoderConfig) -> None:
        super().__init__()
        self.latent = (c.units, 1, 1)
        down = [conv(3, 32), nn.ReLU(), nn.MaxPool2d(2), conv(32, 64), nn.ReLU(), nn.MaxPool2d(2)]
        up = [nn.Flatten(), nn.Linear(c.units, 64 * 64), nn.ReLU(), nn.Unflatten(1, (64, 8, 8))]
        self.encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(64 * 64, c.units))
        self.decoder = nn.Sequential(*up, up_conv(64, 32, stride=2), nn.ReLU(), up_conv(32, 3, stride=2), nn.Sigmoid())


class FashionMnist(Network):
    """Conv 32, 16, 8 with MaxPool that rounds up: 28, 14, 7, 4; the mirror with UpSampling: 4, 8, 16, 14, 28."""

    picture = (1, 28, 28)
    latent = (8, 4, 4)

    def __init__(self, c: AutoencoderConfig) -> None:
        super().__init__()
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for c_in, c_out in ((1, 32), (32, 16), (16, 8)):
            down += [conv(c_in, c_out), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        for c_in, c_out, padding in ((8, 8, 1), (8, 16, 1), (16, 32, 0)):  # without padding 16 -> 14
            up += [conv(c_in, c_out, padding=padding), nn.ReLU(), nn.Upsample(scale_factor=2)]
        self.encoder = nn.Sequential(*down)
        self.decoder = nn.Sequential(*up, conv(32, 1), nn.Sigmoid())


class Mnist(Network):
    """Two of (Conv, BatchNorm, ReLU, MaxPool); two of (MaxUnpool, ConvTranspose).

    Max-unpooling puts every value back where it came from, which only the encoder knows: with `unpool` "indices" the
    places are part of what is sent. With "fixed" every value goes to the upper left of its cell and none is sent.
    """

    picture = (1, 28, 28)
    widths = (8, 4)
    latent = (4, 7, 7)

    def __init__(self, c: AutoencoderConfig) -> None:
        super().__init__()
        outer, inner = self.widths
        self.conv1, self.norm1 = conv(1, outer), nn.BatchNorm2d(outer)
        self.conv2, self.norm2 = conv(outer, inner), nn.BatchNorm2d(inner)
        self.up2, self.norm3 = up_conv(inner, outer), nn.BatchNorm2d(outer)
        self.up1 = up_conv(outer, 1)
        if c.unpool == "indices":
            self.cells = ((outer, 14, 14), (inner, 7, 7))

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """See `Network`."""
        inner, place1 = max_pool(F.relu(self.norm1(self.conv1(x))))
        y, place2 = max_pool(F.relu(self.norm2(self.conv2(inner))))
        return y, [place1, place2] if self.cells else []

    def decode(self, y: Tensor, places: list[Tensor]) -> Tensor:
        """See `Network`."""
        place1, place2 = places if places else (None, None)
        inner = F.relu(self.norm3(self.up2(max_unpool(y, place2))))
        x_hat: Tensor = torch.sigmoid(self.up1(max_unpool(inner, place1)))
        return x_hat


NETWORKS: dict[str, type[Network]] = {
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "cifar10-dense": Cifar10Dense,
    "fashion-mnist": FashionMnist,
    "mnist": Mnist,
}


def max_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, 2h, 2w) -> maximum of each 2x2 cell (B, C, h, w), and its place in raster order, of equals the first."""
    b, c, h, w = x.shape
    cells = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(b, c, h // 2, w // 2, 4)
    value, place = cells.max(dim=-1)
    return value, place


def max_unpool(x: Tensor, place: Tensor | None) -> Tensor:
    """(B, C, h, w) and places 0..3 (B, C or 1, h, w) -> (B, C, 2h, 2w), zero elsewhere; without all go upper left."""
    b, c, h, w = x.shape
    if place is None:
        place = torch.zeros(b, 1, h, w, dtype=torch.int64, device=x.device)
    cells = x.unsqueeze(-1) * F.one_hot(place, 4)
    return cells.reshape(b, c, h, w, 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(b, c, 2 * h, 2 * w)


class AutoencoderModel(nn.Module):
    """A network, and in its codec form the gains and the prior of y."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.network = NETWORKS[config.kind](config)
        if config.form == "codec":
            latent = self.network.latent[0]
            channels = config.coded or latent
            self.turn, self.turn_back = conv1x1(latent, channels), conv1x1(channels, latent)
            self.log_gain = nn.Parameter(torch.zeros(config.anchors, channels))
            self.log_gain_out = nn.Parameter(torch.zeros(config.anchors, channels))  # what the decoder divides by
            if config.groups:
                self.context = Context(config.context)
                self.context_bias = nn.Parameter(torch.zeros(config.anchors, config.context_width))
                self.register_buffer("normaliser", torch.ones(channels))
                self.register_buffer("power", torch.ones(channels))
            else:
                self.prior = MixturePrior(channels)
            cells = sum(math.prod(c) for c in self.network.cells)
            self.register_buffer("place_share", torch.full((cells, 4), 0.25))

    normaliser: Tensor  # of each channel, what takes it to the context's domain at a gain of 1
    power: Tensor  # of each channel, the sum of squares that an error of 1 makes in the picture
    place_share: Tensor  # how often each unpooling cell, in the order of a file, takes each of its four places

    def _place_bits(self, places: list[Tensor]) -> Tensor:
        """Bits of the places of each picture, (B,), by their running shares; no gradient reaches them."""
        with torch.no_grad():
            flat = torch.cat([p.permute(0, 2, 3, 1).flatten(1) for p in places], dim=1)  # (B, cells)
            taken = F.one_hot(flat, 4).float()
            if self.training:
                self.place_share.lerp_(taken.mean(0), 0.02)
            return -(taken * torch.log2(self.place_share + 1e-4)).sum((1, 2))

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """x -> y of the codec before its gain, and places."""
        y, places = self.network.encode(x)
        return self.turn(y).float(), places

    def start(self, pictures: list[Tensor]) -> None:
        """Start as transform coding of what the network has learnt as drawn, from pictures (P, C, H, W).

        An error e of the network's y costs e' M e in the picture, M = E[J' J] with J the decoder's Jacobian. y goes
        into the domain in which M is the identity and its channels are uncorrelated: there one step size for all is
        best, and what the decoder does not look at is not coded.
        """
        c = self.config
        if c.form == "drawn":
            return
        self.eval()
        rows, slopes = [], []
        for part in torch.split(pictures[0][:STARTING_PICTURES], 250):
            with torch.no_grad():
                y, places = self.network.encode(part)
            y = y.detach().requires_grad_()
            x_hat = self.network.decode(y, places)
            probe = torch.randint(0, 2, x_hat.shape, device=y.device).float() * 2 - 1
            (slope,) = torch.autograd.grad((x_hat * probe).sum(), y)
            rows.append(y.detach().permute(0, 2, 3, 1).flatten(0, 2))
            slopes.append(slope.permute(0, 2, 3, 1).flatten(0, 2))
        with torch.no_grad():
            flat, slope = torch.cat(rows).double(), torch.cat(slopes).double()
            mean, metric = flat.mean(0), slope.T @ slope / len(slope)
            metric += torch.eye(len(metric), device=metric.device) * metric.trace() / len(metric) * 1e-4
            values, vectors = torch.linalg.eigh(metric)
            root = vectors * values.sqrt() @ vectors.T
            basis = klt_of(((flat - mean) @ root).float(), self.turn.out_channels)[0].double()
            forth, back = basis.T @ root, torch.linalg.solve(root, basis)
            self.turn.weight.copy_(forth[:, :, None, None])
            assert self.turn.bias is not None
            assert self.turn_back.bias is not None
            self.turn.bias.copy_(-forth @ mean)
            self.turn_back.weight.copy_(back[:, :, None, None])
            self.turn_back.bias.copy_(mean)
            turned = ((flat - mean) @ forth.T).float()
            if c.groups:
                self.start_context(turned, torch.ones(turned.shape[1]))
            else:
                self.prior.start_at(turned.T[None, :, :, None])
            for a in range(c.anchors):
                gain = c.first_log_gain(a / (c.anchors - 1))
                self.log_gain[a].fill_(gain)
                self.log_gain_out[a].fill_(gain)
        self.train()

    @torch.no_grad()
    def start_context(self, y: Tensor, power: Tensor) -> None:
        """Begin the context for rows of y (M, C) before the gain; power (C,), see above."""
        deviation = y.std(0).clamp_min(1e-3)
        self.normaliser.copy_(deviation**-0.5)
        self.power.copy_(power)
        self.context.start(deviation * self.normaliser)

    def code(self, y: Tensor, level: Tensor, hard: bool = False, rdo: float = 0.0) -> tuple[Tensor, Tensor]:
        """y (B, C, h, w) before its gain, level (B,) -> y_hat of that shape, bits (B,), without those of places.

        `hard`: rounded as the codec does, with a context by rate and distortion at strength `rdo`.
        """
        log_gain, log_gain_out = interpolate(self.log_gain, level), interpolate(self.log_gain_out, level)
        gain = log_gain.exp()
        if self.config.groups:
            forth = (0, 2, 3, 1)
            weight = None
            if rdo:
                lam = self.config.lambda_at(level)[:, None, None, None]
                weight = error_weight(lam, self.power, (-2 * log_gain_out.detach()).exp().permute(forth))
            log_ratio = log_gain.permute(forth) - self.normaliser.log()
            bias = interpolate(self.context_bias, level).permute(forth)
            coded, bits = self.context.code((y * gain).permute(forth), log_ratio, bias, weight, hard, rdo)
            return coded.permute(0, 3, 1, 2) * (-log_gain_out).exp(), bits
        offset = self.prior.centre()[:, None, None] * gain
        rounded = round_ste(y * gain - offset)
        v = rounded if hard else add_noise(y * gain - offset)
        bits = self.prior.bits(v + offset, gain)
        return (rounded + offset) * (-log_gain_out).exp(), bits.sum((1, 2, 3))

    def forward(
        self, x: Tensor, level: Tensor | None = None, hard: bool = False, rdo: float = 0.0
    ) -> dict[str, Tensor]:
        """x (B, C, H, W) in [0, 1] -> x_hat of the same shape; as codec also bits (B,) a picture at level (B,) 0..1.

        `hard`, `rdo`: as `code` has them; else noise for the rate and straight-through for the decoder.
        """
        if self.config.form == "drawn":
            return {"x_hat": self.network.decode(*self.network.encode(x))}
        assert level is not None
        y, places = self.encode(x)
        y_hat, total = self.code(y, level, hard, rdo)
        if places:
            total = total + self._place_bits(places)
        return {"x_hat": self.network.decode(self.turn_back(y_hat), places), "bits": total}
