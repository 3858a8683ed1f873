"""What a Linux desktop is told, and whether its own programs understand it."""

from __future__ import annotations

import configparser
import io
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import contents, photograph, run

import caecodec
from caecodec.desktop import xdg


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's data of their own, and no other."""
    folder = tmp_path / "data"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.delenv("XDG_CURRENT_DESKTOP", raising=False)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a .cae file under its name and under another."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.cae").write_bytes(caecodec.encode(photograph(300, 400), 60))
    (folder / "a file").write_bytes((folder / "a.cae").read_bytes())
    return folder


def test_install_writes_three_files_and_uninstall_removes_them(data: Path) -> None:
    first = run("desktop", "install")
    assert first.code == 0
    names = {"mime/packages/caecodec.xml", "thumbnailers/caecodec.thumbnailer", "applications/caecodec.desktop"}
    assert {line.removeprefix(f"wrote {data}/") for line in first.out.decode().splitlines()} == names
    assert names <= contents(data).keys()
    assert run("desktop", "install").code == 0  # again, over the first
    gone = run("desktop", "uninstall")
    assert gone.code == 0
    assert len(gone.out.splitlines()) == 3
    assert not names & contents(data).keys()
    nothing = run("desktop", "uninstall")
    assert (nothing.code, nothing.out) == (0, b"")


def test_without_xdg_data_home_files_lie_in_the_home_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    assert xdg.data_folder() == tmp_path / ".local" / "share"
    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")  # to be ignored, the specification says
    assert xdg.data_folder() == tmp_path / ".local" / "share"


def test_a_folder_in_the_way_is_an_error_of_one_line(data: Path) -> None:
    data.write_text("a file")
    failed = run("desktop", "install")
    assert failed.code == 7
    assert len(failed.error_lines) == 1


@pytest.mark.skipif(not shutil.which("xdg-mime"), reason="xdg-mime is not installed (apt: xdg-utils)")
@pytest.mark.skipif(not shutil.which("update-mime-database"), reason="needs shared-mime-info (apt)")
def test_xdg_mime_knows_the_type(data: Path, pictures: Path) -> None:
    assert run("desktop", "install").code == 0
    for name in ("a.cae",):
        command = ["xdg-mime", "query", "filetype", str(pictures / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "image/x-cae"


@pytest.mark.skipif(not shutil.which("gio"), reason="gio is not installed (apt: libglib2.0-bin)")
@pytest.mark.skipif(not shutil.which("update-mime-database"), reason="needs shared-mime-info (apt)")
def test_gio_knows_the_type_by_name_and_by_content_and_what_opens_it(data: Path, pictures: Path) -> None:
    assert run("desktop", "install").code == 0
    for name in ("a.cae", "a file"):
        command = ["gio", "info", "-a", "standard::content-type", str(pictures / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "standard::content-type: image/x-cae" in done.stdout
    if shutil.which("update-desktop-database"):
        done = subprocess.run(["gio", "mime", "image/x-cae"], capture_output=True, text=True, check=False)
        assert "caecodec.desktop" in done.stdout


def test_the_thumbnailers_own_command_makes_a_thumbnail(data: Path, pictures: Path, tmp_path: Path) -> None:
    assert run("desktop", "install").code == 0
    entry = configparser.RawConfigParser()
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read(data / "thumbnailers" / "caecodec.thumbnailer")
    facts = entry["Thumbnailer Entry"]
    assert facts["MimeType"] == "image/x-cae;"
    assert Path(facts["TryExec"]).is_file()
    out = tmp_path / "out.png"
    given = {"%s": "128", "%i": str(pictures / "a file"), "%o": str(out)}
    done = subprocess.run([given.get(word, word) for word in shlex.split(facts["Exec"])], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    with Image.open(out) as image:
        assert image.size == (128, 96)


def test_names_with_odd_characters_survive_an_exec_line() -> None:
    files = xdg.files(("/opt/my python/$bin/p%y", "-m", "caecodec"))
    (line,) = [x for x in files["applications/caecodec.desktop"].splitlines() if x.startswith("Exec=")]
    assert line == 'Exec="/opt/my python/\\\\$bin/p%%y" -m caecodec view -- %f'


def test_a_thumbnail_is_small_turned_and_never_larger(pictures: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    image = Image.fromarray(photograph(300, 400))
    image.info["exif"] = exif.tobytes()
    turned = tmp_path / "turned.cae"
    turned.write_bytes(caecodec.encode(image, 60))
    sizes = {}
    for name, side in ((pictures / "a.cae", 256), (pictures / "a.cae", 1000), (turned, 100), (turned, 16)):
        done = run("thumbnail", name, "-", "--size", str(side))
        assert done.code == 0
        with Image.open(io.BytesIO(done.out)) as small:
            sizes[name.name, side] = small.size
            assert small.format == "PNG"
    assert list(sizes.values()) == [(256, 192), (400, 300), (75, 100), (12, 16)]
    with Image.open(io.BytesIO(run("thumbnail", pictures / "a.cae", "-", "--size", "100").out)) as small:
        expected = Image.fromarray(photograph(300, 400)).resize((100, 75), Image.Resampling.BOX)
        assert np.abs(np.asarray(small).astype(int) - np.asarray(expected)).mean() < 6


def test_a_thumbnail_replaces_nothing_unasked_and_damaged_files_leave_none(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    refused = run("thumbnail", pictures / "a.cae", out)
    assert (refused.code, out.read_bytes()) == (7, b"mine")
    bad = tmp_path / "bad.cae"
    bad.write_bytes((pictures / "a.cae").read_bytes()[:-1])
    broken = run("thumbnail", bad, tmp_path / "none.png")
    assert broken.code == 4
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str) -> None:
    done = run("completion", shell)
    assert done.code == 0
    script = done.out.decode()
    assert "_CAECODEC_COMPLETE" in script
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_completes_commands_and_options() -> None:
    for words, wanted in (
        ("caecodec dec", "decode"),
        ("caecodec decode --reg", "--region"),
        ("caecodec desktop un", "uninstall"),
    ):
        environment = os.environ | {
            "_CAECODEC_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        program = "import sys; from caecodec.command.main import main; main([])"
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.stdout == f"plain,{wanted}\n"
        assert done.returncode == 0


def test_the_manual_page_has_every_command_and_option() -> None:
    done = run("man")
    assert done.code == 0
    page = done.out.decode()
    plain = page.replace("\\-", "-")
    for part in (
        ".TH CAECODEC 1",
        "caecodec encode",
        "caecodec desktop install",
        "--region",
        "caecodec bench rd",
        "130",
    ):
        assert part in plain
    if shutil.which("man"):
        command = ["man", "--warnings", "-l", "-"]
        shown = subprocess.run(command, input=page.encode(), capture_output=True, env=os.environ | {"MANPAGER": "cat"})
        assert shown.stderr == b""
        assert b"EXIT STATUS" in shown.stdout
