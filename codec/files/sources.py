"""A file as a caller has it: a path, its bytes, or a stream."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO


def bytes_of(source: Source) -> bytes:
    """The whole file. Raises TypeError for what is none of these, and OSError where a path cannot be read."""
    if isinstance(source, bytes):
        return source
    if isinstance(source, bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).read_bytes()
    if hasattr(source, "read"):
        data = source.read()
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        raise TypeError("the stream gives text: open it in binary mode")
    raise TypeError(f"a file is a path, bytes or a binary stream, not {type(source).__name__}")


def stream_of(source: Source) -> BinaryIO:
    """The same as a stream that can seek, to be closed: a plain file is not read yet. Raises as `bytes_of`."""
    if not isinstance(source, str | os.PathLike):
        return io.BytesIO(bytes_of(source))
    stream = Path(source).open("rb")  # noqa: SIM115
    if stream.seekable():
        return stream
    with stream:
        return io.BytesIO(stream.read())
