"""The core as WebAssembly, in node and in Chromium: latents, pixels and files as of the native core, bit for bit."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from machine_pictures import few_pictures, golden, many_pictures
from numpy.typing import NDArray
from PIL import Image

from caecodec.codecs.codec import Codec
from caecodec.codecs.opening import open_codec
from caecodec.engines.native import library
from caecodec.format import container
from caecodec.pictures.picture import from_array
from caecodec.search.choice import lossy

# of each file: hashes of its latents and of its pixels as RGBA; nothing where node cannot read the WebP inside
READ = """async ({ root, files }) => {
    const [{ Shelf, fetching }, { parse, LOSSLESS }, codec, { browserWebp }, { sizeOf, tilesOf }] = await Promise.all(
        ["shelf", "container", "codec", "planes", "tiling"].map((name) => import(`${root}/${name}.js`)));
    const fromDisk = async (name, _version, made) => {
        const { readFile } = await import("node:fs/promises");
        return made(new Uint8Array(await readFile(`${root}/dist/${name}`)));
    };
    const inNode = typeof process === "object";
    const shelf = new Shelf(inNode ? fromDisk : fetching(`${location.origin}/dist/`));
    const hashed = async (bytes) => {
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
    };
    const found = {};
    for (const [name, text] of Object.entries(files)) {
        const file = parse(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
        const { width, height, gray, quality, tiles } = file;
        const model = file.model === LOSSLESS ? null : await shelf.decoder(file.model);
        if (inNode && (!model || file.sections.alpha)) continue;
        const latents = model ? tilesOf(width, height, model.inside.shape.cell).map((tile, i) =>
            model.inside.core.decodeLatents(model.inside, quality, gray, ...sizeOf(tile), tiles[i])) : [];
        const { data } = await codec.decode(file, model, browserWebp);
        found[name] = [model ? await hashed(await new Blob(latents).arrayBuffer()) : "", await hashed(data)];
    }
    return found;
}"""
WRITE = """async ({ root, pictures }) => {
    const [{ Shelf, fetching }, codec, { MODELS }] = await Promise.all(
        ["shelf", "codec", "models"].map((name) => import(`${root}/${name}.js`)));
    const fromDisk = async (name, _version, made) => {
        const { readFile } = await import("node:fs/promises");
        return made(new Uint8Array(await readFile(`${root}/dist/${name}`)));
    };
    const shelf = new Shelf(typeof process === "object" ? fromDisk : fetching(`${location.origin}/dist/`));
    const model = await shelf.encoder(MODELS.find(({ name }) => name === "photo").id);
    const found = {};
    for (const [name, { width, height, rgba, quality }] of Object.entries(pictures)) {
        const data = Uint8ClampedArray.from(atob(rgba), (letter) => letter.charCodeAt(0));
        const file = await codec.encode(await codec.analyse({ width, height, data }, model), model, quality);
        found[name] = btoa(Array.from(file, (byte) => String.fromCharCode(byte)).join(""));
    }
    return found;
}"""

Run = Callable[[str, dict[str, Any]], Any]


@pytest.fixture(params=["node", "chromium"])
def run(request: pytest.FixtureRequest, site: Any) -> Run:
    """Runs a function of JavaScript in one of the two, with the address of web/ as `root`."""
    if request.param == "node":
        node = request.getfixturevalue("node")
        return lambda function, given: node(f"return ({function})(given);", given | {"root": str(site)})
    page = request.getfixturevalue("browser").new_page()
    request.addfinalizer(page.close)
    page.goto(f"{request.getfixturevalue('server')}/package.json")
    return lambda function, given: page.evaluate(function, given | {"root": ""})


@functools.cache
def codec(name: str | bytes) -> Codec:
    return open_codec(name, engine="native")


def quality_of(name: str) -> int:
    return 5 + 9 * (len(name) * 7 % 11)


def written(pictures: Mapping[str, NDArray[np.uint8]]) -> dict[str, bytes]:
    """What the native core writes."""
    return {
        name: lossy(codec(name.split("-")[0]), from_array(array), quality_of(name)) for name, array in pictures.items()
    }


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def rgba(array: NDArray[np.uint8]) -> bytes:
    return Image.fromarray(array).convert("RGBA").tobytes()


def expected(data: bytes) -> list[str]:
    """What READ has to find in a file."""
    parsed = container.parse(data)
    own = codec("lossless" if container.is_lossless(data) else parsed.model_id)
    latents = b"" if own.exact else b"".join(one.tobytes() for one in own.decode_latents(parsed))
    picture = own.decode(parsed)
    pixels = np.array(Image.fromarray(picture.colour).convert("RGBA"))
    if picture.alpha is not None:
        pixels[..., 3] = picture.alpha
    return ["" if own.exact else hashlib.sha256(latents).hexdigest(), hashlib.sha256(pixels.tobytes()).hexdigest()]


def may_hold_webp(data: bytes) -> bool:
    return container.is_lossless(data) or container.TAG_ALPHA in container.parse(data).sections


def coloured(array: NDArray[np.uint8]) -> bool:
    """Whether the browser, where nobody says what is gray, takes it for colour too."""
    return array.ndim == 3 and bool((array != array[..., :1]).any())


@pytest.mark.long
@pytest.mark.skipif(not library.available(), reason=library.why_not())
@pytest.mark.parametrize(
    "pictures",
    [few_pictures, pytest.param(many_pictures, marks=pytest.mark.slow)],
    ids=["few pictures", "many pictures"],
)
def test_webassembly_computes_what_the_native_core_does(run: Run, pictures: Any, tmp_path: Any) -> None:
    given = pictures()
    own = written(given)
    files = own | {f"golden/{path.stem}": path.read_bytes() for path in golden(tmp_path).glob("*.cae")}
    found = run(READ, {"files": {name: text(data) for name, data in files.items()}})
    assert [name for name in files.keys() - found.keys() if not may_hold_webp(files[name])] == []
    assert [name for name in found if found[name] != expected(files[name])] == []
    to_write = {name: array for name, array in given.items() if name.startswith("photo-") and coloured(array)}
    asked = {
        name: {"width": a.shape[1], "height": a.shape[0], "rgba": text(rgba(a)), "quality": quality_of(name)}
        for name, a in to_write.items()
    }
    made = run(WRITE, {"pictures": asked})
    assert len(made) >= 1
    assert [name for name in made if base64.b64decode(made[name]) != own[name]] == []
