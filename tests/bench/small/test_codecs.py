from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support import encoded, photograph

from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.small.codecs import LIBRARIES, Library, jpeg_scan_bytes, webp_payload_bytes
from caecodec.bench.small.run import measure_codec


def test_the_scan_of_a_jpeg_written_by_hand_is_what_lies_between_its_headers_and_its_end() -> None:
    scan = b"\x12\xff\x00\x34\xff\xd0\x56\xff\x00"  # a stuffed FF, a restart marker
    tables = b"\xff\xdb\x00\x05\xff\xd9\x00"  # looks like the end, but is in a segment
    head = b"\xff\xd8" + tables + b"\xff\xda\x00\x04\xab\xcd"
    assert jpeg_scan_bytes(head + scan + b"\xff\xd9") == len(scan) == 9
    second = b"\xff\xc4\x00\x03\x01\xff\xda\x00\x02" + b"\x77\x88"
    assert jpeg_scan_bytes(head + scan + second + b"\xff\xd9") == len(scan) + 2


@pytest.mark.parametrize("progressive", [False, True])
def test_the_scan_of_a_real_jpeg_is_all_but_its_segments(progressive: bool) -> None:
    data = encoded(Image.fromarray(photograph(32, 32)), "JPEG", progressive=progressive)
    assert (b"\xff\xc2" in data) == progressive
    scan = jpeg_scan_bytes(data)
    if not progressive:  # one scan, at the end
        start = data.rindex(b"\xff\xda") + 2
        start += int.from_bytes(data[start : start + 2], "big")
        assert scan == len(data) - 2 - start
    assert 0 < scan < len(data) - 300  # at least 2 quantisation tables and 4 Huffman tables are left out


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG", b"\xff\xd8", b"\xff\xd8\xff\xda\x00\x02\x11\x22", b"\xff\xd8\x00\x00\x00"]
)
def test_what_is_no_whole_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        jpeg_scan_bytes(data)


def test_a_webp_has_twenty_bytes_of_headers_and_a_lossless_one_is_refused() -> None:
    data = encoded(Image.fromarray(photograph(32, 32)), "WEBP", quality=50)
    assert webp_payload_bytes(data) == int.from_bytes(data[16:20], "little") + len(data) % 2 == len(data) - 20
    with pytest.raises(ValueError, match="WebP"):
        webp_payload_bytes(encoded(Image.fromarray(photograph(32, 32)), "WEBP", lossless=True))


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_gray_pictures_come_back_gray_from_every_library(name: str) -> None:
    codec = open_codec(LIBRARIES[name][0])
    pictures = np.stack([photograph(28, 28, seed)[..., :1] for seed in range(2)])
    wrapped = Library(name, codec, (90,), LIBRARIES[name][2], gray=True)
    found = measure_codec(wrapped, "mnist", pictures, 90)
    assert found.psnr > 30
    assert found.stripped is not None
    assert found.bytes is not None
    assert found.stripped < found.bytes
