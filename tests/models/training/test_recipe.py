"""Recipes: what ships, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caecodec.models import families
from caecodec.models import recipes as shipped
from caecodec.models.training import recipe as recipes


def test_a_recipe_with_an_unknown_key_is_refused(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.toml").read_text().replace("crop = 64", "corp = 64", 1)
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ValueError, match="unknown key corp"):
        recipes.load(tmp_path / "bad.toml")


def test_shipped_recipes_load() -> None:
    assert {recipes.load(name).model.n for name in ("photo", "photo-s", "photo-hq")} == {448}


@pytest.mark.parametrize("name", sorted(p.stem for p in Path(shipped.__path__[0]).glob("*.toml")))
def test_shipped_recipes_name_no_folder(name: str) -> None:
    recipe = recipes.load(name)
    assert recipe.family in families.FAMILIES
    data = recipe.data
    named = (data.train, data.validation) if isinstance(data, recipes.PictureData) else (data.paths,)
    assert not any(named)
    assert not re.search(r"[/~]\w", re.sub(r"#.*|description.*", "", recipe.text))
