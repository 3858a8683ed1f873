"""The decoder of web pages takes and rejects the conformance files that need no model."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import caecodec

FILES = Path(__file__).parents[1] / "conformance"
WITH_MODEL = {"one-pixel", "small", "tiny-gray-odd", "latents-check", "latents-stream", "file-no-such-model"}
DECODE = """
    const { parse } = await import("./container.js");
    const { decode } = await import("./codec.js");
    const { createHash } = await import("node:crypto");
    const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
    const found = [];
    for (const [file, webp] of given) {
        const read = async () => {
            if (!webp) throw Object.assign(new Error("a damaged WebP"), { kind: "corrupt" });
            return { width: webp[0], height: webp[1], data: new Uint8ClampedArray(bytes(webp[2])) };
        };
        try {
            const { data } = await decode(parse(bytes(file)), null, read);
            found.push(createHash("sha256").update(data).digest("hex"));
        } catch (error) {
            found.push({ kind: error.kind, message: error.message });
        }
    }
    return found;"""


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def webp_of(data: bytes) -> list[Any] | None:
    """What a browser would read of the WebP within: node has none, so Pillow's pixels are handed to it."""
    start = data.find(b"RIFF")
    with contextlib.suppress(OSError, ValueError), Image.open(io.BytesIO(data[start:]), formats=["WEBP"]) as image:
        return [image.width, image.height, text(image.convert("RGBA").tobytes())]
    return None


def answers(node_web: Callable[..., Any], folder: str) -> dict[str, Any]:
    paths = [path for path in sorted((FILES / folder).glob("*.cae")) if path.stem not in WITH_MODEL]
    given = [(text(path.read_bytes()), webp_of(path.read_bytes())) for path in paths]
    return dict(zip((path.stem for path in paths), node_web(DECODE, given), strict=True))


def test_files_that_must_fail_are_rejected(node_web: Callable[..., Any]) -> None:
    found = answers(node_web, "must-fail")
    assert len(found) > 75
    assert {name: answer for name, answer in found.items() if not isinstance(answer, dict)} == {}
    assert {answer["kind"] for answer in found.values()} == {"corrupt"}


def test_files_that_must_decode_have_their_pixels(node_web: Callable[..., Any]) -> None:
    found = answers(node_web, "must-decode")
    for name, answer in found.items():
        image = caecodec.decode((FILES / "must-decode" / f"{name}.cae").read_bytes()).convert("RGBA")
        assert answer == hashlib.sha256(np.asarray(image).tobytes()).hexdigest(), name
