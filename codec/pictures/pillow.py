"""Pictures of any format and mode -> `Picture`, by Pillow: modes, alpha, colour profiles, metadata, bit depth."""

from __future__ import annotations

import contextlib
import importlib
import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from caecodec.errors import CaecodecError, InputImageError, LimitError, Remedy
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures import headers, metadata
from caecodec.pictures.headers import Bytes
from caecodec.pictures.lazy import LazyPixels, lazy
from caecodec.pictures.metadata import ORIENTATION
from caecodec.pictures.picture import Picture, Pixels
from caecodec.pictures.quiet import quietly
from caecodec.pictures.shared import in_one_piece, samples

WITHOUT_METADATA = Remedy("keep_metadata=False drops metadata", "--strip drops metadata")
_DEEP_GRAY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_PLUGINS = {"JPEG": "Jpeg", "WEBP": "WebP", "AVIF": "Avif", "TIFF": "Tiff", "JPEG2000": "Jpeg2K"} | {
    name: name.capitalize() for name in ("PNG", "BMP", "GIF", "PPM", "ICO")
}
_SRGB_GAMMA = 0.45455
_SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


@contextmanager
def decoding() -> Iterator[None]:
    """Pillow's decoders raise nearly anything on a damaged file, struct.error among it: all of it is the picture's."""
    try:
        yield
    except MemoryError as exc:
        raise LimitError("out of memory") from exc
    except (CaecodecError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except UnidentifiedImageError as exc:
        raise InputImageError("not a picture in a format that is read here") from exc
    except Image.DecompressionBombError as exc:
        raise LimitError(f"over Pillow's own limit, Image.MAX_IMAGE_PIXELS ({exc})") from exc
    except Exception as exc:
        if "alloc" in str(exc).lower() or "memory" in str(exc).lower():  # libraries have words of their own for it
            raise LimitError(f"out of memory ({exc})") from exc
        raise InputImageError(f"the picture cannot be decoded ({exc})") from exc


def open_picture(
    source: Path | BinaryIO | bytes,
    limits: Limits = DEFAULT_LIMITS,
    *,
    keep_metadata: bool = True,
    lazily: bool = False,
) -> Picture:
    """Read a picture in one of the formats of `headers.FORMATS`, HEIC and JPEG XL where their plugins are installed.

    lazily: colour of a large PPM or TIFF may stay in its file (`caecodec.pictures.lazy`).
    Raises InputImageError, LimitError; OSError of the file system passes through.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return open_picture(file, limits, keep_metadata=keep_metadata, lazily=lazily)
    data, stream = _at_hand(source)
    with decoding():
        found = headers.checked(data, limits)
        with in_one_piece(), open_as(found.name, stream) as image:
            limits.check_size(*image.size)
            part = lazy(image, stream, _block) if lazily else None
            if part is None or part.held > limits.memory:
                part = None
                headers.check_memory(found, image.size, limits, data)
            notes = [_fewer(bits)] if (bits := headers.lost_bits(found, data)) else []
            if found.name == "ICO" and (count := headers.pictures_in_icon(data)) > 1:
                notes.append(f"only the largest of the icon's {count} pictures is kept")
            return _from_image(image, limits, keep_metadata, notes, part)


def _block(data: bytes, size: tuple[int, int]) -> Pixels:
    """A small TIFF -> its pixels, (h, w[, 3]). Raises InputImageError."""
    with decoding(), open_as("TIFF", io.BytesIO(data)) as image:
        if image.size != size[::-1]:
            raise InputImageError("a block of the TIFF has another size")
        return np.asarray(image)


def _at_hand(source: BinaryIO | bytes) -> tuple[Bytes, BinaryIO]:
    """A file as bytes, which are mapped where it is a plain one, and as a stream at its start."""
    if isinstance(source, bytes):
        return source, io.BytesIO(source)
    if isinstance(source, io.BufferedReader):
        with contextlib.suppress(OSError, ValueError):  # empty, or nothing that can be mapped
            return mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ), source
    data = source.read()
    return data, io.BytesIO(data)


def open_as(name: str, stream: BinaryIO) -> ImageFile:
    """A file by the one plugin of Pillow that is named. `Image.open` would let a global bound of the process decide."""
    if name == "HEIF":
        _read_heif_too()
    elif name == "JXL":
        _read_jpeg_xl_too()
    elif name not in Image.OPEN:
        importlib.import_module(f"PIL.{_PLUGINS[name]}ImagePlugin")
    if name not in Image.OPEN:
        raise InputImageError(f"this Pillow cannot read {name}")
    factory, accepts = Image.OPEN[name]
    with quietly():
        start = stream.read(16)
        stream.seek(0)
        if accepts is not None and accepts(start) is not True:
            raise UnidentifiedImageError
        return factory(stream, "")


def _read_heif_too() -> None:
    try:
        import pillow_heif
    except ImportError as exc:
        raise InputImageError("a HEIC picture: `pip install 'caecodec[heif]'` reads it") from exc
    pillow_heif.register_heif_opener()


def _read_jpeg_xl_too() -> None:
    try:
        importlib.import_module("pillow_jxl")
    except ImportError as exc:
        raise InputImageError("a JPEG XL picture: `pip install pillow-jxl-plugin` reads it") from exc


def from_image(image: Image.Image, limits: Limits = DEFAULT_LIMITS, *, keep_metadata: bool = True) -> Picture:
    """A Pillow image of any mode -> Picture. Raises InputImageError, LimitError."""
    with decoding():
        return _from_image(image, limits, keep_metadata, [])


def _from_image(
    image: Image.Image, limits: Limits, keep_metadata: bool, notes: list[str], lazy_pixels: LazyPixels | None = None
) -> Picture:
    limits.check_size(*image.size)
    if not image.width or not image.height:
        raise InputImageError("the picture has no pixels")
    with quietly():
        if _has_more_frames(image):
            notes.append("only the first frame is kept")
        if image.format == "TIFF" and image.getexif().get(ORIENTATION, 1) != 1:
            notes.append("Pillow has turned the TIFF by its orientation")
    if (bits := _deep(image)) and _fewer(bits) not in notes:
        notes.append(_fewer(bits))
    # Pillow has no 16-bit gray with alpha and loads it as colour
    gray_as_rgba = any(tile[3] == "LA;16B" for tile in getattr(image, "tile", []))
    if lazy_pixels is None:
        image.load()  # before metadata: in PNG some of it may follow the pixels
    icc = image.info.get("icc_profile") or b""
    with quietly():
        exif = metadata.exif_of(image)
    if not icc and (own := _own_colours(image)):
        notes.append(own)
    xmp = image.info.get("xmp") or b""
    mode = image.mode
    if mode == "CMYK":
        image, icc = _from_cmyk(image, icc), b""
    elif mode in _DEEP_GRAY:
        image = _from_deep_gray(image)
    elif mode == "F":
        raise InputImageError("floating-point pixels are not supported; convert to 8 bits first")
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    gray = gray_as_rgba or image.mode in ("1", "L", "LA", "La")
    target = ("LA" if has_alpha else "L") if gray else ("RGBA" if has_alpha else "RGB")
    if image.mode != target:
        image = image.convert(target)
    array = samples(image) if lazy_pixels is None else lazy_pixels
    if keep_metadata and not gray and 0 < len(icc) <= limits.metadata_bytes and _is_srgb(bytes(icc)):
        icc = b""
    beside = {"exif": exif, "icc": bytes(icc), "xmp": xmp if isinstance(xmp, bytes) else str(xmp).encode()}
    for name, value in beside.items():
        if not keep_metadata:
            beside[name] = b""
        elif len(value) > limits.metadata_bytes:
            raise LimitError(
                f"{len(value)} bytes of {name.upper()} are over the limit of {limits.metadata_bytes}",
                WITHOUT_METADATA,
            )
    if has_alpha and isinstance(array, np.ndarray):
        colour = array[..., 0] if gray else array[..., :3]
        return Picture(colour, array[..., -1], **beside, notes=tuple(notes))
    return Picture(array, None, **beside, notes=tuple(notes))


def _fewer(bits: int) -> str:
    return f"{bits} bits per channel become 8"


def _deep(image: Image.Image) -> int:
    """Bits a channel of the file where they are more than 8 (Pillow reads 16-bit RGB as 8 without a word), else 0."""
    if image.mode in _DEEP_GRAY:
        return 0 if _holds_bytes(image) else 16
    if any(";16" in str(tile[3]) for tile in getattr(image, "tile", [])):
        return 16
    stored = image.info.get("bit_depth", 8)  # of HEIC
    return stored if isinstance(stored, int) and stored > 8 else 0


def _has_more_frames(image: Image.Image) -> bool:
    """Whether there is a second one. How many there are would be counted one by one: of a hostile TIFF for seconds."""
    more = getattr(image, "is_animated", None)  # of TIFF and GIF, which look at one more
    return bool(more) if more is not None else getattr(image, "n_frames", 1) > 1


def _own_colours(image: Image.Image) -> str:
    """What a PNG says of its colours by other means than a profile, which is lost; nothing where it says sRGB."""
    gamma, primaries = image.info.get("gamma"), image.info.get("chromaticity")
    if image.format != "PNG" or "srgb" in image.info:
        return ""
    other = primaries is not None and max(abs(a - b) for a, b in zip(primaries, _SRGB_PRIMARIES, strict=False)) > 0.005
    if other or (gamma is not None and abs(gamma - _SRGB_GAMMA) > 0.005):
        return "colours of the PNG's own (gAMA, cHRM) are read as sRGB; give it an ICC profile to keep them"
    return ""


def _from_deep_gray(image: Image.Image) -> Image.Image:
    """Mode I or I;16: 0..65535 of a file; an image from memory of mode I may also hold 0..255, as Pillow has it."""
    stored = np.asarray(image)
    if stored.min() < 0 or stored.max() > 0xFFFF:
        raise InputImageError("32-bit pixels outside 0..65535 are not supported; convert to 8 bits first")
    values = stored.astype(np.uint32)
    if _holds_bytes(image):
        gray = Image.fromarray(values.astype(np.uint8))
    else:
        gray = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is not None:
        gray.putalpha(Image.fromarray((values != clear).astype(np.uint8) * np.uint8(255)))
    return gray


def _holds_bytes(image: Image.Image) -> bool:
    """Whether an image of mode I was made in memory and holds 8-bit values: in a file they would be of 16."""
    if image.mode != "I" or image.format is not None:
        return False
    _, highest = image.getextrema()
    return bool(highest <= 0xFF)  # type: ignore[operator]


def _is_srgb(icc: bytes) -> bool:
    """Whether a profile of RGB pixels says what no profile says as well: that they are sRGB."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        if profile.profile.xcolor_space.strip() != "RGB":
            return False
        steps = np.linspace(0, 255, 9).round().astype(np.uint8)
        colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
        shown = ImageCms.profileToProfile(
            Image.fromarray(colours), profile, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return False
    return shown is not None and int(np.abs(np.asarray(shown).astype(int) - colours).max()) <= 1


def _from_cmyk(image: Image.Image, icc: bytes) -> Image.Image:
    """CMYK -> sRGB through the embedded profile, or by Pillow's formula without one."""
    if not icc:
        return image.convert("RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as exc:
        raise InputImageError(f"the CMYK profile cannot be used ({exc})") from exc
    if converted is None:
        raise InputImageError("the CMYK profile cannot be used")
    return converted
