from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph

from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.timing import cold, processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memory and time of children are read by getrusage")


@pytest.mark.parametrize("name", ["caecodec", "jpeg", "avif", "mozjpeg", "jxl-7"])
def test_cold_commands_write_the_codecs_file_and_its_picture(name: str, tmp_path: Path) -> None:
    try:
        codec = open_codec(name)
    except processes.CaecodecError as exc:
        pytest.skip(str(exc))
    array, quality = photograph(32, 48), codec.qualities[len(codec.qualities) // 2]
    source, coded, target = (tmp_path / part for part in ("it's a.png", "coded", "b.png"))
    Image.fromarray(array).save(source)
    encode, decode = cold.commands(codec, quality, str(source), str(coded), str(target))
    processes.run_command(encode, 1)
    data = codec.encode(array, quality)
    assert coded.read_bytes() == data
    processes.run_command(decode, 1)
    with Image.open(target) as image:
        assert np.array_equal(np.asarray(image), codec.decode(data))
