"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import caecodec


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(f"caecodec.{package}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


CODEC = Path(caecodec.__file__).parent
FOLDERS = {"caecodec": CODEC, "caecodec.models": folder_of("models"), "caecodec.bench": folder_of("bench")}

# module of codec/ -> the modules of the project it may import, at the top or inside functions
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "limits": {"errors"},
    "effort": {"errors"},
    "container": {"errors", "limits"},
    "pixels": {"errors", "limits"},
    "ssimulacra2": set(),
    "arithmetic": set(),
    "arithmetic_torch": {"arithmetic"},
    "integer": {"errors", "arithmetic"},
    "tiling": {"errors", "limits", "container"},
    "entropy": {"errors", "limits", "integer"},
    "engine": {
        *("errors", "limits", "integer"),
        *("models.layers", "models.photo", "models.zoo"),
    },
    "rounds": {
        *("entropy", "integer", "engine", "ssimulacra2", "trade"),
        *("models.eye", "models.layers", "models.photo", "models.rate_model", "models.zoo"),
    },
    "trade": {"base", "effort", "pixels", "ssimulacra2"},
    "latents": {"errors", "arithmetic", "limits", "container", "integer", "entropy"},
    "allocation": set(),
    "record": {"errors", "limits", "container", "models.zoo"},
    "small_engine": {
        *("errors", "integer", "engine", "models.autoencoder", "models.layers", "models.tiny", "models.zoo"),
    },
    "factorised": {"errors", "container", "integer", "entropy"},
    "context": {"errors", "arithmetic", "container", "integer", "entropy", "latents"},
    "base": {"errors", "effort", "allocation", "container", "pixels", "models.zoo"},
    "lossless": {"errors", "base", "effort", "container", "pixels", "tiling", "models.zoo"},
    "photo": {
        *("lossless", "rounds", "trade", "effort", "arithmetic_torch"),
        *(
            "errors",
            "allocation",
            "base",
            "container",
            "pixels",
            "integer",
            "tiling",
            "entropy",
            "engine",
            "latents",
            "models.zoo",
        ),
    },
    "small": {
        *("errors", "base", "container", "pixels", "integer", "entropy", "models.zoo"),
        *("small_engine", "factorised", "context"),
    },
    "codec": {"errors", "limits", "container", "pixels", "base", "lossless", "photo", "small", "models.zoo"},
    "batch": {"base", "container", "pixels"},
    "rate": {"errors", "effort", "limits", "container", "pixels", "base", "lossless", "ssimulacra2"},
    "files": {"errors"},
    "terminal": {"errors"},
    "options": {"limits", "terminal"},
    "running": {"errors", "files", "terminal"},
    "coding_cli": {
        *("errors", "effort", "limits", "files", "terminal", "options", "running"),
        *("base", "batch", "codec", "container", "pixels", "rate", "models.zoo"),
    },
    "looking_cli": {
        *("errors", "limits", "files", "terminal", "options"),
        *("codec", "container", "pixels", "record", "models.zoo"),
    },
    "training_cli": {"options", "models.export", "models.train"},
    "cli": {
        *("errors", "terminal", "options", "coding_cli", "looking_cli", "training_cli"),
        *("bench.cli", "bench.compare_cli"),
    },
    "__init__": {"errors", "effort", "limits", "container", "pixels", "record", "base", "codec", "allocation"},
    "__main__": {"cli"},
}
COMMANDS = ("coding_cli", "looking_cli", "training_cli")
# a part of the command -> the only modules of the whole project that import it, at the top or inside functions
ONLY_IMPORTERS_OF_THE_COMMAND = {
    "cli": {"__main__"},
    **{name: {"cli"} for name in COMMANDS},
    "options": {"cli", *COMMANDS},
    "running": {"coding_cli"},
}
CLI_MAY_NOT_IMPORT = {
    "rounds",
    "engine",
    "small_engine",
    "entropy",
    "integer",
    "latents",
    "factorised",
    "context",
    "tiling",
}
ONLY_IMPORTERS_IN_CODEC = {
    "constriction": {"entropy"},
    "torch": {"arithmetic_torch", "codec", "engine", "small_engine", "rounds"},
    "PIL": {"pixels", "__init__"},  # its functions take and give PIL images
    "rich": {"terminal"},
}


def modules() -> dict[str, Path]:
    """Import name -> file, of the whole project."""
    found = {}
    for package, folder in FOLDERS.items():
        found |= {f"{package}.{path.stem}": path for path in folder.glob("*.py")}
    return found


def imports(path: Path, *, top_only: bool = False, skip_typing: bool = False) -> set[str]:
    """Every module an `import` or `from` names; `from a import b` gives a.b where that is a module, else a."""
    found: set[str] = set()
    known = set(modules())

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
                found.add(name if name in known else str(node.module))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def of_project(names: set[str]) -> set[str]:
    return {name.removeprefix("caecodec.") for name in names if name.startswith("caecodec.")}


CODEC_FILES = sorted(CODEC.glob("*.py"))


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in CODEC_FILES} == set(ALLOWED)


@pytest.mark.parametrize("path", CODEC_FILES, ids=lambda path: path.stem)
def test_a_module_imports_only_from_below(path: Path) -> None:
    used = of_project(imports(path))
    assert used <= ALLOWED[path.stem]
    if path.stem in ONLY_IMPORTERS_OF_THE_COMMAND:
        assert not used & CLI_MAY_NOT_IMPORT


@pytest.mark.parametrize("path", CODEC_FILES, ids=lambda path: path.stem)
def test_a_foreign_library_has_one_border(path: Path) -> None:
    for library, owners in ONLY_IMPORTERS_IN_CODEC.items():
        used = {name.split(".")[0] for name in imports(path)}
        assert path.stem in owners or library not in used, f"only {owners} import {library}"


def test_the_borders_are_really_there() -> None:
    for library, owners in ONLY_IMPORTERS_IN_CODEC.items():
        for owner in owners:
            assert library in {name.split(".")[0] for name in imports(CODEC / f"{owner}.py")}


@pytest.mark.parametrize(
    "name",
    ["errors", "limits", "container", "files", "record", "terminal", *ONLY_IMPORTERS_OF_THE_COMMAND, "__init__"],
)
def test_what_help_and_info_need_imports_nothing_heavy_at_the_top(name: str) -> None:
    used = {n.split(".")[0] for n in imports(CODEC / f"{name}.py", top_only=True, skip_typing=True)}
    assert used <= {*sys.stdlib_module_names, "click", "caecodec"}


def test_the_container_is_standard_library_only() -> None:
    used = {n.split(".")[0] for n in imports(CODEC / "container.py")}
    assert used <= {*sys.stdlib_module_names, "caecodec"}


@pytest.mark.parametrize("name", sorted(modules()))
def test_nobody_imports_the_command_the_benchmark_or_the_trainer(name: str) -> None:
    used = imports(modules()[name], top_only=True)
    if name != "caecodec.__main__" and not name.startswith("caecodec.bench."):
        assert not {u for u in used if u in ("caecodec.cli", "caecodec.bench") or u.startswith("caecodec.bench.")}
    if name not in ("caecodec.models.check",):
        assert "caecodec.models.train" not in used


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_parts_of_the_command_are_imported_by_the_command_only(name: str) -> None:
    used = of_project(imports(modules()[name]))
    for part, importers in ONLY_IMPORTERS_OF_THE_COMMAND.items():
        assert part not in used or name.removeprefix("caecodec.") in importers, f"only {importers} import {part}"


def test_the_command_has_all_its_parts() -> None:
    for part, importers in ONLY_IMPORTERS_OF_THE_COMMAND.items():
        for importer in importers:
            assert part in of_project(imports(CODEC / f"{importer}.py"))


@pytest.mark.parametrize("path", CODEC_FILES, ids=lambda path: path.stem)
def test_only_the_command_prints_and_exits(path: Path) -> None:
    calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)}
    speaking = {"print", "click.echo", "sys.stdout.write", "sys.stderr.write", "traceback.print_exc"}
    leaving = {"sys.exit", "exit", "quit", "os._exit"}
    if path.stem not in ("cli", "looking_cli", "training_cli", "running", "terminal"):
        assert not calls & speaking
    if path.stem != "cli":
        assert not calls & leaving


def test_public_names_are_sorted_complete_and_there() -> None:
    assert caecodec.__all__ == sorted(caecodec.__all__)
    assert all(hasattr(caecodec, name) for name in caecodec.__all__)
    tree = ast.parse((CODEC / "__init__.py").read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    errors = ast.parse((CODEC / "errors.py").read_text("utf-8"))
    defined |= {node.name for node in errors.body if isinstance(node, ast.ClassDef)}
    assert {name for name in defined if not name.startswith("_")} <= set(caecodec.__all__)


def test_every_error_has_an_exit_code_of_its_own() -> None:
    classes = [getattr(caecodec, name) for name in caecodec.__all__ if name.endswith("Error")]
    assert sorted(error.exit_code for error in classes) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(issubclass(error, caecodec.CaecodecError) for error in classes)


def loaded_by(*arguments: str | Path) -> tuple[int, set[str]]:
    """Exit status of a command, and the libraries it had imported at its end."""
    script = (
        "import sys\nfrom caecodec.cli import main\n"
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


def test_help_takes_less_than_a_quarter_of_a_second() -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "caecodec", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.25


def test_the_module_is_the_command() -> None:
    environment = os.environ | {"COLUMNS": "80"}
    command = [sys.executable, "-m", "caecodec", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == f"caecodec, version {caecodec.__version__}\n"
    assert done.stderr == ""
