"""Encode or decode pictures under whatever instruction sets and thread counts the environment asks for.

    python worker.py encode PICTURES.npz OUT_DIR
    python worker.py decode OUT.npz PRECISION CAE_DIR...

Run as its own process, because all of those are read when a library is loaded.
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

import numpy as np
import torch

from caecodec.codecs.codec import Codec
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.torch.arithmetic import TorchArithmetic
from caecodec.entropy.arithmetic import Arithmetic
from caecodec.entropy.tables import Tables
from caecodec.format import container
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.pictures.picture import from_array
from caecodec.search.choice import lossy
from caecodec.search.effort import Effort

EFFORTS = {"p1": 1, "p2": 3, "p10": 5}  # of an encoder; 2 otherwise
SMALL = ("tiny", "cifar100", "mnist")  # pictures whose name begins so are for these models


def compute_with_either(codec: Codec, key: str) -> None:
    """Exact sums on torch for half of what is coded, and on numpy for the other half."""
    if isinstance(codec, PhotoCodec):
        arithmetic = TorchArithmetic() if zlib.crc32(key.encode()) % 2 else Arithmetic()
        tensors = codec.model.tensors
        tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
        latents = LatentCodec(EntropyNetwork(tensors, arithmetic), tables)
        PhotoCodec.latents = property(lambda self: latents)  # type: ignore[assignment, method-assign]


def encode(pictures: Path, out: Path) -> None:
    for name, array in np.load(pictures).items():
        model = name.split("-")[0]
        codec = open_codec(model if model in SMALL else None, precision="float32")
        quality = 10 + 80 * (zlib.crc32(name.encode()) % 97) // 97
        compute_with_either(codec, f"{out.name}/{name}")
        # by the network, whatever is smaller
        data = lossy(codec, from_array(array), quality, effort=Effort(EFFORTS.get(name, 2)))
        (out / f"{name}.cae").write_bytes(data)


def decode(out: Path, precision: str, folders: list[Path]) -> None:
    arrays = {}
    for path in (file for folder in folders for file in sorted(folder.glob("*.cae"))):
        parsed = container.parse(path.read_bytes())
        codec = open_codec(parsed.model_id, precision=precision)
        compute_with_either(codec, f"{out.parent.name}/{path.parent.name}/{path.stem}")
        picture = codec.decode(parsed)  # raises where the latents are not bit for bit those of the encoder
        arrays[f"{path.parent.name}/{path.stem}"] = picture.colour
    np.savez(out, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if sys.argv[1] == "encode":
        encode(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        decode(Path(sys.argv[2]), sys.argv[3], [Path(folder) for folder in sys.argv[4:]])
