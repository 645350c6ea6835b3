from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from sys import getsizeof
from threading import Event
from typing import Any

import pytest

from mock_fal.media import render as module
from mock_fal.media.recipe import Document, MediaRecipe, Model3D, OwnFile, Sound, Video
from mock_fal.media.render import MediaCache, is_large, render
from mock_fal.pictures.recipe import Format, Recipe

CAT = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48)
DOG = replace(CAT, prompt="a dog")
BIRD = replace(CAT, prompt="a bird")
OWN = OwnFile(b"my bytes", "digest", "text/plain", "txt")

FILES: dict[MediaRecipe, bytes] = {
    CAT: b"\xff\xd8\xff",
    Video(CAT, 1): b"\0\0\0 ftyp",
    Video(CAT, 1, format="webm"): b"\x1aE\xdf\xa3",
    Video(CAT, 1, format="gif"): b"GIF89a",
    Sound("a cat", 1): b"RIFF",
    Sound("a cat", 1, format="flac"): b"fLaC",
    Sound("a cat", 1, format="ogg"): b"OggS",
    Model3D("a cat"): b"glTF",
    Document("srt", "a cat", duration_s=1): b"1\n00:00:00,000 --> 00:00:01,000\na cat\n",
    Document("zip", "a cat"): b"PK\x03\x04",
    OWN: b"my bytes",
}


@pytest.mark.parametrize("recipe", FILES)
def test_each_recipe_is_rendered_to_its_file(recipe: MediaRecipe) -> None:
    assert render(recipe).startswith(FILES[recipe])


@pytest.mark.parametrize("recipe", FILES)
def test_a_recipe_has_a_type_and_an_extension(recipe: MediaRecipe) -> None:
    assert "/" in recipe.content_type
    assert recipe.extension.isalnum()


def square(side: int, format: Format = "jpeg") -> Recipe:
    return replace(CAT, width=side, height=side, format=format)


@pytest.mark.parametrize(
    "recipe",
    [
        square(2828),
        square(1024, "webp"),
        square(1024, "avif"),
        square(1024, "gif"),
        Video(replace(CAT, width=1920, height=1080), 10),
        Video(replace(CAT, width=640, height=360), 5, format="gif"),
        Sound("a cat", 180),
        Sound("a cat", 600, format="mp3"),
        Model3D("a cat"),
        Document("txt", "x" * 100_000),
        OWN,
    ],
)
def test_what_takes_up_to_a_tenth_of_a_second_is_not_large(recipe: MediaRecipe) -> None:
    assert not is_large(recipe)


@pytest.mark.parametrize(
    "recipe",
    [
        square(2829),
        square(2048, "webp"),
        Video(replace(CAT, width=3840, height=2160), 1),
        Video(replace(CAT, width=640, height=360), 600, 60),
        Video(replace(CAT, width=1920, height=1080), 1, format="gif"),
        Sound("a cat", 600),
        Sound("a cat", 200, sample_rate=48000, channels=2, format="flac"),
    ],
)
def test_what_takes_longer_is_large(recipe: MediaRecipe) -> None:
    assert is_large(recipe)


def test_the_files_of_users_are_not_cached_again() -> None:
    media_cache = MediaCache()
    assert media_cache.cached(OWN) is media_cache.render(OWN) is OWN.data
    assert not media_cache._files


def test_all_texts_of_a_recipe_count() -> None:
    media_cache = MediaCache(max_bytes=100_000)
    for number in range(10):
        media_cache.render(Document("txt", "a cat", data=f"{number}" + "x" * 40_000))
    assert len(media_cache._files) == 2


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[MediaRecipe]:
    """Makes files of ten bytes each; the list of recipes that were rendered."""
    recipes: list[MediaRecipe] = []

    def ten_bytes(recipe: MediaRecipe) -> bytes:
        recipes.append(recipe)
        return recipe.text.encode().ljust(10)

    monkeypatch.setattr(module, "render", ten_bytes)
    return recipes


def test_a_file_is_rendered_once(rendered: list[MediaRecipe]) -> None:
    media_cache = MediaCache()
    assert media_cache.render(CAT) == media_cache.render(replace(CAT)) == b"a cat     "
    assert rendered == [CAT]


def test_reading_the_cache_renders_nothing(rendered: list[MediaRecipe]) -> None:
    media_cache = MediaCache()
    assert media_cache.cached(CAT) is None
    media_cache.render(CAT)
    assert media_cache.cached(CAT) == b"a cat     "
    assert rendered == [CAT]


def test_the_least_recently_used_file_is_evicted(rendered: list[MediaRecipe]) -> None:
    # Room for two: each file has 10 bytes, and its prompt counts too.
    prompts = sorted(getsizeof(recipe.text) for recipe in (CAT, DOG, BIRD))
    media_cache = MediaCache(max_bytes=20 + sum(prompts[1:]))
    media_cache.render(CAT)
    media_cache.render(DOG)
    media_cache.cached(CAT)
    media_cache.render(BIRD)
    assert [media_cache.cached(recipe) is None for recipe in (CAT, DOG, BIRD)] == [False, True, False]


def test_a_file_larger_than_the_cache_is_returned_and_not_cached(rendered: list[MediaRecipe]) -> None:
    media_cache = MediaCache(max_bytes=9)
    assert media_cache.render(CAT) == b"a cat     "
    assert media_cache.cached(CAT) is None


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Set as soon as a thread waits for a file that another thread is rendering."""
    event = Event()

    class Watched(Future[bytes]):
        def result(self, timeout: float | None = None) -> bytes:
            event.set()
            return super().result(timeout)

    monkeypatch.setattr(module, "Future", Watched)
    return event


def render_in_two_threads(
    monkeypatch: pytest.MonkeyPatch, waiting: Event, make: Callable[[MediaRecipe], bytes]
) -> list[Future[Any]]:
    """Two threads render the same file, the second while the first is still rendering."""
    media_cache, started = MediaCache(max_bytes=0), Event()

    def slow_render(recipe: MediaRecipe) -> bytes:
        started.set()
        assert waiting.wait(30)
        return make(recipe)

    monkeypatch.setattr(module, "render", slow_render)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(media_cache.render, CAT)
        assert started.wait(30)
        return [first, threads.submit(media_cache.render, CAT)]


def test_concurrent_calls_share_one_rendering(
    monkeypatch: pytest.MonkeyPatch, waiting: Event, rendered: list[MediaRecipe]
) -> None:
    first, second = render_in_two_threads(monkeypatch, waiting, module.render)
    assert first.result() is second.result()
    assert rendered == [CAT]


def test_an_error_is_raised_in_all_waiting_calls(monkeypatch: pytest.MonkeyPatch, waiting: Event) -> None:
    def fail(recipe: MediaRecipe) -> bytes:
        raise MemoryError(recipe.text)

    first, second = render_in_two_threads(monkeypatch, waiting, fail)
    assert isinstance(first.exception(), MemoryError)
    assert isinstance(second.exception(), MemoryError)


def test_an_error_is_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    media_cache = MediaCache()
    with monkeypatch.context() as broken:
        broken.setattr(module, "render", lambda recipe: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            media_cache.render(CAT)
    assert media_cache.render(CAT) == render(CAT)
