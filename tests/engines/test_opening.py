"""Which engine is taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import zoo_models
from PIL import Image
from support import photograph, run

import caecodec
from caecodec.engines import opening
from caecodec.engines.native import library
from caecodec.engines.numpy.autoencoder import NumpyAutoencoderEngine
from caecodec.engines.numpy.photo import NumpyPhotoEngine
from caecodec.engines.numpy.tiny import NumpyTinyEngine
from caecodec.engines.opening import always, chosen, of_cells, torch_lacks
from caecodec.errors import UsageError
from caecodec.zoo import find

needs_core = pytest.mark.skipif(not library.available(), reason=library.why_not())
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import caecodec
effort, path, engine = int(sys.argv[1]), sys.argv[2], sys.argv[3]
print(len(caecodec.decode(caecodec.encode(path, 50, effort=effort, engine=engine)).tobytes()))
"""


def never() -> str:
    return "it is a test"


def test_auto_is_the_first_that_is_ready() -> None:
    assert chosen("auto", {"native": never, "torch": always, "numpy": always}) == "torch"
    assert chosen("numpy", {"native": never, "torch": always, "numpy": always}) == "numpy"


def test_an_engine_that_cannot_be_is_refused_with_its_reason() -> None:
    with pytest.raises(UsageError, match="'native' cannot run here: it is a test"):
        chosen("native", {"native": never, "numpy": always})
    with pytest.raises(UsageError, match="no engine 'native' for this model: choose auto, torch, numpy"):
        chosen("native", {"torch": always, "numpy": always})
    with pytest.raises(UsageError, match="unknown engine 'tensorflow': choose auto, native, numpy, torch"):
        chosen("tensorflow", {"numpy": always})


@needs_core
def test_a_picture_is_coded_by_the_core_unless_something_asks_for_torch() -> None:
    assert of_cells("auto", "auto", "auto") == of_cells("cpu", "auto", "auto") == "native"
    assert of_cells("cuda", "auto", "auto") == of_cells("auto", "bfloat16", "auto") == "torch"
    assert of_cells("cpu", "auto", "numpy") == "numpy"


def test_without_a_core_numpy_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_opened", (None, "it is a test"))
    assert isinstance(opening.photo(zoo_models.photo(), "auto", "auto"), NumpyPhotoEngine)
    assert isinstance(opening.tiny(zoo_models.tiny(), "auto", "auto"), NumpyTinyEngine)
    with pytest.raises(UsageError, match="'native' cannot run here: it is a test"):
        opening.photo(zoo_models.photo(), "auto", "auto", "native")


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize(("device", "precision"), [("cuda", "auto"), ("auto", "bfloat16"), ("tpu", "auto")])
def test_a_device_or_a_precision_with_an_exact_engine_is_refused(engine: str, device: str, precision: str) -> None:
    with pytest.raises(UsageError, match=f"{engine!r} runs on the CPU, in integers"):
        of_cells(device, precision, engine)


def test_an_unknown_engine_is_refused_by_every_family_and_by_the_command(picture_file: Path) -> None:
    for model in ("photo", "tiny", "mnist"):
        with pytest.raises(UsageError, match="unknown engine 'tensorflow': choose auto, native, numpy, torch"):
            caecodec.encode(photograph(28, 28)[..., 0], 50, model=model, engine="tensorflow")
    result = run("encode", picture_file, "--engine", "tensorflow")
    assert result.code == 2
    assert "choose auto, native, numpy, torch" in result.err


@needs_core
@pytest.mark.parametrize("engine", ["auto", "numpy"])
def test_without_torch_symbols_are_chosen_again_by_the_core(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(photograph(32, 48)).save(path)
    command = [sys.executable, "-c", WITHOUT_TORCH, "4", path, engine]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(32 * 48 * 3)), done.stderr


def test_without_torch_and_core_effort_3_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(library, "_opened", (None, "it is a test"))
    said = r"needs gradients, but it is a test, and torch is not installed \(caecodec\[torch\]\)"
    engine = opening.photo(zoo_models.photo(), "auto", "auto")
    with pytest.raises(UsageError, match=said):
        engine.trial(None, None)  # type: ignore[arg-type]


def test_without_torch_its_engine_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"'torch' cannot run here: torch is not installed \(caecodec\[torch\]\)"):
        opening.photo(zoo_models.photo(), "auto", "auto", "torch")


def test_without_torch_an_autoencoder_opens_on_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "caecodec[torch]" in torch_lacks()
    model = find.load("mnist")
    assert isinstance(opening.autoencoder(model, "auto", "auto"), NumpyAutoencoderEngine)
    with pytest.raises(UsageError, match="torch is not installed"):
        opening.autoencoder(model, "auto", "auto", engine="torch")


@pytest.mark.parametrize(
    ("device", "precision", "said"),
    [
        ("cuda", "auto", "needs torch"),
        ("tpu", "auto", "choose"),
        ("cpu", "bfloat16", "needs"),
        ("cpu", "int4", "choose"),
    ],
)
def test_what_only_torch_can_do_is_refused_by_numpy(device: str, precision: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opening.autoencoder(find.load("mnist"), device, precision, engine="numpy")
