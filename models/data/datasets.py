"""Whole data sets of tiny pictures (MNIST, Fashion-MNIST, CIFAR-10, CIFAR-100), held in memory."""

from __future__ import annotations

import importlib
import re
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from caecodec.errors import UsageError
from caecodec.models.data.pictures import LOSSLESS_SUFFIXES

NAMES = ("cifar10", "cifar100", "fashion-mnist", "mnist")
SPLITS = ("train", "test")
MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}  # Pillow's, and what each is read as


@dataclass(frozen=True, slots=True)
class SmallSet:
    """Pictures of one size, in a fixed order. One that came without labels has -1 for each, and no classes."""

    name: str
    pictures: Tensor  # (P, H, W, C) uint8, C = 1 or 3
    labels: Tensor  # (P,) int64
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, which: slice | Tensor) -> SmallSet:
        """A part of it: a slice, indices (N,) int64 or a mask (P,) bool."""
        return SmallSet(self.name, self.pictures[which], self.labels[which], self.classes)


@dataclass(frozen=True, slots=True)
class _Archive:
    """What torchvision.datasets calls a data set, and the files it reads below its root."""

    kind: str
    folder: str
    files: tuple[str, ...]
    count: int  # of classes


_IDX = tuple(f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
_ARCHIVES = {
    "cifar10": _Archive("CIFAR10", "cifar-10-batches-py", _BATCHES, 10),
    "cifar100": _Archive("CIFAR100", "cifar-100-python", ("train", "test", "meta"), 100),
    "fashion-mnist": _Archive("FashionMNIST", "FashionMNIST/raw", _IDX, 10),
    "mnist": _Archive("MNIST", "MNIST/raw", _IDX, 10),
}


def load(name: str, root: Path, split: str, *, download: bool = True) -> SmallSet:
    """One split, "train" or "test", of a data set. `root` is the first of these that fits:

    - a .npz file with `images` (P, H, W) or (P, H, W, 3) uint8 and perhaps `labels` (P,) and `classes`. Where keys say
      train and test, as in `x_train`, those of the split are read; a file with -test in its name is all test pictures;
      of any other the first 7/9 are for training.
    - a folder of train/CLASS/*.png and test/CLASS/*.png, or of other lossless pictures; the classes in the order of
      their names, or of their numbers where all are numbers.
    - a root of torchvision.datasets, downloaded to where files are missing and `download` is set.

    Raises ValueError for a name or split that is not known and for data that cannot be read or does not fit together,
    FileNotFoundError where there is none, UsageError where torchvision is needed and missing.
    """
    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}; known are {', '.join(NAMES)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; known are {', '.join(SPLITS)}")
    if root.suffix == ".npz":
        return _from_npz(name, root, split)
    if any((root / s).is_dir() for s in SPLITS):
        return _from_folders(name, root, split)
    return _from_archives(name, root, split, download)


def _none_here(name: str, root: Path, looked_for: str) -> FileNotFoundError:
    archive = _ARCHIVES[name]
    return FileNotFoundError(
        f"{root}: no data set {name}: {looked_for}. Accepted are a .npz file; a folder of train/CLASS/*.png and "
        f"test/CLASS/*.png; a root of torchvision.datasets, with {archive.folder}/{archive.files[0]} and so on"
    )


def _small_set(
    name: str,
    where: Path,
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    classes: Sequence[str],
) -> SmallSet:
    """The record, checked. Pictures (P, H, W) or (P, H, W, C); the classes may be unnamed. Raises ValueError."""
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] not in (1, 3) or 0 in pictures.shape:
        raise ValueError(
            f"{where}: found pictures {pictures.dtype} {pictures.shape}; expected uint8 (P, H, W) or (P, H, W, 1 or 3)"
        )
    count = _ARCHIVES[name].count
    if len(classes) > count:
        raise ValueError(f"{where}: found {len(classes)} classes, but {name} has {count}")
    if labels is None:
        labels, classes = np.full(len(pictures), -1, np.int64), ()
    else:
        classes = classes or [str(i) for i in range(count)]
        if labels.shape != pictures.shape[:1]:
            raise ValueError(f"{where}: found labels {labels.shape} for {len(pictures)} pictures")
        if labels.min() < 0 or labels.max() >= len(classes):
            raise ValueError(f"{where}: found labels {labels.min()} to {labels.max()} for {len(classes)} classes")
    # in C order, which CIFAR's batches are not: they hold one plane after the other
    kept = torch.from_numpy(np.require(pictures, requirements=["C", "W"]))
    return SmallSet(name, kept, torch.from_numpy(labels.astype(np.int64)), tuple(classes))


def _from_npz(name: str, path: Path, split: str) -> SmallSet:
    if not path.is_file():
        raise _none_here(name, path, "looked for this .npz file")
    try:
        with zipfile.ZipFile(path), np.load(path) as archive:  # the first as numpy also reads what is no archive
            arrays = {key: archive[key] for key in archive.files}
    # the RuntimeError for a damaged file that seems encrypted, or packed in a way zipfile does not know
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as exc:
        raise ValueError(f"{path}: not a .npz file numpy can read ({exc})") from exc

    classes = [str(c) for c in arrays.pop("classes", np.empty(0)).ravel()]
    words = {key: set(re.split(r"[\W_]", key)) for key in arrays}
    splits = {s for s in SPLITS if any(s in w for w in words.values())}
    if splits:
        if split not in splits:
            raise ValueError(f"{path}: no key for {split!r}; found {', '.join(sorted(arrays))}")
        arrays = {key: array for key, array in arrays.items() if split in words[key]}
    pictures = [array for array in arrays.values() if array.ndim >= 3]
    labels = [array for array in arrays.values() if array.ndim == 1 and array.dtype.kind in "iu"]
    if len(pictures) != 1 or len(labels) > 1:
        found = ", ".join(f"{key} {array.dtype} {array.shape}" for key, array in sorted(arrays.items()))
        raise ValueError(
            f"{path}: found {found or 'nothing'}; expected one array of pictures and at most one of labels"
        )
    whole = _small_set(name, path, pictures[0], labels[0] if labels else None, classes)
    if splits:
        return whole
    if "-test-" in path.name or path.stem.endswith("-test"):
        if split == "train":
            raise ValueError(f"{path}: by its name it holds test pictures only; none of them may be trained on")
        return whole
    first = len(whole) * 7 // 9  # as the file has them: where it is sorted by class, so are the parts
    return whole.take(slice(first) if split == "train" else slice(first, None))


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, by name; without what file managers and notebooks leave behind."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _classes(folder: Path) -> list[str]:
    names = [path.name for path in _visible(folder) if path.is_dir()]
    return sorted(names, key=int) if all(re.fullmatch("[0-9]+", n) for n in names) else names


def _from_folders(name: str, root: Path, split: str) -> SmallSet:
    if not (root / split).is_dir():
        raise _none_here(name, root, f"looked for its folder {split}, found only the other")
    classes = _classes(root / split)
    for other in SPLITS:
        # else one label would mean one class in training and another in the test
        if (root / other).is_dir() and (different := set(_classes(root / other)) ^ set(classes)):
            raise ValueError(f"{root}: train and test must have the same classes; found {min(different)} in one only")
    paths, labels = [], []
    for label, class_name in enumerate(classes):
        members = [p for p in _visible(root / split / class_name) if p.suffix.lower() in LOSSLESS_SUFFIXES]
        paths += members
        labels += [label] * len(members)
    if not paths:
        raise _none_here(name, root, f"looked for lossless pictures in {split}/CLASS")

    # one thread: so small a picture takes 70 us, most of them with the interpreter's lock held; two threads were slower
    first = _picture(paths[0])
    pictures = np.empty((len(paths), *first.shape), np.uint8)
    for i, path in enumerate(paths):
        picture = _picture(path)
        if picture.shape != first.shape:
            raise ValueError(f"{path}: found {_form(picture)}, but {paths[0]} is {_form(first)}; all must be alike")
        pictures[i] = picture
    return _small_set(name, root, pictures, np.array(labels), classes)


def _picture(path: Path) -> NDArray[np.uint8]:
    """A picture file as (H, W) or (H, W, 3). Raises ValueError."""
    try:
        with Image.open(path) as image:
            mode = image.mode
            picture = np.asarray(image.convert(MODES.get(mode, mode)))
    # what Pillow's decoders raise on damaged files, as in data.read
    except (Image.DecompressionBombError, OSError, SyntaxError, EOFError, IndexError, ValueError) as exc:
        raise ValueError(f"{path}: not a picture Pillow can read ({exc})") from exc
    if mode not in MODES:
        raise ValueError(f"{path}: found mode {mode}; expected 8-bit gray, RGB or a palette, without alpha")
    return picture


def _form(picture: NDArray[np.uint8]) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]} {'gray' if picture.ndim == 2 else 'colour'}"


def _from_archives(name: str, root: Path, split: str, download: bool) -> SmallSet:
    archive = _ARCHIVES[name]

    def missing() -> list[str]:
        return [file for file in archive.files if not (root / archive.folder / file).is_file()]

    if root.is_file():
        raise _none_here(name, root, "this is a file, but not .npz")
    if missing() and not download:
        raise _none_here(name, root, f"looked for train, test and {archive.folder}/{missing()[0]}")
    kind = getattr(_torchvision_datasets(), archive.kind)
    try:
        with warnings.catch_warnings():
            # numpy 2.4.0 warns of how the original batches of CIFAR, pickled by Python 2, spell their dtype
            warnings.filterwarnings("ignore", r"dtype\(\): align")
            read = kind(root, train=split == "train", download=download)
            pictures, labels, classes = np.asarray(read.data), np.asarray(read.targets), read.classes
    except (RuntimeError, OSError, HTTPException) as exc:
        message = " ".join(str(exc).split())  # on one line
        if missing():
            place = root / archive.folder
            raise _none_here(
                name, root, f"torchvision could not get it ({message}); put {', '.join(archive.files)} into {place}"
            ) from exc
        raise ValueError(f"{root / archive.folder}: files are damaged ({message})") from exc
    # the last few of its parsers, the AssertionError from those of MNIST's files
    except (ValueError, TypeError, LookupError, EOFError, UnpicklingError, AssertionError) as exc:
        raise ValueError(f"{root / archive.folder}: torchvision cannot read it ({exc!r})") from exc
    # "3 - three" elsewhere is "3"
    return _small_set(name, root, pictures, labels, () if name == "mnist" else classes)


@cache  # kept: the operators go when the library object does
def _stand_in_operators() -> torch.library.Library:
    """Declare the two operators that importing torchvision looks up, without an implementation."""
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library


def _torchvision_datasets() -> ModuleType:
    """torchvision.datasets. Raises UsageError where it is missing or broken."""
    module = "torchvision.datasets"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its own PNG and JPEG decoders do not load: they are not used here
            try:
                return importlib.import_module(module)
            except RuntimeError as exc:
                # The C++ operators of torchvision load only beside the very build of torch they were compiled for: the
                # wheel on PyPI is for CUDA, and beside a CPU build of torch it fails at import with "operator
                # torchvision::nms does not exist". No data set calls an operator, so their declarations are enough.
                if "operator torchvision::" not in str(exc):
                    raise
                _stand_in_operators()
                return importlib.import_module(module)
    except ImportError as exc:
        raise UsageError(
            f"the original archives are read by torchvision, which is missing ({exc}): pip install 'caecodec[train]'"
        ) from exc
    except (RuntimeError, OSError) as exc:
        raise UsageError(
            f"torchvision does not fit torch {torch.__version__} ({exc}): pip install 'caecodec[train]' anew"
        ) from exc


def augment(pictures: Tensor, generator: torch.Generator, *, flip: bool, shift: int) -> Tensor:
    """Mirror each picture left-right with chance 1/2, and shift it by up to `shift` pixels, its edges repeated.

    (B, H, W, C) uint8 -> the same. Raises ValueError for a negative shift.
    """
    if shift < 0:
        raise ValueError(f"shift is {shift}; it must not be negative")
    count, height, width, channels = pictures.shape
    device = generator.device
    rows = torch.arange(height, device=device).expand(count, -1)  # (B, H)
    columns = torch.arange(width, device=device).expand(count, -1)  # (B, W)
    if flip:
        mirrored = torch.rand(count, 1, device=device, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    if shift:
        down, right = torch.randint(-shift, shift + 1, (2, count, 1), device=device, generator=generator)
        rows, columns = (rows + down).clamp(0, height - 1), (columns + right).clamp(0, width - 1)
    # one index for each pixel: index_select over whole pixels takes a third of the time of indexing by three tensors
    first = height * torch.arange(count, device=device)[:, None]  # (B, 1), the first row of each picture
    index = (first + rows)[:, :, None] * width + columns[:, None, :]  # (B, H, W)
    pixels = pictures.reshape(-1, channels).index_select(0, index.reshape(-1).to(pictures.device))
    return pixels.reshape(pictures.shape)


def padded(pictures: Tensor, multiple: int) -> Tensor:
    """Continue height and width to multiples by repeating the right and lower edge: (B, H, W, C) -> (B, H', W', C).

    Raises ValueError for a multiple below 1.
    """
    if multiple < 1:
        raise ValueError(f"multiple is {multiple}; it must be at least 1")
    for axis in (1, 2):
        length = pictures.shape[axis]
        if length % multiple:
            index = torch.arange(length + -length % multiple, device=pictures.device).clamp_max(length - 1)
            pictures = pictures.index_select(axis, index)
    return pictures
