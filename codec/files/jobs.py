"""What a command line means: which files to do, what each becomes, and which files of a folder are left out."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from caecodec.errors import Remedy, UsageError
from caecodec.files.places import elsewhere, files_below, in_archive, is_folder, on_disk
from caecodec.files.writing import STDIO

SUFFIX = ".cae"
_PICTURES = frozenset(
    (".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
_RECURSIVE = Remedy("recursive=True takes the files in it", "-r takes the pictures in it")
_HEIF = frozenset((".heic", ".heif", ".hif"))  # with the package pillow-heif


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output; '-' stands for the standard streams. problem: why it cannot be done, if so.

    replace: an output that is there may be replaced.
    """

    source: str
    target: str
    problem: str = ""
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """files: each file to do, and its path within the folder it was found in (None where it was named itself).
    skipped: how many files of those folders are of no suitable kind, by suffix.
    """

    files: list[tuple[str, str | None]]
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs, and how many files of folders are left out, by suffix."""

    jobs: list[Job]
    skipped: Mapping[str, int]


def picture_suffixes() -> frozenset[str]:
    """Suffixes of pictures that can be read here."""
    return _PICTURES | _HEIF if importlib.util.find_spec("pillow_heif") else _PICTURES


def find_inputs(
    sources: Iterable[str], recursive: bool, suffixes: frozenset[str], *, own: frozenset[str] = frozenset()
) -> Found:
    """Files to do. own: suffixes of outputs, which are not counted as skipped. Raises UsageError."""
    found: list[tuple[str, str | None]] = []
    skipped: Counter[str] = Counter()
    for source in map(on_disk, sources):
        if source == STDIO or not is_folder(source):
            found.append((source, None))
            continue
        if not recursive:
            raise UsageError(f"{source} is a folder", _RECURSIVE)
        inside = _files_below(source)
        wanted = [(file, name) for file, name in inside if Path(name).suffix.lower() in suffixes]
        seen = [Path(name) for _, name in inside if not any(part.startswith(".") for part in Path(name).parts)]
        others = Counter(p.suffix.lower() or "without suffix" for p in seen if p.suffix.lower() not in suffixes | own)
        if not wanted:
            what = ".cae file" if suffixes == {SUFFIX} else "picture"
            raise UsageError(f"{source} holds no {what}{f' ({listed(others)})' if others else ''}")
        found += wanted
        skipped += others
    return Found(found, dict(skipped))


def _files_below(source: str) -> list[tuple[str, str]]:
    """Every file below a folder, and its path within it."""
    if elsewhere(source):
        return files_below(source)
    path = Path(source)
    return [(str(p), str(p.relative_to(path))) for p in sorted(path.rglob("*")) if p.is_file()]


def listed(skipped: Mapping[str, int]) -> str:
    """{'.heic': 2, '.txt': 1} -> '3 files skipped: .heic 2, .txt 1'."""
    total = sum(skipped.values())
    kinds = ", ".join(f"{suffix} {count}" for suffix, count in sorted(skipped.items()))
    remedy = "; `pip install 'caecodec[heif]'` reads HEIC" if _HEIF & skipped.keys() else ""
    return f"{total} file{'s' if total > 1 else ''} skipped: {kinds}{remedy}"


def plan(
    sources: Iterable[str],
    *,
    recursive: bool,
    output: str | None,
    output_dir: str | None,
    suffix: str,
    suffixes: frozenset[str],
) -> Plan:
    """Inputs -> jobs, checked as a whole before anything is written. Raises UsageError.

    Without `output` or `output_dir` the output lies beside its input. A folder's structure is kept under `output_dir`.
    Inputs that would be written to one output are jobs with a problem: the others are done.
    """
    inputs = find_inputs(sources, recursive, suffixes, own=frozenset((suffix,)))
    found = inputs.files
    if output is not None and output_dir is not None:
        raise UsageError("give either --output or --output-dir")
    if output is not None and len(found) != 1:
        raise UsageError(f"--output names one file and there are {len(found)} inputs; use --output-dir")
    named = None if output is None else on_disk(output)
    folder = None if output_dir is None else on_disk(output_dir)
    jobs = [
        Job(source, named if named is not None else _target(source, inside, folder, suffix)) for source, inside in found
    ]
    for job in jobs:
        if output is None and suffix != SUFFIX and _identity(job.source) == _identity(job.target):
            raise UsageError(f"{job.source} is not named as a {SUFFIX} file; if it is one, name the output with -o")
    return Plan(_without_collisions(jobs), inputs.skipped)


def _target(source: str, inside: str | None, output_dir: str | None, suffix: str) -> str:
    """Where the output of a source goes that no option names. inside: see `Found`. Raises UsageError."""
    if source == STDIO:
        raise UsageError("standard input needs --output (a file, or - for standard output)")
    if output_dir is None and in_archive(source):
        raise UsageError(f"{source} lies in an archive, which is only read: say where outputs go with --output-dir")
    own_name = source.partition("::")[0] if elsewhere(source) else source
    if not Path(own_name).name:
        raise UsageError(f"{source!r} is not the name of a file")
    if output_dir is None:
        beside = Path(source).with_suffix(suffix)
        return source.removesuffix(Path(source).suffix) + suffix if elsewhere(source) else str(beside)
    name = Path(inside or Path(own_name).name).with_suffix(suffix)
    return f"{output_dir.rstrip('/')}/{name.as_posix()}" if elsewhere(output_dir) else str(Path(output_dir, name))


def _identity(path: str) -> str:
    """The same for all names of a file."""
    return path if path == STDIO or elsewhere(path) else os.path.realpath(path)


def _without_collisions(jobs: list[Job]) -> list[Job]:
    """Jobs, the same input once, with the problem of each that has one. Raises UsageError where an input would go."""
    once: dict[str, Job] = {}
    owners: dict[str, list[str]] = {}
    for job in jobs:
        once.setdefault(_identity(job.source), job)
    for job in once.values():
        if job.target != STDIO:
            owners.setdefault(_identity(job.target), []).append(job.source)
    return [replace(job, problem=_problem(job, owners)) for job in once.values()]


def _problem(job: Job, owners: Mapping[str, list[str]]) -> str:
    """Why a job cannot be done, or nothing. owners: output -> the inputs that become it."""
    if job.source != STDIO and (own := owners.get(_identity(job.source))):
        if not job.source.endswith(SUFFIX):
            raise UsageError(f"the output of {own[0]} would replace the input {job.source}")
        return "this is a .cae file already; `caecodec decode` gives its picture back"
    others = [] if job.target == STDIO else [o for o in owners[_identity(job.target)] if o != job.source]
    others = [other for other in others if not other.endswith(SUFFIX)]
    if not others:
        return ""
    return f"{' and '.join(others)} would be written to {job.target} as well; rename one, or do it alone with -o"
