"""Training pictures: where they are found, and crops of those in memory."""

from __future__ import annotations

import threading

import pytest
import torch
from PIL import Image
from support import encoded, photograph

from caecodec.models.data import pictures


def test_the_pool_stops_at_its_bound() -> None:
    pool = pictures.Pool(torch.device("cpu"), seed=0, max_megapixels=0.01)
    picture = pictures.EncodedPicture("a.png", encoded(Image.fromarray(photograph(80, 80))))
    for _ in range(5):
        pool.add(picture, 64)
    assert pool.full
    assert len(pool) == 2


def test_drawing_while_another_thread_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "read", lambda _picture, _shrink=1.0: torch.zeros(4, 4, 3, dtype=torch.uint8))
    pool = pictures.Pool(torch.device("cpu"), seed=0)
    picture = pictures.EncodedPicture("a.png", b"")
    pool.add(picture, 2)
    adder = threading.Thread(target=lambda: [pool.add(picture, 2) for _ in range(3000)])
    adder.start()
    while adder.is_alive():
        pool.batch(1, 2)
    adder.join()
    assert len(pool) == 3001
