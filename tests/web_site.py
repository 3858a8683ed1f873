"""web/ built once, node and a browser for it; what is missing skips, with the reason."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WEB = Path(__file__).parents[1] / "web"
NODE = shutil.which("node")
COMPILERS = [name for name in ("clang", "wasm-ld") if not shutil.which(name)]
PATIENCE = 120  # seconds that another process may take to build


def _built(site: Path) -> None:
    """A copy of web/ with its dist/."""
    skipped = shutil.ignore_patterns("node_modules", "dist", "types")
    shutil.copytree(WEB, site, ignore=skipped, dirs_exist_ok=True)
    command = [sys.executable, WEB / "build.py", "--to", site / "dist"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of web/, built; one for all test processes."""
    if COMPILERS:
        pytest.skip(f"{' and '.join(COMPILERS)} are not installed (Debian: clang, lld)")
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    site, done = shared / "web", shared / "web.built"
    with contextlib.suppress(FileExistsError):
        (shared / "web.turn").mkdir()  # the first one here builds
        try:
            _built(site)
        finally:
            done.touch()
    started = time.monotonic()
    while not done.exists() and time.monotonic() - started < PATIENCE:
        time.sleep(0.1)
    assert (site / "dist" / "caecodec.html").exists(), "web/build.py failed"
    return site


Node = Callable[[str, Any], Any]


@pytest.fixture(scope="session")
def run_node() -> Callable[[Path, str, Any], Any]:
    """Runs the body of an async function of `given` in node, in a folder, and returns what it returns; both as JSON."""
    if not NODE:
        pytest.skip("node is not installed")

    def run(folder: Path, body: str, given: Any) -> Any:
        script = f"""
            import {{ readFileSync }} from "node:fs";
            const given = JSON.parse(readFileSync(0, "utf8"));
            const result = await (async () => {{ {body} }})();
            process.stdout.write(JSON.stringify(result ?? null));"""
        command = [str(NODE), "--input-type=module", "-e", script]
        done = subprocess.run(command, cwd=folder, input=json.dumps(given), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def node_web(run_node: Callable[[Path, str, Any], Any]) -> Node:
    """node in web/ as it is, not built."""
    return functools.partial(run_node, WEB)


@pytest.fixture(scope="session")
def node(run_node: Callable[[Path, str, Any], Any], site: Path) -> Node:
    """node in the built site."""
    return functools.partial(run_node, site)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def server(site: Path) -> Iterator[str]:
    """The address of a plain static server of the site."""
    handler = functools.partial(_Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()
