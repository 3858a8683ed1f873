"""The browser's pixels are the command's, and so are the files it writes."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support import photograph, sealed, soft_alpha

import caecodec

Pixels = NDArray[np.uint8]

DECODE_IN_NODE = """
    const { decode } = await import("./node.js");
    const { createHash } = await import("node:crypto");
    const { width, height, data } = await decode(new Uint8Array(Buffer.from(given, "base64")));
    return [width, height, createHash("sha256").update(data).digest("hex")];"""
DECODE = """async (text) => {
    const { decode } = await import("/caecodec.js");
    const file = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const { width, height, data } = await decode(file);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    return [width, height, Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")];
}"""
ENCODE_IN_NODE = """
    const { encode } = await import("./node.js");
    const { width, height, rgba, quality } = given;
    const data = new Uint8ClampedArray(Buffer.from(rgba, "base64"));
    return Buffer.from(await encode({ width, height, data }, { quality })).toString("base64");"""


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def rgba(image: Image.Image) -> bytes:
    """As a canvas has it."""
    return image.convert("RGBA").tobytes()


def seen(data: bytes) -> list[Any]:
    """Size and hash of what the command decodes."""
    image = caecodec.decode(data)
    return [image.width, image.height, hashlib.sha256(rgba(image)).hexdigest()]


def lossy(pixels: Pixels, quality: int) -> bytes:
    return caecodec.encode(Image.fromarray(pixels), quality)


def lossless(pixels: Pixels) -> bytes:
    return caecodec.encode(Image.fromarray(pixels), model="lossless")


PICTURES = {
    "odd": (photograph(37, 83), 50),
    "one pixel": (photograph(1, 1), 90),
    "gray": (photograph(70, 90)[..., 0], 60),
    "two tiles": (photograph(40, 1100), 70),
    "two rows of tiles": (photograph(1060, 50), 30),
}
NOISE = np.random.default_rng(3).integers(0, 256, (9, 11, 3), np.uint8)
TEXT = np.repeat(np.where(np.arange(1500) % 7 < 3, 255, 20).astype(np.uint8)[None, :, None], 12, 0).repeat(3, 2)


@pytest.mark.parametrize("name", PICTURES)
def test_pixels_in_node_are_those_of_the_command(node: Callable[..., Any], name: str) -> None:
    data = lossy(*PICTURES[name])
    assert node(DECODE_IN_NODE, text(data)) == seen(data)


@pytest.mark.parametrize("pixels", [photograph(33, 47), photograph(64, 64)[..., 0]], ids=["colour", "gray"])
def test_files_of_the_model_tiny_are_decoded_too(node: Callable[..., Any], pixels: Pixels) -> None:
    data = caecodec.encode(Image.fromarray(pixels), 50, model="tiny")
    assert node(DECODE_IN_NODE, text(data)) == seen(data)


def test_the_map_of_bits_is_that_of_the_api(node: Callable[..., Any]) -> None:
    body = """
        const { measure } = await import("./node.js");
        const { bits, ...rest } = await measure(new Uint8Array(Buffer.from(given, "base64")));
        return { ...rest, bits: [...bits] };"""
    data = lossy(photograph(150, 1100), 70)  # two tiles, and cells that z serves alone
    found, expected = node(body, text(data)), caecodec.bit_allocation(data).cells
    assert (found["rows"], found["columns"], found["cell"]) == (10, 69, 16)
    bits = np.array(found["bits"]).reshape(10, 69)
    assert np.allclose(bits, expected, atol=0.01)
    assert found["sumY"] + found["sumZ"] == pytest.approx(bits.sum(), rel=1e-5)


@pytest.mark.long
def test_pixels_in_the_browser_are_those_of_the_command(browser: Any, server: str) -> None:
    page = browser.new_page()
    page.goto(f"{server}/package.json")
    files = [lossy(*given) for given in PICTURES.values()]
    files.append(lossy(np.dstack([photograph(50, 60), soft_alpha(50, 60)]), 50))  # alpha as PNG or WebP
    files.append(lossy(np.dstack([photograph(20, 30), np.full((20, 30), 128, np.uint8)]), 50))
    files += [
        lossless(NOISE),
        lossless(NOISE[..., 0]),
        lossless(TEXT),
        lossless(TEXT[..., 0]),
    ]  # stored, and WebP or PNG
    for data in files:
        assert page.evaluate(DECODE, text(data)) == seen(data)
    page.close()


@pytest.mark.parametrize(
    "name", [name for name in PICTURES if name != "one pixel"]
)  # gray, where nobody says it is not
def test_files_made_here_are_those_of_the_command(node: Callable[..., Any], name: str) -> None:
    pixels, quality = PICTURES[name]
    image = Image.fromarray(pixels)
    given = {"width": image.width, "height": image.height, "rgba": text(rgba(image)), "quality": quality}
    made = base64.b64decode(node(ENCODE_IN_NODE, given))
    assert made == caecodec.encode(image, quality)


def test_alpha_comes_back_from_files_made_here(node: Callable[..., Any]) -> None:
    image = Image.fromarray(np.dstack([photograph(50, 60), soft_alpha(50, 60)]))
    given = {"width": 60, "height": 50, "rgba": text(image.tobytes()), "quality": 60}
    made = base64.b64decode(node(ENCODE_IN_NODE, given))
    assert np.array_equal(np.array(caecodec.decode(made))[..., 3], soft_alpha(50, 60))
    assert node(DECODE_IN_NODE, text(made)) == seen(made)  # the PNG in it is read by ours


def test_latents_that_do_not_match_their_check_are_refused(node: Callable[..., Any]) -> None:
    data = bytearray(lossy(*PICTURES["odd"])[:-4])
    data[12] ^= 1  # of the check
    refused = f"try {{ {DECODE_IN_NODE} }} catch (error) {{ return error.kind; }}"
    assert node(refused, text(sealed(bytes(data)))) == "corrupt"


def test_a_file_of_another_model_is_refused_by_its_name(node: Callable[..., Any]) -> None:
    data = bytearray(lossy(*PICTURES["odd"])[:-4])
    data[6:10] = b"\x12\x34\x56\x78"
    refused = f"try {{ {DECODE_IN_NODE} }} catch (error) {{ return [error.kind, error.message]; }}"
    kind, message = node(refused, text(sealed(bytes(data))))
    assert kind == "model"
    assert "12345678" in message


def test_pngs_written_here_are_read_elsewhere(node_web: Callable[..., Any], tmp_path: Path) -> None:
    pixels = np.dstack([photograph(33, 45), soft_alpha(33, 45)])
    body = """
        const { smallPng, storedPng } = await import("./png.js");
        const picture = { width: 45, height: 33, data: new Uint8ClampedArray(Buffer.from(given, "base64")) };
        const icc = new Uint8Array(70000).fill(65);
        const made = [storedPng(picture, { icc }), await smallPng(picture)];
        return made.map((file) => Buffer.from(file).toString("base64"));"""
    stored, small = (base64.b64decode(one) for one in node_web(body, text(pixels.tobytes())))
    for data in (stored, small):
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(np.array(image), pixels)
    with Image.open(io.BytesIO(stored)) as image:
        assert image.info["icc_profile"] == b"A" * 70000
    assert len(small) < len(stored)
