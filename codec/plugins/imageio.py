"""imageio reads and writes .cae files by its Pillow plugin once this is imported."""

from __future__ import annotations

from imageio.config import FileExtension, extension_list, known_extensions

from caecodec.plugins import pillow


def register() -> None:
    """Tell imageio which of its plugins takes the suffix."""
    if pillow.SUFFIX not in known_extensions:
        extension = FileExtension(name="caecodec image", extension=pillow.SUFFIX, priority=["pillow"])
        extension_list.append(extension)
        known_extensions[pillow.SUFFIX] = [extension]


register()
