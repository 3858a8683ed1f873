"""A batch on a cluster of Ray: the same files as of one process, also where a worker is killed in the middle."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from support import contents, encoded, photograph, run

from caecodec.batch.encoding import Encoding
from caecodec.batch.ray import Coder, spread_on_cluster
from caecodec.batch.writing import sorted_out
from caecodec.files.jobs import SUFFIX, plan

PICTURES = frozenset((".png",))


def test_without_ray_an_option_says_what_to_install(picture_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    result = run("encode", picture_file, "--ray", "local")
    assert result.code == 2
    assert "pip install 'caecodec[ray]'" in result.err


def test_an_actor_takes_names_and_gives_what_became_of_them(
    picture_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Ray: what it calls."""
    monkeypatch.setenv("CAECODEC_THREADS", "5")
    bad = picture_file.with_name("bad.png")
    bad.write_bytes(b"no picture")
    coder = Coder(pickle.dumps(Encoding(quality=30)), True)
    assert os.environ["CAECODEC_THREADS"] == "1"
    target = picture_file.parent / "out/img.cae"
    task = {"number": [7, 3], "source": [str(picture_file), str(bad)], "target": [str(target), str(bad) + ".cae"]}
    made = coder(task)
    found = dict(zip(made["number"], (pickle.loads(done)[0] for done in made["done"]), strict=True))
    assert found[7].facts["bytes"] == target.stat().st_size
    assert str(found[3].error).startswith("not a picture in a format that is read here (")


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of two machines of one core each, both of them here."""
    pytest.importorskip("ray", reason="Ray is not installed (caecodec[ray])")
    pytest.importorskip("ray.data", reason="Ray Data is not installed (caecodec[ray])")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    yield made.address
    made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_command_does_a_batch_on_a_cluster_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (caecodec[ray])")
    (tmp_path / "in").mkdir()
    for number in range(6):
        Image.fromarray(photograph(32, 40, number)).save(tmp_path / f"in/{number}.png")
    (tmp_path / "in/bad.png").write_bytes(b"no picture")
    (tmp_path / "in/deep.png").write_bytes(encoded(Image.fromarray(photograph(8, 8)[..., 0].astype("uint16") * 257)))
    monkeypatch.chdir(tmp_path)  # actors are in another folder
    command = "encode", "in", "-r", "--output-dir", "ray", "--ray", "local", "--manifest", "run.jsonl"
    result = run(*command)
    assert result.code == 8
    assert "in/bad.png: not a picture in a format that is read here" in result.err
    assert "in/deep.png: 16 bits" in result.err
    assert run("encode", "in", "-r", "--output-dir", "one", "-j", "1").code == 8
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")
    assert len(contents(tmp_path / "ray")) == 7
    (tmp_path / "in/bad.png").unlink()
    assert "7 files done already" in run(*command).err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_worker_of_two_machines_loses_no_file(tmp_path: Path, cluster: str) -> None:
    (tmp_path / "in").mkdir()
    for number in range(5000):
        Image.fromarray(photograph(24, 24, number)).save(tmp_path / f"in/{number:04}.png", compress_level=1)

    def jobs(folder: str) -> list:  # type: ignore[type-arg]
        options = {"recursive": True, "output": None, "output_dir": str(tmp_path / folder)}
        planned = plan([str(tmp_path / "in")], suffix=SUFFIX, suffixes=PICTURES, **options)  # type: ignore[arg-type]
        return sorted_out(planned.jobs, overwrite=False)[1]

    work = Encoding(quality=60, model="tiny")
    found = []
    for done in spread_on_cluster(jobs("out"), work, cluster, make_folders=True):
        found.append(done)
        if len(found) == 500:
            ps = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
            workers = [line for line in ps.splitlines() if "ray::MapWorker" in line or "ray::MapBatches" in line]
            assert workers
            os.kill(int(workers[0].split()[0]), signal.SIGKILL)
    assert [done.error for done in found if done.error is not None] == []
    assert len({done.job.source for done in found}) == len(found) == 5000
    assert (
        run("encode", tmp_path / "in", "-r", "--output-dir", tmp_path / "one", "-q", "60", "--model", "tiny").code == 0
    )
    assert contents(tmp_path / "out") == contents(tmp_path / "one")
