"""The README's first screen runs as it stands."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph, run

from caecodec.bench.show import fill

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_first_two_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photograph(48, 64)).save("img.png")
    first, second = (shlex.split(line, comments=True) for line in blocks("sh")[0].strip().splitlines())
    assert first[0] == second[0] == "caecodec"
    assert run(*first[1:]).code == 0
    Path("img.png").unlink()
    assert run(*second[1:]).code == 0
    with Image.open("img.png") as back:
        assert back.size == (64, 48)


def test_the_python_example_runs() -> None:
    picture = photograph(48, 64)
    names: dict[str, object] = {"image": picture}
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(blocks("python")[0], names)
    assert np.asarray(names["image"]).shape == picture.shape
    assert float(printed.getvalue()) > 0


def test_every_file_the_readme_points_to_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (README.parent / target).exists(), target


def test_the_exit_codes_are_those_of_the_errors() -> None:
    from caecodec import errors

    text = README.read_text(encoding="utf-8")
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.CaecodecError):
            assert f"| {error.exit_code} |" in text


def test_every_table_is_what_its_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(README.parent)
    commands = []

    def printed(arguments: Sequence[str]) -> str:
        commands.append(arguments)
        result = run(*arguments)
        assert result.code == 0, result.error_lines
        return result.out.decode()

    text = README.read_text(encoding="utf-8")
    # where it differs: python -m caecodec.bench.show.fill README.md
    assert fill.filled(text, printed) == text
    assert len(commands) == text.count("<!-- $") >= 1
