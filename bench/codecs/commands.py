"""Codecs that are command lines, from a TOML file: a program that makes a file of a picture, and one for the way back.

[cjxl]
encode = "cjxl {in} {out} -q {q} --num_threads=0"
decode = "djxl {in} {out}"
version = "cjxl --version"
extension = "jxl"
qualities = [30, 60, 90]
picture = "png"            # what the encoder reads and the decoder writes: png (the default), ppm, bmp or tiff
"""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from caecodec.bench.codecs.protocol import BenchCodec, Maker
from caecodec.bench.pictures import Pixels
from caecodec.errors import FileSystemError, UsageError

PICTURES = {"png": "PNG", "ppm": "PPM", "bmp": "BMP", "tiff": "TIFF"}
SECONDS = 600
_REQUIRED = ("encode", "decode", "version", "extension", "qualities")


@dataclass(frozen=True, slots=True)
class CommandCodec:
    """Two command lines, {in}, {out} and {q} in them; each runs in an empty folder, without a shell."""

    name: str
    version: str
    qualities: tuple[int, ...]
    extension: str
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    picture: str = "png"

    def encode(self, array: Pixels, quality: int) -> bytes:
        """Raises OSError with what the program said where it fails."""
        stream = io.BytesIO()
        options = {"compress_level": 1} if self.picture == "png" else {}
        Image.fromarray(array).save(stream, PICTURES[self.picture], **options)
        return _made(self.encoder, stream.getvalue(), self.picture, self.extension, quality)

    def decode(self, data: bytes) -> Pixels:
        """Raises OSError as `encode`."""
        shown = _made(self.decoder, data, self.extension, self.picture)
        with Image.open(io.BytesIO(shown), formats=[PICTURES[self.picture]]) as image:
            return np.asarray(image.convert("RGB"))


def makers(path: Path) -> dict[str, Maker]:
    """The codecs of a TOML file by name. Raises FileSystemError; UsageError where it is none, naming what is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: not TOML ({exc})") from exc
    found: dict[str, Maker] = {}
    for name, table in tables.items():
        where = f"{path}, [{name}]"
        if not isinstance(table, dict):
            raise UsageError(f"{where}: a codec is a table")
        if lacking := [key for key in _REQUIRED if key not in table]:
            raise UsageError(f"{where}: {', '.join(lacking)} missing")
        _check(where, table)
        found[name] = partial(_opened, table)
    if not found:
        raise UsageError(f"{path}: no codecs there")
    return found


def _check(where: str, table: Mapping[str, Any]) -> None:
    if unknown := sorted(set(table) - {*_REQUIRED, "picture"}):
        raise UsageError(f"{where}: {', '.join(unknown)} is unknown")
    grid = table["qualities"]
    if not (isinstance(grid, list) and grid and all(type(q) is int for q in grid)):
        raise UsageError(f"{where}: qualities is {grid!r}: a list of whole numbers, smallest file first")
    for key, places in (("encode", ("{in}", "{out}", "{q}")), ("decode", ("{in}", "{out}"))):
        if missing := [place for place in places if place not in str(table[key])]:
            raise UsageError(f"{where}: {key} lacks {', '.join(missing)}")
    if table.get("picture", "png") not in PICTURES:
        raise UsageError(f"{where}: picture is {table['picture']!r}: choose {', '.join(PICTURES)}")


def _opened(table: Mapping[str, Any], name: str) -> BenchCodec:
    """Raises UsageError where a program is not installed, OSError where it does not say its version."""
    encoder, decoder, asked = (tuple(shlex.split(table[key])) for key in ("encode", "decode", "version"))
    for program in dict.fromkeys((encoder[0], decoder[0], asked[0])):
        if shutil.which(program) is None:
            raise UsageError(f"{program} is not installed")
    done = subprocess.run(asked, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if not lines:
        raise OSError(f"{table['version']} says nothing")
    # other options make other files, so they are part of the version
    version = f"{lines[0]}; {table['encode']}; {table['decode']}"
    grid = tuple(table["qualities"])
    return CommandCodec(name, version, grid, table["extension"], encoder, decoder, table.get("picture", "png"))


def _made(command: tuple[str, ...], data: bytes, given: str, wanted: str, quality: int | None = None) -> bytes:
    """What a command makes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, f"in.{given}"), Path(folder, f"out.{wanted}")
        source.write_bytes(data)
        places = {"{in}": str(source), "{out}": str(target), "{q}": str(quality)}
        arguments = [_filled(part, places) for part in command]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, timeout=SECONDS, check=False)
        if done.returncode or not target.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines() or [f"status {done.returncode}"]
            raise OSError(f"{command[0]}: {said[-1]}")
        return target.read_bytes()


def _filled(part: str, places: Mapping[str, str]) -> str:
    for place, value in places.items():
        part = part.replace(place, value)
    return part
