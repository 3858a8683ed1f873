"""Stray files beside models harm nobody, and a model's metadata, which no id covers, decide no size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zoo_models
from safetensors.numpy import load_file, save_file
from support import photograph, run

import caecodec
from caecodec.engines import opening
from caecodec.engines.opening import torch_lacks
from caecodec.errors import ModelError
from caecodec.zoo import find
from caecodec.zoo.file import Model, read_info
from caecodec.zoo.identity import model_id


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(find.PATH_VARIABLE, str(tmp_path))
    return tmp_path


def changed(name: str, path: Path, config: dict[str, object] | None = None, **tensors: np.ndarray) -> Path:
    """An installed model with other tensors or another configuration, whose id is true."""
    info = find.find(name)
    every = load_file(info.path) | tensors
    metadata = {"format": "caecodec-model 2", "family": info.family, "name": "changed", "description": ""}
    metadata |= {"id": model_id(every).hex(), "training": "{}", "summary": "{}"}
    metadata["config"] = json.dumps(dict(info.config) | (config or {}))
    save_file(every, path, metadata=metadata)
    return path


STRAY: dict[str, bytes] = {
    "deep": (text := b'{"a":' * 100_000 + b"1" + b"}" * 100_000) and len(text).to_bytes(8, "little") + text,
    "list": (2).to_bytes(8, "little") + b"[]",
    "long": b"\xff" * 8,
    "not text": (4).to_bytes(8, "little") + b"\xff\xfe\xfd\xfc",
    "empty": b"",
}


@pytest.mark.parametrize("name", STRAY)
def test_a_stray_file_breaks_no_command(name: str, folder: Path) -> None:
    (folder / "stray.safetensors").write_bytes(STRAY[name])
    data = caecodec.encode(photograph(16, 16), 50)
    assert caecodec.decode(data).size == (16, 16)
    assert "stray.safetensors" in run("models").err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names on this system")
def test_a_pipe_among_models_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.safetensors")
    command = [sys.executable, "-m", "caecodec", "models", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    assert "pipe.safetensors: not a file" in done.stderr
    (folder / "folder.safetensors").mkdir()
    with pytest.raises(ModelError, match="not a file"):
        read_info(folder / "folder.safetensors")


def test_a_card_that_is_no_text_is_shown_as_far_as_it_is(folder: Path) -> None:
    changed("mnist-fixed", folder / "own.safetensors")
    (folder / "own.md").write_bytes(b"card \xff")
    result = run("models", "--card", str(folder / "own.safetensors"))
    assert (result.code, result.out[:5]) == (0, b"card ")


@pytest.mark.parametrize("id_text", ["", "00", "0000000G", "AAAAAAAA"])
def test_an_id_that_is_none_is_refused(id_text: str, folder: Path) -> None:
    path = changed("mnist-fixed", folder / "own.safetensors")
    old = find.find(str(path)).id.hex().encode()
    data = path.read_bytes().replace(b'"id":"' + old, b'"id":"' + id_text.encode().ljust(8, b" "))
    path.write_bytes(data)
    with pytest.raises(ModelError, match="8 hexadecimal digits"):
        read_info(path)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("config", [{"units": 10**9}, {"coded": 10**9}, {"kind": "mnist"}, {"kind": ["cifar100"]}])
def test_metadata_decide_no_size(engine: str, config: dict[str, object], folder: Path) -> None:
    if engine == "torch" and torch_lacks():
        pytest.skip(torch_lacks())
    info = find.find(str(changed("cifar100", folder / "own.safetensors", config)))
    model = find.load(str(info.path))
    if "kind" in config:
        with pytest.raises(ModelError):
            opening.autoencoder(model, "cpu", "auto", engine)
    else:
        assert opening.autoencoder(model, "cpu", "auto", engine).latent[0] == model.tensors["turn.weight"].shape[0]


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_weights_that_are_no_numbers_are_refused_and_not_decoded_to_black(engine: str, folder: Path) -> None:
    if engine == "torch" and torch_lacks():
        pytest.skip(torch_lacks())
    name = "network.decoder.4.bias"
    bad = np.array(find.load("cifar100").tensors[name])
    bad[0] = np.nan
    path = changed("cifar100", folder / "own.safetensors", **{name: bad})
    with pytest.raises(ModelError, match="not finite"):
        opening.autoencoder(find.load(str(path)), "cpu", "auto", engine)


@pytest.mark.parametrize("engine", ["native", "numpy", "torch"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_units_that_are_no_numbers_are_refused_by_every_engine(engine: str, value: float) -> None:
    if engine == "torch" and torch_lacks():
        pytest.skip(torch_lacks())
    if engine == "native" and opening.native_lacks():
        pytest.skip(opening.native_lacks())
    whole = zoo_models.photo()
    unit = np.array(whole.tensors["g_a.unit"])
    unit[0] = value
    with pytest.raises(ModelError, match="not finite"):
        opening.photo(Model(whole.info, dict(whole.tensors) | {"g_a.unit": unit}), "auto", "auto", engine)
