from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_pictures import Dropping, meter, row
from support import photograph
from support import run as command

from caecodec.bench.small import run
from caecodec.bench.small.codecs import Batch
from caecodec.bench.small.results import MODELS
from caecodec.bench.small.run import PSNR_CAP, WITHOUT_TARGET, at_target, measure_codec, measure_drawn, spread, unit
from caecodec.bench.small.search import MARGIN
from caecodec.codecs.opening import open_codec
from caecodec.errors import UsageError
from caecodec.models.export.model_file import new_model
from caecodec.models.training import losses


def test_the_target_is_the_published_one_or_as_drawn_less_three_tenths() -> None:
    drawn = row("drawn", "mnist", 0, 1225, 30.0)
    both = meter(20.0), meter(20.0)
    assert at_target(MODELS["mnist"], drawn, *both).asked_psnr == pytest.approx(29.7)
    assert at_target(MODELS["cifar10"], drawn, *both).asked_psnr == 27.7
    assert at_target(MODELS["cifar100"], None, *both).asked_psnr == 23.65
    nothing = at_target(MODELS["mnist"], None, *both)
    assert (nothing.quality, nothing.asked_psnr) == (WITHOUT_TARGET, None)


def test_measures_are_those_of_the_definition() -> None:
    pictures = np.stack([photograph(32, 32, seed) for seed in range(3)])

    class Damaged(Dropping):
        def encode(self, given: Batch, quality: int) -> list[bytes]:
            return [bytes(n) for n in (10, 20, 60)[: len(given)]]

        def decode(self, files: list[bytes]) -> Batch:
            wrong = pictures.copy()
            wrong[1] ^= 1  # every sample is off by one
            wrong[2] ^= 2
            return wrong

    found = measure_codec(Damaged("x"), "cifar10", pictures, 7)
    expected = [PSNR_CAP, 20 * math.log10(255), 20 * math.log10(255 / 2)]
    assert found.psnr == pytest.approx(sum(expected) / 3, abs=1e-4)  # the identical one counts as the cap
    assert found.mse == pytest.approx((0 + 1 + 4) / 3 / 255**2)
    assert found.rmse == pytest.approx(math.sqrt(5 / 3) / 255)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    x_hat = torch.from_numpy(Damaged("x").decode([])).permute(0, 3, 1, 2) / 255
    assert found.ssim == pytest.approx(float(losses.ssim(x_hat, x).mean()), abs=1e-6)
    assert (found.bytes, found.quality, found.pictures) == (30.0, 7, 3)


def test_a_part_of_a_set_is_spread_over_the_whole() -> None:
    pictures = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    assert spread(pictures, 4).ravel().tolist() == [0, 2, 5, 7]
    assert spread(pictures, None) is spread(pictures, 10) is pictures


def test_as_drawn_is_measured_on_floats_and_counts_its_latents_and_places(tmp_path: Path) -> None:
    pictures = np.stack([photograph(28, 28, seed)[..., :1] for seed in range(3)])
    model = new_model("autoencoder", {"kind": "mnist", "form": "drawn"}).eval()
    path = tmp_path / "weights.pt"
    recipe = '[model]\nfamily = "autoencoder"'
    torch.save({"recipe": recipe, "config": model.config.to_dict(), "ema": model.state_dict()}, path)
    found = measure_drawn(path, "mnist", "mnist", pictures)
    assert found is not None
    x = unit(pictures)
    with torch.no_grad():
        x_hat = model(x)["x_hat"]
    assert found.mse == pytest.approx(float((x_hat - x).square().mean()), rel=1e-5)
    assert found.bytes == 4 * 4 * 7 * 7 + (8 * 14 * 14 + 4 * 7 * 7) / 4
    assert measure_drawn(tmp_path / "none.pt", "mnist", "mnist", pictures) is None
    with pytest.raises(UsageError, match=r"28x28x1, mnist holds 32x32x3"):
        measure_drawn(path, "mnist", "mnist", np.zeros((1, 32, 32, 3), np.uint8))


def test_models_and_sets_that_are_missing_are_named_and_the_rest_is_measured(
    sets: dict[str, Path], stubs: None, tmp_path: Path
) -> None:
    file, drawing = tmp_path / "out" / "r.json", tmp_path / "fig" / "f.png"
    data = [argument for name, path in sets.items() for argument in ("--data", f"{name}={path}")]
    options = ["--training", tmp_path, "-o", file, "--markdown", "--figure", drawing, "--curve-pictures", "1"]
    result = command("bench", "small", *data, *options)
    assert result.code == 0, result.err
    warned = [line.removeprefix("caecodec: warning: ").split(" is skipped: ") for line in result.error_lines]
    assert [who for who, _ in warned] == [
        "cifar100", "cifar10-dense", "fashion-mnist", "mnist-fixed", "tiny on cifar100", "tiny on fashion-mnist",
    ]  # fmt: skip
    assert warned[0][1] == "the model is not installed"
    assert warned[4][1] == "no --data cifar100=PATH"
    lines = result.out.decode().splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")] == [
        "| source", "| ---", "| cifar10", "| mnist",
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
    shown = command("bench", "small", "--show", file, "--markdown")
    assert (shown.code, shown.out) == (0, result.out)


def test_bytes_are_those_of_whole_files(sets: dict[str, Path], stubs: None, tmp_path: Path) -> None:
    planned, _ = run.plan(["cifar10"], sets)
    results = run.measure_small(planned, sets, tmp_path)
    (found,) = results.of("operating", "cifar10", "cifar10")
    assert found.quality is not None
    assert found.psnr >= 27.7 == found.asked_psnr
    assert found.bytes == 16 + 10 * found.quality  # the container, and the stream
    curve = {r.quality: r for r in results.of("curve", "cifar10", "cifar10")}
    assert curve[found.quality - 1].psnr < 27.7 + MARGIN


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
    monkeypatch.setattr(run.find, "folders", lambda: [tmp_path])
    result = command("bench", "small", *arguments, "-o", tmp_path / "r.json")
    assert result.code == 2
    assert message in result.err
    assert not (tmp_path / "r.json").exists()


def test_a_set_that_cannot_be_read_is_a_usage_error(stubs: None, tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK no")
    result = command(
        "bench", "small", "tiny", "--data", f"cifar10={tmp_path / 'broken.npz'}", "-o", tmp_path / "r.json"
    )
    assert result.code == 2
    assert f"--data cifar10={tmp_path / 'broken.npz'}: " in result.err


def test_another_model_of_a_name_is_measured_anew_on_every_set(
    sets: dict[str, Path], stubs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, _ = run.plan(["tiny"], sets)
    assert len(planned) > 1
    first = run.measure_small(planned, sets, tmp_path)
    again = run.measure_small(
        planned, sets, tmp_path, earlier=replace(first, codecs=first.codecs | {"tiny": "model other"})
    )
    assert {row.set for row in again.rows if row.codec == "tiny"} == set(planned)
    assert len(again.rows) == len(first.rows)
    calls: list[str] = []
    monkeypatch.setattr(run, "measure_codec", lambda codec, *_: calls.append(codec.name))
    run.measure_small(planned, sets, tmp_path, earlier=again)
    assert not calls


def test_rows_measured_beside_a_run_as_drawn_stay_when_its_weights_are_gone(tmp_path: Path) -> None:
    learned = open_codec("mnist")
    model = f"model {learned.model.info.id.hex()}"
    gone, there = tmp_path / "gone.pt", tmp_path / "there.pt"
    there.write_bytes(b"weights")
    assert run.version_of("mnist", learned, gone, f"{model}, as drawn 12345678") == f"{model}, as drawn 12345678"
    assert (
        run.version_of("mnist", learned, gone, "model 00000000, as drawn 12345678") == f"{model}, as drawn not at hand"
    )
    assert run.version_of("mnist", learned, gone, None) == f"{model}, as drawn not at hand"
    assert run.version_of("mnist", learned, there, f"{model}, as drawn 12345678") != f"{model}, as drawn 12345678"
    assert run.version_of("tiny", learned, gone, None) == model
