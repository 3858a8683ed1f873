"""The stages of coding by name, so that a benchmark can time them; free while nobody watches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Around = Callable[[str], AbstractContextManager[None]]

_watching: list[Around] = []


def stage(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function that is a stage, or a part of one."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _watching:
                return function(*args, **kwargs)
            with _watching[-1](name):
                return function(*args, **kwargs)

        return call

    return decorated


@contextmanager
def watched(around: Around) -> Iterator[None]:
    """Within, every stage runs inside `around(its name)`, also where one calls another. One thread."""
    _watching.append(around)
    try:
        yield
    finally:
        _watching.pop()
