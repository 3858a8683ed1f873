"""Which training pictures are held out to validate on, where nobody names others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from caecodec.models.data.pictures import shorter_sides

ONE_OF = 10  # is held out
MOST = 40  # validation takes its time
LISTED = "held-out.txt"  # in the run folder


def choose(paths: Iterable[Path], smallest: int, kept: Collection[str] = ()) -> tuple[str, ...]:
    """Names of a tenth of the pictures whose shorter side is at least `smallest`: one at least, MOST at most.

    They are those whose names have the smallest hashes: the same every time, and hardly others when some are added.
    `kept`: names that stay held out; others join them only where none of these is there and large enough.
    Only headers are read. Raises FileNotFoundError, and ValueError where no picture is large enough or none would be
    left to train on.
    """
    paths = list(paths)
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such folder, tar shard or picture")
    sides = shorter_sides(paths)
    where = ", ".join(map(str, paths))
    other = "name pictures to validate on with --validation"
    fitting = sorted((name for name, side in sides.items() if side >= smallest), key=_hash)
    if not fitting:
        raise ValueError(f"no picture of at least {smallest}x{smallest} in {where} to hold out: {other}")
    chosen = set(kept)
    if not chosen.intersection(fitting):
        chosen |= set(fitting[: max(1, min(MOST, len(fitting) // ONE_OF))])
    if chosen.issuperset(sides):
        why = "one picture only" if len(sides) == 1 else "every picture was held out before"
        raise ValueError(f"{where}: {why}, and none is left to train on when it is held out: {other}")
    return tuple(sorted(chosen))


def _hash(name: str) -> bytes:
    return hashlib.sha256(os.fsencode(name)).digest()


def told(names: Collection[str], folder: Path) -> str:
    """One line on what is held out; `write` puts the whole list into the run folder."""
    first = ", ".join(list(names)[:5])
    more = f" and {len(names) - 5} more, see {folder / LISTED}" if len(names) > 5 else ""
    return f"held out to validate on: {first}{more}"


def write(names: Iterable[str], folder: Path) -> None:
    """Keep the list with the run, which a resumed one, or one that starts from it, holds out again."""
    with (folder / LISTED).open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
        stream.writelines(f"{name}\n" for name in names)


def written(folder: Path) -> tuple[str, ...]:
    """What an earlier part of the run held out; nothing where it listed nothing."""
    path = folder / LISTED
    if not path.exists():
        return ()
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
        return tuple(line.removesuffix("\n") for line in stream)
