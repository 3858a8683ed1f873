"""Reading whole files, and writing them so that they appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import shutil
import stat
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from caecodec.errors import FileSystemError, Remedy
from caecodec.files import places
from caecodec.files.sources import stream_of

STDIO = "-"
_FOLDER = "this is a folder: name the files in it"
_SYNCING = 8  # files at a time: a disk takes several syncs in one
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

    A file without a name is filled, synced and given one, so that nothing is left of a process that is killed; where
    the system has no such files, a temporary one in the same folder is renamed. What a symbolic link points to is
    replaced, the link stays. A file that is replaced keeps its owner and permissions, but for set-user-ID and
    set-group-ID.
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
    import tempfile

    passing = is_stream(target) or places.elsewhere(target)
    folder = Path(tempfile.gettempdir()) if passing else Path(os.path.realpath(target)).parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    _sweep(folder)
    temporary = _temporary(folder / "any")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(temporary, flags, 0o600 if passing else 0o666), "w+b") as stream:
            write(stream)
            stream.flush()
            if not passing:  # else it lies where others may look, until it is passed on
                _keep(stream, Path(target))
            os.fsync(stream.fileno())
            return Filled(str(temporary), stream.seek(0, 2))
    except BaseException as exc:
        with contextlib.suppress(OSError):
            temporary.unlink()
        failure = _as_ours(target, exc) if isinstance(exc, OSError) else None
        if failure is not None:
            raise failure from exc
        raise


def write_many(
    outputs: Sequence[tuple[str, bytes | Filled]], *, overwrite: bool, make_folders: bool = False
) -> list[tuple[str, Exception | None]]:
    """Write files as `write_atomically`, several at a time; what went wrong with each, or None.

    Every file is synced for itself: a sync of everything would be quicker, and silent about errors of the disk.
    """
    if len(outputs) <= 1:
        failures = [_write(target, data, overwrite, make_folders) for target, data in outputs]
    else:
        from concurrent.futures import ThreadPoolExecutor  # it takes a tenth of the time of --help

        with ThreadPoolExecutor(min(_SYNCING, len(outputs))) as pool:
            failures = list(pool.map(lambda one: _write(one[0], one[1], overwrite, make_folders), outputs))
    written = [target for (target, _), failure in zip(outputs, failures, strict=True) if failure is None]
    local = [target for target in written if not places.elsewhere(target) and not is_stream(target)]
    for folder in {Path(os.path.realpath(target)).parent for target in local}:
        _sync_folder(folder)
    return [(target, _as_ours(target, failure)) for (target, _), failure in zip(outputs, failures, strict=True)]


def _write(target: str, data: bytes | Filled, overwrite: bool, make_folders: bool) -> Exception | None:
    """One file, but for its folder's sync; what went wrong, out of memory among it."""
    try:
        if places.elsewhere(target):
            places.write(target, data if isinstance(data, bytes) else Path(data.path).read_bytes(), overwrite=overwrite)
            return None
        if is_stream(target):
            _write_stream(target, data)
            return None
        if make_folders:
            make_folder(Path(target).parent)
        path = Path(os.path.realpath(target))
        if isinstance(data, Filled):
            _publish(Path(data.path), path, overwrite)
        elif not _write_nameless(path, data, overwrite):
            _write_named(path, data, overwrite)
    except Exception as exc:
        return exc
    finally:
        if isinstance(data, Filled):
            with contextlib.suppress(OSError):
                Path(data.path).unlink()
    return None


def _temporary(path: Path) -> Path:
    """Beside a file. Not of its name, which may be as long as names can be, but of the machine and the process."""
    return path.with_name(f".caecodec-{_machine()}-{os.getpid()}-{os.urandom(8).hex()}.tmp")


@functools.cache
def _machine() -> str:
    """Eight letters for the machine and its start, for a folder may be another machine's too."""
    boot = b""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    import socket

    return f"{zlib.crc32(boot + socket.gethostname().encode()):08x}"


@functools.lru_cache(maxsize=64)
def _sweep(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left behind; once for a folder."""
    if not hasattr(os, "kill") or os.name == "nt":  # which would end the process
        return
    with contextlib.suppress(OSError):
        for path in folder.glob(f".caecodec-{_machine()}-*.tmp"):
            process = path.name.split("-")[2]
            if process.isdecimal() and not _runs(int(process)):
                with contextlib.suppress(OSError):
                    path.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _write_nameless(path: Path, data: bytes, overwrite: bool) -> bool:
    """By a file without a name; False where the system has none."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    try:
        descriptor = os.open(path.parent, os.O_WRONLY | os.O_TMPFILE, 0o666)
    except OSError as exc:
        # a file system without such files; kernels before 3.11 know no O_TMPFILE and see a folder opened to be written
        if exc.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENOENT, errno.EISDIR):
            return False
        raise
    with os.fdopen(descriptor, "wb") as stream:
        _fill(stream, path, data)
        try:
            _name(stream, path)
            return True
        except FileExistsError:
            if not overwrite:
                raise FileSystemError(f"{path} exists", _OVERWRITTEN) from None
        except OSError:  # without /proc, say
            return False
        _sweep(path.parent)
        temporary = _temporary(path)  # for as long as a rename takes: a link replaces nothing
        try:
            _name(stream, temporary)
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    return True


def _name(stream: BinaryIO, path: Path) -> None:
    """Give a file without a name one. Raises OSError, FileExistsError among it."""
    # a folder's descriptor, which an absolute name needs none of, has Python call what follows the link in /proc
    os.link(f"/proc/self/fd/{stream.fileno()}", path, src_dir_fd=stream.fileno(), follow_symlinks=True)


def _write_named(path: Path, data: bytes, overwrite: bool) -> None:
    _sweep(path.parent)
    temporary = _temporary(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as stream:
            _fill(stream, path, data)
        _publish(temporary, path, overwrite)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _as_ours(target: str, failure: Exception | None) -> Exception | None:
    if not isinstance(failure, OSError) or isinstance(failure, BrokenPipeError):
        return failure
    folder = Path(target).parent
    missing = isinstance(failure, FileNotFoundError) and not places.elsewhere(target) and not folder.exists()
    reason = f"there is no folder {folder}" if missing else _reason(failure)
    error = FileSystemError(f"cannot write {target}: {reason}")
    error.__cause__ = failure
    return error


def _fill(stream: BinaryIO, path: Path, data: bytes) -> None:
    """Contents, and owner and permissions of the file that is there, on the disk."""
    stream.write(data)
    stream.flush()
    _keep(stream, path)
    os.fsync(stream.fileno())


def _keep(stream: BinaryIO, path: Path) -> None:
    """Give a new file the owner and the permissions of the file that it will replace."""
    with contextlib.suppress(OSError):  # nothing to keep, or not ours to give
        kept = path.stat()
        if hasattr(os, "fchown") and (kept.st_uid, kept.st_gid) != (os.geteuid(), os.getegid()):
            _give(stream.fileno(), kept)
        if hasattr(os, "fchmod"):
            os.fchmod(stream.fileno(), stat.S_IMODE(kept.st_mode) & ~(stat.S_ISUID | stat.S_ISGID))


def _give(descriptor: int, kept: os.stat_result) -> None:
    """To the owner of the file before, or at least to its group."""
    try:
        os.fchown(descriptor, kept.st_uid, kept.st_gid)
    except OSError:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, -1, kept.st_gid)


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
