"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import caecodec
from caecodec import bench, models

CODEC = Path(caecodec.__file__).parent
FOLDERS = {"caecodec": CODEC, "caecodec.models": Path(models.__path__[0]), "caecodec.bench": Path(bench.__path__[0])}
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

# The rule: a room imports only what stands below it, at the top or inside functions. `models.networks` and
# `models.weights` are rooms of the coding side that lie in models/.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "models.weights"),
    ("limits", "tune", "stages", "zoo", "files"),
    ("format", "pictures", "desktop"),
    ("entropy",),
    ("latents",),
    ("models.networks",),
    ("engines",),
    ("codecs",),
    ("search",),
    ("batch",),
    ("plugins",),
    ("command",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
NOT_FOR_CODING = (
    "models.data",
    "models.families",
    "models.training",
    "models.export",
    "models.recipes",
    "bench",
    "plugins",
)
# commands that hand over to rooms which are not for coding, inside their functions
HANDED_OVER = {
    "command.main": {"bench"},
    "command.train": {"models.training", "models.export"},
}
# library -> the only rooms or modules of the coding side that import it
BORDERS = {
    "constriction": {"entropy.coder"},
    "torch": {"engines.torch", "models.networks", "plugins.torch"},
    "PIL": {"pictures", "batch.reading", "plugins.pillow", ""},  # "" is the package itself: callers have PIL images
    "rich": {"command.terminal"},
    "safetensors": set(),  # model files are read by zoo.header; training writes them
    "ctypes": {"engines.native", "pictures.shared"},
    "click": {"command"},
    "fsspec": {"files.places"},
}
# imported by `--help`, `--version` and `info`
LIGHT = ("", "errors", "limits", "tune", "stages", "format", "files", "desktop", "search.effort", "command")


def modules() -> dict[str, Path]:
    """Name without `caecodec.` -> file, of the whole project; a package has the name of its folder."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            if any(path.is_relative_to(other) for other in FOLDERS.values() if other not in (folder, *folder.parents)):
                continue  # installed, models and bench lie inside
            inner = path.relative_to(folder).with_suffix("").parts
            name = ".".join((package, *inner)).removesuffix(".__init__").removeprefix("caecodec").removeprefix(".")
            found[name] = path
    return found


MODULES = modules()


def room(name: str) -> str:
    """The room a module lies in: its first folder, in models/ the first two."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "models" else parts[0]


def lies_in(name: str, place: str) -> bool:
    return name == place or (name.startswith(f"{place}.") and place != "")


def imports(path: Path, *, top_only: bool = False, skip_typing: bool = False) -> set[str]:
    """Every module an `import` or `from` names; `from a import b` gives a.b where that is a module, else a."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if skip_typing and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if top_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name.removeprefix("caecodec.") in MODULES else str(node.module))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def of_project(names: set[str]) -> set[str]:
    return {name.removeprefix("caecodec.") for name in names if name.startswith("caecodec.")}


CODING_SIDE = sorted(name for name in MODULES if room(name) in FLOOR)


def test_every_module_lies_in_a_room() -> None:
    known = {*FLOOR, *NOT_FOR_CODING, "models", "", "__main__"}
    assert {room(name) for name in MODULES} <= known
    assert {room(name) for name in CODING_SIDE} == set(FLOOR)


@pytest.mark.parametrize("name", CODING_SIDE)
def test_a_room_imports_only_what_stands_below_it(name: str) -> None:
    for used in of_project(imports(MODULES[name])):
        there = room(used)
        if there in HANDED_OVER.get(name, ()):
            continue
        assert there == room(name) or (there in FLOOR and FLOOR[there] < FLOOR[room(name)]), f"{name} imports {used}"


@pytest.mark.parametrize("name", sorted(n for n in MODULES if n not in CODING_SIDE and room(n) != "bench"))
def test_benchmark_and_command_are_imported_by_nobody_else(name: str) -> None:
    used = of_project(imports(MODULES[name]))
    assert not {u for u in used if lies_in(u, "bench")}
    assert name == "__main__" or not {u for u in used if lies_in(u, "command")}


def test_of_the_benchmark_only_its_commands_know_the_command() -> None:
    bench = {name for name in MODULES if room(name) == "bench"}
    knowing = {name for name in bench if any(lies_in(u, "command") for u in of_project(imports(MODULES[name])))}
    assert knowing
    assert all(lies_in(name, "bench.command") for name in knowing)


def test_what_is_handed_over_is_really_imported() -> None:
    for name, rooms in HANDED_OVER.items():
        used = of_project(imports(MODULES[name])) - of_project(imports(MODULES[name], top_only=True))
        assert rooms == {room(u) for u in used} & set(NOT_FOR_CODING)


@pytest.mark.parametrize("name", [*CODING_SIDE, "", "__main__"])
def test_a_foreign_library_has_one_border(name: str) -> None:
    used = {n.split(".")[0] for n in imports(MODULES[name])}
    for library, owners in BORDERS.items():
        assert library not in used or any(lies_in(name, owner) for owner in owners), f"only {owners} import {library}"


def test_the_borders_are_really_there() -> None:
    for library, owners in BORDERS.items():
        for owner in owners:
            inside = [path for name, path in MODULES.items() if lies_in(name, owner)]
            assert library in {n.split(".")[0] for path in inside for n in imports(path)}


@pytest.mark.parametrize("name", CODING_SIDE)
def test_what_a_plain_install_may_lack_is_imported_when_it_is_used(name: str) -> None:
    used = {n.split(".")[0] for n in imports(MODULES[name], top_only=True, skip_typing=True)}
    assert "constriction" not in used
    assert "torch" not in used or any(lies_in(name, owner) for owner in BORDERS["torch"])


@pytest.mark.parametrize("name", [n for n in MODULES if room(n) in LIGHT or n in LIGHT])
def test_what_help_and_info_need_imports_nothing_heavy_at_the_top(name: str) -> None:
    used = {n.split(".")[0] for n in imports(MODULES[name], top_only=True, skip_typing=True)}
    assert used <= {*sys.stdlib_module_names, "click", "caecodec"}


def test_the_container_is_standard_library_only() -> None:
    used = {n.split(".")[0] for n in imports(MODULES["format.container"])}
    assert used <= {*sys.stdlib_module_names, "caecodec"}


@pytest.mark.parametrize("name", [*CODING_SIDE, "", "__main__"])
def test_only_the_command_prints_and_exits(name: str) -> None:
    calls = {
        ast.unparse(n.func) for n in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))) if isinstance(n, ast.Call)
    }
    speaking = {"print", "click.echo", "sys.stdout.write", "sys.stderr.write", "traceback.print_exc"}
    leaving = {"sys.exit", "exit", "quit", "os._exit"}
    if not lies_in(name, "command"):
        assert not calls & speaking
    if name != "command.main":
        assert not calls & leaving


def test_every_folder_of_code_is_packed() -> None:
    packages = tomllib.loads(PYPROJECT.read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {f"caecodec.{n}".removesuffix(".") for n, path in MODULES.items() if path.name == "__init__.py"}
    assert sorted(packages) == sorted(folders)


def test_the_version_stands_in_one_place_and_is_that_of_the_installed_package() -> None:
    settings = tomllib.loads(PYPROJECT.read_text("utf-8"))
    assert "version" not in settings["project"]
    assert settings["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "caecodec.__version__"}
    assert importlib.metadata.version("caecodec") == caecodec.__version__


def test_public_names_are_sorted_complete_and_there() -> None:
    assert caecodec.__all__ == sorted(caecodec.__all__)
    assert all(hasattr(caecodec, name) for name in caecodec.__all__)
    tree = ast.parse((CODEC / "__init__.py").read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    errors = ast.parse((CODEC / "errors.py").read_text("utf-8"))
    defined |= {node.name for node in errors.body if isinstance(node, ast.ClassDef) and node.bases}
    assert {name for name in defined if not name.startswith("_")} <= set(caecodec.__all__)


def test_every_error_has_an_exit_code_of_its_own() -> None:
    classes = [getattr(caecodec, name) for name in caecodec.__all__ if name.endswith("Error")]
    assert sorted(error.exit_code for error in classes) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(issubclass(error, caecodec.CaecodecError) for error in classes)


def loaded_by(*arguments: str | Path) -> tuple[int, set[str]]:
    """Exit status of a command, and the libraries it had imported at its end."""
    script = (
        "import sys\nfrom caecodec.command.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as e: code = e.code\n"
        "print(); print('loaded', code, *{name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    _, code, *names = done.stdout.splitlines()[-1].split()
    return int(code), set(names)


HEAVY = {"torch", "constriction", "PIL", "numpy", "safetensors", "rich"}


def test_help_version_and_info_import_nothing_heavy(cae_file: Path) -> None:
    for arguments in (["--help"], ["encode", "--help"], ["--version"], ["info", cae_file]):
        code, names = loaded_by(*arguments)
        assert code == 0
        assert not names & HEAVY


def test_a_bad_file_is_refused_without_torch(tmp_path: Path, cae_file: Path) -> None:
    bad = tmp_path / "bad.cae"
    bad.write_bytes(cae_file.read_bytes()[:-1])
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"no picture")
    for arguments, status in (
        (["info", bad], 4),
        (["decode", bad], 4),
        (["verify", bad], 4),
        (["encode", picture], 3),
        (["encode", picture, "--target-size", "1xB"], 2),
        (["decode", cae_file, "--max-pixels", "3"], 6),
    ):
        code, names = loaded_by(*arguments)
        assert code == status
        assert not names & {"torch", "constriction"}


def test_what_needs_no_pixels_needs_no_torch(cae_file: Path) -> None:
    code, names = loaded_by("verify", cae_file)
    assert code == 0
    assert "torch" not in names
    program = "import sys, caecodec; caecodec.bit_allocation(sys.argv[1]); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program, str(cae_file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_takes_less_than_a_quarter_of_a_second() -> None:
    """Of a processor: what it takes by the clock depends on the tests beside this one."""
    times = []
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(5):  # the first may have to compile
        before = os.times()
        subprocess.run([sys.executable, "-m", "caecodec", "--help"], env=usual, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        user, system = after.children_user - before.children_user, after.children_system - before.children_system
        times.append(user + system)
    assert min(times) < 0.25


def test_the_module_is_the_command() -> None:
    environment = os.environ | {"COLUMNS": "80"}
    command = [sys.executable, "-m", "caecodec", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == f"caecodec, version {caecodec.__version__}\n"
    assert done.stderr == ""
