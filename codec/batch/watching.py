"""Whoever wants to know how a batch goes: a terminal, a notebook, nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Watcher(Protocol):
    """Told of every file as it is worked on."""

    def note(self, source: str, text: str) -> None:
        """Something that was lost on the way."""

    def interrupted(self, source: str) -> None:
        """A search ended early: the best so far is the output."""

    def listening(self, source: str) -> AbstractContextManager[None]:
        """Around a library that writes to the standard error of the process (libtiff), so that it can be told."""

    def progress(self, source: str) -> AbstractContextManager[Callable[[float], None]]:
        """Around the coding of one file: gives what is told the share done, 0..1."""

    def interruptible(self, enabled: bool) -> AbstractContextManager[Callable[[], bool]]:
        """Around work that may end early where `enabled`: gives what says that it should."""


class Nobody:
    """Tells nothing and never stops."""

    def note(self, source: str, text: str) -> None:
        return

    def interrupted(self, source: str) -> None:
        return

    @contextmanager
    def listening(self, source: str) -> Iterator[None]:
        yield

    @contextmanager
    def progress(self, source: str) -> Iterator[Callable[[float], None]]:
        yield lambda share: None

    @contextmanager
    def interruptible(self, enabled: bool) -> Iterator[Callable[[], bool]]:
        yield lambda: False
