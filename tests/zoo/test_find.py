from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import photograph, run

import caecodec
from caecodec.errors import ModelError
from caecodec.zoo import file, find


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(find.PATH_VARIABLE, str(tmp_path))
    return tmp_path


def another(path: Path, name: str) -> bytes:
    """A model that differs from the default one in a gain, under any name; returns its id."""
    from caecodec.zoo.identity import model_id

    info = find.find()
    tensors = load_file(info.path)
    tensors["float.gain"] = tensors["float.gain"] * np.float32(1.001)
    metadata = {"format": "caecodec-model 2", "family": "photo", "name": name, "description": ""}
    metadata |= {"id": model_id(tensors).hex(), "summary": "{}"}
    metadata |= {"config": json.dumps(dict(info.config)), "training": json.dumps(dict(info.training))}
    save_file(tensors, path, metadata=metadata)
    return model_id(tensors)


def test_a_model_that_takes_a_name_does_not_hide_the_other_from_its_files(folder: Path) -> None:
    data = caecodec.encode(photograph(20, 20), 50)
    taken = another(folder / "other.safetensors", find.DEFAULT_MODEL)
    assert find.find(find.DEFAULT_MODEL).id == taken
    assert caecodec.decode(data).size == (20, 20)
    assert caecodec.info(data).model == find.DEFAULT_MODEL


def test_what_is_no_model_in_the_path_harms_nobody_and_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.safetensors").write_text("no model")
    data = caecodec.encode(photograph(20, 20), 50)
    assert caecodec.info(data).model == find.DEFAULT_MODEL
    assert "broken.safetensors" in run("models").err
    with pytest.raises(ModelError, match="broken"):
        find.find("nothing")


def test_models_lists_name_id_size_data_and_quality() -> None:
    rows = [json.loads(line) for line in run("models", "--json").out.splitlines()]
    assert [row["name"] for row in rows if row["default"]] == [find.DEFAULT_MODEL]
    assert {"tiny", "cifar10", "mnist"} < {row["name"] for row in rows}
    for row in rows:
        assert row["bytes"] < 20e6
        assert row["data"]
        assert row["quality"]


def test_the_card_of_the_default_model_states_data_licences_and_results() -> None:
    card = find.find().card
    for word in ("licence", "steps", "hours", "BD-rate"):
        assert word in card


def test_a_truncated_model_is_refused(folder: Path) -> None:
    path = folder / "cut.safetensors"
    shutil.copy(find.find().path, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut"):
        find.load(str(path))


def test_a_header_is_read_again_only_where_its_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    shutil.copy(find.find("tiny").path, path)
    seen = []
    read = file.header.read
    monkeypatch.setattr(file.header, "read", lambda stream, size: seen.append(1) or read(stream, size))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    for _ in range(3):
        assert find.find(str(path)).name == "tiny"
    assert len(seen) == 1
    os.utime(path)  # changed just now: it may change again within one tick of the clock
    for _ in range(3):
        assert find.find(str(path)).name == "tiny"
    assert len(seen) == 4
