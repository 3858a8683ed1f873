"""Reading whole files, and writing them so that they appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from caecodec.errors import FileSystemError, Remedy
from caecodec.files import places
from caecodec.files.sources import stream_of

STDIO = "-"
_FOLDER = "this is a folder: name the files in it"
_OVERWRITTEN = Remedy("overwrite=True replaces it", "-f overwrites it")


def read_bytes(source: str) -> bytes:
    """The whole of a file or of standard input. Raises FileSystemError."""
    try:
        if source == STDIO:
            if sys.stdin is None:
                raise FileSystemError("standard input is closed")
            return sys.stdin.buffer.read()
        source = places.on_disk(source)
        if places.elsewhere(source):
            return places.read(source)
        return Path(source).read_bytes()
    except IsADirectoryError as exc:
        raise FileSystemError(_FOLDER) from exc
    except OSError as exc:
        raise FileSystemError(_reason(exc)) from exc


def open_input(source: str) -> BinaryIO:
    """As `read_bytes`, as a stream that can seek and is to be closed: a plain file is not read yet."""
    source = places.on_disk(source)
    if source == STDIO or places.elsewhere(source):
        return io.BytesIO(read_bytes(source))
    try:
        return stream_of(source)
    except IsADirectoryError as exc:
        raise FileSystemError(_FOLDER) from exc
    except OSError as exc:
        raise FileSystemError(_reason(exc)) from exc


def is_stream(target: str) -> bool:
    """Whether bytes go straight to `target`: standard output, a pipe or a device, which no rename may replace."""
    if target == STDIO:
        return True
    if places.elsewhere(target):
        return False
    try:
        mode = Path(target).stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def write_atomically(target: str, data: bytes, *, overwrite: bool) -> None:
    """Write `data` so that `target` appears whole or not at all. Raises FileSystemError; BrokenPipeError of a stream.

    A temporary file in the same folder is filled, synced and renamed. What a symbolic link points to is replaced, the
    link stays.
    """
    ((_, failure),) = write_many([(target, data)], overwrite=overwrite)
    if failure is not None:
        raise failure


@dataclass(frozen=True, slots=True)
class Filled:
    """A file that is written already, under a name for the time being."""

    path: str
    size: int


def filled(target: str, write: Callable[[BinaryIO], None]) -> Filled:
    """Let `write` fill a file that `write_many` will give its name; it can seek. What it raises leaves nothing behind.

    It lies where the target will, or in the nearest folder above that is there. Raises FileSystemError.
    """
    passing = is_stream(target) or places.elsewhere(target)
    folder = Path(tempfile.gettempdir()) if passing else Path(os.path.realpath(target)).parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    temporary = folder / _temporary_name()
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(temporary, flags, _mode_of(Path(target))), "w+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
            return Filled(str(temporary), stream.seek(0, 2))
    except BaseException as exc:
        with contextlib.suppress(OSError):
            temporary.unlink()
        failure = _as_ours(target, exc) if isinstance(exc, OSError) else None
        if failure is not None:
            raise failure from exc
        raise


def _temporary_name() -> str:
    return f".caecodec-{os.urandom(8).hex()}.tmp"


def write_many(
    outputs: Sequence[tuple[str, bytes | Filled]], *, overwrite: bool, make_folders: bool = False
) -> list[tuple[str, Exception | None]]:
    """Write files as `write_atomically`, many of them with one sync; what went wrong with each, or None.

    A sync for each of thousands of small files would take most of the time of a batch.
    """
    failures: dict[int, Exception] = {}
    waiting: dict[int, tuple[Path, Path]] = {}
    try:
        for number, (target, data) in enumerate(outputs):
            try:
                if places.elsewhere(target):
                    whole = data if isinstance(data, bytes) else Path(data.path).read_bytes()
                    places.write(target, whole, overwrite=overwrite)
                elif is_stream(target):
                    _write_stream(target, data)
                else:
                    if make_folders:
                        make_folder(Path(target).parent)
                    path = Path(os.path.realpath(target))
                    # not made from the target's name, which may be as long as names can be
                    if isinstance(data, Filled):
                        waiting[number] = Path(data.path), path
                        continue
                    waiting[number] = path.with_name(_temporary_name()), path
                    _fill(*waiting[number], data, sync=len(outputs) == 1 or not hasattr(os, "sync"))
            except Exception as exc:  # out of memory, say
                failures[number] = exc
        if len(outputs) > 1 and hasattr(os, "sync"):
            os.sync()
        for number, (temporary, path) in waiting.items():
            if number in failures:
                continue
            try:
                _publish(temporary, path, overwrite)
            except Exception as exc:
                failures[number] = exc
        for folder in {path.parent for number, (_, path) in waiting.items() if number not in failures}:
            _sync_folder(folder)
    finally:
        for temporary in (
            *(t for t, _ in waiting.values()),
            *(Path(d.path) for _, d in outputs if isinstance(d, Filled)),
        ):
            with contextlib.suppress(OSError):
                temporary.unlink()
    return [(target, _as_ours(target, failures.get(number))) for number, (target, _) in enumerate(outputs)]


def _as_ours(target: str, failure: Exception | None) -> Exception | None:
    if not isinstance(failure, OSError) or isinstance(failure, BrokenPipeError):
        return failure
    error = FileSystemError(f"cannot write {target}: {_reason(failure)}")
    error.__cause__ = failure
    return error


def _fill(temporary: Path, path: Path, data: bytes, *, sync: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, _mode_of(path))
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        if sync:
            stream.flush()
            os.fsync(stream.fileno())


def _write_stream(target: str, data: bytes | Filled) -> None:
    try:
        if target == STDIO:
            if sys.stdout is None:
                raise FileSystemError("standard output is closed")
            _pour(data, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with open(target, "wb") as stream:  # noqa: PTH123
                _pour(data, stream)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise FileSystemError(f"cannot write {target}: {_reason(exc)}") from exc


def _pour(data: bytes | Filled, stream: BinaryIO) -> None:
    if isinstance(data, bytes):
        stream.write(data)
        return
    with Path(data.path).open("rb") as given:
        shutil.copyfileobj(given, stream, 1 << 20)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents. Raises FileSystemError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise FileSystemError(f"cannot make the folder {folder}: {_reason(exc)}") from exc


def _publish(temporary: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike rename it never replaces what appeared meanwhile
    except FileExistsError as exc:
        raise FileSystemError(f"{path} exists", _OVERWRITTEN) from exc
    except OSError as exc:  # a file system without hard links
        if path.exists():
            raise FileSystemError(f"{path} exists", _OVERWRITTEN) from exc
        os.replace(temporary, path)


def _mode_of(path: Path) -> int:
    with contextlib.suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    return 0o666  # less the umask


def _sync_folder(folder: Path) -> None:
    # a rename is durable once its folder is; not every system can open a folder
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(exc: OSError) -> str:
    return exc.strerror or str(exc)
