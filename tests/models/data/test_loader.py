"""The thread that reads pictures beside training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from support import photograph

from caecodec.models.data import loader as loading
from caecodec.models.data import pictures
from caecodec.models.data.loader import Loader


def test_shards_that_arrive_later_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "RESCAN_SECONDS", 0.05)
    Image.fromarray(photograph(80, 80, seed=0)).save(tmp_path / "a.png")
    pool = pictures.Pool(torch.device("cpu"), seed=0)
    loader = Loader(pool, [tmp_path], 64, (0, 1))
    loader.start()
    assert loader.first_pass_done.wait(30)
    assert len(pool) == 1
    Image.fromarray(photograph(80, 80, seed=1)).save(tmp_path / "hidden.tmp", "PNG")
    (tmp_path / "hidden.tmp").rename(tmp_path / "b.png")
    for _ in range(600):
        if len(pool) == 2:
            break
        loader.join(0.05)
    assert len(pool) == 2
    loader.stop()


def test_every_process_gets_its_share_of_a_folder(tmp_path: Path) -> None:
    for i in range(5):
        Image.fromarray(photograph(80, 80, seed=i)).save(tmp_path / f"{i}.png")
    shares = []
    for rank in range(2):
        pool = pictures.Pool(torch.device("cpu"), seed=0)
        loader = Loader(pool, [tmp_path], 64, (rank, 2))
        loader.start()
        assert loader.first_pass_done.wait(30)
        loader.stop()
        shares.append(len(pool))
    assert shares == [2, 3]


def test_what_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(photograph(80, 80)).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8 not a picture")
    (tmp_path / "partial.tar").write_bytes(b"x" * 700)
    warnings: list[str] = []
    pool = pictures.Pool(torch.device("cpu"), seed=0)
    loader = Loader(pool, [tmp_path], 64, (0, 1), warnings.append)
    loader.start()
    assert loader.first_pass_done.wait(30)
    loader.stop()
    assert loader.failure is None
    assert len(pool) == 1
    assert any("bad.jpg" in w for w in warnings)
    assert any("partial.tar" in w for w in warnings)
