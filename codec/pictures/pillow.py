"""Pictures of any format and mode -> `Picture`, by Pillow: modes, alpha, colour profiles, metadata, bit depth."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from caecodec.errors import CaecodecError, InputImageError, LimitError, Remedy
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.pictures.picture import Picture
from caecodec.pictures.shared import in_one_piece, samples

WITHOUT_METADATA = Remedy("keep_metadata=False drops metadata", "--strip drops metadata")
# how HEIC files and their relatives begin, after four bytes
_HEIF = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
EXIF_PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
_DEEP_GRAY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_pillow_state = threading.RLock()


@contextmanager
def own_limits() -> Iterator[None]:
    """Our Limits replace Pillow's global bound, which only its module variable can lift."""
    with _pillow_state, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextmanager
def decoding() -> Iterator[None]:
    """Pillow's decoders raise nearly anything on a damaged file, struct.error among it: all of it is the picture's."""
    try:
        with _pillow_state, warnings.catch_warnings():  # the filters are the process's, not the thread's
            warnings.simplefilter("ignore", UserWarning)  # of damaged tags, which are kept as they are
            yield
    except (CaecodecError, MemoryError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except UnidentifiedImageError as exc:
        raise InputImageError("not a picture in a format Pillow reads") from exc
    except Exception as exc:
        raise InputImageError(f"the picture cannot be decoded ({exc})") from exc


def open_picture(
    source: Path | BinaryIO | bytes, limits: Limits = DEFAULT_LIMITS, *, keep_metadata: bool = True
) -> Picture:
    """Read any picture Pillow reads, HEIC too where `pillow_heif` is installed.

    Raises InputImageError, LimitError; OSError of the file system passes through.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with decoding(), own_limits(), in_one_piece():
        try:
            image = Image.open(stream)
        except UnidentifiedImageError:
            if _head(source)[4:12] not in _HEIF:
                raise
            _read_heif_too()
            image = Image.open(stream)
        with image:
            return from_image(image, limits, keep_metadata=keep_metadata)


def _head(source: Path | BinaryIO | bytes) -> bytes:
    """The first bytes of a file."""
    if isinstance(source, bytes):
        return source[:12]
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return stream.read(12)
    source.seek(0)
    head = source.read(12)
    source.seek(0)
    return head


def _read_heif_too() -> None:
    try:
        import pillow_heif
    except ImportError as exc:
        raise InputImageError("a HEIC picture: `pip install 'caecodec[heif]'` reads it") from exc
    pillow_heif.register_heif_opener()


def from_image(image: Image.Image, limits: Limits = DEFAULT_LIMITS, *, keep_metadata: bool = True) -> Picture:
    """A Pillow image of any mode -> Picture. Raises InputImageError, LimitError."""
    with decoding():
        return _from_image(image, limits, keep_metadata)


def _from_image(image: Image.Image, limits: Limits, keep_metadata: bool) -> Picture:
    limits.check_size(*image.size)
    if not image.width or not image.height:
        raise InputImageError("the picture has no pixels")
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append(f"only the first of {image.n_frames} frames is kept")  # type: ignore[attr-defined]
    if image.format == "TIFF" and image.getexif().get(ORIENTATION, 1) != 1:
        notes.append("Pillow has turned the TIFF by its orientation")
    if bits := _deep(image):
        notes.append(f"{bits} bits per channel become 8")
    # Pillow has no 16-bit gray with alpha and loads it as colour
    gray_as_rgba = any(tile[3] == "LA;16B" for tile in getattr(image, "tile", []))
    image.load()  # before metadata: in PNG some of it may follow the pixels
    icc = image.info.get("icc_profile") or b""
    exif = _exif(image)
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
    array = samples(image)
    if keep_metadata and not gray and 0 < len(icc) <= limits.metadata_bytes and _is_srgb(bytes(icc)):
        icc = b""
    metadata = {"exif": exif, "icc": bytes(icc), "xmp": xmp if isinstance(xmp, bytes) else str(xmp).encode()}
    for name, value in metadata.items():
        if not keep_metadata:
            metadata[name] = b""
        elif len(value) > limits.metadata_bytes:
            raise LimitError(
                f"{len(value)} bytes of {name.upper()} are over the limit of {limits.metadata_bytes}",
                WITHOUT_METADATA,
            )
    if has_alpha:
        colour = array[..., 0] if gray else array[..., :3]
        return Picture(colour, array[..., -1], **metadata, notes=tuple(notes))
    return Picture(array, None, **metadata, notes=tuple(notes))


def _deep(image: Image.Image) -> int:
    """Bits a channel of the file where they are more than 8 (Pillow reads 16-bit RGB as 8 without a word), else 0."""
    if image.mode in _DEEP_GRAY:
        return 0 if _holds_bytes(image) else 16
    if any(";16" in str(tile[3]) for tile in getattr(image, "tile", [])):
        return 16
    stored = image.info.get("bit_depth", 8)  # of HEIC
    return stored if isinstance(stored, int) and stored > 8 else 0


def _exif(image: Image.Image) -> bytes:
    raw = image.info.get("exif") or b""
    if not raw and image.format == "TIFF":
        return b""  # its tags describe the TIFF file itself
    return raw[len(EXIF_PREFIX) :] if raw.startswith(EXIF_PREFIX) else raw


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
