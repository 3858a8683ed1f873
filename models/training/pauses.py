"""What a run stops learning for: checkpoints, and validations by the clock."""

from __future__ import annotations

MOST_SHARE = 0.05  # of a run's time that is given to one kind of pause


class Pause:
    """When a run stops for one kind of thing: first after `first` seconds, then every so many minutes.

    Less often where that takes so long that more than MOST_SHARE of the time would go to it: on two slow cores a
    validation of two and a half minutes, every four, took a third of a run. Times are seconds on any one clock.
    """

    def __init__(self, minutes: float, begun: float, first: float | None = None) -> None:
        self._between = 60 * minutes
        self._next = begun + min(self._between if first is None else first, self._between)

    def due(self, now: float) -> bool:
        """Whether it is time."""
        return now >= self._next

    def done(self, begun: float, ended: float) -> None:
        """The run stopped for it from `begun` to `ended`."""
        self._next = ended + max(self._between, (ended - begun) / MOST_SHARE)
