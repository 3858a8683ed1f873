"""What the pages say is true: snippets run, commands parse, tables are what was measured, links lead somewhere."""

from __future__ import annotations

import inspect
import io
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image
from support import contents, opened, photograph, run

import caecodec
from caecodec.bench.show import fill
from caecodec.command import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*.md"))]
OTHERS = [*ROOT.glob("models/weights/*.md"), *ROOT.glob("models/runs/**/*.md"), *ROOT.glob("tests/*/*.md")]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text_of(page), re.DOTALL | re.MULTILINE)
    return [re.sub(f"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def without_code(page: Path) -> str:
    """The text of a page, code taken out: what stands there is no link and no heading."""
    text = re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()]", "", code[0]), text)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", shown).strip().replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
        found[slug] += 1
    return names


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `caecodec ...` in a page's shell snippets."""
    found = []
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.shlex(line, posix=True, punctuation_chars="&<>|")
            words.whitespace_split = True
            command: list[str] = []
            for word in [*words, "&&"]:
                if not set(word) <= set("&<>|"):
                    command.append(word)
                    continue
                # behind settings of variables, or behind `python -m`
                start = next((i for i, w in enumerate(command) if not re.match(r"[A-Z_]+=", w)), 0)
                start = command.index("-m") + 1 if "-m" in command else start
                if command[start + 1 :] and Path(command[start]).name == "caecodec":
                    found.append(command[start + 1 :])
                command = []
    return found


# -- the first screen --------------------------------------------------------------------------------------------


def test_the_first_snippet_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photograph(48, 64)).save("img.png")
    before = Path("img.png").read_bytes()
    first, second = (shlex.split(line, comments=True) for line in blocks(README, "sh")[0].strip().splitlines())
    assert first[0] == second[0] == "caecodec"
    for command in (first, second):
        result = run(*command[1:])
        assert result.code == 0, result.error_lines
    made = set(contents(tmp_path)) - {"img.png"}
    assert made == {"img.cae", second[-1]}
    assert Path("img.png").read_bytes() == before
    assert opened(Path(second[-1])).size == (64, 48)


def test_the_first_screen_has_install_commands_figure_and_table() -> None:
    first = text_of(README).split("\n## ")[0]
    places = [first.index(part) for part in ("pip install", "```sh", "![", "<!-- $ caecodec")]
    assert places == sorted(places)
    assert len(first.splitlines()) <= 40
    assert len(text_of(README).splitlines()) <= 170


@pytest.mark.parametrize("page", [p for p in GUIDES if "```python" in text_of(p)], ids=name_of)
def test_python_snippets_run(page: Path) -> None:
    picture = photograph(48, 64)
    names: dict[str, object] = {"image": picture}
    printed = io.StringIO()
    with redirect_stdout(printed):
        for block in blocks(page, "python"):
            exec(block, names)
    assert np.asarray(names["image"]).shape == picture.shape
    assert isinstance(names["data"], bytes)
    assert all(float(line) > 0 for line in printed.getvalue().splitlines())


# -- commands, codes and names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [p for p in GUIDES if commands(p)], ids=name_of)
def test_every_command_on_a_page_parses(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("PICTURE").touch()
    for words in commands(page):
        command: click.Command = main.caecodec
        context = click.Context(command, info_name="caecodec")
        rest = list(words)
        while isinstance(command, click.Group):
            found = command.get_command(context, rest[0])
            assert found is not None, words
            command, rest = found, rest[1:]
            context = click.Context(command, parent=context, info_name=words[0])
        command.parse_args(context, rest)  # raises UsageError for what it does not take
        assert context.params or not any(parameter.expose_value for parameter in command.params)


def test_a_command_that_is_wrong_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    lines = (
        "A=b caecodec encode - -o - < a > b.cae   # > c",
        "git clone it caecodec && cd caecodec",
        "caecodec models && x/caecodec info 'a b' \\\n  --json",
        "torchrun -n 2 -m caecodec train photo",
    )
    page.write_text("```sh\n" + "\n".join(lines) + "\n```\n")
    expected = [["encode", "-", "-o", "-"], ["models"], ["info", "a b", "--json"], ["train", "photo"]]
    assert commands(page) == expected
    encode = main.caecodec.commands["encode"]
    with pytest.raises(click.UsageError):
        encode.parse_args(click.Context(encode), ["a.png", "--effrot", "3"])


def test_the_exit_codes_are_those_of_the_errors() -> None:
    from caecodec import errors

    text = text_of(ROOT / "docs" / "command.md")
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.CaecodecError):
            assert f"| {error.exit_code} |" in text


def test_the_page_of_the_api_names_everything_public() -> None:
    text = text_of(ROOT / "docs" / "api.md")
    for name in caecodec.__all__:
        assert name in text, name
        thing = getattr(caecodec, name)
        if inspect.isfunction(thing):
            for parameter in inspect.signature(thing).parameters:
                assert re.search(rf"[`(]{parameter}\b", text), f"{name}({parameter})"


# -- tables and links --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [p for p in GUIDES if "\n<!-- $" in text_of(p)], ids=name_of)
def test_every_table_is_what_its_command_prints(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ran = []

    def printed(arguments: Sequence[str]) -> str:
        ran.append(arguments)
        result = run(*arguments)
        assert result.code == 0, result.error_lines
        return result.out.decode()

    text = text_of(page)
    # where it differs: python -m caecodec.bench.show.fill README.md docs/*.md
    assert fill.filled(text, printed) == text
    markers = [re.findall(rf"^<!-- {mark}", text, re.MULTILINE) for mark in (r"\$", "end")]
    assert len(ran) == len(markers[0]) == len(markers[1])


@pytest.mark.parametrize("page", [*GUIDES, *OTHERS], ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", without_code(page)):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(there), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, waiting = {README}, [README]
    while waiting:
        page = waiting.pop()
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+\.md)", without_code(page)):
            there = (page.parent / target).resolve()
            if there not in seen:
                seen.add(there)
                waiting.append(there)
    missing = {name_of(page) for page in GUIDES} - {name_of(page) for page in seen} - {"examples/README.md"}
    assert not missing


# -- the drawing of the rooms ------------------------------------------------------------------------------------


def drawn_rooms() -> dict[str, set[str]]:
    """Of docs/ARCHITECTURE.md: folder -> the modules (of bench/ the folders too) drawn in it."""
    drawing = text_of(ROOT / "docs" / "ARCHITECTURE.md").split("```\n")[1]
    found: dict[str, set[str]] = {}
    above: list[str] = []  # the folders a line lies in
    for line in drawing.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        first, *others = re.split(r"\s{2,}", line.strip())
        names = first.split()
        if line.startswith(" " * 17) and line[17:18].strip():  # more modules of the room above
            found["/".join(above)].update(names)
            continue
        if depth > 2 or first == "__init__":  # what a room is for
            continue
        above = above[:depth]
        if len(names) == 1 and first.endswith("/"):
            above.append(first.rstrip("/"))
            words = others[0].split() if others else []
            if depth and all(re.fullmatch(r"[a-z][a-z0-9_]*", word) for word in words):
                found["/".join(above)] = set(words)
        else:
            found.setdefault("/".join(above), set()).update(name.rstrip("/") for name in names)
    return found


def modules_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}


def test_the_drawing_shows_every_module() -> None:
    drawn = drawn_rooms()
    rooms = [path.parent for top in ("codec", "models") for path in (ROOT / top).rglob("__init__.py")]
    there = {name_of(room): modules_in(room) for room in rooms if modules_in(room)}
    assert {name: modules for name, modules in drawn.items() if name.startswith(("codec", "models"))} == there
    bench = ROOT / "bench"
    folders = {path.name for path in bench.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert drawn["bench"] == folders | modules_in(bench)


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`([\w-]+(?:/[\w.-]+)+\.(?:py|md|toml|tsv))`", text_of(page))
    missing = [
        name
        for name in named
        if "NAME" not in name and not any((ROOT / below / name).exists() for below in ("", "codec", "docs"))
    ]
    assert not missing
