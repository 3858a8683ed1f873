from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from support import encoded, photograph, run

from caecodec.bench.metrics import bdrate
from caecodec.bench.small import report
from caecodec.bench.small import run as small
from caecodec.bench.small.run import Meter, Row, SmallResults
from caecodec.bench.table import markdown_of
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.models.export.model_file import new_model
from caecodec.models.training import losses
from caecodec.pictures.picture import Picture

ID = b"\1\2\3\4"
SHAPES = {"cifar10": (32, 32, 3), "mnist": (28, 28)}


class Dropping:
    """A codec whose samples are coarser at lower qualities, with streams of 10 bytes a quality."""

    qualities = (1, 10, 50, 100)
    strip = None
    batch = 8

    def __init__(self, name: str) -> None:
        self.name = name
        self.pictures: list[Picture] = []
        self.model = SimpleNamespace(info=SimpleNamespace(id=ID))

    def encode_many(self, pictures: list[Picture], quality: int) -> list[bytes]:
        first = len(self.pictures)
        self.pictures += pictures
        numbers = range(first, first + len(pictures))
        streams = [n.to_bytes(4, "little") + b"\1" * (10 * quality - 4) for n in numbers]
        return [
            container.serialize(container.Container(p.width, p.height, quality, ID, (s,), p.gray))
            for p, s in zip(pictures, streams, strict=True)
        ]

    def decode_many(self, parsed: list[container.Container]) -> list[Picture]:
        decoded = []
        for one in parsed:
            colour = self.pictures[int.from_bytes(one.tiles[0][:4], "little")].colour
            step = max(1, (101 - one.quality) // 2)
            decoded.append(Picture((colour // step * step).astype(np.uint8)))
        return decoded


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Path]:
    """Two sets of nine pictures, of which the last two are the test split."""
    made = {}
    for name, shape in SHAPES.items():
        pictures = np.stack([photograph(shape[0], shape[1], seed) for seed in range(9)])
        made[name] = tmp_path / f"{name}.npz"
        np.savez(made[name], images=pictures if len(shape) == 3 else pictures[..., 0])
    return made


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = [SimpleNamespace(name=name) for name in ("cifar10", "mnist", "tiny")]
    monkeypatch.setattr(small.find, "installed", lambda: installed)
    monkeypatch.setattr(small, "open_codec", Dropping)
    monkeypatch.setattr(small.Learned, "qualities", Dropping.qualities)
    monkeypatch.setattr(
        small, "LIBRARIES", {name: (c, (5, 50, 95), strip) for name, (c, _, strip) in small.LIBRARIES.items()}
    )


def row(kind: str, codec: str, quality: int, size: float, psnr: float, **more: float) -> Row:
    return Row(kind, codec, "cifar10", 10, psnr, 0.0016, 0.9, quality, size, **more)


def made() -> SmallResults:
    """Results by hand: JPEG doubles its bytes every 6 dB from 24 dB and 600 bytes, tiny from 50."""
    results = SmallResults(
        sets={"cifar10": {"pictures": 10, "curve_pictures": 5, "shape": [32, 32, 3]}}, codecs={"tiny": "model 00"}
    )
    for step, quality in enumerate((10, 50, 90)):
        results.rows.append(row("curve", "jpeg", quality, 600 * 2**step, 24 + 6 * step, stripped=100 * 2**step))
        results.rows.append(row("curve", "tiny", quality, 50 * 2**step, 24 + 6 * step))
    results.rows += [
        row("operating", "cifar10", 42, 153.6, 27.0, asked_psnr=27.7),
        replace(row("drawn", "cifar10", 0, 32768, 28.0), quality=None),
        row("asked", "tiny", 33, 99.5, 29.9, asked_bytes=100.0),
        row("asked", "tiny", 100, 200.0, 36.5, asked_psnr=38.0),
    ]
    return results


def test_the_scan_of_a_jpeg_written_by_hand_is_what_lies_between_its_headers_and_its_end() -> None:
    scan = b"\x12\xff\x00\x34\xff\xd0\x56\xff\x00"  # a stuffed FF, a restart marker
    tables = b"\xff\xdb\x00\x05\xff\xd9\x00"  # looks like the end, but is in a segment
    head = b"\xff\xd8" + tables + b"\xff\xda\x00\x04\xab\xcd"
    assert small.jpeg_scan_bytes(head + scan + b"\xff\xd9") == len(scan) == 9
    second = b"\xff\xc4\x00\x03\x01\xff\xda\x00\x02" + b"\x77\x88"
    assert small.jpeg_scan_bytes(head + scan + second + b"\xff\xd9") == len(scan) + 2


@pytest.mark.parametrize("progressive", [False, True])
def test_the_scan_of_a_real_jpeg_is_all_but_its_segments(progressive: bool) -> None:
    data = encoded(Image.fromarray(photograph(32, 32)), "JPEG", progressive=progressive)
    assert (b"\xff\xc2" in data) == progressive
    scan = small.jpeg_scan_bytes(data)
    if not progressive:  # one scan, at the end
        start = data.rindex(b"\xff\xda") + 2
        start += int.from_bytes(data[start : start + 2], "big")
        assert scan == len(data) - 2 - start
    assert 0 < scan < len(data) - 300  # at least 2 quantisation tables and 4 Huffman tables are left out


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG", b"\xff\xd8", b"\xff\xd8\xff\xda\x00\x02\x11\x22", b"\xff\xd8\x00\x00\x00"]
)
def test_what_is_no_whole_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        small.jpeg_scan_bytes(data)


def test_a_webp_has_twenty_bytes_of_headers_and_a_lossless_one_is_refused() -> None:
    data = encoded(Image.fromarray(photograph(32, 32)), "WEBP", quality=50)
    assert small.webp_payload_bytes(data) == int.from_bytes(data[16:20], "little") + len(data) % 2 == len(data) - 20
    with pytest.raises(ValueError, match="WebP"):
        small.webp_payload_bytes(encoded(Image.fromarray(photograph(32, 32)), "WEBP", lossless=True))


def test_bytes_and_psnr_are_interpolated_in_the_logarithm_and_not_beyond_the_curve() -> None:
    curve = bdrate.curve([(100, 30.0), (400, 36.0), (1600, 40.0)])
    assert report.bytes_at(curve, 33.0) == pytest.approx(200)
    assert report.bytes_at(curve, 38.0) == pytest.approx(800)
    assert report.psnr_at(curve, 200) == pytest.approx(33.0)
    assert report.psnr_at(curve, 1600) == pytest.approx(40.0)
    assert [report.bytes_at(curve, p) for p in (29.9, 40.1)] == [None, None]
    assert [report.psnr_at(curve, b) for b in (99, 1601)] == [None, None]
    assert report.bytes_at(bdrate.curve([]), 30.0) is None


def meter(psnr_at_1: float, asked: list[int] | None = None) -> Meter:
    """PSNR rises by 0.2 dB, bytes by 5 a quality."""

    def at(quality: int) -> Row:
        if asked is not None:
            asked.append(quality)
        return row("curve", "tiny", quality, 20 + 5 * quality, psnr_at_1 + 0.2 * (quality - 1))

    return Meter(at, (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100))


@pytest.mark.parametrize("target", [19.0, 20.0, 20.1, 21.8, 21.9, 33.33, 39.8])
def test_the_lowest_quality_is_found_and_none_is_measured_twice(target: float) -> None:
    asked: list[int] = []
    found = meter(20.0, asked).lowest(lambda r: r.psnr >= target - 1e-9)
    assert found == max(1, math.ceil((target - 20) / 0.2 - 1e-6) + 1)
    assert len(asked) == len(set(asked)) <= 11 + 4


def test_the_operating_quality_has_a_margin_and_rises_until_the_whole_set_reaches_the_target() -> None:
    # on the curve quality 40 has 27.80 dB, too little above 27.78
    asked: list[int] = []
    same = small.operating(meter(20.0), meter(20.0, asked), 27.78)
    assert (same.quality, same.kind, same.asked_psnr, asked) == (41, "operating", 27.78, [41])
    harder = small.operating(meter(20.0), meter(19.5), 27.7)
    assert harder.quality == 42
    assert harder.psnr == pytest.approx(27.7)
    unreachable = small.operating(meter(20.0), meter(20.0), 60.0)
    assert unreachable.quality == 100


def test_the_target_is_the_published_one_or_as_drawn_less_three_tenths() -> None:
    drawn = row("drawn", "mnist", 0, 1225, 30.0)
    both = meter(20.0), meter(20.0)
    assert small._operating(small.MODELS["mnist"], drawn, *both).asked_psnr == pytest.approx(29.7)
    assert small._operating(small.MODELS["cifar10"], drawn, *both).asked_psnr == 27.7
    assert small._operating(small.MODELS["cifar100"], None, *both).asked_psnr == 23.65
    nothing = small._operating(small.MODELS["mnist"], None, *both)
    assert (nothing.quality, nothing.asked_psnr) == (small.WITHOUT_TARGET, None)


def test_what_tiny_gives_is_the_edge_on_the_whole_set_wherever_the_curve_has_it() -> None:
    for whole_starts in (19.5, 20.0, 20.5):
        whole = meter(whole_starts)
        found = small.at_psnr(meter(20.0), whole, 27.7)
        assert found.quality is not None
        assert found.psnr >= 27.7 > whole.at(found.quality - 1).psnr
    within = small.within_bytes(meter(20.0), meter(20.0), 402.0)
    assert (within.quality, within.bytes, within.asked_bytes) == (76, 400.0, 402.0)
    assert small.within_bytes(meter(20.0), meter(20.0), 10.0).quality == 1
    assert small.within_bytes(meter(20.0), meter(20.0), 9999.0).quality == 100


def test_measures_are_those_of_the_definition() -> None:
    pictures = np.stack([photograph(32, 32, seed) for seed in range(3)])

    class Damaged(Dropping):
        def encode(self, given: small.Pixels, quality: int) -> list[bytes]:
            return [bytes(n) for n in (10, 20, 60)[: len(given)]]

        def decode(self, files: list[bytes]) -> small.Pixels:
            wrong = pictures.copy()
            wrong[1] ^= 1  # every sample is off by one
            wrong[2] ^= 2
            return wrong

    found = small.measure(Damaged("x"), "cifar10", pictures, 7)
    expected = [small.PSNR_CAP, 20 * math.log10(255), 20 * math.log10(255 / 2)]
    assert found.psnr == pytest.approx(sum(expected) / 3, abs=1e-4)  # the identical one counts as the cap
    assert found.mse == pytest.approx((0 + 1 + 4) / 3 / 255**2)
    assert found.rmse == pytest.approx(math.sqrt(5 / 3) / 255)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    x_hat = torch.from_numpy(Damaged("x").decode([])).permute(0, 3, 1, 2) / 255
    assert found.ssim == pytest.approx(float(losses.ssim(x_hat, x).mean()), abs=1e-6)
    assert (found.bytes, found.quality, found.pictures) == (30.0, 7, 3)


def test_a_part_of_a_set_is_spread_over_the_whole() -> None:
    pictures = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    assert small.spread(pictures, 4).ravel().tolist() == [0, 2, 5, 7]
    assert small.spread(pictures, None) is small.spread(pictures, 10) is pictures


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_gray_pictures_come_back_gray_from_every_library(name: str) -> None:
    codec = small.registry.open_codec(small.LIBRARIES[name][0])
    pictures = np.stack([photograph(28, 28, seed)[..., :1] for seed in range(2)])
    wrapped = small.Library(name, codec, (90,), small.LIBRARIES[name][2], gray=True)
    found = small.measure(wrapped, "mnist", pictures, 90)
    assert found.psnr > 30
    assert found.stripped is not None
    assert found.bytes is not None
    assert found.stripped < found.bytes


def test_as_drawn_is_measured_on_floats_and_counts_its_latents_and_places(tmp_path: Path) -> None:
    pictures = np.stack([photograph(28, 28, seed)[..., :1] for seed in range(3)])
    model = new_model("autoencoder", {"kind": "mnist", "form": "drawn"}).eval()
    path = tmp_path / "weights.pt"
    recipe = '[model]\nfamily = "autoencoder"'
    torch.save({"recipe": recipe, "config": model.config.to_dict(), "ema": model.state_dict()}, path)
    found = small.measure_drawn(path, "mnist", "mnist", pictures)
    assert found is not None
    x = small.unit(pictures)
    with torch.no_grad():
        x_hat = model(x)["x_hat"]
    assert found.mse == pytest.approx(float((x_hat - x).square().mean()), rel=1e-5)
    assert found.bytes == 4 * 4 * 7 * 7 + (8 * 14 * 14 + 4 * 7 * 7) / 4
    assert small.measure_drawn(tmp_path / "none.pt", "mnist", "mnist", pictures) is None
    with pytest.raises(UsageError, match=r"28x28x1, mnist holds 32x32x3"):
        small.measure_drawn(path, "mnist", "mnist", np.zeros((1, 32, 32, 3), np.uint8))


def test_models_and_sets_that_are_missing_are_named_and_the_rest_is_measured(
    sets: dict[str, Path], stubs: None, tmp_path: Path
) -> None:
    file, drawing = tmp_path / "out" / "r.json", tmp_path / "fig" / "f.png"
    data = [argument for name, path in sets.items() for argument in ("--data", f"{name}={path}")]
    options = ["--training", tmp_path, "-o", file, "--markdown", "--figure", drawing, "--curve-pictures", "1"]
    result = run("bench", "small", *data, *options)
    assert result.code == 0, result.err
    warned = [line.removeprefix("caecodec: warning: ").split(" is skipped: ") for line in result.error_lines]
    assert [who for who, _ in warned] == [
        "cifar100", "cifar10-dense", "fashion-mnist", "mnist-fixed", "tiny on cifar100", "tiny on fashion-mnist",
    ]  # fmt: skip
    assert warned[0][1] == "the model is not installed"
    assert warned[4][1] == "no --data cifar100=PATH"
    lines = result.out.decode().splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")] == [
        "| as drawn", "| ---", "| cifar10", "| mnist", "| as codec", "| ---", "| cifar10", "| mnist",
        "| model", "| ---", "| cifar10", "| mnist",
        "| asked", "| ---", *(f"| at most {n} bytes" for n in (100, 400, 512)),
        *(f"| at least {n} dB" for n in (27.7, 36.0, 38.0)),
    ]  # fmt: skip
    with Image.open(drawing) as image:
        assert image.width > 800
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["sets"]["mnist"]["shape"] == [28, 28, 1]
    assert document["codecs"]["tiny"] == "model 01020304"
    counts = {(r["kind"], r["codec"]): r["pictures"] for r in document["rows"]}
    assert counts["curve", "tiny"] == 1
    assert counts["curve", "jpeg"] == counts["operating", "cifar10"] == counts["asked", "tiny"] == 2
    shown = run("bench", "small", "--show", file, "--markdown")
    assert (shown.code, shown.out) == (0, result.out)


def test_bytes_are_those_of_whole_files(sets: dict[str, Path], stubs: None, tmp_path: Path) -> None:
    planned, _ = small.plan(["cifar10"], sets)
    results = small.run(planned, sets, tmp_path)
    (found,) = results.of("operating", "cifar10", "cifar10")
    assert found.quality is not None
    assert found.psnr >= 27.7 == found.asked_psnr
    assert found.bytes == 16 + 10 * found.quality  # the container, and the stream
    curve = {r.quality: r for r in results.of("curve", "cifar10", "cifar10")}
    assert curve[found.quality - 1].psnr < 27.7 + small.MARGIN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to measure: cifar10 is skipped"),
        (["cifar11"], "no small model cifar11; choose from cifar10,"),
        (["--data", "cifar10"], "write SET=PATH"),
        (["--data", "imagenet=x"], "write SET=PATH"),
        (["tiny", "--show", "x.json"], "--show measures nothing"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(small.find, "folders", lambda: [tmp_path])
    result = run("bench", "small", *arguments, "-o", tmp_path / "r.json")
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "r.json").exists()


def test_a_set_that_cannot_be_read_is_a_usage_error(stubs: None, tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK no")
    result = run("bench", "small", "tiny", "--data", f"cifar10={tmp_path / 'broken.npz'}", "-o", tmp_path / "r.json")
    assert result.code == 2
    assert f"--data cifar10={tmp_path / 'broken.npz'}: " in result.err


def test_tables_of_results_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    small.save(made(), path)
    assert '"rmse":0.04' in path.read_text(encoding="utf-8")
    loaded = small.load(path)
    assert loaded.rows == made().rows
    (first, drawn), (_, models), (_, rivals), (_, asked) = report.tables(loaded)
    assert first.startswith("Test pictures: cifar10 10 (curves: 5). ")
    cells = dict(zip(drawn.columns, drawn.rows[0], strict=True))
    assert (cells["PSNR"], cells["MSE"], cells["RMSE"], cells["SSIM"]) == ("28.00 dB", "0.001600", "0.0400", "0.9000")
    assert cells["latents as floats"] == "32,768 bytes"
    cells = dict(zip(models.columns, models.rows[0], strict=True))
    assert cells["PSNR"] == "27.00 dB, below 27.70"
    assert (cells["RMSE"], cells["bytes"], cells["real rate"]) == ("0.0400", "153.6", "95.00 %")
    cells = dict(zip(rivals.columns, rivals.rows[0], strict=True))
    assert cells["tiny, same PSNR"] == f"{50 * 2**0.5:.1f}"
    assert cells["JPEG, same PSNR"] == f"{600 * 2**0.5:.1f} ({100 * 2**0.5:.1f})"
    assert cells["JPEG, same bytes"] == f"cannot: smallest is 600 bytes ({24 + 6 * math.log2(1.536):.2f} dB)"
    assert cells["WebP, same PSNR"] == "- (-)"
    assert asked.rows[0] == ("at most 100 bytes", "33", "29.90 dB", "0.9000", "99.5", "96.76 %")
    assert asked.rows[1][0] == "at least 38.0 dB: not reached"


def test_without_a_run_as_drawn_the_table_says_so() -> None:
    results = made()
    results.rows = [r for r in results.rows if r.kind != "drawn"]
    cells = report.tables(results)[0][1].rows[0]
    assert cells[4:] == ("not at hand", *["-"] * 4)


def test_markdown_has_a_text_before_each_table() -> None:
    blocks = markdown_of(report.tables(made())).split("\n\n")
    assert [block.startswith("| ") for block in blocks] == [False, True] * 4


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": "small 1", "rows": [{}]}'])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"r\.json"):
        small.load(path)


def test_another_model_of_a_name_is_measured_anew_on_every_set(
    sets: dict[str, Path], stubs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, _ = small.plan(["tiny"], sets)
    assert len(planned) > 1
    first = small.run(planned, sets, tmp_path)
    again = small.run(planned, sets, tmp_path, earlier=replace(first, codecs=first.codecs | {"tiny": "model other"}))
    assert {row.set for row in again.rows if row.codec == "tiny"} == set(planned)
    assert len(again.rows) == len(first.rows)
    calls: list[str] = []
    monkeypatch.setattr(small, "measure", lambda codec, *_: calls.append(codec.name))
    small.run(planned, sets, tmp_path, earlier=again)
    assert not calls
