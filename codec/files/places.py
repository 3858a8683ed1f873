"""Where files lie: on disk, or anywhere else that the package fsspec knows, by an address like s3://bucket/a.png or,
of a file in an archive, tar://a.cae::shard.tar. This is the only module that imports fsspec, and only for addresses.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from caecodec.errors import FileSystemError, Remedy, UsageError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # of one letter it is a drive of Windows
_ON_DISK = "file://"
_WHOLE = frozenset(
    ("memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss")
)  # what is put appears whole
_ARCHIVES = frozenset(("zip", "tar", "libarchive"))
IN_THE_WAY = Remedy("overwrite=True replaces it", "-f overwrites it")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file changed: its size in bytes, and when it changed or what stands for its contents."""

    size: int
    changed: str


def on_disk(path: str) -> str:
    """file:///a/b -> /a/b; anything else as it is."""
    return path.removeprefix(_ON_DISK) if path.startswith(_ON_DISK) and "::" not in path else path


def elsewhere(path: str) -> bool:
    """Whether a path is an address of fsspec."""
    return _ADDRESS.match(path) is not None


def in_archive(address: str) -> bool:
    """Whether a file lies in an archive, which is only read."""
    return elsewhere(address) and address.split("://", 1)[0] in _ARCHIVES


def shared_by_processes(path: str) -> bool:
    """Whether other processes see what this one writes there."""
    return not path.startswith("memory://")


def stamp(path: str) -> Stamp | None:
    """Of a file that is there."""
    if elsewhere(path):
        return _stamp_elsewhere(path)
    try:
        found = os.stat(path)  # noqa: PTH116 (Path.stat is slower, and this is called for each of millions)
    except OSError:
        return None
    return Stamp(found.st_size, str(found.st_mtime_ns))


def exists(path: str) -> bool:
    """Whether a file is there, or a link to one that is not. Raises FileSystemError, UsageError of an address."""
    if not elsewhere(path):
        return os.path.lexists(path)
    with _errors(path):
        system, inner = _opened(path)
        return bool(system.exists(inner))


def is_folder(path: str) -> bool:
    """Raises FileSystemError, UsageError of an address."""
    if not elsewhere(path):
        return os.path.isdir(path)  # noqa: PTH112 (Path.is_dir raises where a name is too long)
    with _errors(path):
        system, inner = _opened(path)
        return inner.strip("/") == "" or bool(system.isdir(inner))


def files_below(address: str) -> list[tuple[str, str]]:
    """Every file below a folder elsewhere: its address, and its path within the folder. In the order of names.

    Raises FileSystemError, UsageError.
    """
    with _errors(address):
        system, inner = _opened(address)
        root = inner.strip("/")
        protocol, outer = address.split("://", 1)[0], address.partition("::")[2]
        found = []
        for path in sorted(system.find(inner)):
            name = path.strip("/").removeprefix(root).strip("/")
            there = f"{protocol}://{path.strip('/')}::{outer}" if outer else f"{address.rstrip('/')}/{name}"
            found.append((there, name))
        return found


def read(address: str) -> bytes:
    """The whole of a file elsewhere. Raises FileSystemError, UsageError."""
    with _errors(address):
        system, inner = _opened(address)
        data: bytes = system.cat_file(inner)
        return data


def write(address: str, data: bytes, *, overwrite: bool) -> None:
    """A file elsewhere, whole or not at all. Raises FileSystemError, UsageError.

    Object stores do it by themselves; elsewhere a temporary file is moved into place.
    """
    if in_archive(address):
        raise UsageError(f"{address}: archives are only read; `caecodec pack` makes them")
    with _errors(address):
        system, inner = _opened(address)
        if not overwrite and system.exists(inner):
            raise FileSystemError(f"{address} exists", IN_THE_WAY)
        protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
        if protocols & _WHOLE:
            system.pipe_file(inner, data)
            return
        folder, _, _ = inner.rpartition("/")
        system.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.caecodec-{os.urandom(8).hex()}.tmp"
        try:
            system.pipe_file(temporary, data)
            system.mv(temporary, inner)
        except BaseException:
            with contextlib.suppress(Exception):
                system.rm_file(temporary)
            raise


def _stamp_elsewhere(address: str) -> Stamp | None:
    try:
        with _errors(address):
            system, inner = _opened(address)
            found: dict[str, Any] = system.info(inner)
    except (FileSystemError, UsageError):
        return None
    keys = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created", "date_time")
    changed = next((str(found[key]) for key in keys if found.get(key) is not None), "")
    return Stamp(int(found.get("size") or 0), changed)


def _opened(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path within it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as exc:
        raise UsageError(f"{address}: this needs fsspec, not installed: pip install 'caecodec[fsspec]'") from exc
    system, inner = url_to_fs(address)
    return system, inner


@contextlib.contextmanager
def _errors(address: str) -> Iterator[None]:
    """Within, what fsspec and the packages behind it raise is ours: of an address they name, with what they say."""
    try:
        yield
    except (FileSystemError, UsageError):
        raise
    except FileNotFoundError as exc:
        raise FileSystemError("No such file or directory") from exc
    except (ImportError, ValueError) as exc:  # a package for s3:// that is not there; a protocol that nobody knows
        raise UsageError(f"{address}: {exc}") from exc
    except Exception as exc:  # of a store's own client, which have no common base
        raise FileSystemError(f"{address}: {type(exc).__name__}: {exc}") from exc
