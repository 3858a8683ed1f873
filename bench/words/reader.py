"""Words in a picture, as Debian's `tesseract` reads them, and which of them are read again in another picture of it.

A picture is enlarged before it is read, by the same factor and filter whatever it is: tesseract was made for scans,
whose letters are taller than those of a photograph.

It is no steady reader: noise that nobody sees makes it lose one word in twenty or so. What it reads in one picture says
little; what it reads in dozens does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from caecodec.bench.pictures import Pixels
from caecodec.errors import UsageError

SCALE = 2
CONFIDENCE = 80.0  # of 100: below, what is read in an original is often not what stands there
LETTERS = 3  # shorter words are read into textures
_OVERLAP = 0.5
_PAGE = "11"  # sparse text, in no order: signs and labels are no page
_DPI = "300"  # else it is guessed, for every picture anew
_LANGUAGE = "eng"
_WORD_LEVEL = "5"
_COLUMNS = 12
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its box in pixels of the picture (not of the enlarged one).

    text: in lower case and without punctuation around it, never empty. confidence: 0 to 100.
    """

    text: str
    left: float
    top: float
    width: float
    height: float
    confidence: float

    @property
    def letters(self) -> int:
        return sum(character.isalpha() for character in self.text)

    def overlap(self, other: Word) -> float:
        """The share of the smaller box that lies in the other."""
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        down = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        smaller = min(self.width * self.height, other.width * other.height)
        return max(across, 0.0) * max(down, 0.0) / smaller if smaller else 0.0


@dataclass(frozen=True, slots=True)
class Tesseract:
    """The program and its version; `found` finds it."""

    program: str
    version: str

    @property
    def description(self) -> str:
        """What decides which words are read; readings of different ones do not compare."""
        return f"{self.version}, {_LANGUAGE}, sparse text, enlarged {SCALE}x by Lanczos"

    def read(self, pixels: Pixels) -> list[Word]:
        """(H, W, 3) RGB -> every word, of whatever confidence. Raises UsageError where tesseract fails."""
        height, width, _ = pixels.shape
        size = (SCALE * width, SCALE * height)
        enlarged = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
        bitmap = b"P6 %d %d 255\n" % size + enlarged.tobytes()
        command = [self.program, "stdin", "stdout", "--psm", _PAGE, "--dpi", _DPI, "-l", _LANGUAGE, "tsv"]
        one_thread = os.environ | {"OMP_THREAD_LIMIT": "1"}
        try:
            done = subprocess.run(
                command, input=bitmap, capture_output=True, check=False, env=one_thread, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise UsageError(f"tesseract failed: {exc}") from exc
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise UsageError(
                f"tesseract failed with status {done.returncode}: {said[-1] if said else 'it says nothing'}"
            )
        return parse(done.stdout.decode("utf-8", "replace"), SCALE)


def find_tesseract() -> Tesseract:
    """The program on the path. Raises UsageError where there is none, or where it does not start."""
    program = shutil.which("tesseract")
    if program is None:
        raise UsageError(
            "tesseract, which reads the words, is not installed: apt install tesseract-ocr (Debian, Ubuntu)"
        )
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError) as exc:
        raise UsageError(f"{program} does not start: {exc}") from exc
    return Tesseract(program, (done.stdout or done.stderr).splitlines()[0].strip())


def parse(tsv: str, scale: float = 1.0) -> list[Word]:
    """The words of tesseract's TSV, in its order; `scale` is how much the picture was enlarged.

    Lines: level, page, block, paragraph, line, word, left, top, width, height, confidence, text; level 5 is a word.
    """
    words = []
    for line in tsv.splitlines():
        cells = line.split("\t")
        if len(cells) != _COLUMNS or cells[0] != _WORD_LEVEL:
            continue
        text = _plain(cells[11])
        if text:
            left, top, width, height = (int(cell) / scale for cell in cells[6:10])
            words.append(Word(text, left, top, width, height, float(cells[10])))
    return words


def references(words: Sequence[Word]) -> list[Word]:
    """Those words of an original that count: of enough letters, read with enough confidence."""
    return [word for word in words if word.confidence >= CONFIDENCE and word.letters >= LETTERS]


def read_again(wanted: Sequence[Word], words: Sequence[Word]) -> int:
    """How many of `wanted` are among `words`: equal text, and half of the smaller box within the other.

    Confidence does not count here: the right text in the right place was legible. No word stands for two.
    """
    left = list(words)
    found = 0
    for word in wanted:
        same = [other for other in left if other.text == word.text and other.overlap(word) >= _OVERLAP]
        if same:
            left.remove(max(same, key=word.overlap))
            found += 1
    return found


def _plain(text: str) -> str:
    """Lower case, and nothing but letters and digits at the ends: a speck read as a comma makes no other word."""
    kept = [place for place, character in enumerate(text) if character.isalnum()]
    return text[kept[0] : kept[-1] + 1].casefold() if kept else ""
