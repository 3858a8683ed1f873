"""Where the time goes: stages add up to the whole, and nothing is counted twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph, run

from caecodec.bench.timing import stages
from caecodec.codecs.opening import open_codec
from caecodec.codecs.photo import PhotoCodec
from caecodec.engines.native import library
from caecodec.errors import UsageError
from caecodec.format import container
from caecodec.pictures.picture import from_array
from caecodec.search import choice
from caecodec.stages import watched


def test_stages_add_up_to_the_whole() -> None:
    found = stages.breakdown(from_array(photograph(256, 192)), 50, rounds=2)
    assert list(found) == ["encode", "decode"]
    for name, result in found.items():
        assert sum(result.seconds.values()) == pytest.approx(result.total)
        busy = {stage for stage, seconds in result.seconds.items() if seconds > 0}
        integers = {"integers: h_s", "integers: context", "integers: heads", "entropy coder"}
        assert ({"latents"} if library.available() else integers) <= busy
        assert ("g_a" in busy, "g_s" in busy) == ((True, False) if name == "encode" else (False, True))
        assert 0 < result.share(*stages.LATENTS) < 1
        assert result.gigamacs > 0


def test_what_networks_reach_counts_their_weights_wherever_they_are_used() -> None:
    picture, coder = from_array(photograph(64, 128)), open_codec()
    assert isinstance(coder, PhotoCodec)
    config = coder.model.info.config
    w, n, d = config["gs_width"], config["n"], config["gs_depth"]
    cell = n * 4 * w + n * 768 + 4 * (d * (6 * w * w + 9 * w) + 9 * w * 192)  # multiply-accumulates of 16x16 pixels
    assert stages.macs(coder, "decode", picture) == cell * 4 * 8
    w, h, d = config["ga_width"], config["hyper_width"], config["ga_depth"]
    cell = 4 * (192 * w + d * (6 * w * w + 9 * w)) + 9 * w * n + 768 * n  # g_a
    block = 6 * h * h + 9 * h
    cell += n * h + block + (4 * h * h + block) / 4 + 4 * h * config["z"] / 16
    assert stages.macs(coder, "encode", picture) == cell * 4 * 8


def test_every_stage_of_the_codec_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, coder = from_array(photograph(72, 104)), open_codec()
    seen = set()

    @contextlib.contextmanager
    def noted(stage: str) -> Iterator[None]:
        seen.add(stage)
        yield

    with watched(noted):
        data = choice.encode(coder, picture, 60)
        coder.decode(container.parse(data))
        assert np.array_equal(
            open_codec(engine="numpy").decode(container.parse(data)).colour, coder.decode(container.parse(data)).colour
        )
    assert {"g_a", "g_s", "lossless look"} < seen <= set(stages.STAGES)
    assert choice.encode(coder, picture, 60) == data


def test_a_picture_without_a_network_is_refused() -> None:
    drawing = np.zeros((128, 128, 3), np.uint8)
    drawing[::8] = 255
    with pytest.raises(UsageError, match="losslessly"):
        stages.breakdown(from_array(drawing), 90)


def test_the_command_shows_stages_and_a_cold_start(tmp_path: Path) -> None:
    Image.fromarray(photograph(96, 128)).convert("L").save(tmp_path / "a.png")
    command = ["bench", "stages", tmp_path / "a.png", "--threads", "1", "--rounds", "1", "--megapixels", "0.02"]
    result = run(*command, "--markdown")
    assert result.code == 0, result.err
    for shown in ("g_s", "lossless look", "MP/s", "import numpy", "a second picture"):
        assert shown.encode() in result.out
    (tmp_path / "b.png").write_text("no picture")
    assert run("bench", "stages", tmp_path / "b.png").code == 3


def test_only_photo_models_are_broken_down() -> None:
    with pytest.raises(UsageError, match="photo"):
        stages.breakdown(from_array(photograph(32, 32)), 50, model="tiny")
