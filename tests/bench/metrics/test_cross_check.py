"""The committed measurements against what others published: a wrong size, colour or mean would show here."""

from __future__ import annotations

from pathlib import Path

import pytest

from caecodec.bench.metrics import bdrate, published
from caecodec.bench.metrics.metrics import MS_SSIM, PSNR, Metric
from caecodec.bench.rd import bd_tables
from caecodec.bench.rd.results import Results, load_rd

FILE = Path(__file__).parents[3] / "bench" / "results" / "rd-kodak.json"


@pytest.fixture(scope="module")
def kodak() -> Results:
    return load_rd(FILE)


def measured(kodak: Results, codec: str, metric: Metric = PSNR) -> bdrate.Curve:
    """The codec's mean curve over all of Kodak; the test is skipped while it is not measured."""
    complete = kodak.complete(codec)
    if complete != published.KODAK:
        pytest.skip(f"{FILE.name} has {codec} on {len(complete)} of the 24 pictures")
    return kodak.mean_curve(codec, complete, metric)


def test_jpeg_is_the_jpeg_that_compressai_published(kodak: Results) -> None:
    delta = bdrate.bd_rate(published.load_curves()["jpeg"].curve(), measured(kodak, "jpeg"))
    assert delta == pytest.approx(0, abs=2)


def test_webp_is_the_webp_that_compressai_published(kodak: Results) -> None:
    delta = bdrate.bd_rate(published.load_curves()["webp"].curve(), measured(kodak, "webp"))
    assert delta == pytest.approx(0, abs=2)


def test_ms_ssim_of_webp_is_the_ms_ssim_that_compressai_published(kodak: Results) -> None:
    # so a BD-rate by MS-SSIM against their curves is of one measure
    delta = bdrate.bd_rate(published.load_curves()["webp"].curve(MS_SSIM), measured(kodak, "webp", MS_SSIM))
    assert delta == pytest.approx(0, abs=1)


def test_vvc_medium_needs_a_tenth_more_than_the_reference_encoder(kodak: Results) -> None:
    delta = bdrate.bd_rate(published.load_curves()["vtm"].curve(), measured(kodak, "vvc"))
    assert delta is not None
    assert 5 < delta < 15


def test_avif_needs_half_of_jpeg(kodak: Results) -> None:
    measured(kodak, "jpeg"), measured(kodak, "avif")
    delta = bd_tables.compare(kodak, "avif", "jpeg").bd_rate
    assert delta is not None
    assert -54 < delta < -46


def test_no_codec_failed_and_every_row_of_a_part_sums_to_its_file(kodak: Results) -> None:
    assert kodak.rows
    assert kodak.failures == []
    for row in kodak.rows:
        assert row.parts is None or sum(row.parts.values()) == row.bytes
        assert row.psnr is not None
        assert row.mse is not None
        assert (row.width * row.height) == 768 * 512
        if row.psnr != float("inf"):
            assert 10 ** (row.psnr / 10) * row.mse == pytest.approx(255**2, rel=1e-3)
