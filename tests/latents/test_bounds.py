"""Models at the bounds of docs/FORMAT.md, 7.3 and 7.4, are taken; those one beyond are refused, by every decoder."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import core_models
import numpy as np
import pytest
import reference_decoder as reference
from core_models import TensorDict
from numpy.typing import NDArray

from caecodec.engines.native import library
from caecodec.engines.numpy.networks import Synthesis
from caecodec.entropy.tables import Tables
from caecodec.errors import ModelError
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.latents.tiny import ContextLatents
from caecodec.latents.tiny_network import ContextNetwork

ACTIVATION, SUM = 8191, (1 << 31) - (1 << 27)


@functools.cache
def sound(family: str) -> TensorDict:
    """What a decoder reads of a model."""
    if family == "photo":
        made = core_models.photo(1, n=8, z=4, psi=4, context=6, width=5, depth=2, trunk=1, dense=60)
    else:
        made = core_models.tiny(1, (1, 3), (4, 2), adapted=3, hidden=4, width=5)
    return {name: tensor for name, tensor in made.items() if not name.startswith(("g_a.", "h_a.", "float."))}


def as_read(tensor: NDArray[np.generic]) -> reference.Tensor:
    kind = core_models.TYPES[tensor.dtype.name]
    return reference.Tensor(tensor.shape, tuple(tensor.ravel().tolist()), tensor.tobytes(), kind)


@functools.cache
def sound_as_read(family: str) -> dict[str, reference.Tensor]:
    return {name: as_read(tensor) for name, tensor in sound(family).items()}


def by_the_specification(tensors: TensorDict, family: str) -> None:
    whole, read = sound(family), sound_as_read(family)
    found = {
        name: read[name] if tensor is whole.get(name) else as_read(tensor)  # most are: it is slow
        for name, tensor in tensors.items()
    }
    check = {"photo": reference.check_photo, "tiny": reference.check_tiny}[family]
    check(reference.Model(found, b"", family))


def by_numpy(tensors: TensorDict, family: str) -> None:
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
    if family == "photo":
        LatentCodec(EntropyNetwork(tensors), tables)
    else:
        ContextLatents(ContextNetwork(tensors), tables)
    Synthesis(tensors, {"photo": 16, "tiny": 8}[family])


def by_the_core(tensors: TensorDict, family: str) -> None:
    if not library.available():
        pytest.skip(library.why_not())
    library.CoreModel(library.core(), core_models.safetensors(tensors, family))


Decoder = Callable[[TensorDict, str], None]


@pytest.fixture(params=[by_the_specification, by_numpy, by_the_core])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    found: Decoder = request.param
    return found


def changed(family: str, changes: dict[str, NDArray[np.generic]]) -> TensorDict:
    assert set(changes) <= set(sound(family))
    return sound(family) | changes


def with_value(family: str, name: str, value: int) -> TensorDict:
    """One entry of a tensor set."""
    tensor = sound(family)[name].copy()
    tensor.flat[-1] = value
    return changed(family, {name: tensor})


def refused(decoder: Decoder, tensors: TensorDict, family: str) -> None:
    with pytest.raises(reference.RejectedError if decoder is by_the_specification else ModelError):
        decoder(tensors, family)


@dataclass(frozen=True)
class Range:
    """What entries of a tensor may be."""

    family: str
    name: str
    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.family} {self.name}"


MULTIPLIERS = {"photo": ("to_u", "to_y", "to_g_s", "z_to_u", "z_to_y"), "tiny": ("to_u", "to_y", "to_g_s")}
RANGES = [
    *(Range(family, f"quality.{name}", -(1 << 30), 1 << 30) for family, names in MULTIPLIERS.items() for name in names),
    *(Range("photo", f"quality.{name}.shift", 1, 60) for name in MULTIPLIERS["photo"]),
    Range("tiny", "quality.to_y.shift", 1, 60),
    Range("photo", "quality.index", -(1 << 26), 1 << 26),
    Range("photo", "quality.psi", -(1 << 26), 1 << 26),
    Range("photo", "quality.z_index", -(1 << 26), 1 << 26),
    Range("photo", "quality.z_psi", -ACTIVATION, ACTIVATION),
    Range("photo", "quality.step", 1, 1 << 10),
    Range("photo", "quality.modulation", -(1 << 13) + 1, (1 << 13) - 1),
    Range("tiny", "quality.index", -(1 << 26), 1 << 26),
    Range("tiny", "quality.bias", -(1 << 26), 1 << 26),
    Range("tiny", "quality.modulation", -(1 << 13) + 1, (1 << 13) - 1),
    *(
        Range("photo", f"{name}.narrow", 0, 15)
        for name in (
            *("int.h_s", "int.context", "int.context_z", "int.h_s.up2", "int.context_z.trunk.0.mix_in"),
            *("g_s.head", "g_s.blocks.1.mix_in", "g_s.blocks.0.expand"),
        )
    ),
    *(Range("tiny", f"{name}.narrow", 0, 15) for name in ("int.context", "int.context.expand", "g_s.head")),
    *(
        Range("photo", f"{name}.shift", 0, 30)
        for name in (
            *("int.h_s.up1", "int.context.first", "int.context.head.2.1", "int.context_z.first"),
            *("int.context_z.head.2.1", "g_s.stem", "g_s.blocks.0.depthwise"),
        )
    ),
    Range("tiny", "int.context.heads.3.shift", 0, 30),
]


@pytest.mark.parametrize("bounds", RANGES, ids=str)
def test_a_number_out_of_range_is_refused(decoder: Decoder, bounds: Range) -> None:
    family, name = bounds.family, bounds.name
    for value in (bounds.low, bounds.high):
        decoder(with_value(family, name, value), family)
    for value in (bounds.low - 1, bounds.high + 1):
        refused(decoder, with_value(family, name, value), family)


CONTEXTS = ("int.context", "int.context_z")
LAYERS = {
    "photo": (
        *("int.h_s.up1", "int.h_s.up2", "g_s.stem", "g_s.head", "g_s.linear"),
        *(f"{context}.first" for context in CONTEXTS),
        *(f"{context}.adaptors.{step}" for context in CONTEXTS for step in range(3)),
        *(f"{context}.head.{step}.{step ^ 1}" for context in CONTEXTS for step in range(4)),
        *(
            f"{block}.{part}"
            for block in ("int.h_s.block1", "int.h_s.block2", *(f"{c}.trunk.0" for c in CONTEXTS), "g_s.blocks.1")
            for part in ("mix_in", "depthwise", "mix_out", "expand", "project")
        ),
    ),
    "tiny": (
        *(f"int.context.{name}" for name in ("mix", "expand", "project", "adaptors.5", "heads.0", "heads.5")),
        *("g_s.stem", "g_s.head", "g_s.linear", "g_s.blocks.0.depthwise", "g_s.blocks.0.project"),
    ),
}


def with_sum(family: str, name: str, largest: int, sign: int = 1) -> TensorDict:
    """The last output of a layer set: what its sum can be at most."""
    weight, bias = sound(family)[f"{name}.weight"].copy(), sound(family)[f"{name}.bias"].copy()
    weight[:, -1] = 0
    left = min(largest // ACTIVATION, 32768 * len(weight))
    for i in range(len(weight)):
        weight[i, -1] = -min(left, 32768)
        left += int(weight[i, -1])
    bias[-1] = sign * (largest + ACTIVATION * int(weight[:, -1].sum(dtype=np.int64)))
    shift = np.array([10], np.int32)  # so that the head's and linear's outputs stay within theirs
    return changed(family, {f"{name}.weight": weight, f"{name}.bias": bias, f"{name}.shift": shift})


@pytest.mark.parametrize(("family", "name"), [(family, name) for family, names in LAYERS.items() for name in names])
def test_a_layer_whose_sums_could_leave_32_bits_is_refused(decoder: Decoder, family: str, name: str) -> None:
    for sign in (-1, 1):
        decoder(with_sum(family, name, SUM - 1, sign), family)
        refused(decoder, with_sum(family, name, SUM, sign), family)


@pytest.mark.parametrize("bias", [SUM, -SUM, -(1 << 31)])
def test_a_bias_alone_can_leave_32_bits(decoder: Decoder, bias: int) -> None:
    refused(decoder, with_value("photo", "int.context.head.3.2.bias", bias), "photo")


def with_outputs(head: int, linear: int, shift: int) -> TensorDict:
    """The largest outputs of the two layers that add up to samples; both have sums of 2^shift - 1 more before."""
    changes: TensorDict = {}
    for name, largest in (("g_s.head", head), ("g_s.linear", linear)):
        weight, bias = (np.zeros_like(sound("photo")[f"{name}.{part}"]) for part in ("weight", "bias"))
        bias[3] = -((largest << shift) + (1 << shift) - 1)
        changes |= {f"{name}.weight": weight, f"{name}.bias": bias, f"{name}.shift": np.array([shift], np.int32)}
    return changed("photo", changes)


@pytest.mark.parametrize("shift", [0, 1])
def test_samples_that_could_leave_32_bits_are_refused(decoder: Decoder, shift: int) -> None:
    half = 1 << 29
    decoder(with_outputs(half, half - 1, shift), "photo")
    refused(decoder, with_outputs(half, half, shift), "photo")
    refused(decoder, with_outputs(half + 1, half - 1, shift), "photo")


@pytest.mark.parametrize(("n", "z"), [(6, 4), (8, 6)])
def test_channels_that_are_not_four_groups_are_refused(decoder: Decoder, n: int, z: int) -> None:
    refused(decoder, core_models.photo(1, n=n, z=z, psi=4, context=6, width=5), "photo")


def test_a_context_that_reads_nothing_is_refused(decoder: Decoder) -> None:
    found = dict(core_models.photo(1, n=8, z=4, psi=4, context=6, width=5))
    found["int.context_z.first.weight"] = found["int.context_z.first.weight"][:0]
    found["quality.z_psi"] = found["quality.z_psi"][:, :0]
    for step in range(3):
        found[f"int.context_z.adaptors.{step}.weight"] = found[f"int.context_z.adaptors.{step}.weight"][:4]
    refused(decoder, found, "photo")


@pytest.mark.parametrize("family", ["photo", "tiny"])
def test_a_model_that_lacks_a_tensor_or_has_it_in_another_type_or_shape_is_refused(
    decoder: Decoder, family: str
) -> None:
    whole = sound(family)
    for name in {re.sub(r"\d", "0", name): name for name in whole}.values():  # one of each kind
        # of no network; and what tells how many blocks there are
        if name.startswith("table.") or (name.endswith(".expand.shift") and name[-14].isdigit()):
            continue
        other = {"int16": np.int32, "int32": np.int16}[whole[name].dtype.name]
        refused(decoder, {key: tensor for key, tensor in whole.items() if key != name}, family)
        refused(decoder, whole | {name: whole[name].astype(other)}, family)
        refused(decoder, whole | {name: np.repeat(whole[name], 2, axis=-1)}, family)
