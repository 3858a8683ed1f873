from __future__ import annotations

from support import photograph

from caecodec.bench.codecs.protocol import with_threads
from caecodec.bench.codecs.registry import open_codec


def test_threads_are_given_to_the_codecs_that_take_them() -> None:
    array = photograph(256, 512)
    one, four = open_codec("avif"), with_threads(open_codec("avif"), 4)
    assert one.encode(array, 50) != four.encode(array, 50)  # tiles
    jxl = open_codec("jxl-7")
    assert with_threads(jxl, 4) != jxl
    assert with_threads(jxl, 4).encode(array, 50) == jxl.encode(array, 50)
    jpegli = open_codec("jpegli")
    assert with_threads(jpegli, 4) == jpegli
