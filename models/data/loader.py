"""The thread that reads training pictures while training goes on."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

from caecodec.models.data import pictures

RESCAN_SECONDS = 15.0


class Loader(threading.Thread):
    """Reads pictures into the pool beside training, and looks again for shards that arrive in its folders later.

    What cannot be read is left out with a warning; in a folder it is tried again, for it may be on its way.
    `share`: this process's number, and that of all; `wanted`: by name, what is not held out.
    """

    def __init__(
        self,
        pool: pictures.Pool,
        paths: list[Path],
        min_side: int,
        share: tuple[int, int],
        warn: Callable[[str], None] = lambda _message: None,
        wanted: pictures.Wanted = pictures.everything,
    ) -> None:
        super().__init__(daemon=True)
        self._pool, self._paths, self._min_side, self._share, self._warn = pool, paths, min_side, share, warn
        self._wanted = wanted
        self._count = 0  # of pictures seen by all processes
        self._warned: set[Path] = set()
        self.first_pass_done = threading.Event()
        self._stopped = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Read everything once; with folders, rescan for new names until stopped."""
        seen: set[Path] = set()
        try:
            while not self._stopped.is_set() and not self._pool.full:
                fresh = [file for file in pictures.files_of(self._paths) if file.path not in seen]
                seen |= {file.path for file in fresh if self._read(file)}
                self.first_pass_done.set()
                if not any(path.is_dir() for path in self._paths) or self._stopped.wait(RESCAN_SECONDS):
                    return
        except BaseException as exc:  # handed to the main thread, which raises it
            self.failure = exc
        finally:
            self.first_pass_done.set()

    def stop(self) -> None:
        """End the rescanning."""
        self._stopped.set()

    def _read(self, file: pictures.PictureFile) -> bool:
        """Take this process's share of a file; False where it should be tried again."""
        rank, world = self._share
        try:
            found = [
                pictures.EncodedPicture(name, stream.read()) for name, stream in pictures.opened(file, self._wanted)
            ]
        except (tarfile.TarError, OSError) as exc:
            if file.path not in self._warned:
                self._warned.add(file.path)
                self._warn(f"{file.path}: left out for now ({exc})")
            return False
        for encoded in found:
            self._count += 1
            if self._count % world != rank:
                continue
            try:
                self._pool.add(encoded, self._min_side)
            except ValueError as exc:
                self._warn(f"left out: {exc}")
        return True
