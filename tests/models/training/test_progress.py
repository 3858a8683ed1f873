"""What a run says: at once what it begins, and something at least every so often."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from caecodec.models.training import progress
from caecodec.models.training.progress import Teller


def console(stream: io.StringIO, *, terminal: bool = False) -> Console:
    return Console(file=stream, force_terminal=terminal, width=100)


def test_away_from_a_terminal_what_is_begun_is_a_line_at_once() -> None:
    stream = io.StringIO()
    with Teller("photo", console=console(stream)) as teller:
        teller.doing("reading pictures")
        assert stream.getvalue() == "photo: reading pictures\n"
        teller.at(0.0, "3 so far")  # not a line for every picture
        teller.say("held out: [b]a.png")
        teller.warn("bad.jpg: left out")
        for what in ("training", "validating", "training", "validating"):  # again and again in a long run
            teller.doing(what)
    lines = stream.getvalue().splitlines()
    assert lines[1:3] == ["photo: held out: [b]a.png", "caecodec: warning: bad.jpg: left out"]
    assert lines[3:] == ["photo: training", "photo: validating"]


def test_a_line_comes_though_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress.LINE_SECONDS == 30
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)
    stream = io.StringIO()
    with Teller("photo", console=console(stream)) as teller:
        teller.doing("training")
        teller.at(0.25, "step 7, 3.5 patches/s")
        deadline = time.monotonic() + 30
        while stream.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)  # as a step that takes long
    lines = stream.getvalue().splitlines()
    assert lines[0] == "photo: training"
    assert lines[1] == lines[2] == "photo: training, 25% of the run, step 7, 3.5 patches/s"


def test_what_has_just_begun_is_told_of_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress.FIRST_LINE_SECONDS == 5
    monkeypatch.setattr(progress, "FIRST_LINE_SECONDS", 0.02)
    stream = io.StringIO()
    with Teller("photo", console=console(stream)) as teller:
        teller.doing("reading pictures")
        teller.at(0.0, "12 so far")
        deadline = time.monotonic() + 20  # the line of every 30 seconds would come too late
        while stream.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert stream.getvalue().splitlines()[:3] == [
        "photo: reading pictures",
        *["photo: reading pictures, 12 so far"] * 2,
    ]


def test_other_processes_warn_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    stream = io.StringIO()
    with Teller("photo", quiet=True, console=console(stream)) as teller:
        teller.doing("training")
        teller.say("held out")
        time.sleep(0.1)
        teller.warn("bad.jpg")
    assert stream.getvalue() == "caecodec: warning: bad.jpg\n"


def test_a_terminal_shows_what_is_being_done_beside_a_bar() -> None:
    stream = io.StringIO()
    with Teller("photo", console=console(stream, terminal=True)) as teller:
        teller.doing("reading pictures")
        teller.at(0.0, "12 so far")
    shown = stream.getvalue()
    assert "photo" in shown
    assert "reading pictures, 12 so far" in shown
    assert "photo: reading" not in shown
