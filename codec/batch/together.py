"""Many small pictures: coded together, some batches at a time, while the next are being read; and decoded together."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from caecodec.codecs.codec import Codec
from caecodec.format.container import Container
from caecodec.pictures.picture import Picture

Key = TypeVar("Key")
Made = TypeVar("Made")
WORKERS = 2  # matrix products and convolutions leave the interpreter to the other threads


def encoded(
    coder: Codec, pictures: Iterable[tuple[Key, Picture | Exception]], quality: int
) -> Iterator[tuple[Key, Picture | None, bytes | Exception]]:
    """Pictures that `coder` takes -> their files, in the same order; what could not be read is passed on.

    Holds a few batches at a time, however many pictures there are.
    """
    batch: list[tuple[Key, Picture | Exception]] = []
    waiting: collections.deque[tuple[list[tuple[Key, Picture | Exception]], Future[list[bytes]]]] = collections.deque()
    with ThreadPoolExecutor(WORKERS) as pool:

        def submit() -> None:
            some = [picture for _, picture in batch if isinstance(picture, Picture)]
            waiting.append((batch.copy(), pool.submit(coder.encode_many, some, quality) if some else _nothing()))
            batch.clear()

        try:
            for item in pictures:
                batch.append(item)
                if len(batch) >= coder.batch:
                    submit()
                if len(waiting) > WORKERS:
                    yield from _collect(coder, quality, *waiting.popleft())
            if batch:
                submit()
            while waiting:
                yield from _collect(coder, quality, *waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _nothing() -> Future[list[bytes]]:
    future: Future[list[bytes]] = Future()
    future.set_result([])
    return future


def _collect(
    coder: Codec, quality: int, batch: list[tuple[Key, Picture | Exception]], made: Future[list[bytes]]
) -> Iterator[tuple[Key, Picture | None, bytes | Exception]]:
    failure = made.exception()
    if failure is not None and not isinstance(failure, Exception):
        raise failure
    files = iter([] if failure is not None else made.result())
    for key, picture in batch:
        if isinstance(picture, Exception):
            yield key, None, picture
        elif failure is None:
            yield key, picture, next(files)
        else:  # too much for the memory, say, or one that spoils the others: each for itself
            try:
                yield key, picture, coder.encode(picture, quality)
            except Exception as exc:
                yield key, None, exc


def decoded(
    parsed: Iterable[tuple[Key, Container | Exception]],
    opened: Callable[[bytes], Codec],
    alone: Callable[[Codec, Key, Container], Made],
    *,
    apart: bool = False,
) -> Iterator[tuple[Key, Picture | Made | Exception]]:
    """Files of any models -> pictures, in the same order; what could not be parsed is passed on.

    opened: model id -> codec. alone: decodes a file whose codec takes one at a time. apart: no two together.
    """
    batch: list[tuple[Key, Container | Exception]] = []
    current: Codec | None = None

    def flush() -> Iterator[tuple[Key, Picture | Exception]]:
        some = [one for _, one in batch if isinstance(one, Container)]
        try:
            made = iter(current.decode_many(some) if current is not None else [])
        except Exception:
            made = None  # one spoils the others: each for itself
        for key, one in batch:
            if isinstance(one, Exception):
                yield key, one
                continue
            assert current is not None
            try:
                picture = next(made) if made is not None else current.decode(one)
            except Exception as exc:
                yield key, exc
            else:
                yield key, picture
        batch.clear()

    for key, one in parsed:
        if isinstance(one, Container):
            try:
                coder = opened(one.model_id)
            except Exception as exc:
                batch.append((key, exc))
                continue
            if coder is not current or len(batch) >= coder.batch:
                yield from flush()
                current = coder
            if apart or coder.batch == 1:
                try:
                    yield key, alone(coder, key, one)
                except Exception as exc:
                    yield key, exc
                continue
        batch.append((key, one))
    yield from flush()
