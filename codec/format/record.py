"""What a .cae file says about itself, without decoding it. No torch, no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from caecodec.format import container
from caecodec.limits import DEFAULT_LIMITS, Limits
from caecodec.tune import Tune, quality_of, tune_of


@dataclass(frozen=True, slots=True)
class Info:
    """Facts of one file. Sizes in bytes, bpp in bits per pixel of the whole file."""

    width: int
    height: int
    mode: str  # of the decoded picture: L, LA, RGB, RGBA
    quality: int
    tune: Tune  # what the tables it was coded with are made for
    model_id: str
    model: str | None  # its name where it is installed
    format_version: int
    tiles: int
    size_bytes: int
    bpp: float
    compression_rate: float  # 1 - size / raw size, raw being 8 bits a channel
    sections: Mapping[str, int]  # bytes of header, latents (or pixels), and each section; they sum to size_bytes

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def info(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Info:
    """The bytes of a .cae file -> Info. Raises CorruptFileError, LimitError."""
    parsed = container.parse(data, limits)
    alpha = container.TAG_ALPHA in parsed.sections
    sections = {
        name: len(parsed.sections[tag]) for tag, name in container.SECTION_NAMES.items() if tag in parsed.sections
    }
    latents = sum(map(len, parsed.tiles)) - container.CHECK_BYTES * len(parsed.tiles)
    coded = "pixels" if parsed.model_id == container.LOSSLESS_ID else "latents"
    pixels = parsed.width * parsed.height
    mode = ("LA" if alpha else "L") if parsed.gray else ("RGBA" if alpha else "RGB")
    return Info(
        width=parsed.width,
        height=parsed.height,
        mode=mode,
        quality=quality_of(parsed.quality),
        tune=tune_of(parsed.quality),
        model_id=parsed.model_id.hex(),
        model=_model_name(parsed.model_id),
        format_version=container.VERSION,
        tiles=len(parsed.tiles),
        size_bytes=len(data),
        bpp=8 * len(data) / pixels,
        compression_rate=1 - len(data) / (pixels * len(mode)),
        sections={"header": len(data) - latents - sum(sections.values()), coded: latents} | sections,
    )


def _model_name(model_id: bytes) -> str | None:
    if model_id == container.LOSSLESS_ID:
        return "lossless"
    from caecodec.zoo import find

    return next((m.name for m in find.everything()[0] if m.id == model_id), None)
