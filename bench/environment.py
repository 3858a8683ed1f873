"""What measured numbers may depend on: machine, versions, commit. Every results file holds it."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "caecodec",
    "pillow",
    "numpy",
    "torch",
    "constriction",
    "bjontegaard",
    "imageio-ffmpeg",
    "pillow-heif",
    "pillow-jxl-plugin",
    "pyjpegli",
    "pytorch-msssim",
    "pyvips-binary",
)


def environment() -> dict[str, Any]:
    """What the numbers may depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "missing"
    now = datetime.datetime.now(datetime.UTC)
    return {
        "cpu": _cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": versions,
        "date": now.isoformat(timespec="seconds"),
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Of the checkout that this file is part of, with -dirty where it is changed; None where it is in none."""
    git = shutil.which("git")
    if git is None:
        return None
    folder = Path(__file__).resolve().parent
    said = ""
    for command in (["ls-files", "--error-unmatch", Path(__file__).name], ["describe", "--always", "--dirty"]):
        done = subprocess.run([git, "-C", str(folder), *command], capture_output=True, text=True, check=False)
        if done.returncode:
            return None
        said = done.stdout.strip()
    return said


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
