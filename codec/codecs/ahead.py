"""Work that is done a little before it is asked for."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(make: Callable[[Given], Made], given: Iterable[Given], workers: int) -> Iterator[Made]:
    """`make` of each, in order: as many at a time as there are workers, each a thread. With none, when it is taken.

    What it raises comes in its place; what lies behind is not begun.
    """
    if not workers:
        yield from map(make, given)
        return
    waiting: collections.deque[Future[Made]] = collections.deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for one in given:
            waiting.append(pool.submit(make, one))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
