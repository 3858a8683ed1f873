"""Files elsewhere: what fsspec knows is read and written as files on disk are."""

from __future__ import annotations

import contextlib
import socket
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import contents, encoded, photograph, run

from caecodec.files import places
from caecodec.files.jobs import SUFFIX, Job, plan

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (caecodec[fsspec])")


@pytest.fixture
def bucket() -> Iterator[str]:
    """A folder in memory."""
    name = f"memory://{uuid.uuid4().hex}"
    yield name
    with contextlib.suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm(name, recursive=True)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server on this machine."""
    server = pytest.importorskip("moto.server", reason="moto is not installed (pip install 'moto[s3,server]' s3fs)")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (pip install s3fs)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    running.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"pictures-{uuid.uuid4().hex}"  # the server keeps what an earlier one had
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}"
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def put(address: str, data: bytes) -> None:
    with fsspec.open(address, "wb") as stream:
        stream.write(data)


def got(address: str) -> bytes:
    with fsspec.open(address, "rb") as stream:
        data: bytes = stream.read()
        return data


PNG = encoded(Image.fromarray(photograph(16, 24)))


def round_trip(place: str, tmp_path: Path, *options: str) -> None:
    """Encode a folder elsewhere beside itself and onto disk, decode from there."""
    for name in ("a.png", "deep/er/b.png"):
        put(f"{place}/in/{name}", PNG)
    put(f"{place}/in/notes.txt", b"")
    result = run("encode", f"{place}/in", "-r", *options)
    assert (result.code, result.error_lines) == (0, ["1 file skipped: .txt 1"])
    assert run("encode", f"{place}/in", "-r", "--output-dir", tmp_path / "out").code == 0
    assert set(contents(tmp_path / "out")) == {"a.cae", "deep/er/b.cae"}
    assert got(f"{place}/in/deep/er/b.cae") == (tmp_path / "out/a.cae").read_bytes()
    again = run("encode", f"{place}/in", "-r", *options)
    assert again.code == 8
    assert "in/a.cae exists; -f overwrites it" in again.err
    assert run("encode", f"{place}/in", "-r", "--skip-existing", *options).code == 0
    assert run("decode", tmp_path / "out", "-r", "--output-dir", f"{place}/back", *options).code == 0
    assert got(f"{place}/back/deep/er/b.png").startswith(b"\x89PNG")
    assert run("info", f"{place}/in/a.cae").code == 0


def test_a_folder_in_memory_is_done_as_one_on_disk(bucket: str, tmp_path: Path) -> None:
    round_trip(bucket, tmp_path)


def test_a_bucket_of_s3_is_done_as_a_folder(s3: str, tmp_path: Path) -> None:
    round_trip(s3, tmp_path)


def test_several_processes_write_to_s3_and_a_manifest_knows_it(s3: str, tmp_path: Path) -> None:
    for number in range(4):
        put(f"{s3}/in/{number}.png", PNG)
    command = "encode", f"{s3}/in", "-r", "--output-dir", f"{s3}/out", "-j", "2", "--manifest", tmp_path / "m.jsonl"
    assert run(*command).code == 0
    assert len(got(f"{s3}/out/3.cae")) > 0
    fsspec.filesystem("s3").invalidate_cache()
    assert "4 files done already" in run(*command).err
    put(f"{s3}/in/1.png", encoded(Image.fromarray(photograph(16, 24, 5))))
    fsspec.filesystem("s3").invalidate_cache()
    result = run(*command)
    assert (result.code, result.error_lines) == (0, ["3 files done already"])


def test_file_addresses_are_paths(picture_file: Path) -> None:
    assert run("encode", f"file://{picture_file}").code == 0
    assert (
        run("encode", f"file://{picture_file.parent}", "-r", "--output-dir", f"file://{picture_file.parent}/o").code
        == 0
    )
    assert set(contents(picture_file.parent)) == {"img.png", "img.cae", "o/img.cae"}
    assert run("info", f"file://{picture_file.parent}/img.cae").code == 0


def test_archives_are_read_and_not_written(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a.png", PNG)
        archive.writestr("deep/b.png", PNG)
    out = tmp_path / "out"
    assert run("encode", f"zip://::{tmp_path}/p.zip", "-r", "--output-dir", out).code == 0
    assert set(contents(out)) == {"a.cae", "deep/b.cae"}
    with tarfile.open(tmp_path / "s.tar", "w") as shard:
        shard.add(out / "deep/b.cae", "deep/b.cae")
    member = f"tar://deep/b.cae::{tmp_path}/s.tar"
    assert run("decode", member, "-o", tmp_path / "b.png").code == 0
    assert run("decode", f"tar://::{tmp_path}/s.tar", "-r", "--output-dir", tmp_path / "back").code == 0
    assert (tmp_path / "back/deep/b.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    refused = run("decode", member)
    assert refused.code == 2
    assert "lies in an archive, which is only read: say where outputs go with --output-dir" in refused.err
    written = run("encode", tmp_path / "b.png", "-o", f"zip://x.cae::{tmp_path}/p.zip", "-f")
    assert written.code == 2
    assert "archives are only read; `caecodec pack` makes them" in written.err


def test_an_address_that_nothing_knows_is_said(picture_file: Path) -> None:
    result = run("encode", "nonsense://a/b.png")
    assert result.code == 2
    assert "nonsense" in result.err
    assert run("encode", "memory://not/there.png").error_lines == [
        "caecodec: error: memory://not/there.png: No such file or directory"
    ]


def test_without_fsspec_an_address_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    assert "pip install 'caecodec[fsspec]'" in run("encode", "s3://bucket/a.png").err


def test_a_file_appears_whole_where_a_store_does_not_see_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file system that is none of the object stores: the local one, asked by its other name."""
    address = f"local://{tmp_path}/deep/a.bin"
    places.write(address, b"one", overwrite=False)
    assert (tmp_path / "deep/a.bin").read_bytes() == b"one"
    with pytest.raises(places.FileSystemError, match="exists"):
        places.write(address, b"two", overwrite=False)
    local = type(fsspec.filesystem("file"))

    def fails(self: Any, path: str, *_: object, **__: object) -> None:
        (tmp_path / "deep" / path.rpartition("/")[2]).write_bytes(b"ha")
        raise OSError("disk full")

    monkeypatch.setattr(local, "pipe_file", fails)
    with pytest.raises(places.FileSystemError, match="disk full"):
        places.write(address, b"two", overwrite=True)
    assert contents(tmp_path) == {"deep/a.bin": b"one"}


def test_names_elsewhere_are_made_as_on_disk(bucket: str) -> None:
    def planned(*sources: str, **options: Any) -> list[Job]:
        given = {"recursive": True, "output": None, "output_dir": None} | options
        return plan(sources, suffix=SUFFIX, suffixes=frozenset((".png",)), **given).jobs

    assert planned(f"{bucket}/a.b.png") == [Job(f"{bucket}/a.b.png", f"{bucket}/a.b.cae")]
    assert planned(f"{bucket}/a.png", output_dir="out") == [Job(f"{bucket}/a.png", "out/a.cae")]
    assert planned("x/a.png", output_dir="s3://b/out/") == [Job("x/a.png", "s3://b/out/a.cae")]
