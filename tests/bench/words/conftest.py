from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from support import photograph


@pytest.fixture
def sign(tmp_path: Path) -> Path:
    """Words on a photograph, 320x160."""
    picture = Image.fromarray(photograph(160, 320))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 20, 300, 140), fill="white")
    for line, text in enumerate(("Fresh bread", "every morning", "from seven")):
        draw.text((40, 26 + 36 * line), text, fill="black", font=ImageFont.load_default(26))
    path = tmp_path / "sign.png"
    picture.save(path)
    return path
