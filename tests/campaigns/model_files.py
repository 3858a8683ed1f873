"""C5: mutated model files, half of them with an id that is true, so that what lies behind it is reached."""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
import sys
import tempfile
from pathlib import Path

from harness import MIB, Bounds, Report, run
from mutants import mutant

sys.path.insert(0, str(Path(__file__).parents[1]))

import core_models

from caecodec.engines import opening
from caecodec.errors import LimitError, ModelError
from caecodec.zoo import find, header
from caecodec.zoo.file import load_verified, read_info


def seeds() -> list[bytes]:
    """Small models of the families with cells, and the smallest autoencoder."""
    photo = core_models.photo(1, n=8, z=8, psi=6, context=10, width=6, depth=1)
    dependent = core_models.photo(2, n=8, z=8, psi=6, context=6, width=6, depth=1, dense=56)
    tiny = core_models.tiny(5, groups=(3, 4), splits=(4, 1), adapted=5, hidden=7, width=6)
    described = {"format": "caecodec-model 2", "name": "x", "id": "00000000", "description": ""}
    described |= {"config": "{}", "training": "{}", "summary": "{}"}
    made = [
        header.packed(t, described | {"family": f}) for t, f in ((photo, "photo"), (dependent, "photo"), (tiny, "tiny"))
    ]
    return [true_id(data) for data in made] + [find.find("mnist-fixed").path.read_bytes()]


def true_id(data: bytes) -> bytes:
    """With the id of its tensors, where they can be read."""
    try:
        found = header.read(io.BytesIO(data), len(data))
    except (ValueError, OSError):
        return data
    digest = hashlib.sha256()
    for name, place in sorted(found.tensors.items()):
        size = place.count * header.BYTES[place.kind]
        digest.update(f"{name} {place.kind} {','.join(map(str, place.shape))}\n".encode("utf-8", "replace"))
        digest.update(data[place.start : place.start + size])
    return re.sub(rb'"id":\s*"[0-9a-f]{8}"', b'"id":"' + digest.hexdigest()[:8].encode() + b'"', data, count=1)


def models(count: int) -> Report:
    every = seeds()
    with tempfile.TemporaryDirectory() as folder:

        def made(number: int) -> bytes:
            return mutant(every, number, true_id if random.Random(number).randrange(8) else bytes)

        def tried(data: bytes) -> str:
            path = Path(folder) / f"hostile-{os.getpid()}.safetensors"  # children try models at the same time
            path.write_bytes(data)
            engine = "numpy" if len(data) % 4 == 0 else "native"
            try:
                model = load_verified(read_info(path))
                load_verified.cache_clear()
                if model.info.family == "autoencoder":
                    opening.autoencoder(model, "cpu", "auto", "numpy")
                elif model.info.family == "tiny":
                    opening.tiny(model, "cpu", "auto", engine)
                else:
                    opening.photo(model, "cpu", "auto", engine)
            except (ModelError, LimitError) as exc:
                return type(exc).__name__
            return "opened"

        for data in every:
            assert tried(data) == "opened"
        return run(count, made, tried, Bounds(0.5, 64 * MIB))
