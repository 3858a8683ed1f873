"""What codecs of many pictures at once share."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def grouped(keys: Sequence[Key]) -> list[tuple[Key, list[int]]]:
    """Which of the keys are equal: each key that occurs, and where."""
    groups: dict[Key, list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    return list(groups.items())
