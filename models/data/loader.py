"""The thread that reads training pictures while training runs."""

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
    """

    def __init__(
        self,
        pool: pictures.Pool,
        paths: list[Path],
        min_side: int,
        share: tuple[int, int],
        warn: Callable[[str], None] = lambda _message: None,
    ) -> None:
        super().__init__(daemon=True)
        self._pool, self._paths, self._min_side, self._share, self._warn = pool, paths, min_side, share, warn
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
                seen |= {path for path in self._expand() if path not in seen and self._read(path)}
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

    def _expand(self) -> list[Path]:
        inside = [sorted(p.rglob("*")) if p.is_dir() else [p] for p in self._paths]
        keep = pictures.PICTURE_SUFFIXES | {".tar"}
        return [p for group in inside for p in group if p.suffix.lower() in keep]

    def _read(self, path: Path) -> bool:
        """Take this process's share of a file; False where it should be tried again."""
        rank, world = self._share
        try:
            found = list(pictures.sources([path]))
        except (tarfile.TarError, OSError) as exc:
            if path not in self._warned:
                self._warned.add(path)
                self._warn(f"{path}: left out for now ({exc})")
            return False
        for source in found:
            self._count += 1
            if self._count % world != rank:
                continue
            try:
                self._pool.add(source, self._min_side)
            except ValueError as exc:
                self._warn(f"left out: {exc}")
        return True
