from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from support import photograph, run

import caecodec
from caecodec import container, pixels, rate, tiling
from caecodec.base import Effort, no_progress
from caecodec.codec import open_codec
from caecodec.container import TILE
from caecodec.engine import Engine
from caecodec.photo import Analysed, PhotoCodec, border
from caecodec.refine import Refiner, soft_round

with Image.open(Path(__file__).parent / "data" / "photo.png") as _image:
    PHOTO = np.asarray(_image.convert("RGB"))[256:352, 128:256].copy()  # where it has most detail
PICTURE = pixels.from_array(PHOTO)
QUALITY = 50


@pytest.fixture(scope="module")
def coder() -> PhotoCodec:
    return open_codec(precision="float32")


def loss(coder: PhotoCodec, data: bytes, quality: int = QUALITY) -> float:
    """R + lambda D in bits per pixel, of the file as it is."""
    bpp = 8 * len(data) / (PICTURE.width * PICTURE.height)
    return bpp + coder._lambda(quality) * pixels.mse(PHOTO, coder.decode(container.parse(data)).colour)


def test_more_effort_is_a_better_trade_of_rate_and_distortion(coder: PhotoCodec) -> None:
    def mean(level: int) -> float:
        files = {quality: coder.encode(PICTURE, quality, effort=Effort(level)) for quality in (30, 50, 80)}
        return float(np.mean([np.log(loss(coder, data, quality)) for quality, data in files.items()]))

    found = [mean(level) for level in (1, 2, 3, 4, 6)]
    assert found[1] < found[0] - 0.005
    assert found[2] < found[1] - 0.002
    assert found[3] < found[2]
    assert found[4] < found[3] - 0.003


def test_any_decoder_takes_the_file(coder: PhotoCodec) -> None:
    data = coder.encode(PICTURE, 30, effort=Effort(5))
    assert caecodec.info(data).model_id == coder.model.info.id.hex()
    assert caecodec.decode(data).size == (PICTURE.width, PICTURE.height)


def test_the_public_function_takes_effort() -> None:
    quick, slow = (caecodec.encode(PHOTO, QUALITY, effort=effort) for effort in (1, 3))
    assert quick != slow
    for wrong in (0, 10, True, 2.5):
        with pytest.raises(caecodec.UsageError, match="from 1 to 9"):
            caecodec.encode(PHOTO, effort=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("quality", [15, 85])
def test_the_differentiable_entropy_model_counts_the_bits_of_the_exact_one(coder: PhotoCodec, quality: int) -> None:
    tile = next(coder.analyse(PICTURE))
    gain, gain_z, _ = coder.engine.gains(quality)
    size_bytes, latents = coder.latents.cost(tile.y * gain, tile.z * gain_z, quality)
    refiner = Refiner(coder.model, coder.engine)
    y, z = (torch.from_numpy(v)[None].permute(0, 3, 1, 2) for v in (tile.y * gain, tile.z * gain_z))
    with torch.no_grad():
        bits, x_hat = refiner._pass(y, z, quality, 1e-4, torch.Generator().manual_seed(1))
    assert float(bits) / 8 == pytest.approx(size_bytes, rel=0.02)
    shown = (x_hat[0].permute(1, 2, 0).numpy() * 255).clip(0, 255)
    assert np.abs(shown - coder.engine.synthesise(latents, quality)).mean() < 2.0  # some symbols lie on an edge


def test_soft_rounding_is_rounding_when_cold() -> None:
    x = torch.tensor([-1.9, -0.6, -0.1, 0.2, 0.9, 3.4])
    cold = soft_round(x, 0.01, torch.Generator().manual_seed(2))
    torch.testing.assert_close(cold, torch.tensor([-2.0, -1.0, 0.0, 0.0, 1.0, 3.0]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("level", "patience"), [(9, 5), (4, 2)])
def test_an_interruption_takes_what_there_is_and_asks_no_more(coder: PhotoCodec, level: int, patience: int) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > patience

    data = coder.encode(PICTURE, QUALITY, effort=Effort(level, stop))
    assert patience < asked < patience + 5
    assert loss(coder, data) <= loss(coder, coder.encode(PICTURE, QUALITY))


def test_a_refinement_that_went_wrong_is_not_taken(coder: PhotoCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = coder.encode(PICTURE, QUALITY)
    monkeypatch.setattr(Refiner, "__call__", lambda self, pixels, y, z, *rest: (y + 1, z))
    wrong = np.random.default_rng(1).normal(0, 1e6, (6, 8, 320)).astype(np.float32)
    monkeypatch.setattr(Engine, "slope", lambda self, pixels, y_hat, quality: wrong)
    for effort in (3, 4, 5):
        assert coder.encode(PICTURE, QUALITY, effort=Effort(effort)) == usual


def test_rounding_again_leaves_alone_what_reaches_into_a_neighbouring_tile(
    coder: PhotoCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = np.zeros((6, 8), bool)
    fixed[:, :3] = True
    monkeypatch.setattr("caecodec.photo.border", lambda *_: fixed)
    asked: list[Analysed] = []
    usual = PhotoCodec._traded

    def watched(self: PhotoCodec, pixels: Any, tile: Analysed, quality: int) -> Any:
        asked.append(tile)
        return usual(self, pixels, tile, quality)

    monkeypatch.setattr(PhotoCodec, "_traded", watched)
    coder.encode(PICTURE, QUALITY, effort=Effort(4))
    first, *others = asked
    assert len(others) == 4
    for other in others:
        np.testing.assert_allclose(other.y[fixed], first.y[fixed], rtol=1e-5, atol=1e-6)
        assert np.abs(other.y[~fixed] - first.y[~fixed]).max() > 1e-3
        assert other.y.dtype == np.float32
        np.testing.assert_array_equal(other.strength, np.where(fixed, np.float32(0.3), np.float32(0.45)))


def test_a_strength_for_each_cell_is_that_of_its_cells(coder: PhotoCodec) -> None:
    tile = next(coder.analyse(PICTURE))
    one, each = (
        coder.cost_tile(replace(tile, strength=strength), QUALITY)
        for strength in (0.4, np.full(tile.y.shape[:2], 0.4, np.float32))
    )
    assert one[0] == pytest.approx(each[0], rel=1e-4)
    assert np.mean(one[1] != each[1]) < 1e-3  # 0.4 is another number in float32
    harder = np.full(tile.y.shape[:2], 0.3, np.float32)
    harder[3:] = 5.0
    symbols = coder.cost_tile(replace(tile, strength=harder), QUALITY)[1]
    assert np.abs(symbols[3:]).sum() < 0.9 * np.abs(one[1][3:]).sum()


def test_the_slope_is_how_the_error_grows(coder: PhotoCodec) -> None:
    tile = next(coder.analyse(PICTURE))
    _, latents = coder.cost_tile(tile, QUALITY)
    slope = coder.engine.slope(PHOTO, latents, QUALITY)
    assert slope.shape == latents.shape

    def error(y_hat: NDArray[np.int32]) -> float:
        with torch.no_grad():
            x_hat = coder.engine.decoded(torch.from_numpy(y_hat / 1024).float()[None].permute(0, 3, 1, 2), QUALITY)
        return float(((x_hat[0].permute(1, 2, 0).double() * 255 - torch.from_numpy(PHOTO)) ** 2).sum())

    for place in ((0, 0, 0), (2, 3, 1), (5, 7, 40)):
        there, back = latents.copy(), latents.copy()
        there[place] += 32
        back[place] -= 32
        assert slope[place] == pytest.approx((error(there) - error(back)) * 1024 / 64, rel=0.1, abs=2.0)


def test_cells_that_reach_into_a_neighbouring_tile_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tiling.tiles(TILE + 160, 96)
    extent = tiling.cells(TILE + 160, 96)
    np.testing.assert_array_equal(np.flatnonzero(border(first, 3, extent).all(axis=0)), [61, 62, 63])
    np.testing.assert_array_equal(np.flatnonzero(border(second, 3, extent).any(axis=0)), [0, 1, 2])
    only = next(tiling.tiles(96, 96))
    assert not border(only, 3, tiling.cells(96, 96)).any()

    coder = open_codec(precision="float32")
    picture = pixels.from_array(PHOTO)
    tile = next(coder.analyse(picture))
    fixed = np.zeros(tile.y.shape[:2], bool)
    fixed[:, :3] = True
    y, _ = Refiner(coder.model, coder.engine)(PHOTO, tile.y, tile.z, QUALITY, 3, fixed)
    np.testing.assert_allclose(y[fixed], tile.y[fixed], rtol=1e-5, atol=1e-6)
    assert np.abs(y[~fixed] - tile.y[~fixed]).max() > 1e-4


@pytest.mark.parametrize("shape", [(17, 40, 3), (33, 16), (1, 1, 3)])
def test_odd_and_gray_pictures_are_refined_too(coder: PhotoCodec, shape: tuple[int, ...]) -> None:
    array = photograph(*shape[:2]) if len(shape) == 3 else photograph(*shape[:2])[..., 0]
    data = coder.encode(pixels.from_array(array), 40, effort=Effort(5))
    assert np.asarray(caecodec.decode(data)).shape == array.shape


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("size", [763, 1000, 1500])
def test_targets_are_met_with_effort(coder: PhotoCodec, level: int, size: int) -> None:
    def shown(data: bytes) -> float:
        return rate.psnr(PHOTO, coder.decode(container.parse(data)).colour)

    usual = rate.encode_to_target(coder, PICTURE, rate.Target(size=size), no_progress)
    found = rate.encode_to_target(coder, PICTURE, rate.Target(size=size), no_progress, Effort(level))
    assert len(found.data) <= size
    assert shown(found.data) > shown(usual.data)
    smaller = rate.encode_to_target(coder, PICTURE, rate.Target(psnr=shown(usual.data)), no_progress, Effort(level))
    assert len(smaller.data) <= len(usual.data)
    assert shown(smaller.data) >= shown(usual.data)


def test_ctrl_c_writes_the_best_so_far_and_ends_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.fromarray(PHOTO).save(name)
    steps = 0
    usual = Refiner._pass

    def interrupted(self: Refiner, *arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 3:
            signal.raise_signal(signal.SIGINT)
        return usual(self, *arguments)

    monkeypatch.setattr(Refiner, "_pass", interrupted)
    result = run("encode", "a.png", "b.png", "--effort", "9")
    assert result.code == 130
    assert "a.png: interrupted; the best so far is written" in result.error_lines[0]
    assert steps == 3
    assert caecodec.decode(Path("a.cae").read_bytes()).size == (PICTURE.width, PICTURE.height)
    assert not Path("b.cae").exists()
