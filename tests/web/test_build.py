"""What web/build.py makes, and what it needs to be."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WEB = Path(__file__).parents[2] / "web"
ROOM = {"caecodec.wasm": 150_000, "photo": 4_700_000}  # bytes over the wire


def test_the_core_imports_nothing_and_is_small(node: Callable[..., Any], site: Path) -> None:
    body = """
        const module = new WebAssembly.Module(readFileSync("dist/caecodec.wasm"));
        return [WebAssembly.Module.imports(module), WebAssembly.Module.exports(module).map(({ name }) => name)];"""
    imports, exports = node(body, None)
    assert imports == []
    assert {"cae_model_open", "cae_decode_latents", "cae_synthesise", "malloc", "free"} <= set(exports)
    assert (site / "dist" / "caecodec.wasm").stat().st_size <= ROOM["caecodec.wasm"]


def test_both_parts_of_the_model_are_as_small_as_promised(site: Path) -> None:
    parts = sorted((site / "dist").glob("photo-*"))
    assert [path.suffix for path in parts] == [".decoder", ".encoder"]
    assert all(path.stat().st_size <= ROOM["photo"] for path in parts)


def test_shipped_parts_match_their_pins_and_together_the_model_s_id(node: Callable[..., Any]) -> None:
    """A model that was replaced without `web/build.py --pin` fails here."""
    body = """
        const { unpack, checkedPart, joinedModel } = await import("./model.js");
        const { MODELS } = await import("./models.js");
        const done = [];
        for (const { name, id, ...hashes } of MODELS) {
            const parts = [];
            for (const part of ["decoder", "encoder"]) {
                const shipped = new Uint8Array(readFileSync(`dist/${name}-${id}.${part}`));
                parts.push(await checkedPart(await unpack(shipped), hashes[part], name));
            }
            await joinedModel(...parts, id);
            done.push(name);
        }
        return done;"""
    assert node(body, None) == ["photo", "tiny"]


def test_a_part_that_is_not_the_pinned_one_is_refused(node: Callable[..., Any]) -> None:
    body = """
        const { Shelf } = await import("./shelf.js");
        const { MODELS } = await import("./models.js");
        const shelf = new Shelf(async (name) => new Uint8Array(readFileSync(`dist/${name.replace("photo", "tiny")
            .replace(MODELS[0].id, MODELS[1].id)}`)));
        return shelf.decoder(MODELS[0].id).then(() => "taken", ({ kind, message }) => [kind, message]);"""
    kind, message = node(body, None)
    assert kind == "model"
    assert "is not the file that this version knows" in message


def test_model_ids_are_those_of_the_specification(node_web: Callable[..., Any]) -> None:
    """FORMAT.md, 12.2."""
    body = """
        const { modelId } = await import("./model.js");
        const b = new Uint8Array(Int16Array.of(1, -2, 3, 4).buffer);
        return modelId(new Map([["a", { type: "U8", shape: [1], data: Uint8Array.of(7) }],
            ["b", { type: "I16", shape: [2, 2], data: b }]]));"""
    assert node_web(body, None) == "a699c80b"


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 1000])
def test_sha_256_where_the_browser_has_none(node_web: Callable[..., Any], size: int) -> None:
    body = """
        const { sha256Here } = await import("./sha256.js");
        return Buffer.from(sha256Here(new Uint8Array(given))).toString("hex");"""
    data = [i * 7 % 256 for i in range(size)]
    assert node_web(body, data) == hashlib.sha256(bytes(data)).hexdigest()


def test_types_hold() -> None:
    compiler = WEB / "node_modules" / ".bin" / "tsc"
    if not compiler.exists():
        pytest.skip("typescript is not installed (npm install in web/)")
    done = subprocess.run([compiler, "-p", WEB], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
