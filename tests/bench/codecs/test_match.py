from __future__ import annotations

from support import photograph

from caecodec.bench.codecs.match import best_within, nearest
from caecodec.bench.codecs.registry import open_codec


def test_the_best_file_within_a_size_is_the_largest_that_fits() -> None:
    codec = open_codec("jpeg")
    array = photograph(64, 64)
    found = best_within(codec, array, 1500)
    assert len(found.data) <= 1500 < len(codec.encode(array, found.quality + 1))
    assert found.bpp == 8 * len(found.data) / (64 * 64)
    assert best_within(codec, array, 10).quality == 1
    assert best_within(codec, array, 10**6).quality == 100


def test_the_quality_nearest_to_a_rate_is_found() -> None:
    rates = {quality: 0.1 * 1.3**quality for quality in range(10)}
    for wanted in (0.01, 0.1, 0.2, 0.4, 0.55, 99.0):
        asked: list[int] = []

        def rate(quality: int, asked: list[int] = asked) -> float:
            asked.append(quality)
            return rates[quality]

        found = nearest(rate, range(10), wanted)
        assert found == min(rates, key=lambda quality: abs(rates[quality] - wanted))
        assert len(asked) == len(set(asked)) <= 5
