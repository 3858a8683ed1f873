"""Data sets as their authors packed them, read by torchvision where it is there."""

from __future__ import annotations

import copyreg
import gzip
import hashlib
import importlib.util
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_sets import folders, noise

from caecodec.errors import UsageError
from caecodec.models.data import datasets

needs_torchvision = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed: caecodec[train]"
)


def idx(array: NDArray[np.uint8]) -> bytes:
    """The format of MNIST's files: 0x08 for bytes, the number of sides, each side in four bytes, the values."""
    return bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def mnist_files(raw: Path) -> None:
    raw.mkdir(parents=True)
    for part, count in (("train", 7), ("t10k", 3)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(noise(count, 28, 28, seed=count)))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(count, dtype=np.uint8)))


def old_pickle(value: object) -> bytes:
    """As Python 2 left it in CIFAR's batches, where the flags of a dtype are numbers; numpy 2.4.0 warns of that."""

    class Old(pickle.Pickler):
        dispatch_table = copyreg.dispatch_table.copy()

    Old.dispatch_table[type(np.dtype("u1"))] = lambda _: (np.dtype, ("u1", 0, 1))
    stream = io.BytesIO()
    Old(stream, protocol=2).dump(value)
    return stream.getvalue()


def cifar_files(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, NDArray[np.uint8]]:
    """Batches of two pictures in the original format, their checksums in place of the true ones -> planes by file."""
    kind = getattr(datasets._torchvision_datasets(), name.upper())
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    planes: dict[str, NDArray[np.uint8]] = {}

    def written(file: str, value: dict[str, object]) -> str:
        (folder / file).write_bytes(old_pickle(value))
        return hashlib.md5((folder / file).read_bytes()).hexdigest()

    sums: dict[str, list[list[str]]] = {}
    for part in ("train_list", "test_list"):
        for file, _ in getattr(kind, part):
            planes[file] = noise(2, 3072, seed=len(planes))
            labels = [len(planes), 0]
            keys = {"labels": labels} if name == "cifar10" else {"coarse_labels": [19, 19], "fine_labels": labels}
            sums.setdefault(part, []).append([file, written(file, {"data": planes[file], **keys})])
    for part, lists in sums.items():
        monkeypatch.setattr(kind, part, lists)
    names = [f"{name}-{i}" for i in range(int(name[5:]))]
    meta = kind.meta | {"md5": written(kind.meta["filename"], {kind.meta["key"]: names})}
    monkeypatch.setattr(kind, "meta", meta)
    return planes


@needs_torchvision
@pytest.mark.parametrize(
    ("name", "folder", "first"), [("mnist", "MNIST", "0"), ("fashion-mnist", "FashionMNIST", "T-shirt/top")]
)
def test_original_mnist_files_are_read(tmp_path: Path, name: str, folder: str, first: str) -> None:
    mnist_files(tmp_path / folder / "raw")
    for split, count in (("train", 7), ("test", 3)):
        got = datasets.load(name, tmp_path, split, download=True)  # nothing is missing, so nothing is fetched
        assert tuple(got.pictures.shape) == (count, 28, 28, 1)
        assert np.array_equal(got.pictures.numpy()[..., 0], noise(count, 28, 28, seed=count))
        assert got.labels.tolist() == list(range(count))
        assert (got.labels.dtype, got.classes[0], len(got.classes)) == (torch.int64, first, 10)


@needs_torchvision
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_original_cifar_batches_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    planes = cifar_files(tmp_path, monkeypatch, name)
    tests = ("test_batch",) if name == "cifar10" else ("test",)
    for split, files in (("train", [f for f in planes if f not in tests]), ("test", tests)):
        got = datasets.load(name, tmp_path, split, download=False)
        want = np.concatenate([planes[f] for f in files]).reshape(-1, 3, 32, 32)
        assert np.array_equal(got.pictures.numpy(), want.transpose(0, 2, 3, 1))  # the file has whole planes
        assert got.pictures.is_contiguous()
        assert got.labels.tolist()[-2:] == [list(planes).index(files[-1]) + 1, 0]
        assert got.classes == tuple(f"{name}-{i}" for i in range(int(name[5:])))


@needs_torchvision
def test_damaged_original_files_are_an_error_that_names_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mnist_files(tmp_path / "MNIST" / "raw")
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    for data in (b"", whole[:40], whole[:-1], b"\0\0\0\0" + whole[4:], b"text and more text"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"MNIST.raw: "):
            datasets.load("mnist", tmp_path, "train", download=False)
    path.write_bytes(whole)
    (path.parent / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(6, np.uint8)))
    with pytest.raises(ValueError, match=r"labels \(6,\) for 7 pictures"):
        datasets.load("mnist", tmp_path, "train", download=False)
    cifar_files(tmp_path, monkeypatch, "cifar10")
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"not what its checksum says")
    with pytest.raises(ValueError, match="cifar-10-batches-py: files are damaged"):
        datasets.load("cifar10", tmp_path, "test", download=False)


@needs_torchvision
@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_download_without_a_network_says_where_the_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    folder = {
        "cifar10": "cifar-10-batches-py",
        "cifar100": "cifar-100-python",
        "fashion-mnist": "FashionMNIST/raw",
        "mnist": "MNIST/raw",
    }[name]
    with pytest.raises(FileNotFoundError, match=r"no network.* put .* into ") as error:
        datasets.load(name, tmp_path, "test")
    assert str(tmp_path / folder) in str(error.value)


@needs_torchvision
def test_a_packed_archive_in_place_is_unpacked_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "MNIST" / "raw"
    mnist_files(raw)
    sums = []
    for path in sorted(raw.iterdir()):
        packed = path.with_name(f"{path.name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        sums.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
        path.unlink()
    monkeypatch.setattr(datasets._torchvision_datasets().MNIST, "resources", sums)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("asked the network"))
    assert len(datasets.load("mnist", tmp_path, "test", download=True)) == 3


def test_without_torchvision_the_extra_is_named_and_the_other_forms_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torchvision", "torchvision.datasets"):
        monkeypatch.setitem(sys.modules, module, None)
    mnist_files(tmp_path / "archives" / "MNIST" / "raw")
    with pytest.raises(UsageError, match=r"torchvision.*pip install 'caecodec\[train\]'"):
        datasets.load("mnist", tmp_path / "archives", "train")
    assert len(datasets.load("cifar10", folders(tmp_path / "folders"), "train")) == 6


def test_a_torchvision_that_breaks_for_another_reason_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> ModuleType:
        raise RuntimeError(f"{name} was built for another Python")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(UsageError, match=r"does not fit torch .*another Python"):
        datasets._torchvision_datasets()


def test_a_torchvision_without_its_operators_still_gives_data_sets(tmp_path: Path) -> None:
    package = tmp_path / "torchvision"
    (package / "datasets").mkdir(parents=True)
    (package / "datasets" / "__init__.py").write_text("KIND = 'imported'\n")
    lookups = "".join(f"torch.library.register_fake('torchvision::{op}')(lambda *a: None)\n" for op in ("nms", "qnms"))
    (package / "__init__.py").write_text(f"import torch\n{lookups}")  # what the true one does, and where it fails
    code = "from caecodec.models.data import datasets as d; print(d._torchvision_datasets().KIND)"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    alone = subprocess.run(
        [sys.executable, "-c", "import torchvision"], env=environment, capture_output=True, text=True
    )
    assert "operator torchvision::nms does not exist" in alone.stderr
    guarded = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (guarded.stdout, guarded.returncode) == ("imported\n", 0), guarded.stderr
