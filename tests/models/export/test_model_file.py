"""A checkpoint becomes a model file: coded with, fitted, refused where it was changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import photograph
from support import run as run_command

import caecodec
from caecodec.errors import FileSystemError, ModelError, UsageError
from caecodec.models.export.model_file import export, load_checkpoint, tensors_of
from caecodec.zoo import find


def test_an_exported_model_codes_pictures_and_its_files_name_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(run / "run" / "checkpoint.pt", run / "models")
    picture = photograph(70, 90, seed=2)
    data = caecodec.encode(picture, 60, model=str(path))
    with pytest.raises(ModelError, match=find.PATH_VARIABLE):
        caecodec.decode(data)
    monkeypatch.setenv(find.PATH_VARIABLE, str(run / "models"))
    back = np.asarray(caecodec.decode(data))
    assert back.shape == picture.shape
    assert caecodec.info(data).model == "tiny"
    assert 10 * np.log10(255**2 / np.square(back.astype(float) - picture).mean()) > 20


def test_export_writes_a_card_and_does_not_overwrite(run: Path, tmp_path: Path) -> None:
    path = export(run / "run" / "checkpoint.pt", tmp_path, "mine", {"data": "made-up pictures, CC0"})
    card = path.with_suffix(".md").read_text()
    assert "made-up pictures, CC0" in card
    assert "120 steps, 480 patches" in card
    with pytest.raises(FileSystemError, match="exists"):
        export(run / "run" / "checkpoint.pt", tmp_path, "mine")
    with pytest.raises(UsageError, match="not a whole checkpoint"):
        export(run / "recipe.toml", tmp_path, "other")


def test_export_fits_tables_and_checks_what_it_wrote(run: Path, tmp_path: Path) -> None:
    checkpoint, pictures = run / "run" / "checkpoint.pt", run / "val.png"
    plain = find.load(str(export(checkpoint, tmp_path, "plain"))).tensors
    result = run_command(
        "export", checkpoint, "-o", tmp_path, "--name", "fitted", "--fit", pictures, "--check", pictures
    )
    assert result.code == 0, result.err
    assert result.out.count(b"bits in float") == 3
    fitted = find.load(str(tmp_path / "fitted.safetensors")).tensors
    changed = {name for name in plain if not np.array_equal(plain[name], fitted[name])}
    assert {"table.frequencies", "g_s.stem.weight"} <= changed  # what symbols there are, and how large activations get
    assert not any(name.startswith("float.") for name in changed)
    assert "fitted to val.png" in (tmp_path / "fitted.md").read_text()
    refused = run_command("export", checkpoint, "-o", tmp_path, "--name", "none", "--fit", run / "train" / "0.png")
    assert refused.code == 2
    assert "at least 256x256" in refused.err
    assert not (tmp_path / "none.safetensors").exists()


def test_export_is_the_same_every_time(run: Path) -> None:
    a, b = (tensors_of(load_checkpoint(run / "run" / "checkpoint.pt")[0]) for _ in range(2))
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_changed_tensor_is_refused(run: Path, tmp_path: Path) -> None:
    path = export(run / "run" / "checkpoint.pt", tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="do not hash"):
        find.load(str(path))


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere", "no such folder"), ("empty", "no validation picture of at least")]
)
def test_a_folder_to_fit_to_is_named_once_where_it_will_not_do(run: Path, tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=why) as error:
        export(run / "run" / "weights.pt", tmp_path, fit=tmp_path / name)
    assert str(error.value).count(str(tmp_path / name)) == 1
