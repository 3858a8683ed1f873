from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from support import contents

from caecodec.errors import FileSystemError, UsageError
from caecodec.files import writing
from caecodec.files.jobs import SUFFIX, Job, listed, picture_suffixes, plan
from caecodec.files.writing import is_stream, read_bytes, write_atomically


def planned(
    *sources: str | Path, recursive: bool = False, output: str | None = None, output_dir: str | Path | None = None
) -> list[Job]:
    return plan(
        [str(s) for s in sources],
        recursive=recursive,
        output=output,
        output_dir=None if output_dir is None else str(output_dir),
        suffix=SUFFIX,
        suffixes=picture_suffixes(),
    ).jobs


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_the_output_lies_beside_the_input() -> None:
    assert planned("a/img.png", "b.tar.png") == [Job("a/img.png", "a/img.cae"), Job("b.tar.png", "b.tar.cae")]


def test_an_output_name_is_taken_as_it_is() -> None:
    assert planned("img.png", output="x/y.bin") == [Job("img.png", "x/y.bin")]
    assert planned("-", output="-") == [Job("-", "-")]


def test_files_named_go_flat_into_an_output_folder() -> None:
    assert planned("a/b/img.png", output_dir="out") == [Job("a/b/img.png", "out/img.cae")]


def test_a_folder_keeps_its_structure_under_an_output_folder(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/deep/er/b.JPG", "in/deep/notes.txt", "in/c.cae")
    jobs = planned(tmp_path / "in", recursive=True, output_dir=tmp_path / "out")
    assert [Path(job.target).relative_to(tmp_path / "out").as_posix() for job in jobs] == ["a.cae", "deep/er/b.cae"]


def test_a_folder_without_an_output_folder_is_done_in_place(tmp_path: Path) -> None:
    touch(tmp_path, "deep/b.webp")
    assert planned(tmp_path, recursive=True) == [Job(str(tmp_path / "deep/b.webp"), str(tmp_path / "deep/b.cae"))]


def test_a_folder_needs_to_be_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    with pytest.raises(UsageError, match="is a folder; recursive=True takes"):
        planned(tmp_path)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match="holds no picture"):
        planned(tmp_path, recursive=True)


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        (["a.png"], {"output": "a.png"}, "the output of a.png would replace the input a.png"),
        (["a.png"], {"output": "x/../a.png"}, "would replace the input a.png"),
        (["a.png", "b.png"], {"output": "c.cae"}, "--output names one file and there are 2 inputs"),
        (["-", "-"], {"output": "-"}, "--output names one file and there are 2 inputs"),
        (["a.png"], {"output": "c.cae", "output_dir": "out"}, "either --output or --output-dir"),
        (["-"], {}, "standard input needs --output"),
        (["-"], {"output_dir": "out"}, "standard input needs --output"),
    ],
)
def test_a_plan_that_would_lose_a_file_is_refused(sources: list[str], options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        planned(*sources, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sources", "options", "problem"),
    [
        (["a.png", "c.png", "a.jpg"], {}, "a.png would be written to a.cae as well; rename one"),
        (["a/i.png", "c.png", "b/i.png"], {"output_dir": "out"}, "a/i.png would be written to out/i.cae as well"),
    ],
)
def test_inputs_with_one_output_fail_alone(sources: list[str], options: dict[str, str], problem: str) -> None:
    first, good, last = planned(*sources, **options)  # type: ignore[arg-type]
    assert problem in last.problem
    assert first.problem
    assert not good.problem


def test_one_input_named_twice_is_one_job() -> None:
    assert planned("a.png", "./a.png") == [Job("a.png", "a.cae")]


def test_a_cae_file_among_pictures_fails_alone() -> None:
    already = "this is a .cae file already; `caecodec decode` gives its picture back"
    for names in (("a.png", "a.cae", "b.png"), ("a.cae", "b.png", "a.png")):
        assert {job.source: job.problem for job in planned(*names)} == {"a.png": "", "b.png": "", "a.cae": already}


def test_what_a_folder_holds_beside_pictures_is_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.cae", "deep/b.JPG", "deep/x.txt", "deep/y.txt", "z.MP4", "README", ".git/x", ".hidden")
    made = plan(
        [str(tmp_path)],
        recursive=True,
        output=None,
        output_dir=None,
        suffix=SUFFIX,
        suffixes=picture_suffixes(),
    )
    assert made.skipped == {".txt": 2, ".mp4": 1, "without suffix": 1}
    assert listed(made.skipped) == "4 files skipped: .mp4 1, .txt 2, without suffix 1"
    assert listed({".heic": 1}) == "1 file skipped: .heic 1; `pip install 'caecodec[heif]'` reads HEIC"


def test_an_output_that_is_another_name_of_the_input_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "b.cae").symlink_to(tmp_path / "a.png")
    with pytest.raises(UsageError, match="would replace the input"):
        planned(tmp_path / "a.png", output=str(tmp_path / "b.cae"))


def test_a_name_too_long_is_left_for_the_one_input_to_fail() -> None:
    assert planned("x" * 300 + ".png")[0].target == "x" * 300 + ".cae"


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_atomically(str(tmp_path / "a"), b"bytes", overwrite=False)
    assert contents(tmp_path) == {"a": b"bytes"}


def test_an_existing_file_stays_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileSystemError, match="exists; overwrite=True replaces it"):
        write_atomically(str(tmp_path / "a"), b"new", overwrite=False)
    assert contents(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_without_hard_links_the_promises_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", no_links)
    write_atomically(str(tmp_path / "new"), b"1", overwrite=overwrite)
    (tmp_path / "old").write_bytes(b"old")
    if overwrite:
        write_atomically(str(tmp_path / "old"), b"2", overwrite=True)
    else:
        with pytest.raises(FileSystemError, match="exists"):
            write_atomically(str(tmp_path / "old"), b"2", overwrite=False)
    assert contents(tmp_path) == {"new": b"1", "old": b"2" if overwrite else b"old"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(FileSystemError if isinstance(error, OSError) else type(error)):
        write_atomically(str(tmp_path / "a"), b"new", overwrite=True)
    assert contents(tmp_path) == {"a": b"old"}


def test_a_failing_write_names_the_file_and_the_reason(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "a.cae"
    with pytest.raises(FileSystemError, match=f"cannot write {target}: there is no folder"):
        write_atomically(str(target), b"", overwrite=False)


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileSystemError, match="cannot write"):
        write_atomically(str(tmp_path / "folder"), b"", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_the_longest_name_there_can_be_is_written(tmp_path: Path) -> None:
    name = "写" * 85  # 255 bytes
    write_atomically(str(tmp_path / name), b"x", overwrite=False)
    assert contents(tmp_path) == {name: b"x"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permissions of owner, group and others")
def test_permissions_are_the_umasks_or_the_old_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(str(tmp_path / "new"), b"", overwrite=False)
        (tmp_path / "old").touch()
        (tmp_path / "old").chmod(0o600)
        write_atomically(str(tmp_path / "old"), b"", overwrite=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="on Windows only an administrator may make a symbolic link")
def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "link").symlink_to("there")
    write_atomically(str(tmp_path / "link"), b"new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path) == {"link": b"new", "there": b"new"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes in the file system")
def test_a_pipe_or_device_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert is_stream(str(pipe))
        write_atomically(str(pipe), b"through", overwrite=True)
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write_atomically(os.devnull, b"x", overwrite=True)
    assert is_stream(os.devnull)


def test_files_folders_and_what_is_missing_are_no_streams(tmp_path: Path) -> None:
    touch(tmp_path, "a")
    assert is_stream("-")
    assert not any(is_stream(str(p)) for p in (tmp_path, tmp_path / "a", tmp_path / "missing"))


@pytest.mark.parametrize(("name", "reason"), [("missing", "No such file"), (".", "this is a folder")])
def test_a_file_that_cannot_be_read_is_a_file_system_error(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(FileSystemError, match=reason):
        read_bytes(str(tmp_path / name))


def test_a_folder_that_cannot_be_made_is_a_file_system_error(tmp_path: Path) -> None:
    touch(tmp_path, "file")
    with pytest.raises(FileSystemError, match="cannot make the folder"):
        writing.make_folder(tmp_path / "file" / "below")
