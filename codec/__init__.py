"""caecodec: a learned image codec.

    import caecodec
    data = caecodec.encode(image, quality=75)   # an image, an array or a file -> bytes of a .cae file
    image = caecodec.decode(data)               # -> PIL.Image
    caecodec.info(data)                         # -> frozen record, nothing decoded

Importing the package is cheap: torch is imported when pixels are needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, cast, overload

from caecodec.errors import (
    BatchError,
    CaecodecError,
    CorruptFileError,
    FileSystemError,
    InputImageError,
    LimitError,
    ModelError,
    UsageError,
    within_memory,
)
from caecodec.files.sources import Source, bytes_of
from caecodec.format import record
from caecodec.format.record import Info
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.search.effort import DEFAULT_QUALITY, Effort
from caecodec.tune import Tune

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from caecodec.latents.allocation import BitAllocation
    from caecodec.pictures.rows import Rows

Region = tuple[int, int, int, int]  # left, top, right, bottom

__version__ = "0.1.0"

__all__ = [
    "BatchError",
    "CaecodecError",
    "CorruptFileError",
    "FileSystemError",
    "Info",
    "InputImageError",
    "LimitError",
    "Limits",
    "ModelError",
    "UsageError",
    "__version__",
    "bit_allocation",
    "decode",
    "decode_latents",
    "decode_rows",
    "encode",
    "info",
    "open_image",
    "register_opener",
]


@within_memory
def encode(
    image: Image.Image | NDArray[np.uint8] | Source,
    quality: int | None = None,
    *,
    target_size: int | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    target_ssimulacra2: float | None = None,
    model: str | None = None,
    effort: int = 2,
    tune: Tune = "eye",
    keep_metadata: bool = True,
    preview: bool = True,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """A picture -> the bytes of a .cae file.

    image: a PIL image of any mode but F; uint8 (H, W), (H, W, 3) or (H, W, 4); or a file of a picture as a path, its
    bytes or a binary stream. quality: 1..100, about the SSIMULACRA2 of a photograph; 75 without one and without a
    target. In its place at most one target: the best quality within target_size bytes or target_bpp bits a pixel of
    the whole file, or the smallest file with at least target_psnr dB or that target_ssimulacra2.
    effort: 1..9, how hard to try; 3 and above choose what is coded again and again, up to minutes. tune: 'eye' gives
    bits for what people see, 'psnr' for squared error alone. preview: without a target, files of pictures of 4
    megapixels and more hold a thumbnail, of at most 1 % of their bytes. What is lost on the way (16 bits, frames) is a
    UserWarning.

    Raises InputImageError, UsageError, LimitError, ModelError; OSError where a path cannot be read.
    """
    asked = Effort(effort, tune=tune)
    targets = (target_size, target_bpp, target_psnr, target_ssimulacra2)
    if sum(value is not None for value in (quality, *targets)) > 1:
        raise UsageError("give one of quality, target_size, target_bpp, target_psnr and target_ssimulacra2")
    from caecodec.batch.reading import picture_from

    to_target = any(value is not None for value in targets)
    picture = picture_from(image, limits, keep_metadata=keep_metadata, lazily=not to_target)
    for note in picture.notes:
        warnings.warn(note, UserWarning, stacklevel=3)  # past what `within_memory` wraps
    from caecodec.codecs.codec import no_progress
    from caecodec.codecs.opening import open_codec
    from caecodec.search import choice, target

    codec = open_codec(model, device, precision, engine)
    if to_target:
        return target.encode_to_target(codec, picture, target.Target(*targets), no_progress, asked).data
    return choice.encode(codec, picture, DEFAULT_QUALITY if quality is None else quality, effort=asked, preview=preview)


@overload
def decode(
    data: Source,
    *,
    region: Region | None = None,
    scale: float = 1,
    depth: Literal[8] = 8,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Image.Image: ...


@overload
def decode(
    data: Source,
    *,
    region: Region | None = None,
    scale: float = 1,
    depth: Literal[16],
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> NDArray[np.uint16]: ...


@within_memory
def decode(
    data: Source,
    *,
    region: Region | None = None,
    scale: float = 1,
    depth: int = 8,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Image.Image | NDArray[np.uint16]:
    """A .cae file -> a PIL image of mode L, LA, RGB or RGBA, or with a depth of 16 an array of 0..65535.

    data: the bytes of a file, a path or a binary stream. EXIF, ICC profile and XMP are in `image.info` under Pillow's
    names. region: (left, top, right, bottom), half-open, in pixels of the whole picture; only tiles it touches are
    decoded. scale: 1, 1/2, 1/4, 1/8 or 1/16; the last two take a fraction of the time. The result is what the region
    touches of the smaller picture. depth: 8, or 16 for what rounding to 8 bits throws away: (H, W) where there is one
    channel, else (H, W, channels). Raises UsageError, CorruptFileError, LimitError, ModelError; OSError where a path
    cannot be read.
    """
    found = _rows(data, region, scale, depth, device, precision, engine, limits)
    limits.check_decoding(found.width, found.height, alpha=found.channels in (2, 4))
    if depth == 16:
        return cast("NDArray[np.uint16]", found.array())
    from caecodec.pictures import saving

    return saving.to_image(found.picture())


def decode_rows(
    data: Source,
    *,
    region: Region | None = None,
    scale: float = 1,
    depth: int = 8,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[NDArray[np.uint8] | NDArray[np.uint16]]:
    """As `decode`, in bands of some rows from top to bottom, (h, W) or (h, W, channels), of about 1024 rows each.

    The picture is decoded while they are taken, so nobody need hold all of it. Errors in its tiles come then.
    """
    bands = _rows(data, region, scale, depth, device, precision, engine, limits).bands
    following = within_memory(lambda: next(bands, None))

    def taken() -> Iterator[NDArray[np.uint8] | NDArray[np.uint16]]:
        while (band := following()) is not None:
            yield band

    return taken()


@within_memory
def _rows(
    data: Source,
    region: Region | None,
    scale: float,
    depth: int,
    device: str,
    precision: str,
    engine: str,
    limits: Limits,
) -> Rows:
    from caecodec.format import container

    parsed = container.parse(bytes_of(data), limits)  # a bad file is refused before codecs are imported
    from caecodec.codecs import opening
    from caecodec.pictures.view import View

    view = View.of(region, scale, depth)
    return opening.rows(parsed, opening.open_codec(parsed.model_id, device, precision, engine), view, limits)


@within_memory
def info(data: Source, limits: Limits = DEFAULT_LIMITS) -> Info:
    """What a .cae file says about itself; nothing is decoded.

    data: as of `decode`. Raises CorruptFileError, LimitError; OSError where a path cannot be read.
    """
    return record.info(bytes_of(data), limits)


@within_memory
def bit_allocation(data: Source, *, limits: Limits = DEFAULT_LIMITS) -> BitAllocation:
    """A .cae file, as of `decode` -> bits of each 16x16 pixels (`cells`), and of y and z apart.

    Photo models only. Raises CorruptFileError, LimitError, ModelError, UsageError.
    """
    from caecodec.format import container

    parsed = container.parse(bytes_of(data), limits)
    from caecodec.codecs import opening

    return opening.open_codec(parsed.model_id).allocation(parsed)


@within_memory
def decode_latents(data: Source, *, model: str | None = None, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.float32]:
    """A .cae file, as of `decode` -> its latents y without decoding pixels: float32 (rows, columns, channels).

    A cell is 16x16 pixels of a photo model, 8x8 of a tiny one. The scale is the same at every quality, so that files of
    several can be mixed. model: which one looks at the pixels of a lossless file, for an encoder keeps pictures so
    where that is smaller. Raises CorruptFileError, LimitError, ModelError; UsageError of files of the autoencoders.
    """
    from caecodec.format import container

    whole = bytes_of(data)
    container.parse(whole, limits)  # a bad file is refused before codecs are imported
    from caecodec.codecs import opening

    return opening.latents(whole, model, limits)


def open_image(path: Source, *, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """As `decode`, under the name that Pillow's users look for."""
    return decode(path, limits=limits)


def register_opener() -> None:
    """Let Pillow open and save .cae files, as `import caecodec.plugins.pillow` does."""
    from caecodec.plugins import pillow

    pillow.register()
