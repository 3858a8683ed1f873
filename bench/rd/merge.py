"""Results of several machines or days as one; and what may not be compared in silence."""

from __future__ import annotations

from collections.abc import Sequence

from caecodec.bench.rd.results import Results, Row
from caecodec.errors import UsageError

_MIXED = "measure one of them anew, or say --mixed"


def merged(named: Sequence[tuple[str, Results]], *, mixed: bool = False) -> Results:
    """Results with the names of their files -> all rows; of a measurement that several have, the first good one.

    Raises UsageError where a name stands for other pixels in two files, where one codec of one version made other
    bytes of the same picture, and, unless `mixed`, where a codec has several versions.
    """
    pictures: dict[str, str] = {}
    rows: dict[tuple[str, int, str], Row] = {}
    owners: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    for file, results in named:
        for picture, sha256 in results.pictures.items():
            if pictures.setdefault(picture, sha256) != sha256:
                raise UsageError(f"{picture} is another picture in {owners[picture]} than in {file}; rename one")
            owners.setdefault(picture, file)
        for row in results.rows:
            known = rows.get(row.key)
            if known is not None and known.error is None and row.error is None:
                _agree(known, row, file)
            if known is None or (known.error is not None and row.error is None):
                rows[row.key] = row
        unavailable = results.unavailable | unavailable
    environments = [results.environment for _, results in named]
    versions = {name: v for env in reversed(environments) for name, v in env.get("codecs", {}).items()}
    parts = [
        {"file": file} | {key: env.get(key) for key in ("cpu", "date", "commit")}
        for (file, _), env in zip(named, environments, strict=True)
    ]
    whole = Results(environments[0] | {"codecs": versions, "merged": parts}, pictures, {}, list(rows.values()))
    order = {name: place for place, name in enumerate(whole.codecs)}
    whole.rows.sort(key=lambda row: (order[row.codec], row.picture, row.quality))
    whole.unavailable = {name: why for name, why in unavailable.items() if name not in order}
    if not mixed:
        refuse_mixed(whole)
    return whole


def refuse_mixed(results: Results, *, timed: bool = False) -> None:
    """Raise UsageError where a codec has rows of several versions; where `timed`, of several machines."""
    versions: dict[str, list[str]] = {}
    for row in results.rows:
        seen = versions.setdefault(row.codec, [])
        if row.version not in seen:
            seen.append(row.version)
    for codec, seen in versions.items():
        if len(seen) > 1:
            raise UsageError(f"{codec} has rows of {len(seen)} versions ({' and '.join(seen)}): {_MIXED}")
    machines = {str(part.get("cpu")) for part in results.environment.get("merged", [])}
    if timed and len(machines) > 1:
        raise UsageError(f"seconds are of {len(machines)} machines ({' and '.join(sorted(machines))}): {_MIXED}")


def _agree(known: Row, row: Row, file: str) -> None:
    if known.version == row.version and known.bytes != row.bytes:
        what = f"{row.codec} at quality {row.quality} made {row.bytes} bytes of {row.picture} in {file}"
        raise UsageError(f"{what} and {known.bytes} elsewhere, of one version ({row.version})")
