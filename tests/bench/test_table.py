from __future__ import annotations

from caecodec.bench.table import Table, markdown_of

SMALL = Table(("a", "b"), (("x", "1"),))


def test_markdown_is_a_table() -> None:
    assert SMALL.markdown() == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_notes_are_a_list_below() -> None:
    assert Table(SMALL.columns, SMALL.rows, ("one", "two")).markdown() == f"{SMALL.markdown()}\n\n- one\n- two"


def test_each_table_has_what_it_is_about_above_it() -> None:
    assert markdown_of([("First:", SMALL), ("Second:", SMALL)]).split("\n\n") == [
        "First:", SMALL.markdown(), "Second:", SMALL.markdown(),
    ]  # fmt: skip
