"""Batches in several processes: the same files as in one, whatever becomes of a process."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import contents, encoded, photograph, run

from caecodec.batch import processes
from caecodec.batch.processes import spread
from caecodec.batch.running import shared
from caecodec.batch.watching import Watcher
from caecodec.batch.writing import Done, Outcome, published, sorted_out
from caecodec.command.batch import one_for_a_gpu
from caecodec.errors import FileSystemError, LimitError
from caecodec.files.jobs import Job
from caecodec.files.writing import read_bytes


@dataclass(frozen=True)
class Copying:
    """Copies; a file that says so ends the process, raises, or waits for another that is done meanwhile."""

    company: int = 1  # files that are done together

    def outcomes(self, jobs: Iterable[Job], watcher: Watcher | None = None) -> Iterator[Outcome]:
        waiting: list[Job] = []
        for job in jobs:
            waiting.append(job)
            if len(waiting) == self.company:
                yield from map(self._one, waiting)
                waiting.clear()
        yield from map(self._one, waiting)

    def choices(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def _one(job: Job) -> Outcome:
        data = read_bytes(job.source)
        if data == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if data.startswith(b"kill once "):
            flag = Path(data[10:].decode())
            if not flag.exists():
                flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if data.startswith(b"meet "):
            mine, other = map(Path, data[5:].decode().split("|"))
            mine.touch()
            end = time.monotonic() + 60
            while not other.exists():
                assert time.monotonic() < end, "nobody is beside this process"
                time.sleep(0.01)
        if data == b"raise":
            return Outcome(job, FileSystemError("no"))
        if data == b"threads":
            data = os.environ["CAECODEC_THREADS"].encode()
        return Outcome(job, data, {"seconds": 0.0, "process": os.getpid()})


def jobs_of(folder: Path, contents: Iterable[bytes]) -> list[Job]:
    jobs = []
    for number, data in enumerate(contents):
        source = folder / f"{number:03}.in"
        source.write_bytes(data)
        jobs.append(Job(str(source), str(source.with_suffix(".out"))))
    return sorted_out(jobs, overwrite=False)[1]


def by_name(dones: Iterable[Done]) -> dict[str, Done]:
    return {Path(done.job.source).stem: done for done in dones}


def test_every_file_is_done_once_by_several_processes_of_one_thread(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    meeting = [f"meet {a}|{b}".encode(), f"meet {b}|{a}".encode()]
    jobs = jobs_of(tmp_path, [b"threads", b"raise", *(bytes([n]) for n in range(58)), *meeting])
    found = list(spread(jobs, Copying(), 2))
    assert sorted(done.job.source for done in found) == [job.source for job in jobs]
    assert len({done.facts["process"] for done in found if done.error is None}) == 2
    assert os.getpid() not in {done.facts.get("process") for done in found}
    assert str(by_name(found)["001"].error) == "no"
    assert (tmp_path / "000.out").read_bytes() == b"1"
    assert (tmp_path / "059.out").read_bytes() == bytes([57])
    assert not (tmp_path / "001.out").exists()


def test_files_that_are_done_together_do_not_wait_for_ever(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, [b"x"] * 50)
    assert len(list(spread(jobs, Copying(company=16), 2))) == 50


def test_a_process_that_dies_costs_its_file_and_no_other(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, [b"a", b"kill", b"b", f"kill once {tmp_path / 'flag'}".encode(), b"c"])
    found = by_name(spread(jobs, Copying(), 2))
    assert len(found) == 5
    assert {name for name, done in found.items() if done.error is not None} == {"001"}
    error = found["001"].error
    assert isinstance(error, LimitError)
    assert str(error).startswith("the process that coded it was ended by SIGKILL: out of memory, perhaps; fewer")
    assert (tmp_path / "003.out").exists()


def test_processes_end_when_nobody_listens_any_more(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, [b"x"] * 40)
    running = spread(jobs, Copying(), 2)
    first = next(running)
    running.close()
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(first.facts["process"], 0)
            time.sleep(0.05)


def test_processes_and_threads_take_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 8)
    many, few = [Job(f"{n}.png", f"{n}.cae") for n in range(40)], [Job(f"{n}.png", f"{n}.cae") for n in range(3)]
    assert shared(many, None) == (8, 1)
    assert shared(many[:4], None) == (4, 2)
    assert shared(many, 3) == (3, 1)
    assert shared(few, None) == (1, 1)  # in this process, with its threads: starting others would take longer
    assert shared(few, 2) == (2, 1)
    assert shared(few[:1], 8) == (1, 1)
    assert shared([*many, Job("-", "x.cae")], 8) == (1, 1)


def test_a_gpu_has_one_process_unless_more_are_asked_for() -> None:
    assert [one_for_a_gpu(None, device) for device in ("auto", "cpu", "cuda", "cuda:1")] == [None, None, 1, 1]
    assert one_for_a_gpu(2, "cuda") == 2


@pytest.mark.parametrize("model", ["photo", "tiny"])
def test_the_command_makes_the_same_files_in_any_number_of_processes(tmp_path: Path, model: str) -> None:
    for number in range(5):
        name = tmp_path / "in" / f"{number % 2}" / f"{number}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(32, 40, number)).save(name)
    (tmp_path / "in/bad.png").write_bytes(b"no picture")
    for count in ("1", "2"):
        result = run("encode", tmp_path / "in", "-r", "--output-dir", tmp_path / count, "--model", model, "-j", count)
        assert result.code == 8
        bad, summary = result.error_lines
        assert bad.startswith(f"caecodec: error: {tmp_path / 'in/bad.png'}: not a picture in a format that is read")
        assert summary == "caecodec: error: 1 of 6 inputs failed"
        assert len(result.out.splitlines()) == 5
        assert run("decode", tmp_path / count, "-r", "--output-dir", tmp_path / f"png{count}", "-j", count).code == 0
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(contents(tmp_path / "1")) == 5
    assert contents(tmp_path / "png1") == contents(tmp_path / "png2")


def test_warnings_and_remedies_come_from_other_processes_as_from_this_one(tmp_path: Path) -> None:
    deep = Image.fromarray(photograph(32, 40)[..., 0].astype("uint16") * 257)
    (tmp_path / "deep.png").write_bytes(encoded(deep))
    Image.fromarray(photograph(32, 40)).save(tmp_path / "large.png")
    results = [run("encode", tmp_path, "-r", "-f", "-j", count, "--max-pixels", "1279") for count in ("1", "2")]
    assert sorted(results[0].error_lines) == sorted(results[1].error_lines)
    assert any("--max-pixels" in line for line in results[0].error_lines)
    results = [run("encode", tmp_path, "-r", "-f", "-j", count) for count in ("1", "2")]
    assert "deep.png: 16 bits" in results[0].err
    assert sorted(results[0].error_lines) == sorted(results[1].error_lines)


def test_existing_outputs_are_left_by_several_processes_too(tmp_path: Path) -> None:
    Image.fromarray(photograph(32, 40)).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    (tmp_path / "a.cae").write_bytes(b"mine")
    assert run("encode", tmp_path, "-r", "-j", "2").code == 8
    assert (tmp_path / "a.cae").read_bytes() == b"mine"
    assert run("encode", tmp_path, "-r", "-j", "2", "-f").code == 0
    assert (tmp_path / "a.cae").read_bytes() == (tmp_path / "b.cae").read_bytes()


def test_the_last_files_are_tried_again_too(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, [f"kill once {tmp_path / str(n)}".encode() for n in range(3)])
    assert {name: done.error for name, done in by_name(spread(jobs, Copying(), 2)).items() if done.error} == {}


def test_what_is_written_is_written_once_where_nobody_listens_to_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    os.mkfifo(out)
    read = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    done = published([Outcome(Job("in", str(out)), b"once", {"seconds": 0.0})], at_once=True)
    next(done)
    done.close()  # type: ignore[attr-defined]
    assert os.read(read, 100) == b"once"
    os.close(read)
