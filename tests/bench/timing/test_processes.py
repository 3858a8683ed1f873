from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph, psnr

from caecodec.bench.codecs.protocol import with_threads
from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.timing import cold, launch, processes, worker
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


def test_a_worker_that_dies_says_how(webp: Worker) -> None:
    os.kill(webp._process.pid, signal.SIGKILL)
    with pytest.raises(ChildError, match="ended with status -9"):
        webp.ask("decode")


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


def test_a_child_that_allocates_100_mib_is_seen_to_hold_them() -> None:
    small = processes.run_command([sys.executable, "-c", ALLOCATE.format(mib=1)], 1)
    large = processes.run_command([sys.executable, "-c", ALLOCATE.format(mib=100)], 1)
    assert large.peak_mib > 100
    assert 95 < large.peak_mib - small.peak_mib < 110
    assert large.seconds > 0.02


def test_memory_of_the_parent_is_not_counted() -> None:
    held = np.ones(300 * 2**17)  # 300 MiB here
    assert processes.run_command([sys.executable, "-c", "pass"], 1).peak_mib < 100
    with contextlib.closing(Worker(1)) as asked:
        assert asked.ask("peak")["mib"] < 200
    assert held[-1] == 1


def test_the_peak_of_a_worker_grows_with_its_pictures(webp: Worker, tmp_path: Path) -> None:
    before = webp.ask("peak")["mib"]
    np.save(tmp_path / "large.npy", np.zeros((100 * 2**10, 1024, 1), np.uint8))
    webp.ask("load", pictures=[str(tmp_path / "large.npy")])
    assert webp.ask("peak")["mib"] >= before + 99


def test_memory_of_programs_that_a_codec_runs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    session = worker.Session()
    monkeypatch.setattr(worker, "open_codec", lambda name: open_codec("jpeg"))
    session.open("jpeg", 1)
    alone = session.peak()["mib"]
    processes.subprocess.run([sys.executable, "-c", ALLOCATE.format(mib=100)], check=True)
    assert session.peak()["mib"] > alone + 100


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(ChildError, match=r"status 3 \(no such thing\)"):
        processes.run_command(
            [sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"], 1
        )
    with pytest.raises(ChildError, match="ended by signal 9"):
        processes.run_command([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 1)


def test_children_are_held_to_their_threads() -> None:
    show = "import os, sys; sys.exit(100 + 10 * len(os.sched_getaffinity(0)) + int(os.environ['OMP_NUM_THREADS']))"
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("only Linux holds a process to cores")
    with pytest.raises(ChildError, match="status 111"):
        processes.run_command([sys.executable, "-c", show], 1)
    assert launch.main([str(os.cpu_count() or 1), sys.executable, "-c", "raise SystemExit(5)"]) == 5


def test_threads_are_told_to_codecs_that_take_them() -> None:
    assert worker.told_threads(with_threads(open_codec("avif"), 2)) == 2
    assert worker.told_threads(with_threads(open_codec("jpeg"), 2)) is None


@pytest.mark.parametrize("name", ["caecodec", "jpeg", "avif", "mozjpeg", "jxl-7"])
def test_cold_commands_write_the_codecs_file_and_its_picture(name: str, tmp_path: Path) -> None:
    try:
        codec = open_codec(name)
    except processes.CaecodecError as exc:
        pytest.skip(str(exc))
    array, quality = photograph(32, 48), codec.qualities[len(codec.qualities) // 2]
    source, coded, target = (tmp_path / part for part in ("it's a.png", "coded", "b.png"))
    Image.fromarray(array).save(source)
    encode, decode = cold.commands(codec, quality, str(source), str(coded), str(target))
    processes.run_command(encode, 1)
    data = codec.encode(array, quality)
    assert coded.read_bytes() == data
    processes.run_command(decode, 1)
    with Image.open(target) as image:
        assert np.array_equal(np.asarray(image), codec.decode(data))
