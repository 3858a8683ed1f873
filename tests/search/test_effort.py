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
from torch import Tensor

import caecodec
from caecodec.codecs import tiling
from caecodec.codecs.codec import no_progress
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.native import library
from caecodec.engines.protocol import Chosen, Refinement
from caecodec.engines.torch.refine import Rounds, TorchTrial
from caecodec.entropy.fixed_point import ONE
from caecodec.entropy.order import PHASES, group_at
from caecodec.format import container
from caecodec.format.container import TILE
from caecodec.pictures import cells, picture, ssimulacra2
from caecodec.search import choice, improve
from caecodec.search import target as rate
from caecodec.search.effort import Effort
from caecodec.search.rounds import Wanted, chosen_again
from caecodec.tune import TUNES, Tune

with Image.open(Path(__file__).parents[1] / "data" / "photo.png") as _image:
    PHOTO = np.asarray(_image.convert("RGB"))[256:352, 128:256].copy()  # where it has most detail
PICTURE = picture.from_array(PHOTO)
QUALITY = 50


ENGINES = [
    pytest.param("native", marks=pytest.mark.skipif(not library.available(), reason=library.why_not())),
    "torch",
]


@pytest.fixture(scope="module", params=ENGINES)
def coder(request: pytest.FixtureRequest) -> PhotoCodec:
    """By either of those that have gradients."""
    return open_codec(engine=request.param, precision="float32" if request.param == "torch" else "auto")


@pytest.fixture(scope="module")
def on_torch() -> PhotoCodec:
    return open_codec(engine="torch", precision="float32")


def loss(coder: PhotoCodec, data: bytes, quality: int = QUALITY, tune: Tune = "eye") -> float:
    """R + lambda D in bits as searches see it, of the file as it is."""
    worth = coder.trade(coder.row(quality, tune), tune).searched(rounds=1)
    return 8 * len(data) + worth.cost(PHOTO, coder.decode(container.parse(data)).colour)


@pytest.mark.parametrize("tune", TUNES)
def test_more_effort_is_a_better_trade_of_rate_and_distortion(coder: PhotoCodec, tune: Tune) -> None:
    def mean(level: int) -> float:
        effort = Effort(level, tune=tune)
        files = {quality: choice.lossy(coder, PICTURE, quality, effort=effort) for quality in (30, 60)}
        return float(np.mean([np.log(loss(coder, data, quality, tune)) for quality, data in files.items()]))

    usual, once, little, more = (mean(level) for level in (2, 3, 4, 6))
    assert once < usual - 0.005
    assert little < once - 0.002
    assert more < little - 0.002


def test_rounding_optimised_for_rate_is_a_better_trade_of_squared_error(coder: PhotoCodec) -> None:
    plain, weighed = (
        np.mean(
            [
                np.log(loss(coder, choice.lossy(coder, PICTURE, q, effort=Effort(level, tune="psnr")), q, "psnr"))
                for q in (30, 60)
            ]
        )
        for level in (1, 2)
    )
    assert weighed < plain - 0.005


def test_what_a_search_looks_at_is_what_gets_better(coder: PhotoCodec) -> None:
    """At one quality, each tune's file is the better by its own measure of R + lambda D."""
    seen, squared = (choice.lossy(coder, PICTURE, QUALITY, effort=Effort(5, tune=tune)) for tune in TUNES)
    assert loss(coder, seen) < loss(coder, squared)
    assert loss(coder, squared, tune="psnr") < loss(coder, seen, tune="psnr")


def test_any_decoder_takes_the_file(coder: PhotoCodec) -> None:
    data = choice.encode(coder, PICTURE, 30, effort=Effort(5))
    assert caecodec.info(data).model_id == coder.model.info.id.hex()
    assert caecodec.decode(data).size == (PICTURE.width, PICTURE.height)


def test_the_public_function_takes_effort() -> None:
    assert len({caecodec.encode(PHOTO, QUALITY, effort=effort) for effort in (1, 2, 3, 4)}) == 4
    for wrong in (0, 10, True, 2.5):
        with pytest.raises(caecodec.UsageError, match="from 1 to 9"):
            caecodec.encode(PHOTO, effort=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("quality", [15, 85])
def test_the_differentiable_walk_is_the_exact_one(on_torch: PhotoCodec, quality: int, tune: Tune) -> None:
    tile = replace(next(on_torch.analyse(PICTURE)), tune=tune)
    size_bytes, latents = on_torch.cost_tile(tile, quality)
    worth = on_torch.trade(quality, tune)
    strength = np.broadcast_to(worth.strength(tile.strength, tile.activity), tile.y.shape[:2])
    gain, gain_z = (on_torch.engine.row(name, quality) for name in ("gain", "gain_z"))
    y = torch.from_numpy(tile.y * gain)[None].permute(0, 3, 1, 2)
    rounds = Rounds(on_torch.model, on_torch.engine, on_torch.tables)
    with torch.no_grad():
        psi, bits_z = rounds.psi(tile.z * gain_z, quality)
        weight = torch.from_numpy(worth.weight.copy())[None, :, None, None]
        usual = torch.from_numpy(np.float32(strength).copy())[None, None]
        y_hat, _, bits = rounds.walk(y, psi, quality, weight, usual)
    assert (float(bits) + bits_z) / 8 == pytest.approx(size_bytes, rel=0.03)  # tables are fitted, its densities are not
    values = y_hat[0].permute(1, 2, 0).numpy()
    assert np.mean(np.abs(values - latents / ONE) > 0.3) < 0.01  # some symbols lie on an edge


def test_the_gradient_of_a_walk_is_what_moving_a_latent_does(on_torch: PhotoCodec) -> None:
    tile = next(on_torch.analyse(PICTURE))
    gain, gain_z = (on_torch.engine.row(name, QUALITY) for name in ("gain", "gain_z"))
    y = torch.from_numpy(tile.y * gain)[None].permute(0, 3, 1, 2)
    rounds = Rounds(on_torch.model, on_torch.engine, on_torch.tables)
    psi, _ = rounds.psi(tile.z * gain_z, QUALITY)
    weight, strength = torch.ones(1, y.shape[1], 1, 1), torch.zeros(1, 1, *y.shape[2:])
    x = torch.from_numpy(PHOTO).permute(2, 0, 1)[None].float() / 255

    def error(y_hat: Tensor) -> Tensor:
        return (on_torch.engine.decoded(y_hat, QUALITY) - x).double().square().sum()

    y_hat, moved, _ = rounds.walk(y, psi, QUALITY, weight, strength)
    error(y_hat).backward()  # type: ignore[no-untyped-call]
    assert moved.grad is not None
    here = y_hat.detach().requires_grad_()
    error(here).backward()  # type: ignore[no-untyped-call]
    assert here.grad is not None
    # nothing is coded under the last group of a cell, so moving it moves the picture alone; means of later steps follow
    # every other, so there the two differ
    quarter = y.shape[1] // 4
    for phase, (i, j) in enumerate(PHASES):
        groups = [slice(group_at(step, phase) * quarter, (group_at(step, phase) + 1) * quarter) for step in range(4)]
        there, apart = moved.grad[0, :, i::2, j::2], here.grad[0, :, i::2, j::2]
        torch.testing.assert_close(there[groups[3]], apart[groups[3]], rtol=1e-3, atol=1e-5)
        assert (there[groups[0]] - apart[groups[0]]).abs().max() > 1e-3


@pytest.mark.parametrize(("level", "patience"), [(9, 5), (4, 2)])
def test_an_interruption_takes_what_there_is_and_asks_no_more(coder: PhotoCodec, level: int, patience: int) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > patience

    data = choice.encode(coder, PICTURE, QUALITY, effort=Effort(level, stop))
    assert patience < asked < patience + 5
    assert loss(coder, data) <= loss(coder, choice.encode(coder, PICTURE, QUALITY))


@pytest.mark.parametrize(("level", "codings"), [(2, 1), (3, 1), (4, 2)])
def test_only_before_a_long_search_is_a_picture_coded_without(
    coder: PhotoCodec, monkeypatch: pytest.MonkeyPatch, level: int, codings: int
) -> None:
    asked: list[int] = []
    usual = choice.lossy

    def lossy(*arguments: Any, **more: Any) -> bytes:
        asked.append(level)
        return usual(*arguments, **more)

    monkeypatch.setattr(choice, "lossy", lossy)
    choice.encode(coder, PICTURE, QUALITY, effort=Effort(level))
    assert len(asked) == codings


def test_every_tile_is_searched(coder: PhotoCodec) -> None:
    wide = picture.from_array(photograph(48, TILE + 200))

    def streams(level: int) -> list[bytes]:
        found = improve.improved(coder, wide, coder.analyse(wide), QUALITY, no_progress, Effort(level))
        return [coder.code_tile(tile, QUALITY)[0] for tile in found]

    usual, searched = streams(2), streams(3)
    assert len(usual) == len(searched) == 2
    assert usual[0] != searched[0]
    assert usual[1] != searched[1]


def test_a_search_that_went_wrong_is_not_taken(coder: PhotoCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = choice.encode(coder, PICTURE, QUALITY)
    wrong = np.full(next(coder.analyse(PICTURE)).y.shape[:2], 0.3, np.float32)
    monkeypatch.setattr(improve, "chosen_again", lambda trial, gain, tile, *_: Wanted(tile.y + 1, tile.y + 1, wrong))
    for effort in (4, 5):
        assert choice.encode(coder, PICTURE, QUALITY, effort=Effort(effort)) == usual


def test_a_search_leaves_alone_what_reaches_into_a_neighbouring_tile(coder: PhotoCodec) -> None:
    tile = next(coder.analyse(PICTURE))
    fixed = np.zeros(tile.y.shape[:2], bool)
    fixed[:, :3] = True
    worth = coder.trade(QUALITY, "psnr")
    task = Refinement(PHOTO, tile.y, tile.z, QUALITY, worth, tile.strength, fixed)

    def found(count: int) -> NDArray[np.float32]:
        gain = coder.engine.row("gain", QUALITY)
        return chosen_again(coder.engine.trial(task, coder.tables), gain, task, count).symbols * gain

    plain, searched = found(0), found(6)
    # what is coded before them moves means, hence whole symbols, only where these are near an edge
    assert np.mean(np.abs(searched - plain)[fixed] > 0.3) < 0.002
    assert np.mean(np.abs(searched - plain)[~fixed] > 0.3) > 0.004


def test_which_cells_reach_into_a_neighbouring_tile() -> None:
    first, second = tiling.tiles(TILE + 160, 96)
    extent = cells.count(TILE + 160, 96)
    np.testing.assert_array_equal(np.flatnonzero(tiling.border(first, 3, extent).all(axis=0)), [61, 62, 63])
    np.testing.assert_array_equal(np.flatnonzero(tiling.border(second, 3, extent).any(axis=0)), [0, 1, 2])
    only = next(tiling.tiles(96, 96))
    assert not tiling.border(only, 3, cells.count(96, 96)).any()


@pytest.mark.parametrize("shape", [(17, 40, 3), (33, 16), (1, 1, 3)])
def test_odd_and_gray_pictures_are_searched_too(coder: PhotoCodec, shape: tuple[int, ...]) -> None:
    array = photograph(*shape[:2]) if len(shape) == 3 else photograph(*shape[:2])[..., 0]
    for level in (3, 5):
        data = choice.encode(coder, picture.from_array(array), 40, effort=Effort(level))
        assert np.asarray(caecodec.decode(data)).shape == array.shape


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize(("size", "level"), [(763, 3), (763, 4), (1000, 5), (1500, 4)])
def test_targets_are_met_with_effort(coder: PhotoCodec, size: int, level: int, tune: Tune) -> None:
    measure = ssimulacra2.score if tune == "eye" else rate.psnr

    def shown(data: bytes) -> float:
        return measure(PHOTO, coder.decode(container.parse(data)).colour)

    def found(target: rate.Target, at: int) -> bytes:
        return rate.encode_to_target(coder, PICTURE, target, no_progress, Effort(at, tune=tune)).data

    usual, better = (found(rate.Target(size=size), at) for at in (2, level))
    assert len(better) <= size
    assert shown(better) > shown(usual)
    name = "ssimulacra2" if tune == "eye" else "psnr"
    smaller = found(rate.Target(**{name: shown(usual)}), level)
    assert len(smaller) <= len(usual)
    assert shown(smaller) >= shown(usual)


def test_ctrl_c_writes_the_best_so_far_and_ends_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.fromarray(PHOTO).save(name)
    steps = 0
    usual = TorchTrial.__call__

    def interrupted(self: TorchTrial, target: Any, strength: Any, *, slope: bool) -> Chosen:
        nonlocal steps
        steps += 1
        if steps == 3:
            signal.raise_signal(signal.SIGINT)
        return usual(self, target, strength, slope=slope)

    monkeypatch.setattr(TorchTrial, "__call__", interrupted)
    result = run("encode", "a.png", "b.png", "--effort", "9", "--engine", "torch")
    assert result.code == 130
    assert "a.png: interrupted; the best so far is written" in result.error_lines[0]
    assert steps == 4  # the last only looks at where it stands
    assert caecodec.decode(Path("a.cae").read_bytes()).size == (PICTURE.width, PICTURE.height)
    assert not Path("b.cae").exists()
