from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest

from mock_fal.pictures.recipe import Recipe

CAT = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=1024, height=768)


def test_the_content_type_follows_from_the_format() -> None:
    assert (CAT.content_type, replace(CAT, format="png").content_type) == ("image/jpeg", "image/png")


def test_a_recipe_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        CAT.seed = 8  # type: ignore[misc]  # the point of the test


def test_importing_recipe_and_render_does_not_import_pillow() -> None:
    code = "import sys, mock_fal.pictures.recipe, mock_fal.pictures.render; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
