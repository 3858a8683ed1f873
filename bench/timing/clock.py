"""Exclusive time by stage: calls of objects are charged to stages, without a word of it in the objects' code.

A stage is entered by calling a function that `Clock.timed` returned, or a method of an object that `Clock.watch`
returned: what is called meanwhile and is a stage itself counts there.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

THE_REST = "the rest"  # what no stage takes
Object = TypeVar("Object")
Function = Callable[..., Any]


class Clock:
    """Seconds of every stage, in the order given, and of the rest."""

    def __init__(self, stages: Iterable[str]) -> None:
        self._seconds = dict.fromkeys((*stages, THE_REST), 0.0)
        self._stack = [THE_REST]
        self._since = 0.0

    def lap(self, work: Callable[[], Any]) -> dict[str, float]:
        """Seconds of every stage of `work`; they sum to what it took."""
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        self._since = time.perf_counter()
        work()
        self._switch()
        return dict(self._seconds)

    def timed(self, stage: str, function: Function) -> Function:
        """`function`, charged to `stage`."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._stack.append(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._stack.pop()

        return call

    def watch(self, inner: Object, stages: Mapping[str, str]) -> Object:
        """What stands for `inner`; calls of its methods, by name, are charged to stages."""
        return stand_in(inner, {name: functools.partial(self.timed, stage) for name, stage in stages.items()})

    def _switch(self) -> None:
        """Charge what has passed to the innermost stage."""
        now = time.perf_counter()
        self._seconds[self._stack[-1]] += now - self._since
        self._since = now


class _StandIn:
    def __init__(self, inner: Any, wrappers: Mapping[str, Callable[[Function], Function]]) -> None:
        self._inner, self._wrappers = inner, wrappers

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._wrappers[name](value) if name in self._wrappers else value


def stand_in(inner: Object, wrappers: Mapping[str, Callable[[Function], Function]]) -> Object:
    """What stands for `inner`: some of its methods, by name, go through a wrapper, all else is its own.

    What `inner` calls of itself does not.
    """
    return cast(Object, _StandIn(inner, wrappers))
