"""The functions of the package, as a notebook calls them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import encoded, photograph, psnr

import caecodec

PIXELS = photograph(48, 64)


def forms(data: bytes, path: Path) -> list[object]:
    """A file in every way that a caller may have it."""
    path.write_bytes(data)
    return [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data)]


def test_every_function_takes_a_file_in_every_form(tmp_path: Path) -> None:
    data = caecodec.encode(PIXELS, 40)
    expected = np.asarray(caecodec.decode(data))
    for number, form in enumerate(forms(data, tmp_path / "a.cae")):
        assert caecodec.info(form if number < 5 else io.BytesIO(data)).width == 64  # type: ignore[arg-type]
        assert caecodec.bit_allocation(form if number < 5 else io.BytesIO(data)).cells.shape == (3, 4)  # type: ignore[arg-type]
        np.testing.assert_array_equal(np.asarray(caecodec.decode(form)), expected)  # type: ignore[arg-type]
    with (tmp_path / "a.cae").open("rb") as stream:
        np.testing.assert_array_equal(np.asarray(caecodec.open_image(stream)), expected)
    for form in forms(encoded(Image.fromarray(PIXELS)), tmp_path / "a.png"):
        assert caecodec.encode(form, 40) == data  # type: ignore[arg-type]


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(caecodec.InputImageError, match=r"not a picture: .* not list"):
        caecodec.encode([1, 2])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path, bytes or a binary stream, not int"):
        caecodec.decode(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="binary mode"):
        caecodec.info(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(caecodec.InputImageError, match=r"this is a \.cae file already; `decode` gives"):
        caecodec.encode(caecodec.encode(PIXELS, 40))
    with pytest.raises(FileNotFoundError):
        caecodec.encode(tmp_path / "missing.png")


def test_encode_has_the_targets_of_the_command() -> None:
    assert len(caecodec.encode(PIXELS, target_size=700)) <= 700
    assert len(caecodec.encode(PIXELS, target_bpp=2.0)) <= 2 * 48 * 64 / 8
    assert psnr(np.asarray(caecodec.decode(caecodec.encode(PIXELS, target_psnr=32.0))), PIXELS) >= 32
    seen = [caecodec.info(caecodec.encode(PIXELS, target_ssimulacra2=s)).quality for s in (30.0, 70.0)]
    assert seen[0] < seen[1]
    with pytest.raises(caecodec.UsageError, match="one of quality, target_size, target_bpp"):
        caecodec.encode(PIXELS, 50, target_size=700)
    with pytest.raises(caecodec.UsageError, match="cannot be met"):
        caecodec.encode(PIXELS, target_size=20)


def test_what_is_lost_is_a_warning() -> None:
    deep = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    with pytest.warns(UserWarning, match="16 bits per channel become 8"):
        caecodec.encode(deep, 40)
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1])]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="only the first frame"):
        caecodec.encode(stream.getvalue(), 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        caecodec.encode(PIXELS, 40)


def test_messages_name_the_argument() -> None:
    with pytest.raises(caecodec.LimitError, match=r"raise it with limits=Limits\(pixels=\.\.\.\)$"):
        caecodec.encode(PIXELS, limits=caecodec.Limits(pixels=10))


def test_the_state_of_random_numbers_is_left_alone() -> None:
    import torch

    from caecodec.codecs import opening

    opening._open.cache_clear()  # made anew, with its networks
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    caecodec.decode(caecodec.encode(PIXELS, 40, effort=3))
    assert torch.equal(torch.random.get_rng_state(), before)
