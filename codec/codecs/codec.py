"""What every codec has in common, whatever the family of its model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caecodec.entropy.checksum import checksum, confirm
from caecodec.errors import CorruptFileError, UsageError
from caecodec.format import container
from caecodec.format.container import Container
from caecodec.latents.allocation import BitAllocation
from caecodec.models.networks.trade import Trade
from caecodec.pictures import planes
from caecodec.pictures.picture import Picture, Pixels
from caecodec.pictures.rows import Rows, joined
from caecodec.pictures.view import WHOLE, Samples, View
from caecodec.tune import QUALITIES, Tune, row
from caecodec.zoo import file

Latents = NDArray[Any]  # integers: int32 of a network, uint8 where they are the pixels themselves
Progress = Callable[[float], None]  # share done, 0..1


def no_progress(_share: float) -> None:
    """The default: tell nobody."""


class Codec(ABC):
    """One model, ready to code pictures. Building one loads weights; `opening.open_codec` keeps the last few.

    A picture is coded in tiles. What `analyse` gives of a tile is made once and coded at any quality; only the codec
    that made it looks inside. A quality is a row of the model's tables, from 1 on (`row`).
    """

    model: file.Model
    batch = 1  # pictures that are worth coding together
    exact = False  # whether pixels come back as they were
    rows_of_tables = QUALITIES  # or twice as many: see `caecodec.tune`

    @abstractmethod
    def analyse(self, picture: Picture, progress: Progress = no_progress) -> Iterator[Any]:
        """Every tile in raster order, before any quality. Raises InputImageError as `check`."""

    @abstractmethod
    def code_tile(self, tile: Any, quality: int) -> tuple[bytes, Latents]:
        """Analysed tile -> its stream, and the latents a decoder will find."""

    @abstractmethod
    def cost_tile(self, tile: Any, quality: int) -> tuple[float, Latents]:
        """Analysed tile -> about the bytes its stream would take, and the latents."""

    @abstractmethod
    def decode_latents(self, parsed: Container) -> Iterator[Latents]:
        """Latents of every tile. Raises CorruptFileError."""

    @abstractmethod
    def synthesise(
        self,
        width: int,
        height: int,
        gray: bool,
        quality: int,
        latents: Iterator[Latents],
        progress: Progress = no_progress,
    ) -> Pixels:
        """Pixels (height, width[, 3]) from latents of tiles, taken in raster order as they are needed."""

    def bands(self, parsed: Container, view: View, progress: Progress = no_progress) -> Iterator[Samples]:
        """Colour of a view, (h, w[, 3]) from top to bottom. Raises as `decode`; UsageError of the view.

        The default decodes all of it: pictures of such models are small.
        """
        latents = self.decode_latents(parsed)
        yield view.of_plane(self.synthesise(*size_of(parsed), self.row_of(parsed), latents, progress))

    def rows(self, parsed: Container, view: View = WHOLE, progress: Progress = no_progress) -> Rows:
        """Container -> a view of its picture, whose rows are decoded as they are taken.

        Raises CorruptFileError, LimitError, also while they are taken; UsageError of the view.
        """
        left, top, right, bottom = view.window(parsed.width, parsed.height)
        alpha = alpha_of(parsed)
        shown = None if alpha is None else view.of_plane(alpha)
        channels = (1 if parsed.gray else 3) + (shown is not None)
        bands = joined(self.bands(parsed, view, progress), shown)
        return Rows(right - left, bottom - top, channels, view.depth, bands, **metadata_of(parsed))

    def encode(self, picture: Picture, quality: int, progress: Progress = no_progress) -> bytes:
        """Picture -> the bytes of a .cae file, without any search (`caecodec.search.choice` has it).

        Raises UsageError for a quality outside 1..100, InputImageError.
        """
        check_quality(quality)
        streams = [self.code_tile(tile, quality)[0] for tile in self.analyse(picture, progress)]
        return self.wrap(picture, quality, streams, sections_of(picture))

    def ready(self, tile: Any, strength: float, tune: Tune) -> Any:
        """Analysed tile -> one that is rounded so: strength as in `caecodec.entropy.rounding`, 0 rounds to nearest.

        The default leaves it as it is: only photo models know the difference.
        """
        return tile

    def row(self, quality: int, tune: Tune) -> int:
        """The row of the model's tables for quality 1..100: what all methods here take for a quality, and files say."""
        return row(quality, tune, self.rows_of_tables)

    def row_of(self, parsed: Container) -> int:
        """The row that a file was coded with. Raises CorruptFileError where the model has none of that number."""
        if parsed.quality > self.rows_of_tables:
            raise CorruptFileError(f"quality {parsed.quality} is not in 1..{self.rows_of_tables}, which the model has")
        return parsed.quality

    def trade(self, quality: int, tune: Tune) -> Trade | None:
        """What bits are given for at a quality; None where the model does not say."""
        return None

    def load(self) -> None:
        """Make now what is otherwise made when pixels are first needed. Raises ModelError, UsageError."""
        return

    def encode_many(self, pictures: Sequence[Picture], quality: int) -> list[bytes]:
        """Pictures that the model takes -> their files."""
        return [self.encode(picture, quality) for picture in pictures]

    def allocation(self, parsed: Container) -> BitAllocation:
        """Where the bits of a file go. Raises CorruptFileError, and UsageError where the model has no map of them."""
        raise UsageError(f"{self.model.info.name} keeps no map of where its bits go")

    def latents_of(self, parsed: Container) -> NDArray[np.float32]:
        """y as a file has it, on the scale of `features` whatever its quality: (h, w, channels), all tiles as one.

        Raises CorruptFileError, and UsageError where the model has none.
        """
        raise UsageError(f"a file of model {self.model.info.name} has no latents to hand out: photo and tiny have")

    def check(self, picture: Picture) -> None:
        """Raise InputImageError for a picture the model cannot take. The default takes all."""
        return

    def decode_many(self, parsed: Sequence[Container]) -> list[Picture]:
        """Containers -> pictures, as `decode`."""
        return [self.decode(one) for one in parsed]

    @abstractmethod
    def features(self, pictures: Sequence[Picture]) -> list[NDArray[np.float32]]:
        """y of pictures before any quality: (h, w, channels) each, whatever the number of tiles."""

    def wrap(self, picture: Picture, quality: int, streams: list[bytes], sections: dict[bytes, bytes]) -> bytes:
        """Coded tiles and everything beside them -> file."""
        return container.serialize(
            Container(
                width=picture.width,
                height=picture.height,
                quality=quality,
                model_id=self.model.info.id,
                tiles=tuple(streams),
                gray=picture.gray,
                sections=sections,
            )
        )

    def decode(self, parsed: Container, progress: Progress = no_progress) -> Picture:
        """Container -> Picture. Raises CorruptFileError, LimitError."""
        latents = self.decode_latents(parsed)
        return picture_of(parsed, lambda: self.synthesise(*size_of(parsed), self.row_of(parsed), latents, progress))


def size_of(parsed: Container) -> tuple[int, int, bool]:
    """Width, height, gray."""
    return parsed.width, parsed.height, parsed.gray


def picture_of(parsed: Container, colour: Callable[[], Pixels]) -> Picture:
    """Colour, made once alpha is known to be sound, with everything beside it. Raises CorruptFileError."""
    alpha = alpha_of(parsed)
    return Picture(colour(), alpha, **metadata_of(parsed))  # type: ignore[arg-type]


def alpha_of(parsed: Container) -> Pixels | None:
    """Alpha (height, width), held against its check where the file has one; None of an opaque picture.

    Raises CorruptFileError, LimitError.
    """
    if container.TAG_ALPHA not in parsed.sections:
        return None
    data = parsed.sections[container.TAG_ALPHA]
    alpha = planes.decompress(data, parsed.width, parsed.height, True, "the alpha section")
    if container.TAG_ALPHA_CHECK in parsed.sections:
        confirm(alpha, parsed.sections[container.TAG_ALPHA_CHECK])
    return alpha


def metadata_of(parsed: Container) -> dict[str, bytes]:
    """'exif', 'icc' and 'xmp', those that are there."""
    return {name: parsed.sections[tag] for tag, name in container.METADATA.items() if tag in parsed.sections}


def sections_of(picture: Picture) -> dict[bytes, bytes]:
    """What a file holds beside colour, alpha compressed: tag -> payload."""
    tags = (container.TAG_EXIF, container.TAG_ICC, container.TAG_XMP)
    sections = {t: data for t, data in zip(tags, (picture.exif, picture.icc, picture.xmp), strict=True) if data}
    if picture.alpha is not None:
        sections[container.TAG_ALPHA] = planes.compress(picture.alpha)
        sections[container.TAG_ALPHA_CHECK] = checksum(picture.alpha)
    return sections


def check_quality(quality: int) -> None:
    """Raise UsageError for a quality that is not a whole number from 1 to 100."""
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise UsageError(f"quality {quality!r}: choose a whole number from 1 to 100")
