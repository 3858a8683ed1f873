"""Pillow opens and saves .cae files once this is imported (or `caecodec.register_opener()` called).

    import caecodec.plugins.pillow
    image = Image.open("x.cae")
    image.save("y.cae", quality=60)

The head alone is read by `open`; pixels are decoded when they are first needed, by `draft` and `thumbnail` smaller.
"""

from __future__ import annotations

from typing import IO, Any

from PIL import Image, ImageFile

import caecodec
from caecodec.errors import CaecodecError, CorruptFileError, UsageError
from caecodec.format import container
from caecodec.limits import Limits
from caecodec.tune import quality_of

FORMAT, MIME, SUFFIX = "CAE", "image/x-cae", ".cae"
_FIRST_READ = 1 << 16  # nearly every head is in it
_DIVISORS = (16, 8, 4, 2)
_NEARLY = 1.1  # times smaller than asked is as good: 1/8 and 1/16 are quick
_EXIF_PREFIX = b"Exif\0\0"
_ANY = 1 << 62
_UNLIMITED = Limits(pixels=_ANY, memory=_ANY, blank_pixels=_ANY)  # `open` asks Pillow's own bound
# what `save` hands on to `caecodec.encode`
_OPTIONS = (
    *("quality", "target_size", "target_bpp", "target_psnr", "target_ssimulacra2"),
    *("model", "effort", "tune", "preview", "device", "precision", "engine"),
)


class CaeImageFile(ImageFile.ImageFile):
    """A .cae file. Metadata is in `info` under Pillow's names, and 'quality' and 'lossless'."""

    format = FORMAT
    format_description = "caecodec image"
    n_frames = 1
    is_animated = False
    _divisor = 1

    def _open(self) -> None:
        try:
            head = _head_of(self.fp)
        except CaecodecError as exc:
            raise SyntaxError(str(exc)) from exc  # Pillow's word for: not mine
        alpha = container.TAG_ALPHA in head.sections
        self._mode = ("LA" if alpha else "L") if head.gray else ("RGBA" if alpha else "RGB")
        self._size = head.width, head.height
        self.info["quality"] = quality_of(head.quality)
        self.info["lossless"] = head.model_id == container.LOSSLESS_ID
        for name, tag, prefix in (
            ("exif", container.TAG_EXIF, _EXIF_PREFIX),
            ("icc_profile", container.TAG_ICC, b""),
            ("xmp", container.TAG_XMP, b""),
        ):
            if tag in head.sections:
                self.info[name] = prefix + head.sections[tag]
        self.tile = [ImageFile._Tile("raw", (0, 0, *self._size), 0, self._mode)]

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> tuple[str, tuple[int, int, float, float]] | None:
        """Have it decoded at 1/2 to 1/16 of its sides: one of them about `size` or larger, a tenth below at most.

        `size` is a box, as of `thumbnail`, which asks for twice its own: what fits into it is no larger.
        """
        if not self.tile or self._divisor != 1 or not size:
            return None
        width, height = self._size
        fits = max(width / max(1, size[0]), height / max(1, size[1])) * _NEARLY
        divisor = next((d for d in _DIVISORS if d <= fits), 1)
        if divisor == 1:
            return None
        self._divisor = divisor
        self._size = -(-width // divisor), -(-height // divisor)
        self.tile = [ImageFile._Tile("raw", (0, 0, *self._size), 0, self._mode)]
        return self._mode, (0, 0, width / divisor, height / divisor)

    def load(self) -> Any:
        """Raises OSError for a damaged file."""
        if self.tile and self.fp is not None:
            decoded = self._decoded()
            self.im = decoded.im
            self.tile = []
            if self._exclusive_fp:
                self.fp.close()
            self.fp = None
        return Image.Image.load(self)

    def _decoded(self) -> Image.Image:
        assert self.fp is not None
        self.fp.seek(0)
        try:
            return caecodec.decode(self.fp.read(), scale=1 / self._divisor, limits=Limits(pixels=_ANY))
        except CaecodecError as exc:
            raise OSError(f"cannot read this .cae file: {exc}") from exc

    def verify(self) -> None:
        """Raises OSError unless the file is whole by its checksum; nothing is decoded."""
        if self.fp is not None:
            self.fp.seek(0)
            try:
                caecodec.info(self.fp.read(), _UNLIMITED)
            except CaecodecError as exc:
                raise OSError(f"not a whole .cae file: {exc}") from exc
        super().verify()


def _head_of(stream: IO[bytes] | None) -> container.Head:
    """Reads no more than it must. Raises CorruptFileError, LimitError."""
    assert stream is not None
    start = stream.read(_FIRST_READ)
    while True:
        try:
            return container.parse_head(start, _UNLIMITED)
        except CorruptFileError:
            more = stream.read(7 * len(start)) if start.startswith(container.MAGIC) else b""
            if not more:
                raise
            start += more


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    """Raises ValueError for options that make no sense, OSError for what cannot be written."""
    given = image.encoderinfo
    if not image.width or not image.height:
        raise ValueError("a picture without pixels cannot be saved as CAE")
    options = {name: given[name] for name in _OPTIONS if given.get(name) is not None}
    if given.get("lossless"):
        options = {"model": "lossless"}
    try:
        data = caecodec.encode(_with_metadata(image, given), **options)
    except UsageError:
        raise  # it is a ValueError
    except CaecodecError as exc:
        raise OSError(f"cannot write mode {image.mode} as CAE: {exc}") from exc
    stream.write(data)


def _with_metadata(image: Image.Image, given: dict[str, Any]) -> Image.Image:
    """The same picture with the metadata that is to be saved; what is not named stays, what is None goes."""
    if not {"exif", "icc_profile", "xmp"} & given.keys():
        return image
    found = image.copy()
    for name in ("exif", "icc_profile", "xmp"):
        if name not in given:
            continue
        value = given[name]
        if name == "exif" and value:
            value = _exif(value)
        elif isinstance(value, str):
            value = value.encode()
        if value:
            found.info[name] = value
        else:
            found.info.pop(name, None)
    return found


def _exif(value: bytes | Image.Exif) -> bytes:
    """Raises SyntaxError for bytes that are no EXIF, as Pillow's own formats do."""
    if isinstance(value, Image.Exif):
        return value.tobytes()
    Image.Exif().load(value)
    return value


def register() -> None:
    """Tell Pillow. Once is enough, and again does no harm."""
    Image.register_open(FORMAT, CaeImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, MIME)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(container.MAGIC)


register()
