"""caecodec: a learned image codec.

    import caecodec
    data = caecodec.encode(image, quality=75)   # PIL.Image or uint8 array -> bytes of a .cae file
    image = caecodec.decode(data)               # -> PIL.Image
    caecodec.info(data)                         # -> frozen record, nothing decoded

Importing the package is cheap: torch is imported when latents are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from caecodec.errors import (
    BatchError,
    CaecodecError,
    CorruptFileError,
    FileSystemError,
    InputImageError,
    LimitError,
    ModelError,
    UsageError,
)
from caecodec.format.record import Info, info
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.search.effort import DEFAULT_QUALITY, Effort, Tune

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from caecodec.latents.allocation import BitAllocation

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
    "encode",
    "info",
    "open_image",
]


def encode(
    image: Image.Image | NDArray[np.uint8],
    quality: int = DEFAULT_QUALITY,
    *,
    model: str | None = None,
    effort: int = 2,
    tune: Tune = "eye",
    keep_metadata: bool = True,
    device: str = "auto",
    precision: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """A picture -> the bytes of a .cae file.

    image: a PIL image of any mode but F, or uint8 (H, W), (H, W, 3) or (H, W, 4). quality: 1..100, about
    the SSIMULACRA2 of a photograph. effort: 1..9, how hard to try; 3 and above code the picture again and again, up to
    minutes. tune: 'eye' gives bits for what people see, 'psnr' for squared error alone.
    Raises InputImageError, UsageError, LimitError, ModelError.
    """
    from PIL import Image

    from caecodec.codecs import opening
    from caecodec.pictures import picture as pictures
    from caecodec.pictures import pillow
    from caecodec.search import choice

    if isinstance(image, Image.Image):
        picture = pillow.from_image(image, limits, keep_metadata=keep_metadata)
    else:
        picture = pictures.from_array(image, limits)
    codec = opening.open_codec(model, device, precision)
    return choice.encode(codec, picture, quality, effort=Effort(effort, tune=tune))


def decode(
    data: bytes, *, device: str = "auto", precision: str = "auto", limits: Limits = DEFAULT_LIMITS
) -> Image.Image:
    """The bytes of a .cae file -> a PIL image of mode L, LA, RGB or RGBA.

    EXIF, ICC profile and XMP are in `image.info` under Pillow's names. Raises CorruptFileError, LimitError, ModelError.
    """
    from caecodec.format import container

    container.parse(data, limits)  # a bad file is refused before torch is imported
    from caecodec.codecs import opening
    from caecodec.pictures import saving

    return saving.to_image(opening.decode(data, device, precision, limits))


def bit_allocation(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> BitAllocation:
    """The bytes of a .cae file -> bits of each 16x16 pixels (`cells`), and of y and z apart.

    Photo models only. Raises CorruptFileError, LimitError, ModelError, UsageError.
    """
    from caecodec.format import container

    parsed = container.parse(data, limits)
    from caecodec.codecs import opening

    return opening.open_codec(parsed.model_id).allocation(parsed)


def open_image(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Image.Image:
    """Decode a .cae file from disk. Raises as `decode`, and OSError where the file cannot be read."""
    from pathlib import Path

    return decode(Path(path).read_bytes(), limits=limits)
