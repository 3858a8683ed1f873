"""Data sets of tiny pictures: every form they come in, what is refused, and how they are varied and padded."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small_sets import folders, noise, save

from caecodec.models.data import datasets

SMALL = Path(__file__).parents[4] / "shared" / "small"
needs_small = pytest.mark.skipif(not SMALL.is_dir(), reason="the data sets of tiny pictures are not here")


# ---- what is asked for


@pytest.mark.parametrize(("name", "split"), [("imagenet", "train"), ("mnist", "validation"), ("MNIST", "test")])
def test_an_unknown_name_or_split_is_refused_with_the_known_ones(tmp_path: Path, name: str, split: str) -> None:
    with pytest.raises(ValueError, match=r"known are .*(mnist|train, test)"):
        datasets.load(name, tmp_path, split, download=False)


@pytest.mark.parametrize("root", ["", "absent", "absent.npz", "notes.txt"])
def test_a_root_with_nothing_in_it_says_what_it_could_be(tmp_path: Path, root: str) -> None:
    (tmp_path / "notes.txt").write_text("no pictures")
    with pytest.raises(FileNotFoundError, match=r"Accepted are a \.npz .* train/CLASS/\*\.png .* torchvision") as error:
        datasets.load("mnist", tmp_path / root, "train", download=False)
    assert str(tmp_path / root) in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt"]


def test_a_part_is_a_slice_indices_or_a_mask(tmp_path: Path) -> None:
    whole = datasets.load("cifar10", folders(tmp_path), "train")
    assert whole.take(slice(2, 4)).labels.tolist() == [0, 1]
    picked = whole.take(torch.tensor([5, 0]))
    assert (len(picked), picked.labels.tolist(), picked.classes) == (2, [1, 0], whole.classes)
    assert torch.equal(picked.pictures, whole.pictures[[5, 0]])
    assert whole.take(whole.labels == 1).labels.tolist() == [1, 1, 1]


# ---- .npz


@needs_small
@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("cifar10", (500, 32, 32, 3), "airplane"),
        ("cifar100", (500, 32, 32, 3), "apple"),
        ("mnist", (500, 28, 28, 1), "0"),
    ],
)
def test_a_file_of_test_pictures_is_all_test_and_never_train(name: str, shape: tuple[int, ...], classes: str) -> None:
    path = SMALL / f"{name}-test-500.npz"
    got = datasets.load(name, path, "test")
    with np.load(path) as archive:
        assert np.array_equal(got.pictures.numpy().reshape(archive["images"].shape), archive["images"])
        assert got.labels.tolist() == archive["labels"].tolist()
    assert tuple(got.pictures.shape) == shape
    assert (got.pictures.dtype, got.labels.dtype) == (torch.uint8, torch.int64)
    assert (got.classes[0], len(got.classes)) == (classes, 100 if name == "cifar100" else 10)
    with pytest.raises(ValueError, match=f"{path.name}.*test pictures only"):
        datasets.load(name, path, "train")


def test_a_file_without_splits_is_cut_at_seven_ninths(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (900, 28, 28), np.uint8)
    path = tmp_path / "some.npz"
    np.savez(path, images=images)
    train, test = (datasets.load("fashion-mnist", path, split) for split in ("train", "test"))
    assert (len(train), len(test), tuple(train.pictures.shape[1:])) == (700, 200, (28, 28, 1))
    both = torch.cat([train.pictures, test.pictures]).squeeze(3)
    assert np.array_equal(both.numpy(), images)
    assert (set(train.labels.tolist()), train.classes) == ({-1}, ())  # it has no labels


@needs_small
def test_the_test_set_of_fashion_mnist_is_whole_and_never_trained_on() -> None:
    path = SMALL / "fashion-mnist-test.npz"
    got = datasets.load("fashion-mnist", path, "test")
    assert tuple(got.pictures.shape) == (10_000, 28, 28, 1)
    assert torch.bincount(got.labels).tolist() == [1000] * 10
    with pytest.raises(ValueError, match="test pictures only"):
        datasets.load("fashion-mnist", path, "train")


def test_keys_that_name_a_split_are_followed(tmp_path: Path) -> None:
    path, pictures = tmp_path / "a-test-file.npz", noise(9, 4, 4)
    np.savez(path, x_train=pictures[:6], y_train=np.arange(6), x_test=pictures[6:], y_test=np.arange(6, 9))
    train, test = (datasets.load("mnist", path, split) for split in ("train", "test"))
    assert np.array_equal(train.pictures.numpy()[..., 0], pictures[:6])
    assert np.array_equal(test.pictures.numpy()[..., 0], pictures[6:])
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7, 8])
    assert test.classes == tuple("0123456789")
    np.savez(path, train_images=pictures)
    with pytest.raises(ValueError, match="no key for 'test'; found train_images"):
        datasets.load("mnist", path, "test")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": noise(3, 4, 4).astype(np.float32)}, "float32"),
        ({"images": noise(3, 4, 4, 2)}, r"\(3, 4, 4, 2\)"),
        ({"images": noise(0, 4, 4)}, r"\(0, 4, 4, 1\)"),
        ({"images": noise(3, 4, 4), "labels": np.arange(2)}, r"labels \(2,\) for 3 pictures"),
        ({"images": noise(3, 4, 4), "labels": np.array([0, 1, 10])}, "labels 0 to 10 for 10 classes"),
        ({"images": noise(3, 4, 4), "labels": np.array([0, -1, 1])}, "labels -1 to 1"),
        ({"images": noise(3, 4, 4), "classes": np.array(["c"] * 11)}, "11 classes, but mnist has 10"),
        ({"labels": np.arange(3)}, "expected one array of pictures"),
        ({"a": noise(3, 4, 4), "b": noise(3, 4, 4)}, "expected one array of pictures"),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], message: str
) -> None:
    np.savez(tmp_path / "some.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"some\.npz: .*{message}"):
        datasets.load("mnist", tmp_path / "some.npz", "test")


def test_a_damaged_npz_is_refused_by_name(tmp_path: Path) -> None:
    path, array, whole = tmp_path / "some.npz", io.BytesIO(), io.BytesIO()
    np.save(array, noise(3, 4, 4))
    np.savez_compressed(whole, images=noise(3, 4, 4))
    packed = bytearray(whole.getvalue())
    packed[80:90] = bytes(10)
    for data in (b"", b"text", array.getvalue(), whole.getvalue()[:-30], bytes(packed)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"some\.npz: not a \.npz file"):
            datasets.load("mnist", path, "train")


@pytest.mark.parametrize("form", ["npz", "png"])
def test_every_damaged_byte_is_read_or_refused_by_name(tmp_path: Path, form: str) -> None:
    path = tmp_path / "some.npz" if form == "npz" else tmp_path / "test" / "a" / "some.png"
    if form == "npz":
        np.savez_compressed(path, images=noise(3, 4, 4))
    else:
        save(path, noise(6, 5, 3))
    whole, refused = path.read_bytes(), 0
    for i, value in enumerate(whole):
        for other in {0, 255, value ^ 1, value ^ 128} - {value}:
            path.write_bytes(whole[:i] + bytes((other,)) + whole[i + 1 :])
            try:
                datasets.load("mnist", path if form == "npz" else tmp_path, "test")
            except ValueError as exc:
                refused += 1
                assert str(path) in str(exc)
    assert refused > len(whole)


# ---- folders


def test_folders_give_their_pictures_sorted_with_labels_and_counts(tmp_path: Path) -> None:
    root = folders(tmp_path, ("dog", "ant"))
    (root / "train" / ".cache").mkdir()
    (root / "train" / "ant" / ".hidden.png").write_bytes(b"not a picture")
    (root / "train" / "ant" / "notes.txt").write_text("not a picture")
    train, test = (datasets.load("cifar10", root, split) for split in ("train", "test"))
    assert train.classes == test.classes == ("ant", "dog")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert train.pictures[:, 0, 0, 0].tolist() == [11, 20, 12, 1, 10, 2]
    assert tuple(train.pictures.shape) == (6, 6, 5, 3)
    assert (train.pictures.dtype, train.labels.dtype) == (torch.uint8, torch.int64)
    assert (len(test), test.labels.tolist(), test.pictures[:, 5, 4, 2].tolist()) == (2, [0, 1], [11, 1])


def test_classes_that_are_all_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    numbers = datasets.load("mnist", folders(tmp_path / "a", ("10", "9", "0"), (4, 4)), "test")
    assert numbers.classes == ("0", "9", "10")
    assert numbers.pictures[:, 0, 0, 0].tolist() == [21, 11, 1]
    assert tuple(numbers.pictures.shape) == (3, 4, 4, 1)
    assert datasets.load("mnist", folders(tmp_path / "b", ("10", "9", "a")), "test").classes == ("10", "9", "a")


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P"])
def test_gray_is_one_channel_and_colour_and_palettes_are_three(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(noise(6, 5, 3)).convert(mode, dither=Image.Dither.NONE)
    (tmp_path / "test" / "a").mkdir(parents=True)
    picture.save(tmp_path / "test" / "a" / "0.png")
    got = datasets.load("cifar10", tmp_path, "test").pictures
    want = np.asarray(picture.convert("RGB" if mode == "P" else "L" if mode == "1" else mode)).reshape(6, 5, -1)
    assert got.shape[3] == (3 if mode in ("RGB", "P") else 1)
    assert np.array_equal(got[0].numpy(), want)


def test_a_missing_split_folder_is_named(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a" / "0.png", noise(4, 4))
    with pytest.raises(FileNotFoundError, match=r"folder test.*Accepted are"):
        datasets.load("mnist", tmp_path, "test")
    (tmp_path / "test" / "a").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"test/CLASS.*Accepted are"):
        datasets.load("mnist", tmp_path, "test")
    assert len(datasets.load("mnist", tmp_path, "train")) == 1


def test_classes_of_one_split_only_are_refused(tmp_path: Path) -> None:
    save(folders(tmp_path) / "train" / "eel" / "0.png", noise(6, 5, 3))
    for split in ("train", "test"):
        with pytest.raises(ValueError, match="same classes; found eel"):
            datasets.load("cifar10", tmp_path, split)


def test_more_classes_than_the_data_set_has_are_refused(tmp_path: Path) -> None:
    root = folders(tmp_path, tuple(f"c{i}" for i in range(11)))
    with pytest.raises(ValueError, match="11 classes, but cifar10 has 10"):
        datasets.load("cifar10", root, "test")
    assert len(datasets.load("cifar100", root, "test")) == 11


@pytest.mark.parametrize(("shape", "found"), [((7, 5, 3), "5x7 colour"), ((6, 5), "5x6 gray")])
def test_pictures_of_another_size_or_mode_are_refused_by_name(
    tmp_path: Path, shape: tuple[int, ...], found: str
) -> None:
    save(folders(tmp_path) / "train" / "dog" / "odd.png", noise(*shape))
    with pytest.raises(ValueError, match=rf"odd\.png: found {found}, but .*1\.png is 5x6 colour"):
        datasets.load("cifar10", tmp_path, "train")


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_an_unreadable_picture_is_named(tmp_path: Path, damage: str) -> None:
    path = folders(tmp_path) / "train" / "dog" / "2.png"
    save(path, noise(6, 5, 3))
    data = path.read_bytes()
    flipped = data[:60] + bytes((data[60] ^ 255,)) + data[61:]
    path.write_bytes({"empty": b"", "text": b"no picture", "cut": data[:-50], "flipped": flipped}[damage])
    with pytest.raises(ValueError, match=r"dog.2\.png: not a picture"):
        datasets.load("cifar10", tmp_path, "train")


@pytest.mark.parametrize(("channels", "kind"), [(4, np.uint8), (0, np.uint16)])
def test_alpha_and_deep_pictures_are_refused_rather_than_changed(tmp_path: Path, channels: int, kind: type) -> None:
    pixels = noise(4, 4, 4) if channels else noise(4, 4).astype(kind)
    save(tmp_path / "train" / "a" / "0.png", pixels)
    with pytest.raises(ValueError, match=r"0\.png: found mode (RGBA|I;16); expected"):
        datasets.load("cifar10", tmp_path, "train")


# ---- augment and padded


def shifted(picture: NDArray[np.uint8], down: int, right: int, shift: int) -> NDArray[np.uint8]:
    """The plain way: continue all edges by `shift`, cut out a window."""
    height, width = picture.shape[:2]
    wide = np.pad(picture, ((shift, shift), (shift, shift), (0, 0)), "edge")
    return wide[shift + down : shift + down + height, shift + right : shift + right + width]


def test_every_augmented_picture_is_one_flip_and_one_shift_of_its_own() -> None:
    pictures = torch.from_numpy(noise(400, 7, 6, 3))
    got = datasets.augment(pictures, torch.Generator().manual_seed(1), flip=True, shift=2)
    assert (got.shape, got.dtype, got.is_contiguous()) == (pictures.shape, torch.uint8, True)
    seen = []
    for before, after in zip(pictures.numpy(), got.numpy(), strict=True):
        ways = {
            (mirror, down, right)
            for mirror in (False, True)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(shifted(before[:, ::-1] if mirror else before, down, right, 2), after)
        }
        assert len(ways) == 1
        seen += ways
    assert set(seen) == {(m, d, r) for m in (False, True) for d in range(-2, 3) for r in range(-2, 3)}
    assert 150 < sum(mirror for mirror, _, _ in seen) < 250


def test_augment_does_only_what_is_asked_and_repeats_with_its_seed() -> None:
    pictures = torch.from_numpy(noise(64, 5, 8, 1))

    def drawn(flip: bool, shift: int, seed: int = 3) -> torch.Tensor:
        return datasets.augment(pictures, torch.Generator().manual_seed(seed), flip=flip, shift=shift)

    assert torch.equal(drawn(False, 0), pictures)
    flipped = (drawn(True, 0) == pictures.flip(2)).flatten(1).all(1)
    kept = (drawn(True, 0) == pictures).flatten(1).all(1)
    assert bool((flipped ^ kept).all())
    assert 16 < int(flipped.sum()) < 48
    assert torch.equal(drawn(True, 2), drawn(True, 2))
    assert not torch.equal(drawn(True, 2), drawn(True, 2, seed=4))
    column = datasets.augment(pictures, torch.Generator(), flip=False, shift=40)  # farther than the picture reaches
    assert column.shape == pictures.shape
    with pytest.raises(ValueError, match="shift is -1"):
        drawn(False, -1)


@pytest.mark.parametrize(("multiple", "height", "width"), [(1, 5, 8), (4, 8, 8), (8, 8, 8), (16, 16, 16), (3, 6, 9)])
def test_padding_repeats_the_right_and_lower_edge(multiple: int, height: int, width: int) -> None:
    pictures = noise(2, 5, 8, 3)
    want = np.pad(pictures, ((0, 0), (0, height - 5), (0, width - 8), (0, 0)), "edge")
    got = datasets.padded(torch.from_numpy(pictures), multiple)
    assert got.dtype == torch.uint8
    assert np.array_equal(got.numpy(), want)


def test_a_multiple_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple is 0"):
        datasets.padded(torch.zeros(1, 2, 2, 1, dtype=torch.uint8), 0)
