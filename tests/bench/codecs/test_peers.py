from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from PIL import Image
from support import photograph

from caecodec.bench.codecs.registry import open_codec
from caecodec.errors import UsageError


@pytest.mark.parametrize("name", ["mozjpeg", "mozjpeg-q1", "jpegli", "jpeg", "jpeg-progressive"])
def test_jpeg_files_are_420_and_those_of_444_are_not(name: str) -> None:
    for codec_name, sampling in ((name, (2, 2)), ("jpeg-progressive-444", (1, 1))):
        codec = open_codec(codec_name)
        with Image.open(io.BytesIO(codec.encode(photograph(32, 48), 95))) as image:
            assert image.layer[0][1:3] == sampling


def test_a_libvips_without_mozjpeg_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        """A libvips to which the options of mozjpeg say nothing."""

        def jpegsave_buffer(self, **_options: object) -> bytes:
            return b"same"

    def new_from_memory(*_: object) -> Plain:
        return Plain()

    plain = SimpleNamespace(Image=SimpleNamespace(new_from_memory=new_from_memory))
    monkeypatch.setitem(sys.modules, "pyvips", plain)
    with pytest.raises(UsageError, match="built without mozjpeg"):
        open_codec("mozjpeg")
