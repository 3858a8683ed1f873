"""Files of the user on a disk that fails and under a process that is killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import contents

from caecodec.errors import FileSystemError
from caecodec.files import writing
from caecodec.files.writing import filled, write_atomically, write_many


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permissions of owner, group and others")
@pytest.mark.parametrize(("before", "after"), [(0o664, 0o664), (0o4755, 0o755), (0o2775, 0o775), (0o600, 0o600)])
def test_a_replaced_file_keeps_its_permissions_whatever_the_umask_but_no_set_user_id(
    before: int, after: int, tmp_path: Path
) -> None:
    path, mask = tmp_path / "a", os.umask(0o077)
    try:
        path.write_bytes(b"old")
        path.chmod(before)
        write_atomically(str(path), b"new", overwrite=True)
    finally:
        os.umask(mask)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", after)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.chown(path, 1234, 4321)
    write_atomically(str(path), b"new", overwrite=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_an_error_of_the_disk_reaches_the_one_file_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = [], os.fsync

    def fail_once(descriptor: int) -> None:
        synced.append(descriptor)
        if os.fstat(descriptor).st_size == 3:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_once)
    outputs = [(str(tmp_path / f"{n}"), bytes(n)) for n in range(1, 6)]
    failures = dict(write_many(outputs, overwrite=False))
    assert [Path(target).name for target, failure in failures.items() if failure] == ["3"]
    assert isinstance(failures[str(tmp_path / "3")], FileSystemError)
    assert contents(tmp_path) == {f"{n}": bytes(n) for n in (1, 2, 4, 5)}
    assert len(synced) >= 5


PROGRAM = """
import os, sys, time
from caecodec.files import writing
filled = os.fsync
def wait(descriptor):
    filled(descriptor)
    print("filled", flush=True)
    time.sleep(60)
os.fsync = wait
writing.write_atomically(sys.argv[1], bytes(100_000), overwrite=True)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="this system has no files without names")
@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_of_a_process_that_is_killed(there: bool, tmp_path: Path) -> None:
    if there:
        (tmp_path / "a").write_bytes(b"old")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "filled\n"
        time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert contents(tmp_path) == ({"a": b"old"} if there else {})


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_others_write_stays(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    machine = writing._machine()
    left = tmp_path / f".caecodec-{machine}-{gone.pid}-0123456789abcdef.tmp"
    others = [
        tmp_path / f".caecodec-{machine}-{os.getppid()}-0123456789abcdef.tmp",
        tmp_path / f".caecodec-00000000-{gone.pid}-0123456789abcdef.tmp",
        tmp_path / ".caecodec-notes.tmp",
    ]
    for path in (left, *others):
        path.touch()
    filled(str(tmp_path / "a"), lambda stream: None)
    names = {path.name for path in tmp_path.iterdir()}
    assert left.name not in names
    assert {path.name for path in others} < names


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_what_waits_to_be_passed_on_is_its_owners_alone() -> None:
    waiting = writing.filled("-", lambda stream: None)
    mode = Path(waiting.path).stat().st_mode
    Path(waiting.path).unlink()
    assert mode & 0o777 == 0o600
