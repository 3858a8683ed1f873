"""A short share of every campaign; `make campaigns` runs them whole (docs/security.md has what they found)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import disks
import run

pytestmark = [
    pytest.mark.long,
    pytest.mark.campaign,
    pytest.mark.skipif(sys.platform != "linux", reason="campaigns read memory in /proc, which only Linux has"),
]


@pytest.mark.parametrize("name", run.CAMPAIGNS)
def test_a_short_share_of_a_campaign_finds_nothing(name: str) -> None:
    if name.startswith("C10") and disks.lacks():
        pytest.skip(disks.lacks())
    campaign, _, share = run.CAMPAIGNS[name]
    report = campaign(share)
    assert report.failures == []
    assert report.inputs >= share
