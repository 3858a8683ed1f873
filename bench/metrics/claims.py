"""What authors say of their codecs in a sentence, and what it costs: shown as their words, below what is compared.

A claim may be over other pictures, against another anchor or averaged otherwise than what stands above it.
"""

from __future__ import annotations

from dataclasses import dataclass

from caecodec.bench.table import Table

TITLE = "Claims of their authors, not measured here"


@dataclass(frozen=True, slots=True)
class Claim:
    """One codec: how good its authors say it is, what it costs, and where they say so."""

    codec: str
    claim: str
    cost: str
    source: str


CLAIMS = (
    Claim("PULSE", "the level of HM", "5.2 kMAC a pixel; 1080p decoded in 126 ms on one thread", "arXiv 2609.18602"),
    Claim(
        "Cool-chic 5",
        "BD-rate -3.9 % against VTM",
        "2 kMAC a pixel to decode; overfitted to each picture",
        "Orange-OpenSource/Cool-Chic",
    ),
)


def claims_table() -> Table:
    """Every claim with what it costs and its source."""
    return Table(("codec", "claim", "cost", "source"), tuple((c.codec, c.claim, c.cost, c.source) for c in CLAIMS))
