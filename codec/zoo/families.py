"""The families of models: each has a file of its name in every room that a model goes through."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """codec: its class, in the module of `caecodec.codecs` that has the family's name. small: whether pictures are
    tiny and coded many at once.
    """

    codec: str
    small: bool = False


FAMILIES = {
    "photo": Family("PhotoCodec"),
    "tiny": Family("TinyCodec", small=True),
    "autoencoder": Family("AutoencoderCodec", small=True),
}
