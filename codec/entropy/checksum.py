"""What ties a stream to its latents: a decoder that disagrees with the encoder finds out."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from caecodec.errors import CorruptFileError
from caecodec.format.container import CHECK_BYTES
from caecodec.stages import stage

Latents = NDArray[np.int32] | NDArray[np.uint8]


@stage("latents, the rest")
def checksum(latents: Latents) -> bytes:
    """Low 16 bits of the CRC-32 of latents as they lie in (row, column, channel) order; int32 little-endian."""
    crc = zlib.crc32(np.ascontiguousarray(latents, latents.dtype.newbyteorder("<")).data)
    return (crc & 0xFFFF).to_bytes(CHECK_BYTES, "little")


def confirm(latents: Latents, stream: bytes) -> None:
    """Raise CorruptFileError unless a stream begins with the checksum of what was decoded from it."""
    if checksum(latents) != stream[:CHECK_BYTES]:
        raise CorruptFileError(
            "the decoded latents do not match their checksum: this decoder disagrees with the encoder; "
            "please report the file and `caecodec --version`"
        )
