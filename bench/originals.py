"""Sets of pictures cut again out of public repositories: none of them is in this one.

python -m caecodec.bench.originals words CLONES -o FOLDER    # those of `bench words`
python -m caecodec.bench.originals screens CLONES -o FOLDER  # screens and logos

CLONES holds clones called OWNER+NAME (bare or not). `anchors/SET.tsv` says for each picture which blob of which
repository it is, under which licence, and what is cut out of it and how much it is reduced. Such pictures are for
measuring: keep them out of training.
"""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from PIL import Image, ImageOps

from caecodec.bench.pictures import Pixels, digest
from caecodec.errors import CaecodecError, FileSystemError, InputImageError, UsageError
from caecodec.files.writing import make_folder, write_atomically

SETS = ("words", "screens")
_COLUMNS = ("file", "repository", "blob", "path", "licence", "box", "scale", "sha256")


@dataclass(frozen=True, slots=True)
class Original:
    """One picture. `box` is (left, top, right, bottom) in the upright original, `scale` what the cut is reduced by."""

    file: str
    repository: str  # OWNER/NAME on GitHub
    blob: str  # its name in git: whatever the commit, the same bytes
    path: str
    licence: str
    box: tuple[int, int, int, int]
    scale: float
    sha256: str  # start of the hash of size and pixels, as results files have it


def manifest(name: str) -> Path:
    """Where the manifest of one of `SETS` is."""
    return Path(__file__).parent / "anchors" / f"{name}.tsv"


def load_manifest(path: Path) -> list[Original]:
    """The pictures of a manifest. Raises FileSystemError, or UsageError where it is none."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            lines = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
            if tuple(lines.fieldnames or ()) != _COLUMNS:
                raise UsageError(f"{path}: columns {lines.fieldnames}; expected {', '.join(_COLUMNS)}")
            return [_original(line) for line in lines]
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (ValueError, TypeError, AttributeError) as exc:
        raise UsageError(f"{path}: not a manifest of pictures ({exc})") from exc


def cut(data: bytes, original: Original) -> Pixels:
    """The bytes of an original -> the picture (H, W, 3). Raises InputImageError.

    Upright as its EXIF says, transparency on white, its profile not applied.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (OSError, ValueError, SyntaxError) as exc:
        raise InputImageError(f"{original.repository}, {original.path}: {exc}") from exc
    white = Image.new("RGBA", upright.size, "white")
    part = Image.alpha_composite(white, upright).convert("RGB").crop(original.box)
    if original.scale != 1:
        size = (round(part.width * original.scale), round(part.height * original.scale))
        part = part.resize(size, Image.Resampling.LANCZOS)
    return np.array(part)


def make(originals: Sequence[Original], clones: Path, folder: Path) -> list[str]:
    """Write every picture as PNG; the names of those that are not pixel for pixel what was measured.

    Raises UsageError where a clone or an original is missing.
    """
    make_folder(folder)
    differing = []
    for original in originals:
        pixels = cut(_bytes_of(original, clones), original)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        write_atomically(str(folder / original.file), stream.getvalue(), overwrite=True)
        if digest(pixels) != original.sha256:
            differing.append(original.file)
    return differing


def _original(line: dict[str, str]) -> Original:
    left, top, right, bottom = (int(number) for number in line["box"].split(","))
    return Original(
        file=line["file"],
        repository=line["repository"],
        blob=line["blob"],
        path=line["path"],
        licence=line["licence"],
        box=(left, top, right, bottom),
        scale=float(line["scale"]),
        sha256=line["sha256"],
    )


def _bytes_of(original: Original, clones: Path) -> bytes:
    name = original.repository.replace("/", "+")
    places = [clones / name / "repo", clones / name]  # a fetched snapshot lies in `repo`
    clone = next((place for place in places if place.is_dir()), None)
    if clone is None:
        raise UsageError(f"{clones / name}: no clone of github.com/{original.repository} there")
    command = ["git", "-C", str(clone), "cat-file", "blob", original.blob]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as exc:
        raise UsageError(f"git does not start: {exc}") from exc
    if done.returncode:
        raise UsageError(f"{clone}: no blob {original.blob} ({original.path}) there")
    return done.stdout


@click.command()
@click.argument("name", metavar="SET", type=click.Choice(SETS))
@click.argument("clones", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder.")
def main(name: str, clones: Path, output: Path) -> None:
    """Cut the pictures of SET, words or screens, out of CLONES."""
    try:
        originals = load_manifest(manifest(name))
        differing = make(originals, clones, output)
    except CaecodecError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{output}: {len(originals)} pictures")
    if differing:
        click.echo(f"not pixel for pixel what was measured (another decoder?): {', '.join(differing)}", err=True)


if __name__ == "__main__":
    main()
