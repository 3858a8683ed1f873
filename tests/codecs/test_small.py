"""The codecs of small pictures: every model that ships, on pictures of its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support import photograph, psnr, run, sealed, soft_alpha

import caecodec
from caecodec.batch import together as batch
from caecodec.codecs import opening
from caecodec.errors import CorruptFileError, InputImageError
from caecodec.format import container
from caecodec.pictures.picture import Picture, from_array
from caecodec.zoo import find

COLOUR = ("cifar10", "cifar100", "cifar10-dense")
GRAY = ("fashion-mnist", "mnist", "mnist-fixed")
AUTOENCODERS = COLOUR + GRAY
SAMPLE = Path(__file__).parents[1] / "data" / "photo.png"


def digits(count: int) -> list[NDArray[np.uint8]]:
    """(28, 28) each: strokes as a pen would draw them."""
    y, x = np.mgrid[0:28, 0:28].astype(np.float64)
    found = []
    for i in range(count):
        ring = np.hypot(x - 13 - i % 3, (y - 14) * 0.7)
        stroke = np.exp(-((ring - 5 - i % 4) ** 2)) + np.exp(-((x - 10 - i) ** 2) / 2) * (abs(y - 14) < 8)
        found.append((255 * np.clip(stroke, 0, 1)).astype(np.uint8))
    return found


def scraps(count: int, size: int = 32) -> list[NDArray[np.uint8]]:
    """(size, size, 3) each: parts of the sample photograph, shrunk."""
    with Image.open(SAMPLE) as image:
        small = np.asarray(image.convert("RGB").resize((image.width // 2, image.height // 2)))
    places = [(17 * i % (small.shape[0] - size), 29 * i % (small.shape[1] - size)) for i in range(count)]
    return [small[top : top + size, left : left + size] for top, left in places]


def pictures_for(model: str, count: int = 6) -> list[Picture]:
    return [from_array(p) for p in (digits(count) if model in GRAY else scraps(count))]


@pytest.mark.parametrize("model", [*AUTOENCODERS, "tiny"])
def test_a_picture_comes_back_from_a_file_that_names_its_model(model: str) -> None:
    picture = pictures_for(model)[0]
    data = caecodec.encode(picture.colour, 70, model=model)
    facts = caecodec.info(data)
    assert (facts.model, facts.tiles, facts.sections["header"]) == (model, 1, 18)
    decoded = caecodec.decode(data)
    assert decoded.mode == ("L" if model in GRAY else "RGB")
    assert psnr(np.asarray(decoded), picture.colour) > 17


@pytest.mark.parametrize("model", [*AUTOENCODERS, "tiny"])
def test_many_at_once_are_the_same_files_and_the_same_pictures_as_one_by_one(model: str) -> None:
    coder = opening.open_codec(model, precision="float32")
    pictures = pictures_for(model)
    data = coder.encode_many(pictures, 60)
    assert data == [coder.encode(picture, 60) for picture in pictures]
    parsed = [container.parse(d) for d in data]
    for together, one in zip(coder.decode_many(parsed), parsed, strict=True):
        # float sums in another order may turn a rounding
        assert np.abs(together.colour.astype(int) - coder.decode(one).colour).max() <= 1


@pytest.mark.parametrize("model", AUTOENCODERS)
def test_a_picture_of_the_wrong_size_is_refused_with_the_size_the_model_takes(model: str) -> None:
    size = "28x28" if model in GRAY else "32x32"
    with pytest.raises(InputImageError, match=f"{model} takes .*{size} pixels, this one is 30x31"):
        caecodec.encode(photograph(31, 30), model=model)


def test_a_gray_model_refuses_colour_and_a_colour_model_takes_gray() -> None:
    with pytest.raises(InputImageError, match="gray pictures of 28x28 pixels, this one is in colour"):
        caecodec.encode(photograph(28, 28), model="mnist")
    gray = scraps(1)[0].mean(axis=2).astype(np.uint8)
    decoded = caecodec.decode(caecodec.encode(gray, 90, model="cifar10"))
    assert decoded.mode == "L"
    assert psnr(np.asarray(decoded), gray) > 20


def test_tiny_refuses_a_picture_over_64_pixels() -> None:
    with pytest.raises(InputImageError, match="up to 64x64 pixels, this one is 65x10"):
        caecodec.encode(photograph(10, 65), model="tiny")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 9), (8, 8), (17, 33), (28, 28), (64, 5), (64, 64)])
@pytest.mark.parametrize("gray", [False, True])
def test_tiny_takes_every_size_gray_and_colour(width: int, height: int, gray: bool) -> None:
    array = scraps(1, 64)[0][:height, :width]
    array = array.mean(axis=2).astype(np.uint8) if gray else array
    decoded = caecodec.decode(caecodec.encode(array, 100, model="tiny"))
    assert decoded.size == (width, height)
    assert psnr(np.asarray(decoded), array) > 38


@pytest.mark.parametrize("model", ["cifar10", "mnist-fixed", "tiny"])
def test_size_and_quality_rise_with_q(model: str) -> None:
    coder = opening.open_codec(model)
    pictures = pictures_for(model, 24)
    sizes, decibels = [], []
    for quality in (1, 25, 50, 75, 100):
        data = coder.encode_many(pictures, quality)
        made = coder.decode_many([container.parse(d) for d in data])
        sizes.append(np.mean([len(d) for d in data]))
        decibels.append(np.mean([psnr(m.colour, p.colour) for m, p in zip(made, pictures, strict=True)]))
    assert sizes == sorted(sizes)
    # pictures unlike those it was trained on reach the best an autoencoder can do before its highest rate
    assert decibels == sorted(decibels) if model == "tiny" else decibels[-1] > decibels[0]
    assert sizes[-1] > 1.5 * sizes[0]


def test_tiny_keeps_alpha_and_meets_a_target() -> None:
    image = Image.fromarray(scraps(1)[0])
    image.putalpha(Image.fromarray(soft_alpha(32, 32)))
    decoded = caecodec.decode(caecodec.encode(image, 50, model="tiny"))
    assert np.array_equal(np.asarray(decoded)[..., 3], soft_alpha(32, 32))
    from caecodec.search import target

    coder = opening.open_codec("tiny")
    picture = from_array(scraps(1)[0])
    small = target.encode_to_target(coder, picture, target.Target(size=150), lambda _: None)
    assert len(small.data) <= 150 < len(coder.encode(picture, small.quality + 1))
    good = target.encode_to_target(coder, picture, target.Target(psnr=33), lambda _: None)
    assert psnr(coder.decode(container.parse(good.data)).colour, picture.colour) >= 33


@pytest.mark.parametrize("model", ["mnist", "tiny"])
def test_damage_is_noticed(model: str) -> None:
    data = opening.open_codec(model).encode(pictures_for(model)[0], 40)
    for place in range(10, len(data) - 4):
        body = bytearray(data[:-4])
        body[place] ^= 0x40
        # sealed again, so that only what decodes can notice
        damaged = sealed(bytes(body))
        try:
            decoded = caecodec.decode(damaged)
        except CorruptFileError:
            continue
        # what is left is damage no check can see: a stream whose last bits nothing reads
        assert np.array_equal(np.asarray(decoded), np.asarray(caecodec.decode(data))), place


def test_a_file_of_a_size_its_model_does_not_make_is_corrupt() -> None:
    for model in ("cifar10", "tiny"):
        parsed = container.parse(opening.open_codec(model).encode(pictures_for(model)[0], 40))
        wrong = container.serialize(
            container.Container(500, 32, parsed.quality, parsed.model_id, parsed.tiles, parsed.gray)
        )
        with pytest.raises(CorruptFileError, match="makes no such pictures"):
            caecodec.decode(wrong)


def test_a_folder_goes_through_the_command_in_batches(tmp_path: Path) -> None:
    for i, array in enumerate(scraps(5)):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    Image.fromarray(photograph(90, 90)).save(tmp_path / "large.png")
    result = run("encode", tmp_path, "-r", "--output-dir", tmp_path / "out", "--model", "tiny", "-q", "30")
    assert result.code == 8
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{i}.cae" for i in range(5)]
    lines = result.error_lines
    assert any("bad.png" in line for line in lines)
    assert any("large.png" in line and "up to 64x64" in line for line in lines)
    one = opening.open_codec("tiny").encode(from_array(scraps(5)[3]), 30)
    assert (tmp_path / "out" / "3.cae").read_bytes() == one
    done = run("decode", tmp_path / "out", "-r", "--output-dir", tmp_path / "back")
    assert done.code == 0
    assert len(list((tmp_path / "back").glob("*.png"))) == 5
    # models may be mixed, and a damaged file costs only itself
    (tmp_path / "out" / "2a.cae").write_bytes(caecodec.encode(photograph(40, 40)))
    damaged = bytearray((tmp_path / "out" / "3.cae").read_bytes()[:-4])
    damaged[-2] ^= 0x10
    (tmp_path / "out" / "3.cae").write_bytes(sealed(bytes(damaged)))
    (tmp_path / "out" / "4.cae").write_bytes(b"no file")
    done = run("decode", tmp_path / "out", "-r", "--output-dir", tmp_path / "again")
    assert done.code == 8
    assert sorted(p.stem for p in (tmp_path / "again").glob("*.png")) == ["0", "1", "2", "2a"]
    for name in ("0.png", "2.png"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "back" / name).read_bytes()


def test_one_output_that_cannot_be_written_costs_only_itself(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        for i, array in enumerate(scraps(3)):
            Image.fromarray(array).save(tmp_path / "in" / folder / f"{i}.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("a file where a folder is needed")
    result = run("encode", tmp_path / "in", "-r", "--output-dir", tmp_path / "out", "--model", "tiny")
    assert result.code == 8
    assert len(list((tmp_path / "out" / "b").glob("*.cae"))) == 3
    assert sum("cannot make the folder" in line for line in result.error_lines) == 3


def test_a_batch_that_fails_is_tried_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    coder = opening.open_codec("tiny")

    def fail(*_: object) -> list[bytes]:
        raise MemoryError

    pictures = pictures_for("tiny", 3)
    expected = coder.encode_many(pictures, 30)
    monkeypatch.setattr(coder, "encode_many", fail)
    given = [(0, pictures[0]), (1, ValueError("unreadable")), (2, pictures[2])]
    found = [(key, made) for key, _, made in batch.encoded(coder, given, 30)]
    assert [key for key, _ in found] == [0, 1, 2]
    assert (found[0][1], found[2][1]) == (expected[0], expected[2])
    assert isinstance(found[1][1], ValueError)


def test_a_large_batch_ends_with_its_rate(tmp_path: Path) -> None:
    for i in range(100):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / f"{i}.png")
    result = run("encode", tmp_path, "-r", "--output-dir", tmp_path / "out", "--model", "tiny")
    assert result.code == 0
    assert result.error_lines[-1].startswith("100 files in ")


def contents_of(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of an .npz file, which is closed again."""
    with np.load(path) as file:
        return dict(file.items())


def test_latents_are_written_with_the_names_of_their_pictures(tmp_path: Path) -> None:
    for i, array in enumerate(scraps(3)):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
    out = tmp_path / "latents.npz"
    assert run("latents", tmp_path, "-r", "--model", "tiny", "-o", out).code == 0
    found = contents_of(out)
    assert found["y"].shape == (3, 4, 4, 192)
    assert [Path(name).name for name in found["names"]] == ["0.png", "1.png", "2.png"]
    expected = opening.open_codec("tiny").features([from_array(scraps(3)[1])])[0]
    assert np.abs(found["y"][1] - expected).max() < 0.05
    assert run("latents", tmp_path / "0.png", "--model", "tiny", "-o", out).code == 7
    Image.fromarray(photograph(20, 50)).save(tmp_path / "other.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    result = run("latents", tmp_path, "-r", "--model", "tiny", "-o", out, "-f")
    assert result.code == 8
    assert any("bad.png" in line for line in result.error_lines)
    assert contents_of(out)["y3"].shape == (3, 7, 192)
    assert len(contents_of(out)["names"]) == 4


def test_latents_of_a_photograph_cover_all_its_tiles() -> None:
    coder = opening.open_codec("photo")
    (y,) = coder.features([from_array(photograph(1040, 32))])
    assert y.shape == (65, 2, coder.model.info.config["n"])


def test_every_small_model_ships_with_a_card() -> None:
    installed = {info.name: info for info in find.installed()}
    for name in (*AUTOENCODERS, "tiny"):
        assert installed[name].card.startswith(f"# {name}")
        assert installed[name].summary["data"]


@pytest.mark.parametrize("model", ["mnist-fixed", "tiny"])
def test_a_malformed_model_is_a_model_error(model: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from caecodec.zoo.identity import model_id

    path = find.find(model).path
    tensors = load_file(path)
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        metadata = file.metadata()

    def opened(changed: dict[str, NDArray[np.generic]], **values: str) -> None:
        out = tmp_path / "x.safetensors"
        save_file(changed, out, metadata | values | {"id": model_id(changed).hex()})
        opening.open_codec(str(out)).load()

    opened(dict(tensors))
    for name in tensors:
        if name.startswith(("float.", "table.", "quality.", "steps.", "place.", "int.")):
            with pytest.raises(caecodec.ModelError):
                opened({key: value for key, value in tensors.items() if key != name})
    table = "float.gain"
    widened = {table: np.pad(tensors[table], ((0, 0), (0, 1)))}
    nothing = {table: np.full_like(tensors[table], np.nan)}
    for change in (widened, nothing):
        with pytest.raises(caecodec.ModelError, match=r"float\.gain"):
            opened(tensors | change)
    if model == "tiny":  # its sizes are those of its tensors
        return
    with pytest.raises(caecodec.ModelError):
        opened(dict(tensors), config='{"kind": "mnist", "unpool": "indices"}')
    with pytest.raises(caecodec.ModelError):
        opened(dict(tensors), config='{"nonsense": 1}')
