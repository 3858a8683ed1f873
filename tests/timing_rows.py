"""Results of `bench growth`, made up."""

from __future__ import annotations

from caecodec.bench.timing.results import Aim, BatchRow, GrowthResults, SizeRow


def grown(exponent: float = 1.5) -> GrowthResults:
    """One codec whose time is known, with spread below 2 megapixels."""
    sizes = [
        SizeRow("A", "1", 50, round(1000 * mp), 1000, mp, (s := mp**exponent, s), (2 * mp, 2 * mp), 100 * mp, 50.0)
        for mp in (0.1, 2.0, 12.0, 24.0)
    ]
    sizes[0] = SizeRow("A", "1", 50, 100, 1000, 0.1, (5.0, 9.0, 7.0), (5.0, 5.0), 10.0, 50.0)
    batches = [BatchRow("A", "1", 50, n, 0.4 * n, (1 + n / 10,), (1 + n / 20,), 300.0, 200.0) for n in (1, 10, 100)]
    return GrowthResults(Aim(bpp=0.75), 2, 3, sizes=sizes, batches=batches)
