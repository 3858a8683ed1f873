"""Everything caecodec raises on purpose.

    CaecodecError            exit code
    |-- UsageError               2   the request makes no sense
    |-- InputImageError          3   the picture to encode cannot be read
    |-- CorruptFileError         4   not a .cae file, or a damaged one
    |-- ModelError               5   the model is missing, unknown or damaged
    |-- LimitError               6   over a limit, or out of memory
    `-- FileSystemError          7   a file cannot be read or written

The command adds 0 (done), 1 (a bug), 8 (some of several inputs failed) and 130 (interrupted).
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# what libraries say where the system gave them no memory; torch's, OpenMP's and the loader's among them
_NO_MEMORY = ("can't allocate memory", "cannot allocate memory", "can't start new thread", "failed to map segment")


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps: in a call of a function, and on the command line."""

    argument: str
    option: str


class CaecodecError(Exception):
    """Base of all errors; `exit_code` is what the command returns for it."""

    exit_code = 1

    def __init__(self, message: str = "", remedy: Remedy | None = None) -> None:
        super().__init__(f"{message}; {remedy.argument}" if remedy else message)
        self._message, self._remedy = message, remedy

    def __reduce__(self) -> tuple[type[CaecodecError], tuple[str, Remedy | None], dict[str, object]]:
        return type(self), (self._message, self._remedy), self.__dict__  # from one process to another, whole

    def for_command(self) -> str:
        """The message with the option that helps in place of the argument."""
        return f"{self._message}; {self._remedy.option}" if self._remedy else str(self)


class UsageError(CaecodecError, ValueError):
    """The request makes no sense: a quality of 0, a target nothing reaches."""

    exit_code = 2


class InputImageError(CaecodecError):
    """The picture to encode cannot be read or has a form that is not supported."""

    exit_code = 3


class CorruptFileError(CaecodecError):
    """The bytes are not a whole, undamaged .cae file of a known version."""

    exit_code = 4


class ModelError(CaecodecError):
    """A model is missing, unknown, or its file is damaged."""

    exit_code = 5


class LimitError(CaecodecError):
    """The picture is over a limit, or memory ran out."""

    exit_code = 6


class FileSystemError(CaecodecError):
    """A file cannot be read or written, or is in the way."""

    exit_code = 7


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, is that memory ran out, whatever its type."""
    while error is not None:
        no_room = isinstance(error, OSError) and error.errno == errno.ENOMEM
        said = isinstance(error, RuntimeError | ImportError | OSError) and any(
            words in str(error).lower() for words in _NO_MEMORY
        )
        if isinstance(error, MemoryError) or no_room or said:
            return True
        error = error.__cause__
    return False


def within_memory(function: Callable[P, R]) -> Callable[P, R]:
    """Decorates a function of the API: memory that ran out anywhere within is a LimitError."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except LimitError:
            raise
        except Exception as exc:
            if is_out_of_memory(exc):
                raise LimitError("out of memory") from exc
            raise

    return call


class BatchError(CaecodecError):
    """Some of several inputs failed; the others are done."""

    exit_code = 8
