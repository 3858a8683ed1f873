from __future__ import annotations

from caecodec.bench.metrics import claims, published


def test_every_claim_has_its_cost_and_its_source() -> None:
    table = claims.claims_table()
    assert table.columns == ("codec", "claim", "cost", "source")
    assert [cells[0] for cells in table.rows] == ["PULSE", "Cool-chic 5"]
    assert all(all(cells) for cells in table.rows)
    assert "not measured here" in claims.TITLE
    assert not any(cells[0] in published.load_curves() for cells in table.rows)
