from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from PIL import Image
from support import photograph

from caecodec.bench.show import demo


def test_demo_writes_its_files_and_says_where(tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    Image.fromarray(photograph(48, 64)).save(picture)
    done = CliRunner().invoke(demo.main, [str(picture), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    for name in ("photo.cae", "photo.cae.png", "photo.jpg", "photo.webp", "photo.avif"):
        file = tmp_path / "out" / name
        assert file.stat().st_size > 0
        assert str(file) in done.output
    size = (tmp_path / "out" / "photo.cae").stat().st_size
    assert f"{size:,}" in done.output


def test_demo_needs_only_run_time_dependencies() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['bjontegaard', 'matplotlib', 'scipy', 'torchvision']));"
        "import caecodec.bench.show.demo, caecodec.bench.show.figure"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_photograph_of_the_demo_is_there() -> None:
    with Image.open(Path(__file__).parents[2] / "data" / "photo.png") as image:
        assert (image.size, image.mode) == ((512, 512), "RGB")
