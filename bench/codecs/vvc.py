"""VVC still pictures by libvvenc, in the ffmpeg binary of the package `imageio-ffmpeg`, decoded by the same binary.

The way of the conformance tests: RGB -> Y'CbCr 4:2:0 of 10 bits, BT.709 in full range, by swscale at its most exact,
and back. A file is the raw bitstream (.266) with its parameter sets, without a container.
"""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import dataclass

import numpy as np
from PIL import Image

from caecodec.bench.pictures import Pixels
from caecodec.errors import UsageError

QUALITIES = (17, 21, 26, 31, 36, 41, 46)  # QP 46 to 17
_HIGHEST_QP = 63
_MATRIX = "in_range=full:out_range=full:{side}_color_matrix=bt709:{side}_chroma_loc=center"
_EXACT = "flags=lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
_TO_YUV = f"scale={_MATRIX.format(side='out')}:{_EXACT},format=yuv420p10le"
_TO_RGB = f"scale={_MATRIX.format(side='in')}:{_EXACT},format=rgb24"
_TAGS = ["-color_range", "pc", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1"]
_SECONDS = 600


@dataclass(frozen=True, slots=True)
class VvcCodec:
    """Preset medium at a fixed QP, without perceptual adaptation (`-qpa 0`). A quality is 63 - QP.

    4:2:0 has no odd sizes: their last column or row is doubled. One byte then goes before the bitstream, which begins
    with 0, to say what is to be cropped: 1 a column, 2 a row, 3 both. It counts.
    """

    name: str
    version: str
    qualities: tuple[int, ...] = QUALITIES
    threads: int = 1
    extension: str = "266"

    def encode(self, array: Pixels, quality: int) -> bytes:
        height, width, _ = array.shape
        odd = width % 2 + 2 * (height % 2)
        padded = np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        size = f"{padded.shape[1]}x{padded.shape[0]}"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "1", "-i", "-"]
        settings = ["-preset", "medium", "-qp", str(_HIGHEST_QP - quality), "-qpa", "0", "-threads", str(self.threads)]
        target = ["-frames:v", "1", *_TAGS, "-c:v", "libvvenc", *settings, "-f", "vvc", "-"]
        data = _ffmpeg([*source, "-vf", _TO_YUV, *target], padded.tobytes())
        return bytes([odd]) + data if odd else data

    def decode(self, data: bytes) -> Pixels:
        odd = data[0]  # 0 is the bitstream's own
        source = ["-threads", str(self.threads), "-f", "vvc", "-i", "-"]
        target = ["-frames:v", "1", "-c:v", "ppm", "-f", "image2pipe", "-"]
        shown = _ffmpeg([*source, "-vf", _TO_RGB, *target], data[1:] if odd else data)
        with Image.open(io.BytesIO(shown), formats=["PPM"]) as image:
            pixels = np.asarray(image)
        height, width, _ = pixels.shape
        return pixels[: height - (odd >> 1), : width - (odd & 1)]


def open_vvc(name: str) -> VvcCodec:
    """Raises UsageError, or OSError, where there is no such binary or it has no encoder."""
    said = _ffmpeg(["-version"]).decode(errors="replace")
    found = re.search(r"^ffmpeg version (\S+)", said)
    # ffmpeg does not say which libvvenc it was built with
    return VvcCodec(name, f"libvvenc medium in ffmpeg {found[1] if found else 'unknown'}")


def _ffmpeg(arguments: list[str], given: bytes = b"") -> bytes:
    """Standard output. Raises OSError with the last line of standard error where the binary fails."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError as exc:
        raise UsageError(f"VVC needs more packages ({exc}): pip install caecodec[bench]") from exc
    command = [get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, timeout=_SECONDS, check=False)
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
        raise OSError(f"ffmpeg: {said[0]}")
    return done.stdout
