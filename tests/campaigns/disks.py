"""C10: disks that are full, read-only, slow, broken or gone half-way: the old file or the new one, never neither."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Report

_PROGRAM = """
import sys
from caecodec.errors import FileSystemError
from caecodec.files.writing import write_many
target, overwrite = sys.argv[1], sys.argv[2] == "True"
new = b"new" * 100_000
outputs = [(target, new)] if sys.argv[3] == "one" else [(target, new), (target + "2", new)]
for _, failure in write_many(outputs, overwrite=overwrite):
    assert failure is None or isinstance(failure, FileSystemError), failure
    print("failed" if failure else "written")
"""
_CALLS = ("open", "write", "fsync", "link", "rename", "unlink")
_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT, errno.ENOENT, errno.ESTALE, errno.EOPNOTSUPP, None)
OLD, NEW = b"the old file", b"new" * 100_000


def lacks() -> str:
    """Why this campaign cannot run here, or nothing."""
    if sys.platform != "linux":
        return "LD_PRELOAD is Linux's"
    return "" if shutil.which("cc") else "there is no C compiler"


def disks(count: int) -> Report:
    """The first `count` of all combinations of a call, an error, a moment and what is there before."""
    cases = [
        (call, number, at, there, many)
        for at in (1, 2)
        for number in _ERRORS
        for call in _CALLS
        for there in (True, False)
        for many in ("one", "two")
    ]
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        shim = Path(name) / "disk.so"
        source = Path(__file__).with_name("disk.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", source, "-o", shim, "-ldl"], check=True)
        for index, case in enumerate(cases[:count]):
            folder = Path(name) / f"disk{index}"
            folder.mkdir()
            _one(index, case, folder, shim, report)
    return report


def _one(index: int, case: tuple[str, int | None, int, bool, str], folder: Path, shim: Path, report: Report) -> None:
    call, number, at, there, many = case
    target = folder / "file"
    if there:
        target.write_bytes(OLD)
    bad = {"LD_PRELOAD": str(shim), "BAD_DISK": str(folder), "BAD_CALL": call, "BAD_AT": str(at)}
    bad |= {} if number is None else {"BAD_ERRNO": str(number)}
    command = [sys.executable, "-c", _PROGRAM, str(target), str(there), many]
    done = subprocess.run(command, env=os.environ | bad, capture_output=True, text=True, timeout=60)
    found = target.read_bytes() if target.exists() else None
    said = done.stdout.split()
    report.add(index, said[0] if said else "died", 0.0)
    expected = NEW if said[:1] == ["written"] else (OLD if there else None)
    if done.returncode or found != expected:
        state = "none" if found is None else f"{len(found)} bytes"
        report.failures.append(f"{case}: {state}, {said}, {done.stderr[-300:]}")
    left = {path.name for path in folder.iterdir()} - {"file", "file2"}
    if left and call != "unlink":
        report.failures.append(f"{case}: {sorted(left)} left behind")
