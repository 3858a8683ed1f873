"""Pillow <-> planar 8-bit arrays: modes, alpha, colour profiles, metadata, bit depth. The only importer of Pillow."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from caecodec.errors import CaecodecError, CorruptFileError, InputImageError, LimitError, UsageError
from caecodec.limits import DEFAULT_LIMITS, Limits

EXIF_PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
WEBP_MAX_SIDE = 16383
TIFF_XMP = 700  # its tag
_pillow_state = threading.RLock()


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as the codec sees them.

    `colour`: (H, W, 3) or, for gray, (H, W). `alpha`: (H, W) or None. All uint8. Pixels are never turned: an EXIF
    orientation stays a tag. `notes`: what was lost on the way here, for the user.
    """

    colour: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.colour.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.colour.shape[0])

    @property
    def gray(self) -> bool:
        """Whether there is one channel instead of three."""
        return self.colour.ndim == 2


@contextmanager
def _own_limits() -> Iterator[None]:
    """Our Limits replace Pillow's global bound, which only its module variable can lift."""
    with _pillow_state, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _decoding() -> Iterator[None]:
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
    """Read any picture Pillow reads. Raises InputImageError, LimitError; OSError of the file system passes through."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    with _decoding(), _own_limits(), Image.open(stream) as image:
        return from_image(image, limits, keep_metadata=keep_metadata)


def from_image(image: Image.Image, limits: Limits = DEFAULT_LIMITS, *, keep_metadata: bool = True) -> Picture:
    """A Pillow image of any mode -> Picture. Raises InputImageError, LimitError."""
    with _decoding():
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
    if _deep(image):
        notes.append("16 bits per channel become 8")
    # Pillow has no 16-bit gray with alpha and loads it as colour
    gray_as_rgba = any(tile[3] == "LA;16B" for tile in getattr(image, "tile", []))
    image.load()  # before metadata: in PNG some of it may follow the pixels
    icc = image.info.get("icc_profile") or b""
    exif = _exif(image)
    xmp = image.info.get("xmp") or b""
    mode = image.mode
    if mode == "CMYK":
        image, icc = _from_cmyk(image, icc), b""
    elif mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        image, icc = _from_16_bit(image), icc
    elif mode == "F":
        raise InputImageError("floating-point pixels are not supported; convert to 8 bits first")
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    gray = gray_as_rgba or image.mode in ("1", "L", "LA", "La")
    target = ("LA" if has_alpha else "L") if gray else ("RGBA" if has_alpha else "RGB")
    if image.mode != target:
        image = image.convert(target)
    array = np.asarray(image)
    metadata = {"exif": exif, "icc": bytes(icc), "xmp": xmp if isinstance(xmp, bytes) else str(xmp).encode()}
    for name, value in metadata.items():
        if not keep_metadata:
            metadata[name] = b""
        elif len(value) > limits.metadata_bytes:
            raise LimitError(
                f"{len(value)} bytes of {name.upper()} are over the limit of {limits.metadata_bytes}; "
                "--strip drops metadata"
            )
    if has_alpha:
        colour = array[..., 0] if gray else array[..., :3]
        return Picture(colour, np.ascontiguousarray(array[..., -1]), **metadata, notes=tuple(notes))
    return Picture(array, None, **metadata, notes=tuple(notes))


def from_array(array: NDArray[np.uint8], limits: Limits = DEFAULT_LIMITS) -> Picture:
    """uint8 (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) -> Picture. Raises InputImageError, LimitError."""
    array = np.asarray(array)
    if array.dtype != np.uint8:
        raise InputImageError(f"pixels must be uint8, not {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise InputImageError(f"pixels must be (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if not array.size:
        raise InputImageError("the picture has no pixels")
    limits.check_size(array.shape[1], array.shape[0])
    if array.ndim == 3 and array.shape[2] == 4:
        return Picture(array[..., :3], np.ascontiguousarray(array[..., 3]))
    return Picture(array)


def to_image(picture: Picture) -> Image.Image:
    """Picture -> Pillow image of mode L, LA, RGB or RGBA; metadata in `info` under Pillow's names."""
    colour, alpha = picture.colour, picture.alpha
    if alpha is None:
        image = Image.fromarray(colour)
    else:
        planes = [colour, alpha] if picture.gray else [*np.moveaxis(colour, 2, 0), alpha]
        image = Image.merge(
            "LA" if picture.gray else "RGBA", [Image.fromarray(np.ascontiguousarray(p)) for p in planes]
        )
    if picture.exif:
        image.info["exif"] = EXIF_PREFIX + picture.exif
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    if picture.xmp:
        image.info["xmp"] = picture.xmp
    return image


def _deep(image: Image.Image) -> bool:
    """Whether the file stores more than 8 bits a channel (Pillow reads 16-bit RGB as 8 without a word)."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        return True
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", []))


def _exif(image: Image.Image) -> bytes:
    raw = image.info.get("exif") or b""
    if not raw and image.format == "TIFF":
        return b""  # its tags describe the TIFF file itself
    return raw[len(EXIF_PREFIX) :] if raw.startswith(EXIF_PREFIX) else raw


def _from_16_bit(image: Image.Image) -> Image.Image:
    stored = np.asarray(image)
    if stored.min() < 0 or stored.max() > 0xFFFF:
        raise InputImageError("32-bit pixels outside 0..65535 are not supported; convert to 8 bits first")
    values = stored.astype(np.uint32)
    gray = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is not None:
        gray.putalpha(Image.fromarray((values != clear).astype(np.uint8) * np.uint8(255)))
    return gray


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


def compress(samples: NDArray[np.uint8]) -> bytes:
    """(H, W) -> the smaller of lossless WebP and PNG; (H, W, 3) -> lossless WebP. Colour: sides up to 16383."""
    image = Image.fromarray(np.ascontiguousarray(samples))
    files = []
    if image.mode == "L":
        png = io.BytesIO()
        image.save(png, "PNG", optimize=True)
        files.append(png.getvalue())
    if max(image.size) <= WEBP_MAX_SIDE:
        webp = io.BytesIO()
        image.convert("RGB").save(webp, "WEBP", lossless=True, method=4)
        files.append(webp.getvalue())
    return min(files, key=len)


def decompress(data: bytes, width: int, height: int, gray: bool, what: str) -> NDArray[np.uint8]:
    """The inverse; raises CorruptFileError, naming `what`, unless it is WebP or PNG of exactly this size and kind."""
    modes = {"PNG": "L", "WEBP": "RGB"} if gray else {"WEBP": "RGB"}
    try:
        with _decoding(), _own_limits(), Image.open(io.BytesIO(data), formats=tuple(modes)) as image:
            if getattr(image, "n_frames", 1) != 1 or image.mode != modes[str(image.format)]:
                raise CorruptFileError(f"{what} is not one 8-bit {'gray' if gray else 'colour'} picture")
            if image.size != (width, height):
                raise CorruptFileError(f"{what} is {image.width}x{image.height}, not {width}x{height}")
            return np.array(image.convert("L") if gray else image)
    except InputImageError as exc:
        raise CorruptFileError(f"{what}: {exc}") from exc


def mse(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean squared error of two pictures of one shape, over all channels. Works row by row: little memory."""
    total = 0
    for row_a, row_b in zip(a, b, strict=True):
        difference = row_a.astype(np.int32) - row_b
        total += int((difference * difference).sum())
    return total / a.size


SAVE_OPTIONS: dict[str, dict[str, object]] = {
    ".png": {"format": "PNG"},
    ".webp": {"format": "WEBP", "lossless": True, "exact": True},  # exact: colour below transparency too
    ".tif": {"format": "TIFF", "compression": "tiff_deflate"},
    ".tiff": {"format": "TIFF", "compression": "tiff_deflate"},
    ".bmp": {"format": "BMP"},
    ".ppm": {"format": "PPM"},
    ".jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
    ".jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
NO_ALPHA = (".jpg", ".jpeg", ".bmp", ".ppm")


def check_suffix(suffix: str) -> None:
    """Raise UsageError for a suffix whose format `saved` does not write."""
    if suffix.lower() not in SAVE_OPTIONS:
        raise UsageError(f"cannot write {suffix or 'a file without a suffix'}; choose one of {', '.join(SAVE_OPTIONS)}")


def saved(picture: Picture, suffix: str) -> bytes:
    """The bytes of a file in the format of `suffix`, lossless but for JPEG. Raises UsageError."""
    check_suffix(suffix)
    suffix = suffix.lower()
    if picture.alpha is not None and suffix in NO_ALPHA:
        raise UsageError(f"{suffix} has no transparency and this picture does; choose .png or .webp")
    if suffix == ".webp" and max(picture.width, picture.height) > WEBP_MAX_SIDE:
        raise UsageError(f"WebP holds at most {WEBP_MAX_SIDE} pixels a side; choose .png")
    image = to_image(picture)
    if suffix == ".webp" and image.mode == "L":
        image = image.convert("RGB")
    metadata: dict[str, object] = {k: image.info[k] for k in ("exif", "icc_profile", "xmp") if k in image.info}
    if suffix == ".png" and "xmp" in metadata:
        metadata["pnginfo"] = _png_xmp(picture.xmp)
        del metadata["xmp"]
    elif suffix in (".tif", ".tiff") and "xmp" in metadata:
        metadata["tiffinfo"] = {TIFF_XMP: metadata.pop("xmp")}
    elif suffix in (".bmp", ".ppm"):
        metadata = {}
    stream = io.BytesIO()
    try:
        image.save(stream, **SAVE_OPTIONS[suffix], **metadata)  # type: ignore[arg-type]
    # a side or metadata over what the format holds; TIFF also parses EXIF
    except (OSError, ValueError, SyntaxError, TypeError, struct.error) as exc:
        raise UsageError(f"{suffix} cannot hold this picture or its metadata ({exc}); choose .png") from exc
    return stream.getvalue()


def _png_xmp(xmp: bytes) -> object:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return info
