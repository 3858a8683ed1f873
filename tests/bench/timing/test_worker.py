from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import photograph, psnr

from caecodec.bench.codecs.protocol import with_threads
from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.timing import processes, worker
from caecodec.bench.timing.processes import ChildError, Worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memory and time of children are read by getrusage")
ALLOCATE = "import numpy; numpy.ones({mib} * 2**17)"


@pytest.fixture
def array_file(tmp_path: Path) -> str:
    np.save(tmp_path / "a.npy", photograph(32, 48))
    return str(tmp_path / "a.npy")


@pytest.fixture
def webp() -> Iterator[Worker]:
    with contextlib.closing(Worker(1)) as asked:
        asked.ask("open", codec="webp", threads=1)
        yield asked


def test_a_worker_encodes_decodes_and_measures(webp: Worker, array_file: str, tmp_path: Path) -> None:
    webp.ask("load", pictures=[array_file])
    assert webp.ask("encode", quality=60)["seconds"] > 0
    assert webp.ask("decode")["cpu_seconds"] >= 0
    webp.ask("save", paths=[str(tmp_path / "a.webp")])
    codec, array = open_codec("webp"), photograph(32, 48)
    data = codec.encode(array, 60)
    assert (tmp_path / "a.webp").read_bytes() == data
    measured = webp.ask("measure")
    assert measured["bpp"] == pytest.approx(8 * len(data) / (32 * 48))
    assert measured["psnr"] == pytest.approx(psnr(array, codec.decode(data)))


def test_a_codec_that_fails_gives_its_reason_and_the_worker_goes_on(webp: Worker, tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((1, 16384, 3), np.uint8))  # WebP ends at 16383
    webp.ask("load", pictures=[str(tmp_path / "wide.npy")])
    with pytest.raises(ChildError, match="ValueError: encoding error"):
        webp.ask("encode", quality=60)
    with pytest.raises(ChildError, match=r"FileNotFoundError.*none\.npy"):
        webp.ask("load", pictures=[str(tmp_path / "none.npy")])
    assert webp.ask("peak")["mib"] > 1


def test_what_a_library_prints_is_no_reply() -> None:
    code = (
        "import os, sys; from caecodec.bench.timing import worker;"
        "worker.Session.peak = lambda self: (os.write(1, b'noise\\n'), print('noise'), {'mib': 1.0})[2];"
        "worker.main(1)"
    )
    command = [sys.executable, "-c", code]
    done = processes.subprocess.run(command, input=b'{"do": "peak"}\n', capture_output=True, check=True)
    assert done.stdout == b'{"mib": 1.0}\n'
    assert done.stderr.count(b"noise") == 2


def test_memory_of_programs_that_a_codec_runs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    session = worker.Session()
    monkeypatch.setattr(worker, "open_codec", lambda name: open_codec("jpeg"))
    session.open("jpeg", 1)
    alone = session.peak()["mib"]
    processes.subprocess.run([sys.executable, "-c", ALLOCATE.format(mib=100)], check=True)
    assert session.peak()["mib"] > alone + 100


def test_threads_are_told_to_codecs_that_take_them() -> None:
    assert worker.told_threads(with_threads(open_codec("avif"), 2)) == 2
    assert worker.told_threads(with_threads(open_codec("jpeg"), 2)) is None
