"""The table of how long it takes to look at a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from support import photograph

from caecodec.bench.timing import opening
from caecodec.bench.timing.processes import Ran


def test_every_format_is_asked_for_a_thumbnail_a_part_and_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(photograph(64, 96)).save(tmp_path / "a.png")
    commands: list[list[str]] = []

    def run(command: list[str], threads: int) -> Ran:
        commands.append(command)
        if "numpy.load" in command[-1]:  # it would write a file
            name = next(n for n, (suffix, _, _) in opening.FORMATS.items() if f"picture{suffix}'" in command[-1])
            path = command[-1].split("image.save('")[1].split("'")[0]
            Path(path).write_bytes(b"x" * (10 + len(name)))
        return Ran(0.5 + len(commands) / 100, 40)

    monkeypatch.setattr(opening, "run_command", run)
    monkeypatch.setattr(opening, "PART", 8)
    table = opening.measure([tmp_path / "a.png"], 0.01, rounds=2, threads=1)
    assert [row[0] for row in table.rows] == list(opening.FORMATS)
    assert len(commands) == len(opening.FORMATS) * (1 + 2 * 3)
    assert all(cell.endswith(" s, 40 MiB") for row in table.rows for cell in row[2:])
    for command in commands:
        if command[1] == "-c":
            compile(command[2], "command", "exec")


def test_the_commands_really_run(tmp_path: Path) -> None:
    monkey = pytest.MonkeyPatch()
    monkey.setattr(opening, "FORMATS", {name: opening.FORMATS[name] for name in ("jpeg", "caecodec")})
    Image.fromarray(photograph(64, 96)).save(tmp_path / "a.png")
    monkey.setattr(opening, "PART", 8)
    try:
        table = opening.measure([tmp_path / "a.png"], 0.01, rounds=1, threads=1)
    finally:
        monkey.undo()
    assert [row[0] for row in table.rows] == ["jpeg", "caecodec"]
    assert all(" s, " in cell for row in table.rows for cell in row[2:])
