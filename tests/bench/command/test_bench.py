from __future__ import annotations

import subprocess
import sys


def test_help_lists_bench_without_importing_the_harness() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from caecodec.command.main import caecodec;"
        "print(CliRunner().invoke(caecodec, ['--help']).output);"
        "print(sorted({'torch', 'numpy', 'PIL', 'rich'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "  bench " in output
    assert output.strip().endswith("[]")
<<<<<<< HEAD
=======


def test_rd_then_table_and_beats(picture_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.json"
    code, out, err = run(
        capsys, "rd", str(picture_file), "--codecs", "caecodec,jpeg,jpeg-progressive", "-o", str(file),
        "--qualities", "5,25,50,90",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "BD-rate vs jpeg" in out
    assert len(results.load(file).rows) == 12
    code, out, _ = run(capsys, "table", str(file), "--against", "jpeg", "--markdown")
    assert code == 0
    assert out.startswith("| 1 pictures | PSNR | caecodec | jpeg, same PSNR |\n")
    code, out, _ = run(capsys, "beats", str(file))
    assert code == 0
    assert "caecodec is smaller" in out


def test_failures_and_missing_codecs_are_reported_at_the_end(
    picture_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(protocol.PillowCodec):
        """Works on the small picture that tries it and on no other."""

        __slots__ = ()

        def encode(self, array: protocol.Pixels, quality: int) -> bytes:
            if array.shape[0] != array.shape[1]:
                raise RuntimeError("cannot do this one")
            return super().encode(array, quality)

    def failing(name: str) -> protocol.BenchCodec:
        return Failing(name, "1", (10, 20), "PNG", {}, lambda quality: {})

    def broken(name: str) -> protocol.BenchCodec:
        raise ImportError("no library for it")

    monkeypatch.setattr(protocol, "CODECS", {"jpeg": protocol.CODECS["jpeg"], "failing": failing, "new": broken})
    file = tmp_path / "r.json"
    code, out, err = run(capsys, "rd", str(picture_file), "--codecs", "all", "-o", str(file))
    assert code == 8
    assert "caecodec: warning: new does not work here: ImportError: no library for it" in err
    assert "img, failing at quality 10: RuntimeError: cannot do this one" in err
    assert "2 of 16 measurements failed" in err
    assert "jpeg" in out


def test_one_line_says_what_to_install(
    picture_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bjontegaard", None)
    code, out, err = run(capsys, "rd", str(picture_file), "--codecs", "jpeg", "-o", str(tmp_path / "r.json"))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "pip install caecodec[bench]" in err
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("qualities", ["a", "1,,2", ""])
def test_qualities_that_are_no_numbers_are_refused(
    qualities: str, picture_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "rd", str(picture_file), "--codecs", "jpeg", "--qualities", qualities)
    assert code == 2
    assert "--qualities" in err


def test_demo_writes_its_files_and_says_where(tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    Image.fromarray(photograph(48, 64)).save(picture)
    done = CliRunner().invoke(demo.main, [str(picture), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    for name in ("photo.cae", "photo.cae.png", "photo.jpg", "photo.webp", "photo.avif"):
        file = tmp_path / "out" / name
        assert file.stat().st_size > 0
        assert str(file) in done.output
    size = (tmp_path / "out" / "photo.cae").stat().st_size
    assert f"{size:,}" in done.output


def test_demo_needs_only_run_time_dependencies() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['bjontegaard', 'matplotlib', 'scipy', 'torchvision']));"
        "import caecodec.bench.show.demo, caecodec.bench.show.figure"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_photograph_of_the_demo_is_there() -> None:
    with Image.open(Path(__file__).parents[2] / "data" / "photo.png") as image:
        assert (image.size, image.mode) == ((512, 512), "RGB")


def test_figure_shows_three_crops_enlarged(tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    Image.fromarray(photograph(96, 128)).save(picture)
    output = tmp_path / "docs" / "figure.png"
    done = CliRunner().invoke(figure.main, [str(picture), "-o", str(output), "--bpp", "3", "--crop", "8,16,64,48"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    ours, theirs = (int(line.split(": ")[1].split(" bytes")[0].replace(",", "")) for line in lines[1:])
    assert theirs <= ours <= 3 * 96 * 128 / 8
    with Image.open(output) as image:
        assert image.width >= 3 * 128


@pytest.mark.parametrize("crop", ["1,2,3", "0,0,0,5", "-1,0,5,5", "60,0,10,10", "x,0,1,1"])
def test_a_crop_outside_the_picture_is_refused(crop: str) -> None:
    with pytest.raises(UsageError, match="--crop"):
        figure.parse_crop(crop, 64, 64)


def test_results_are_named_after_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "birds").mkdir()
    Image.fromarray(photograph(24, 32)).save(tmp_path / "birds" / "a.png")
    assert run(capsys, "rd", "birds", "--codecs", "jpeg", "--qualities", "50", "--metrics", "psnr")[0] == 0
    assert (tmp_path / "results" / "rd-birds.json").is_file()
>>>>>>> gate
