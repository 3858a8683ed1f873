"""Encode and decode pictures with one engine, with the instruction sets and threads that the environment asks for.

    python machine_worker.py ENGINE encode PICTURES.npz FOLDER     # a picture NAME -> FOLDER/NAME.cae
    python machine_worker.py ENGINE decode OUT.npz FOLDER...       # what FOLDER/NAME.cae holds

Run as its own process, because libraries read the environment when they are loaded. What comes before a `-` in the name
of a picture is its model. OUT.npz has, under FOLDER/NAME, the samples of each file and a hash of its latents.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from pathlib import Path

import numpy as np

from caecodec.codecs.opening import open_codec
from caecodec.engines.native import library
from caecodec.format import container
from caecodec.pictures.picture import from_array
from caecodec.search.choice import lossy

PRECISION = {"native": "auto", "numpy": "auto", "torch": "float32"}


def encode(engine: str, pictures: Path, out: Path) -> None:
    for name, array in np.load(pictures).items():
        codec = open_codec(name.split("-")[0], precision=PRECISION[engine], engine=engine)
        quality = 5 + 94 * (zlib.crc32(name.encode()) % 97) // 97
        (out / f"{name}.cae").write_bytes(lossy(codec, from_array(array), quality))


def decode(engine: str, out: Path, folders: list[Path]) -> None:
    found = {}
    for path in (file for folder in folders for file in sorted(folder.glob("*.cae"))):
        parsed = container.parse(path.read_bytes())
        codec = open_codec(parsed.model_id, precision=PRECISION[engine], engine=engine)
        latents = list(codec.decode_latents(parsed))  # raises where they do not match their check
        size = parsed.width, parsed.height, parsed.gray
        hashed = hashlib.sha256(b"".join(one.tobytes() for one in latents)).digest()
        key = f"{path.parent.name}/{path.stem}"
        found[f"{key}/latents"] = np.frombuffer(hashed, np.uint8)
        found[f"{key}/pixels"] = codec.synthesise(*size, parsed.quality, iter(latents))
    np.savez(out, **found)


if __name__ == "__main__":
    engine, action, *arguments = sys.argv[1:]
    if engine == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    elif engine == "native" and "CAECODEC_KERNELS" in os.environ:
        assert library.core().kernels == os.environ["CAECODEC_KERNELS"]
    first, *rest = (Path(argument) for argument in arguments)
    if action == "encode":
        encode(engine, first, rest[0])
    else:
        decode(engine, first, rest)
