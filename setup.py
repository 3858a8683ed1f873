"""Builds the codec's core, codec/core/*.c, into caecodec/engines/native: a plain shared library, opened by ctypes.

It knows nothing of Python, so one wheel of a platform serves every version. Without a compiler, or where it fails, the
wheel is a pure one, which codes by numpy or torch. $CC names a compiler. CAECODEC_TARGET=NAME builds for another
platform, with zig as $CC (`make wheels`); CAECODEC_TARGET=any builds the pure wheel.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from setuptools import Command, Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

ROOT = Path(__file__).parent
CORE = ROOT / "codec" / "core"
PACKAGE = Path("engines", "native")
FLAGS = ("-O3", "-std=c11", "-fvisibility=hidden", "-pthread", "-DCAE_SHARED")
LINK = ("-shared", "-pthread")


@dataclass(frozen=True)
class Target:
    """A platform: zig's name of it, that of its wheels, and how a library ends there."""

    triple: str
    wheel: str
    ending: str = ".so"


TARGETS = {
    "linux-x86_64": Target("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
    "linux-aarch64": Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64.manylinux2014_aarch64"),
    "musl-x86_64": Target("x86_64-linux-musl", "musllinux_1_2_x86_64"),
    "musl-aarch64": Target("aarch64-linux-musl", "musllinux_1_2_aarch64"),
    "macos-x86_64": Target("x86_64-macos.11.0", "macosx_11_0_x86_64", ".dylib"),
    "macos-arm64": Target("aarch64-macos.11.0", "macosx_11_0_arm64", ".dylib"),
    "windows-x86_64": Target("x86_64-windows-gnu", "win_amd64", ".dll"),
    "windows-arm64": Target("aarch64-windows-gnu", "win_arm64", ".dll"),
}
HERE = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")


class CompileError(Exception):
    """There is no library; the message says why."""


def compiler() -> list[str]:
    """The command that compiles C. Raises CompileError."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"], posix=os.name != "nt")
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    if shutil.which("zig"):
        return ["zig", "cc"]
    raise CompileError("there is no C compiler (cc, gcc, clang, zig)")


def compiled(sources: list[Path], output: Path, target: Target | None) -> None:
    """Compile every file, as many at once as there are processors, and link them.

    Raises CompileError with the compiler's first error.
    """
    command = [*compiler(), *(("-target", target.triple) if target else ())]
    position = [] if output.suffix == ".dll" else ["-fPIC"]
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:

        def compile_one(source: Path) -> str:
            made = str(Path(folder, f"{source.stem}.o"))
            run([*command, *FLAGS, *position, "-c", str(source), "-o", made])
            return made

        objects = list(pool.map(compile_one, sources))
        of_kind = ["-lm", *(["-s"] if target else [])] if output.suffix == ".so" else []  # or zig keeps debug data
        run([*command, *LINK, "-o", str(output), *objects, *of_kind])
    if not output.is_file():
        raise CompileError(f"{command[0]} made no library")


def run(command: list[str]) -> None:
    """Raises CompileError with the first error that a compiler tells."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as exc:
        raise CompileError(f"{command[0]}: {exc.strerror}") from exc
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
        errors = [line for line in lines if "error" in line.lower()]
        raise CompileError(f"{command[0]}: {(errors or lines)[0].strip()}")


class build_core(Command):  # noqa: D101
    description = "compile the core"
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib: str | None = None
        self.library: Path | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        assert self.build_lib is not None
        folder = ROOT / "codec" / PACKAGE if self.editable_mode else Path(self.build_lib, "caecodec", PACKAGE)
        for old in folder.glob("_core.*"):
            old.unlink()
        sources, name = self.get_source_files(), os.environ.get("CAECODEC_TARGET", "")
        if not sources or name == "any":
            return
        target = TARGETS[name] if name else None
        output = folder / f"_core{target.ending if target else HERE}"
        try:
            compiled([ROOT / s for s in sources if s.endswith(".c")], output, target)
        except CompileError as exc:
            if target:
                raise SystemExit(f"caecodec: the core for {name} cannot be built: {exc}") from exc
            output.unlink(missing_ok=True)
            sys.stderr.write(f"caecodec: a wheel without the native core, which is slower to code with: {exc}\n")
            return
        for beside in folder.glob("_core.*"):  # what linkers leave there: .lib, .pdb
            if beside != output:
                beside.unlink()
        self.library = output

    def get_source_files(self) -> list[str]:
        """Of the core, to be packed with the sources; none while there is nothing to compile."""
        found = sorted(CORE.glob("*.[chi]*")) if any(CORE.glob("*.c")) else []  # .c, .h and .inc
        return [path.relative_to(ROOT).as_posix() for path in found]

    def get_outputs(self) -> list[str]:
        return [str(self.library)] if self.library and not self.editable_mode else []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class BuildAll(build):  # noqa: D101
    sub_commands = [*build.sub_commands, ("build_core", None)]  # noqa: RUF012


class CoreDistribution(Distribution):  # noqa: D101
    compiled = False

    def has_ext_modules(self) -> bool:
        """Whether what is installed is of one platform."""
        return self.compiled or super().has_ext_modules()


class CoreWheel(bdist_wheel):  # noqa: D101
    def run(self) -> None:
        # the core first: whether it could be compiled decides what the wheel is called
        self.run_command("build")
        if self.get_finalized_command("build_core").library:
            self.distribution.compiled, self.root_is_pure = True, False
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        python, abi, platform = super().get_tag()
        if self.root_is_pure:
            return python, abi, platform
        target = TARGETS.get(os.environ.get("CAECODEC_TARGET", ""))
        return "py3", "none", target.wheel if target else platform


if __name__ == "__main__":
    setup(
        distclass=CoreDistribution,
        cmdclass={"build": BuildAll, "build_core": build_core, "bdist_wheel": CoreWheel},
    )
