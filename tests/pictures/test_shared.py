"""Pixels that an array shares with a Pillow image."""

from __future__ import annotations

import gc
import io

import numpy as np
import pytest
from PIL import Image
from support import encoded, photograph, soft_alpha

from caecodec.pictures.pillow import open_picture
from caecodec.pictures.shared import in_one_piece, samples

COLOUR = photograph(33, 65)


def in_mode(mode: str) -> Image.Image:
    image = Image.fromarray(np.dstack([COLOUR, soft_alpha(33, 65)]))
    return image if mode == "RGBA" else image.convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_an_array_has_the_memory_of_its_image_and_keeps_it_alive(mode: str) -> None:
    with in_one_piece():
        image = in_mode(mode).copy()
    array = samples(image)
    assert np.shares_memory(array, samples(image))
    expected = np.asarray(image).copy()
    image.close()
    del image
    gc.collect()
    again = [np.full((33, 65, 4), 7, np.uint8) for _ in range(50)]  # what was freed would be taken by these
    assert np.array_equal(array, expected)
    assert not array.flags.writeable
    assert len(again) == 50


@pytest.mark.parametrize("mode", ["1", "P", "LA", "CMYK", "I", "F"])
def test_what_cannot_be_shared_is_as_numpy_has_it(mode: str) -> None:
    image = BASE_LA if mode == "LA" else in_mode("RGB").convert(mode)
    with in_one_piece():
        image = image.copy()
    assert np.array_equal(samples(image), np.asarray(image))


BASE_LA = in_mode("LA")


def test_an_image_in_many_pieces_is_copied() -> None:
    large = Image.new("RGB", (3000, 2000), (1, 2, 3))  # more than one of Pillow's blocks of 16 MiB
    array = samples(large)
    assert not np.shares_memory(array, samples(large))
    assert (array == (1, 2, 3)).all()


def test_pillow_goes_on_as_before() -> None:
    before = Image.core.get_use_block_allocator()
    with in_one_piece():
        assert Image.core.get_use_block_allocator() == 1
    assert Image.core.get_use_block_allocator() == before


def test_a_picture_that_was_read_is_held_once() -> None:
    stream = io.BytesIO(encoded(Image.fromarray(photograph(40, 50))))
    colour = open_picture(stream).colour
    assert colour.strides == (4 * 50, 4, 1)  # as Pillow keeps colour
    assert np.array_equal(colour, photograph(40, 50))
