"""The border to the native core, on a library that stands for it (stub.c)."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

import caecodec
from caecodec.engines.native import library
from caecodec.engines.native.library import Core, CoreModel, Unrounded, pointer
from caecodec.entropy import checksum
from caecodec.errors import CaecodecError, CorruptFileError, LimitError, ModelError, UsageError

CORE = Path(caecodec.__file__).parent / "core"
COMPILER = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler (cc, gcc or clang)")


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    if COMPILER is None:
        pytest.skip("there is no C compiler (cc, gcc or clang)")
    path = tmp_path_factory.mktemp("core") / "stub.so"
    source = Path(__file__).with_name("stub.c")
    flags = ("-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-DCAE_SHARED", f"-I{CORE}")
    subprocess.run([COMPILER, *flags, source, "-o", path], check=True)
    return Core(path)


def decoded(core: Core, status: int) -> list[int]:
    """What the stand-in says of the pool it was given, and of the size; it returns the quality as its status."""
    model, stream, out = CoreModel(core, b"12345678"), np.zeros(3, np.uint8), np.zeros(2, np.int32)
    with core.threads() as pool:
        core.call(
            *("cae_decode_latents", model.handle, pool, status, 0, 3, 5),
            *(pointer(stream, np.uint8), 3, pointer(out, np.int32)),
        )
    return out.tolist()


def test_every_function_of_the_headers_is_declared() -> None:
    headers = "".join((CORE / name).read_text("utf-8") for name in ("cae.h", "cae_search.h"))
    text = re.sub(r"/\*.*?\*/", "", headers, flags=re.DOTALL)
    found = {
        name: 0 if arguments == "void" else arguments.count(",") + 1
        for name, arguments in re.findall(r"CAE_API[^;(]*?(cae_\w+)\(([^)]*)\)", text)
    }
    assert found == {name: len(arguments) for name, (_, arguments) in library.FUNCTIONS.items()}


def test_a_model_is_opened_described_and_closed(core: Core) -> None:
    model = CoreModel(core, b"abcdefghi")
    shape = model.shape
    assert (shape.family, shape.cell, shape.n, shape.z, shape.halo_in, shape.halo_out) == (1, 16, 9, 97, 1, 2)
    end = model._end
    del model
    gc.collect()
    assert not end.alive
    with pytest.raises(ModelError, match="bad model"):
        CoreModel(core, b"short")


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (1, LimitError, "no memory"),
        (2, ModelError, "bad model"),
        (3, CorruptFileError, "bad stream"),
        (5, UsageError, "bad argument"),
        (77, CaecodecError, "no error"),
    ],
)
def test_a_status_is_an_error_with_its_words(core: Core, status: int, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        decoded(core, status)
    assert type(caught.value) is kind


def test_a_check_that_fails_says_what_the_numpy_coder_says(core: Core) -> None:
    with pytest.raises(CorruptFileError) as ours:
        decoded(core, 4)
    with pytest.raises(CorruptFileError) as theirs:
        checksum.confirm(np.zeros(1, np.int32), b"\xff\xff")
    assert str(ours.value) == str(theirs.value)


def test_the_number_of_threads_is_asked_of_the_environment(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.THREADS_VARIABLE, "3")
    assert decoded(core, 0) == [3, 15]
    monkeypatch.setenv(library.THREADS_VARIABLE, "1")
    assert decoded(core, 0) == [0, 15]  # no pool
    for wrong in ("0", "-1", "many", "2000"):
        monkeypatch.setenv(library.THREADS_VARIABLE, wrong)
        with pytest.raises(UsageError, match="from 1 to 1024"):
            decoded(core, 0)
    monkeypatch.delenv(library.THREADS_VARIABLE)
    assert library.thread_count() >= 1


def test_the_pool_serves_one_call_at_a_time(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.THREADS_VARIABLE, "2")
    found: list[int] = []
    with core.threads() as pool:
        assert pool is not None
        other = threading.Thread(target=lambda: found.append(decoded(core, 0)[0]))
        other.start()
        other.join()
    assert found == [0]
    assert decoded(core, 0)[0] == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_makes_a_pool_of_its_own(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.THREADS_VARIABLE, "2")
    with core.threads() as pool:  # in use when the child is made, as from another thread
        assert pool is not None
        child = os.fork()
        if not child:
            fresh = core._pool is None
            os._exit(0 if fresh and decoded(core, 0)[0] == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert decoded(core, 0)[0] == 2


def test_arrays_of_another_type_or_order_are_refused() -> None:
    assert pointer(None, np.float32) is None
    for wrong in (np.zeros(3, np.float64), np.zeros((4, 4), np.float32)[:, ::2]):
        with pytest.raises(TypeError, match="raster order"):
            pointer(wrong, np.float32)
    given = np.arange(3, dtype=np.float32)
    filled = Unrounded(pointer(given, np.float32))
    assert filled.y[2] == 2
    assert not filled.z


def test_what_is_no_library_of_ours_is_told(tmp_path: Path) -> None:
    assert "no native core" in library._open(tmp_path / "none.so")[1]
    (tmp_path / "text.so").write_text("no library")
    found, reason = library._open(tmp_path / "text.so")
    assert found is None
    assert "cannot be opened" in reason


@needs_compiler
def test_a_library_of_another_version_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("int cae_old(void) { return 0; }\n")
    subprocess.run([str(COMPILER), "-shared", "-fPIC", tmp_path / "x.c", "-o", tmp_path / "x.so"], check=True)
    found, reason = library._open(tmp_path / "x.so")
    assert found is None
    assert "another version" in reason


def test_available_and_why_not_say_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert library.available() is (library.why_not() == "")
    monkeypatch.setattr(library, "_opened", None)
    monkeypatch.setattr(library, "PATH", tmp_path / "none.so")
    assert not library.available()
    with pytest.raises(UsageError, match="no native core"):
        library.core()
