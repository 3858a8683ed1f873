"""What an encoder sees in many pictures: y before any quality, gathered into one file of arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caecodec.batch.reading import read_picture
from caecodec.files.writing import read_bytes
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures.picture import Picture

if TYPE_CHECKING:  # a picture that cannot be read is refused before codecs are imported
    from caecodec.codecs.codec import Codec


class Gathering:
    """y of pictures, (rows, columns, channels) each, in the order they were added; as many at once as pays."""

    def __init__(
        self,
        model: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        engine: str = "auto",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._asked = model, device, precision, engine
        self._limits = limits
        self._waiting: list[Picture] = []
        self.names: list[str] = []
        self.found: list[NDArray[np.float32]] = []

    def add(self, source: str) -> None:
        """One file of a picture. Raises what reading it does, InputImageError where the model cannot take it."""
        picture = read_picture(read_bytes(source), self._limits, keep_metadata=False)
        codec = self._codec()
        codec.check(picture)
        self._waiting.append(picture)
        self.names.append(source)
        if len(self._waiting) >= codec.batch:
            self.finish()

    def finish(self) -> None:
        """Look at those that still wait."""
        if self._waiting:
            self.found.extend(self._codec().features(self._waiting))
            self._waiting.clear()

    @property
    def same(self) -> bool:
        """Whether all are of one shape."""
        return len({y.shape for y in self.found}) == 1

    def archive(self) -> bytes:
        """The bytes of an .npz file: `y` of all where they are of one shape, else `y0`, `y1`, ...; and `names`."""
        if self.same:
            return packed({"y": self.found}, self.names)
        return packed({f"y{i}": y for i, y in enumerate(self.found)}, self.names)

    def _codec(self) -> Codec:
        from caecodec.codecs.opening import open_codec

        return open_codec(*self._asked)


def packed(arrays: Mapping[str, object], names: Sequence[str]) -> bytes:
    """Arrays, and the names of the pictures they are of -> the bytes of an .npz file."""
    stream = io.BytesIO()
    every: dict[str, Any] = {"names": np.array(names)} | {key: np.asarray(value) for key, value in arrays.items()}
    np.savez(stream, **every)
    return stream.getvalue()
