"""What a codec of the benchmark is: whole files, made from pixels and turned back into them.

Whatever a codec's file needs counts: `encode` gives the bytes of the whole file. They are made in one thread, so that
they are the same on every machine; a codec that can take more has a field `threads` (`with_threads`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Protocol, cast

from caecodec.bench.pictures import Pixels


class BenchCodec(Protocol):
    """A codec with its settings. Instances are pickled into worker processes."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Of the library and of whatever else decides the bytes; rows of another version are measured anew."""
        ...

    @property
    def qualities(self) -> tuple[int, ...]:
        """The grid measured by default, from the smallest file to the largest."""
        ...

    @property
    def extension(self) -> str:
        """Of its files, without the dot."""
        ...

    def encode(self, array: Pixels, quality: int) -> bytes:
        """(H, W, 3) RGB -> the whole file."""
        ...

    def decode(self, data: bytes) -> Pixels:
        """The whole file -> (H, W, 3) RGB."""
        ...


Maker = Callable[[str], BenchCodec]  # called with the codec's name; raises what keeps it from working


def with_threads(codec: BenchCodec, threads: int) -> BenchCodec:
    """The codec, allowed so many threads of its own where it has any; the file may depend on them."""
    if any(field.name == "threads" for field in fields(cast(Any, codec))):
        return cast(BenchCodec, replace(cast(Any, codec), threads=threads))
    return codec
