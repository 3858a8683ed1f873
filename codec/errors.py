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

from dataclasses import dataclass


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


class BatchError(CaecodecError):
    """Some of several inputs failed; the others are done."""

    exit_code = 8
