"""`caecodec bench table` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from rd_rows import made, of_metrics
from support import Result, run

from caecodec.bench.metrics import claims, metrics, published
from caecodec.bench.rd import bd_tables
from caecodec.bench.rd.results import Results, Row, load_rd, save_rd


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Results of two codecs, one of which failed once and one of which was not there."""
    rows = [
        Row(codec, "1", quality, picture, 100, 80, factor * 100 * quality, 24.0 + 3 * quality, 4.0, parts=known)
        for codec, factor, known in (("jpeg", 2, None), ("webp", 1, None))
        for picture in ("a", "b")
        for quality in (1, 2, 3, 4)
    ]
    rows[-1] = Row("webp", "1", 4, "b", 100, 80, error="RuntimeError: broken")
    path = tmp_path / "rd.json"
    save_rd(Results(pictures={"a": "1", "b": "2"}, unavailable={"vvc": "no binary"}, rows=rows), path)
    return path


@pytest.fixture
def kodak(tmp_path: Path) -> Path:
    """Results of three codecs on the 24 pictures: caecodec at half of jpeg and twice of avif, whatever the metric."""
    factors = {"jpeg": (40.0,) * 3, "caecodec": (20.0,) * 3, "avif": (10.0,) * 3}
    save_rd(of_metrics(sorted(published.KODAK), **factors), tmp_path / "kodak.json")
    return tmp_path / "kodak.json"


def test_bd_prints_the_table_with_what_failed_and_why(measured: Path) -> None:
    done = run("bench", "table", measured, "--bd", "--anchor", "jpeg", "--markdown")
    assert (done.code, done.err) == (0, "")
    assert done.out.decode() == bd_tables.comparison_table(load_rd(measured), "jpeg").markdown() + "\n"
    assert "| webp | -50.0 % |" in done.out.decode()
    plain = run("bench", "table", measured, "--bd", "--anchor", "webp").out.decode()
    assert "+100.0 %" in plain
    assert "webp failed on b at quality 4: RuntimeError: broken" in plain
    assert "vvc could not be measured: no binary" in plain


def test_metrics_and_overhead_take_the_codecs_that_are_named(measured: Path) -> None:
    done = run("bench", "table", measured, "--metrics", "--codecs", "jpeg", "--markdown")
    assert done.code == 0
    assert "| jpeg, 1 |" in done.out.decode()
    assert "| webp, " not in done.out.decode()
    refused = run("bench", "table", measured, "--overhead")
    assert refused.code == 2
    assert "measure them again" in refused.err


def test_published_curves_are_refused_beside_other_pictures(measured: Path) -> None:
    refused = run("bench", "table", measured, "--bd", "--published", "vtm")
    assert refused.code == 2
    assert "these are other pictures" in refused.err


def test_bd_takes_one_metric_or_several_or_all(kodak: Path) -> None:
    found, two = load_rd(kodak), (metrics.PSNR, metrics.SSIMULACRA2)
    for asked, expected in (
        (["ms_ssim"], bd_tables.comparison_table(found, metric=metrics.MS_SSIM)),
        (["ms-ssim"], bd_tables.comparison_table(found, metric=metrics.MS_SSIM)),
        (["psnr", "ssimulacra2"], bd_tables.metrics_table(found, two)),
        (["all"], bd_tables.metrics_table(found, metrics.COMPARED)),
    ):
        options = [word for name in asked for word in ("--metric", name)]
        done = run("bench", "table", kodak, "--bd", *options, "--markdown")
        assert (done.code, done.err) == (0, "")
        assert done.out.decode() == expected.markdown() + "\n"
    assert "| BD-rate vs jpeg | PSNR | over | MS-SSIM | over | SSIMULACRA2 | over | pictures |" in done.out.decode()


def test_the_table_of_qualities_takes_one_metric(kodak: Path) -> None:
    arguments = ("bench", "table", kodak, "--against", "jpeg")
    done = run(*arguments, "--metric", "ssimulacra2", "--markdown")
    assert done.code == 0
    assert "| 24 pictures | SSIMULACRA2 | caecodec | jpeg, same SSIMULACRA2 |" in done.out.decode()
    refused = run(*arguments, "--metric", "all")
    assert refused.code == 2
    assert "this table is by one metric; --bd and --direct take several" in refused.err


def test_each_picture_stands_in_a_row_by_one_metric(kodak: Path) -> None:
    done = run("bench", "table", kodak, "--each", "--against", "jpeg,avif", "--metric", "ssimulacra2", "--markdown")
    assert (done.code, done.err) == (0, "")
    shown = done.out.decode()
    assert "| picture | quality | bytes | SSIMULACRA2 | jpeg, same bytes | avif, same bytes |" in shown
    assert shown.count("| kodim") == 2 * 24
    refused = run("bench", "table", kodak, "--each", "--metric", "all")
    assert refused.code == 2
    assert "this table is by one metric" in refused.err


@pytest.mark.parametrize("view", ["--metrics", "--overhead", "--efforts"])
def test_metric_is_refused_where_it_would_change_nothing(kodak: Path, view: str) -> None:
    refused = run("bench", "table", kodak, view, "--metric", "psnr")
    assert refused.code == 2
    assert f"--metric is not for {view}" in refused.err


@pytest.mark.parametrize("view", [(), ("--bd",), ("--direct", "caecodec")])
def test_an_unknown_metric_of_a_table_is_refused_with_those_that_exist(kodak: Path, view: tuple[str, ...]) -> None:
    refused = run("bench", "table", kodak, *view, "--metric", "vmaf")
    assert (refused.code, refused.out) == (2, b"")
    assert "no metric 'vmaf'; choose from psnr, ssim, ms_ssim, ssimulacra2 or all" in refused.err


def test_direct_prints_each_rival_with_its_range_then_the_claims_of_others(kodak: Path) -> None:
    arguments = ("bench", "table", kodak, "--direct", "caecodec", "--published", "hm,vtm")
    done = run(*arguments, "--markdown")
    assert (done.code, done.err) == (0, "")
    compared, claimed = done.out.decode().split(f"\n\n{claims.TITLE}:\n\n")
    found = load_rd(kodak)
    beside = published.select(["hm", "vtm"], found.pictures)
    assert compared == bd_tables.direct_table(found, "caecodec", metrics.COMPARED, None, beside).markdown()
    assert "| avif | +100.0 % | 26.0 to 38.0 dB | +100.0 % |" in compared
    assert "| jpeg | -50.0 % | 26.0 to 38.0 dB | -50.0 % |" in compared
    assert "| hm (published) |" in compared
    assert claimed == claims.claims_table().markdown() + "\n"
    assert "arXiv 2609.18602" in claimed
    assert "BD-rate -3.9 % against VTM" in claimed
    plain = run(*arguments, "--codecs", "jpeg", "--metric", "psnr").out.decode()
    assert "avif" not in plain
    assert "MS-SSIM" not in plain
    assert plain.index("hm (published)") < plain.index(claims.TITLE) < plain.index("PULSE")


def test_direct_is_refused_beside_another_table_and_for_a_codec_that_was_not_measured(kodak: Path) -> None:
    refused = run("bench", "table", kodak, "--direct", "caecodec", "--bd")
    assert refused.code == 2
    assert "--direct and --bd are two tables: ask for one" in refused.err
    refused = run("bench", "table", kodak, "--direct", "gif")
    assert refused.code == 2
    assert "no rows of gif; there are jpeg, caecodec, avif" in refused.err


def table_of(tmp_path: Path, *options: str, pictures: tuple[str, ...] = ("a", "b"), **factors: float) -> Result:
    """What `table` prints of codecs with these sizes at equal PSNR."""
    save_rd(made(pictures, **factors), tmp_path / "some.json")
    return run("bench", "table", tmp_path / "some.json", *options, "--markdown")


@pytest.mark.parametrize(
    ("factors", "columns"),
    [
        ({"caecodec": 1.0, "webp": 2.0}, "| caecodec | webp, same PSNR |"),  # one of the usual three
        ({"caecodec": 1.0, "mozjpeg": 2.0, "vvc": 1.0}, "| caecodec | mozjpeg, same PSNR | vvc, same PSNR |"),
        ({"jpeg": 4.0, "caecodec@5": 1.0}, "| caecodec@5 | jpeg, same PSNR |"),
        ({"jpeg": 4.0, "webp": 2.0}, "| jpeg | webp, same PSNR |"),
        ({"webp": 2.0}, "| webp |"),
    ],
)
def test_the_table_is_of_the_codecs_that_were_measured(tmp_path: Path, factors: dict[str, float], columns: str) -> None:
    done = table_of(tmp_path, **factors)
    assert (done.code, done.err) == (0, "")
    head, _, *rows = done.out.decode().splitlines()
    assert head == f"| 2 pictures | PSNR {columns}"
    of_others = [row for row in rows if not row.startswith("| quality ")]
    assert len(rows) - len(of_others) > 0
    assert len(of_others) == (2 if len(factors) > 1 else 0)


def test_a_usual_codec_measured_on_other_pictures_is_left_out(tmp_path: Path) -> None:
    results = made(caecodec=1.0, jpeg=4.0)
    results.rows += made(("c",), webp=2.0).rows
    save_rd(results, tmp_path / "r.json")
    done = run("bench", "table", tmp_path / "r.json", "--markdown")
    assert done.out.startswith(b"| 2 pictures | PSNR | caecodec | jpeg, same PSNR |\n")
    asked = run("bench", "table", tmp_path / "r.json", "--against", "jpeg,webp")
    assert asked.code == 2
    assert "no picture is measured in full by all of caecodec, jpeg, webp" in asked.err


def test_bd_is_against_the_first_codec_where_jpeg_was_not_measured(tmp_path: Path) -> None:
    for metric in ((), ("--metric", "all")):
        done = table_of(tmp_path, "--bd", *metric, avif=1.0, caecodec=0.5)
        assert (done.code, done.err) == (0, "")
        assert b"BD-rate vs avif" in done.out
        assert b"| caecodec | -50.0 % |" in done.out
    assert b"BD-rate vs jpeg" in table_of(tmp_path, "--bd", avif=1.0, jpeg=2.0).out


@pytest.mark.parametrize("options", [("--bd", "--anchor", "gif"), ("--against", "webp,gif")])
def test_a_codec_that_is_asked_for_and_was_not_measured_is_named(tmp_path: Path, options: tuple[str, ...]) -> None:
    refused = table_of(tmp_path, *options, caecodec=1.0, webp=2.0)
    assert (refused.code, refused.out) == (2, b"")
    assert "no rows of gif; there are caecodec, webp" in refused.err
