"""Builds what web/ ships into web/dist: the core as WebAssembly, models in two parts, the page and the service worker
each as one file. Needs clang and lld, and of Python the standard library only.

`--pin` writes models.js as well, the hashes that models must have: after a model has been replaced. `--to FOLDER`
builds elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import html
import json
import re
import shutil
import subprocess
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WEB = Path(__file__).resolve().parent
CORE = WEB.parent / "codec" / "core"
WEIGHTS = WEB.parent / "models" / "weights"
MODELS = ("photo", "tiny")
DECODING = ("table.", "steps.", "quality.", "int.", "g_s.")  # of tensors' names; a decoder reads no others
PARTS = ("decoder", "encoder")
SIZES = {"U8": 1, "I16": 2, "I32": 4, "I64": 8, "F16": 2, "F32": 4}

TARGET = ("--target=wasm32", "-msimd128", "-mbulk-memory", "-mnontrapping-fptoint")
FLAGS = (
    "-std=c11",
    "-O3",
    "-DNDEBUG",
    "-ffreestanding",
    "-fbuiltin",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
)
LINKER = ("--no-entry", "--export-dynamic", "--strip-all", "--gc-sections", "-z", "stack-size=262144")
LIBRARY = ("-nostdlib", "-nostdlibinc", "-isystem", str(WEB / "libc"))


def compile_core(target: Path) -> None:
    """codec/core but for its searches, and the functions of C's library that it calls -> one module without imports."""
    core = [path for path in sorted(CORE.glob("*.c")) if not path.stem.startswith("search")]
    sources = [*core, WEB / "libc" / "libc.c"]
    linker = "-Wl," + ",".join((*LINKER, "--max-memory=4294967296"))
    command = ["clang", *TARGET, *FLAGS, *LIBRARY, "-I", str(CORE), *map(str, sources), linker, "-o", str(target)]
    subprocess.run(command, check=True)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One of a safetensors file."""

    dtype: str
    shape: list[int]
    data: bytes

    def shipped(self, name: str) -> bytes:
        """What gzip finds more in, and model.js undoes: of tables by quality, which are smooth, differences from row to
        row and of these again; then the lowest byte of all numbers, the next one of all, and so on.
        """
        data = self.data
        if name.startswith("quality.") and self.dtype == "I32" and len(self.shape) == 2:
            numbers, columns = array("I", data), self.shape[1]
            for _ in range(2):
                pairs = zip(numbers[:-columns], numbers[columns:], strict=True)
                numbers = numbers[:columns] + array("I", ((b - a) & 0xFFFFFFFF for a, b in pairs))
            data = numbers.tobytes()
        size = SIZES[self.dtype] if SIZES[self.dtype] in (2, 4) else 1
        return b"".join(data[byte::size] for byte in range(size))


@dataclass(frozen=True, slots=True)
class Model:
    """A model file."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]

    @classmethod
    def read(cls, path: Path) -> Model:
        data = path.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        metadata = header.pop("__metadata__")
        tensors = {}
        for name in sorted(header):
            first, last = header[name]["data_offsets"]
            tensors[name] = Tensor(header[name]["dtype"], header[name]["shape"], data[start + first : start + last])
        return cls(metadata, tensors)

    def part(self, which: str) -> dict[str, Tensor]:
        return {n: t for n, t in self.tensors.items() if n.startswith(DECODING) == (which == "decoder")}

    def write(self, tensors: Mapping[str, Tensor], *, shipped: bool = False) -> bytes:
        """Some tensors as a safetensors file, the same bytes wherever it is made. shipped: as model.js unpacks them."""
        metadata = {key: self.metadata[key] for key in ("family", "format", "id", "name")}
        header: dict[str, object] = {"__metadata__": metadata}
        at = 0
        for name, tensor in tensors.items():
            end = at + len(tensor.data)
            header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, end]}
            at = end
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        body = (tensor.shipped(name) if shipped else tensor.data for name, tensor in tensors.items())
        return b"".join((len(text).to_bytes(8, "little"), text, *body))


def pins(models: Mapping[str, Model]) -> str:
    """models.js."""
    lines = []
    for name, model in models.items():
        hashes = {part: hashlib.sha256(model.write(model.part(part))).hexdigest() for part in PARTS}
        lines.append(f'  {{ name: "{name}", id: "{model.metadata["id"]}",\n')
        lines.append(f'    decoder: "{hashes["decoder"]}",\n    encoder: "{hashes["encoder"]}" }},\n')
    return (
        "// Written by web/build.py from models/weights; a test holds it.\n\n"
        '/** @type {import("./model.js").Listed[]} */\n'
        f"export const MODELS = [\n{''.join(lines)}];\n"
    )


IMPORT = re.compile(r'^import \{ ([^}]*) \} from "\./(\w[\w.-]*)\.js";\n', re.M)
REEXPORT = re.compile(r'^export \{ ([^}]*) \} from "\./(\w[\w.-]*)\.js";\n', re.M)
EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.M)


def bundle(entry: str, instead: Mapping[str, str] | None = None) -> str:
    """A module of web/ and all it imports as one script, each in a function of its own. instead: file -> another."""
    done: dict[str, str] = {}
    replaced = instead or {}

    def variable(name: str) -> str:
        return "$" + re.sub(r"\W", "_", name)

    def add(name: str) -> None:
        if name in done:
            return
        source = (WEB / replaced.get(f"{name}.js", f"{name}.js")).read_text("utf-8")
        exported = [found[2] for found in EXPORT.finditer(source)]
        for found in (*IMPORT.finditer(source), *REEXPORT.finditer(source)):
            add(found[2])
        again = REEXPORT.findall(source)
        exported += [f"{one}: {variable(origin)}.{one}" for names, origin in again for one in names.split(", ")]
        source = REEXPORT.sub("", source)
        source = IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {variable(found[2])};\n", source)
        source = EXPORT.sub(r"\1 \2", source)
        done[name] = f"const {variable(name)} = (() => {{\n{source}\nreturn {{ {', '.join(exported)} }};\n}})();\n"

    add(entry)
    return '"use strict";\n' + "".join(done.values())


def single_page(dist: Path) -> str:
    """index.html with all it needs inside: it opens from disk and asks no server for anything."""
    names = ["caecodec.wasm", *(path.name for part in PARTS for path in sorted(dist.glob(f"photo-*.{part}")))]
    page = (WEB / "index.html").read_text("utf-8")

    def block(kind: str, name: str, text: str) -> str:
        return f'<script type="{kind}" id="{html.escape(name)}">{text}</script>\n'

    def script(text: str) -> str:
        return text.replace("</script", r"<\/script")

    files = [block("application/octet-stream", n, base64.b64encode((dist / n).read_bytes()).decode()) for n in names]
    code = bundle("page", {"connect.js": "connect.single.js"})
    scripts = [
        *files,
        block("text/plain", "worker.js", script(bundle("worker"))),
        f"<script>{script(code)}</script>\n",
    ]
    page = re.sub(r"<!-- served -->.*?<!-- /served -->\n", "", page, flags=re.S)
    css = (WEB / "page.css").read_text("utf-8")
    page = page.replace('<link rel="stylesheet" href="page.css">', f"<style>\n{css}</style>")
    page = page.replace('<script type="module" src="page.js"></script>\n', "".join(scripts))
    return page.replace("connect-src 'self'", "connect-src 'none'").replace("'self'", "'unsafe-inline'", 2)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--to", type=Path, default=WEB / "dist", metavar="FOLDER")
    options = parser.parse_args()
    dist: Path = options.to
    models = {name: Model.read(WEIGHTS / f"{name}.safetensors") for name in MODELS}
    if options.pin:
        (WEB / "models.js").write_text(pins(models), "utf-8")
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    compile_core(dist / "caecodec.wasm")
    for name, model in models.items():
        for part in PARTS:
            shipped = gzip.compress(model.write(model.part(part), shipped=True), 9, mtime=0)
            (dist / f"{name}-{model.metadata['id']}.{part}").write_bytes(shipped)
    (dist / "service-worker.js").write_text(bundle("service-worker"), "utf-8")
    (dist / "caecodec.html").write_text(single_page(dist), "utf-8")
    for path in sorted(dist.iterdir()):
        print(f"{path.stat().st_size:>10,}  {path.name}")


if __name__ == "__main__":
    main()
