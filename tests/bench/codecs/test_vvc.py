from __future__ import annotations

import numpy as np
import pytest
from support import photograph

from caecodec.bench.codecs.registry import open_codec


def test_the_quality_of_vvc_is_63_less_qp() -> None:
    codec = open_codec("vvc")
    array = photograph(64, 64)
    sizes = {quality: len(codec.encode(array, quality)) for quality in (21, 36)}
    assert sizes[21] < sizes[36]  # QP 42 and 27


def test_an_odd_vvc_picture_costs_one_byte_more_than_its_padded_one() -> None:
    codec = open_codec("vvc")
    odd = photograph(33, 47)
    data = codec.encode(odd, 31)
    padded = np.pad(odd, ((0, 1), (0, 1), (0, 0)), "edge")
    assert data == b"\3" + codec.encode(padded, 31)
    assert codec.decode(data).shape == odd.shape


def test_a_failing_ffmpeg_is_an_error_with_its_words() -> None:
    with pytest.raises(OSError, match="ffmpeg: "):
        open_codec("vvc").decode(b"\0\0\0\1 not a bitstream")
