"""Results files -> the JSON of the report page. Every figure is computed here; the page's JavaScript only draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caecodec.bench.page.cells import Json, titled
from caecodec.bench.page.rd import rd_section
from caecodec.bench.page.timings import growth_section, speed_section
from caecodec.bench.rd.results import load_rd
from caecodec.bench.small.report import small_tables
from caecodec.bench.small.results import load_small
from caecodec.bench.table import NOTHING
from caecodec.bench.timing.results import load_growth, load_speed
from caecodec.errors import CaecodecError, FileSystemError, UsageError


@dataclass(frozen=True, slots=True)
class Document:
    """One results file, as JSON, and its kind: a key of `_SECTIONS`."""

    name: str
    path: Path
    kind: str
    values: Json


def read(path: Path) -> Document:
    """Raises FileSystemError, and UsageError where it is no results file of a kind that the report knows."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: not a results file ({exc})") from exc
    whole = isinstance(values, dict) and isinstance(values.get("environment"), dict)
    kind = _kind(values) if whole else None
    if kind is None:
        raise UsageError(f"{path}: not a results file of `caecodec bench` rd, speed, growth or small")
    return Document(path.stem, path, kind, values)


def _kind(values: Json) -> str | None:
    if values.get("format") == "small 1":
        return "small"
    kind = values.get("kind", "rd" if "rows" in values else None)
    return kind if kind in ("rd", "speed", "growth") else None


def collect(paths: Sequence[Path]) -> Json:
    """The page's JSON, but for pictures. Raises FileSystemError, and UsageError, naming every file it cannot use."""
    documents: list[Document] = []
    made: dict[str, list[Json]] = {kind: [] for kind in _SECTIONS}
    refused: list[CaecodecError] = []
    for path in paths:
        try:
            document = read(path)
            made[document.kind].append(_section(document))
            documents.append(document)
        except CaecodecError as exc:
            refused.append(exc)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        reasons = "; ".join(map(str, refused))
        raise UsageError(f"{len(refused)} of {len(paths)} files cannot be used, leave them out: {reasons}")
    return {"headline": _headline(documents, made["rd"]), "environments": _environments(documents), **made}


def _section(document: Document) -> Json:
    try:
        return {"name": document.name} | _SECTIONS[document.kind](document.path)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UsageError(f"{document.path}: not a whole results file ({type(exc).__name__}: {exc})") from exc


# -- headline and environment ---------------------------------------------------------------------------------------


def _headline(documents: Sequence[Document], rd: Sequence[Json]) -> Json:
    environments = [document.values["environment"] for document in documents]

    def said(key: str, shorten: Callable[[str], str] = str) -> str:
        return ", ".join(dict.fromkeys(shorten(str(e[key])) for e in environments if e.get(key))) or NOTHING

    measured = [f"{len(r['series'])} codecs on {len(r['pictures'])} pictures ({r['name']})" for r in rd]
    failures = sum(len(r["failures"]) for r in rd)
    facts = [
        ["rate and distortion", "; ".join(measured) or NOTHING],
        ["date", said("date", lambda text: text[:10])],
        ["machine", said("cpu")],
        ["system", said("system")],
        ["commit", said("commit")],
        ["failures", str(failures)],
    ]
    return {"facts": facts, "tiles": [tile for r in rd[:1] for tile in r["tiles"]]}


def _environments(documents: Sequence[Document]) -> list[Json]:
    return [{"name": d.name, "facts": [list(fact) for fact in _flat(d.values["environment"])]} for d in documents]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}: ")
        else:
            yield f"{prefix}{key}", str(value)


# -- sections -------------------------------------------------------------------------------------------------------


def _rd(path: Path) -> Json:
    return rd_section(load_rd(path))


def _speed(path: Path) -> Json:
    return speed_section(load_speed(path))


def _growth(path: Path) -> Json:
    return growth_section(load_growth(path))


def _small(path: Path) -> Json:
    return {"tables": titled(small_tables(load_small(path)))}


_SECTIONS: Mapping[str, Callable[[Path], Json]] = {"rd": _rd, "speed": _speed, "growth": _growth, "small": _small}
