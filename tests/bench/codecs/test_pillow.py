from __future__ import annotations

import io

from PIL import Image
from support import photograph

from caecodec.bench.codecs.registry import open_codec


def test_jpeg_is_what_pillow_writes_by_default() -> None:
    array = photograph(32, 48)
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG", quality=40)
    assert open_codec("jpeg").encode(array, 40) == stream.getvalue()
