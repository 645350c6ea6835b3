from __future__ import annotations

import subprocess
import sys

from mock_fal.media.recipe import Document, MediaRecipe, Model3D, OwnFile, Sound, Video, source, texts
from mock_fal.pictures.recipe import Recipe, Source

SOURCE = Source("digest", 8, 6, b"tones")
PICTURE = Recipe("fal-ai/flux/dev", "a cat", seed=7, width=64, height=48, source=SOURCE)


def test_recipes_are_imported_without_encoders() -> None:
    code = (
        "import sys, mock_fal.media.recipe, mock_fal.media.render, mock_fal.media.probe\n"
        "names = ('PIL', *(f'mock_fal.media.{name}' for name in ('video', 'audio', 'documents', 'model3d')))\n"
        "sys.exit(str([name for name in names if name in sys.modules]).strip('[]') or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_the_source_of_a_picture_and_of_a_video_is_found() -> None:
    others: list[MediaRecipe] = [Sound("a", 1), Model3D("a"), Document("txt", "a")]
    assert source(PICTURE) is source(Video(PICTURE, 1)) is SOURCE
    assert [source(recipe) for recipe in others] == [None, None, None]


def test_all_texts_are_found() -> None:
    assert texts(PICTURE) == texts(Video(PICTURE, 1)) == ("a cat",)
    assert texts(Document("json", "a cat", data="{}")) == ("a cat", "{}")
    assert texts(OwnFile(b"x", "digest", "text/plain", "txt")) == ("",)
