"""Many threads, a fork and many processes with the native engine: nobody waits for ever, all see the same picture."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import photograph

import caecodec
from caecodec.engines.native import library

pytestmark = pytest.mark.skipif(not library.available(), reason=library.why_not())
HASH = """
import hashlib, sys
import numpy, caecodec
print(hashlib.sha256(numpy.asarray(caecodec.decode(sys.argv[1], engine="native")).tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    sizes = ((96, 64), (33, 47), (70, 130), (16, 16))
    pictures = [caecodec.encode(photograph(h, w, seed=h), 60, engine="native") for h, w in sizes]
    return [*pictures, caecodec.encode(photograph(40, 56), 60, model="tiny", engine="native")]


def decoded(data: bytes) -> str:
    return hashlib.sha256(np.asarray(caecodec.decode(data, engine="native")).tobytes()).hexdigest()


def test_threads_of_one_process_decode_at_once(files: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.THREADS_VARIABLE, "2")
    expected = [decoded(data) for data in files]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(decoded, files * 6))
    assert found == expected * 6


def test_threads_that_encode_and_decode_at_once_do_as_each_alone(files: list[bytes]) -> None:
    pixels = photograph(64, 96)
    alone = caecodec.encode(pixels, 40, engine="native")
    with ThreadPoolExecutor(4) as pool:
        written = [pool.submit(caecodec.encode, pixels, 40, engine="native") for _ in range(4)]
        read = [pool.submit(decoded, data) for data in files]
        assert {one.result() for one in written} == {alone}
        assert [one.result() for one in read] == [decoded(data) for data in files]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_decodes_as_its_parent_while_that_decodes(
    files: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(library.THREADS_VARIABLE, "2")
    expected = [decoded(data) for data in files]
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            decoded(files[0])

    busy = threading.Thread(target=work)
    busy.start()
    try:
        child = os.fork()
        if not child:
            os._exit(0 if [decoded(data) for data in files] == expected else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        busy.join()
    assert [decoded(data) for data in files] == expected


def test_two_processes_at_once_see_the_same_picture(files: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "one.cae"
    path.write_bytes(files[2])
    command = [sys.executable, "-c", HASH, str(path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {process.communicate()[0].strip() for process in both} == {decoded(files[2])}
    assert [process.returncode for process in both] == [0, 0]
