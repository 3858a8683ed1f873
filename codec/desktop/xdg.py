"""The files that make a freedesktop.org desktop know .cae files: their type, their thumbnails, what opens them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from caecodec.errors import FileSystemError
from caecodec.files.writing import make_folder, write_atomically

MIME = "image/x-cae"
MIME_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{MIME}">
    <comment>caecodec image</comment>
    <generic-icon name="image-x-generic"/>
    <magic priority="60">
      <match type="string" offset="0" value="\\xca\\xec\\x0d"/>
    </magic>
    <glob pattern="*.cae"/>
  </mime-type>
</mime-info>
"""
# what reads a folder again after its files have changed -> that folder, in the user's data
_REFRESH = {"update-mime-database": "mime", "update-desktop-database": "applications"}


def data_folder() -> Path:
    """$XDG_DATA_HOME, or ~/.local/share."""
    named = os.environ.get("XDG_DATA_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".local" / "share"  # noqa: PTH117


def files(command: Sequence[str]) -> dict[str, str]:
    """Path below the data folder -> text. command: what runs caecodec, by absolute path."""
    run = " ".join(map(_quoted, command))
    thumbnailer = f"""[Thumbnailer Entry]
TryExec={command[0]}
Exec={run} thumbnail --size %s -f -- %i %o
MimeType={MIME};
"""
    viewer = f"""[Desktop Entry]
Type=Application
Name=caecodec
GenericName=Image Viewer
Comment=Look at .cae pictures in the browser
TryExec={command[0]}
Exec={run} view -- %f
Icon=image-x-generic
MimeType={MIME};
Categories=Graphics;Viewer;
NoDisplay=true
Terminal=false
"""
    return {
        "mime/packages/caecodec.xml": MIME_XML,
        "thumbnailers/caecodec.thumbnailer": thumbnailer,
        "applications/caecodec.desktop": viewer,
    }


def install(command: Sequence[str]) -> list[Path]:
    """Write the files, over those of another version, and have them read; what was written. Raises FileSystemError."""
    written = []
    for name, text in files(command).items():
        path = data_folder() / name
        make_folder(path.parent)
        write_atomically(str(path), text.encode(), overwrite=True)
        written.append(path)
    _refresh()
    return written


def uninstall() -> list[Path]:
    """Remove them; what was removed. Raises FileSystemError."""
    removed = []
    for name in files(("",)):
        path = data_folder() / name
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise FileSystemError(f"cannot remove {path}: {exc.strerror}") from exc
        removed.append(path)
    if removed:
        _refresh()
    return removed


def _refresh() -> None:
    """Desktops that lack these programs look at the files themselves."""
    for program, name in _REFRESH.items():
        found, folder = shutil.which(program), data_folder() / name
        if found and folder.is_dir():
            subprocess.run([found, str(folder)], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _quoted(word: str) -> str:
    """An argument of an Exec line."""
    escaped = "".join(f"\\{c}" if c in '"`$\\' else c for c in word).replace("%", "%%")
    plain = escaped == word and not any(c in " \t\n'><~|&;*?#()" for c in word)
    # a backslash is escaped once more, as in every value
    return word if plain else '"' + escaped.replace("\\", "\\\\") + '"'
