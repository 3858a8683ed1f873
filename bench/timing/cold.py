"""What a user starts to code one file: whole commands, for the cold start of every codec."""

from __future__ import annotations

import sys

from caecodec.bench.codecs.ours import CaecodecCodec
from caecodec.bench.codecs.pillow import PillowCodec
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.timing.processes import COMMAND

_PILLOW_READS = frozenset(("avif", "jp2", "jpg", "webp"))
REFERENCES = {"python": "pass", "import torch": "import torch"}  # what a cold start is made of


def references() -> dict[str, list[str]]:
    """Name -> command of what a start costs before any codec."""
    return {name: [sys.executable, "-c", code] for name, code in REFERENCES.items()}


def commands(codec: BenchCodec, quality: int, source: str, coded: str, target: str) -> tuple[list[str], list[str]]:
    """Picture file -> coded file, and coded file -> PNG, as whole commands with no more imports than they need.

    caecodec is its command; a format that Pillow writes or reads is two lines of Pillow; any other, its adapter.
    """
    if isinstance(codec, CaecodecCodec):
        model = [] if codec.model is None else ["--model", codec.model]
        effort = ["--effort", str(codec.effort)]
        return (
            [*COMMAND, "encode", source, "-o", coded, "-f", "--quiet", "-q", str(quality), *effort, *model],
            [*COMMAND, "decode", coded, "-o", target, "-f", "--quiet"],
        )
    adapter = f"from caecodec.bench.codecs.registry import CODECS; codec = CODECS[{codec.name!r}]({codec.name!r});"
    if isinstance(codec, PillowCodec):
        threads = {codec.thread_option: codec.threads} if codec.thread_option else {}
        options = {**codec.options, **threads, **codec.quality_option(quality)}
        encode = (
            "from PIL import Image;"
            f"Image.open({source!r}).convert('RGB').save({coded!r}, {codec.format!r}, **{options!r})"
        )
    else:
        encode = (
            "import numpy; from pathlib import Path; from PIL import Image;"
            f"{adapter} pixels = numpy.asarray(Image.open({source!r}).convert('RGB'));"
            f"Path({coded!r}).write_bytes(codec.encode(pixels, {quality!r}))"
        )
    if codec.extension in _PILLOW_READS:
        decode = f"from PIL import Image; Image.open({coded!r}).convert('RGB').save({target!r}, compress_level=1)"
    else:
        decode = (
            "from pathlib import Path; from PIL import Image;"
            f"{adapter} pixels = codec.decode(Path({coded!r}).read_bytes());"
            f"Image.fromarray(pixels).save({target!r}, compress_level=1)"
        )
    return [sys.executable, "-c", encode], [sys.executable, "-c", decode]
