from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from sys import getsizeof
from threading import Event
from typing import Any

import pytest

from mock_fal.pictures import render as module
from mock_fal.pictures.recipe import Recipe
from mock_fal.pictures.render import PictureCache, render

CAT = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48)
DOG = replace(CAT, prompt="a dog")
BIRD = replace(CAT, prompt="a bird")


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Makes pictures of ten bytes each; the list of recipes that were rendered."""
    recipes: list[Recipe] = []

    def ten_bytes(recipe: Recipe) -> bytes:
        recipes.append(recipe)
        return recipe.prompt.encode().ljust(10)

    monkeypatch.setattr(module, "render", ten_bytes)
    return recipes


def test_a_recipe_is_rendered_to_a_file() -> None:
    assert render(CAT).startswith(b"\xff\xd8\xff")
    assert render(replace(CAT, format="png")).startswith(b"\x89PNG")


def test_large_pictures_are_limited_by_a_semaphore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_PIXELS", 100)
    events: list[str] = []
    monkeypatch.setattr(module, "_large", RecordedSemaphore(events))
    render(CAT)
    assert events == ["acquire", "release"]


class RecordedSemaphore:
    def __init__(self, events: list[str]) -> None:
        self.events = events

    def __enter__(self) -> None:
        self.events.append("acquire")

    def __exit__(self, *_: object) -> None:
        self.events.append("release")


def test_a_picture_is_rendered_once(rendered: list[Recipe]) -> None:
    picture_cache = PictureCache()
    assert picture_cache.render(CAT) == picture_cache.render(replace(CAT)) == b"a cat     "
    assert rendered == [CAT]


def test_reading_the_cache_renders_nothing(rendered: list[Recipe]) -> None:
    picture_cache = PictureCache()
    assert picture_cache.cached(CAT) is None
    picture_cache.render(CAT)
    assert picture_cache.cached(CAT) == b"a cat     "
    assert rendered == [CAT]


def test_the_least_recently_used_picture_is_evicted(rendered: list[Recipe]) -> None:
    # Room for two: each picture has 10 bytes, and its prompt counts too.
    prompts = sorted(getsizeof(recipe.prompt) for recipe in (CAT, DOG, BIRD))
    picture_cache = PictureCache(max_bytes=20 + sum(prompts[1:]))
    picture_cache.render(CAT)
    picture_cache.render(DOG)
    picture_cache.cached(CAT)
    picture_cache.render(BIRD)
    assert [picture_cache.cached(recipe) is None for recipe in (CAT, DOG, BIRD)] == [False, True, False]


def test_a_picture_larger_than_the_cache_is_returned_and_not_cached(rendered: list[Recipe]) -> None:
    picture_cache = PictureCache(max_bytes=9)
    assert picture_cache.render(CAT) == b"a cat     "
    assert picture_cache.cached(CAT) is None


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Set as soon as a thread waits for a picture that another thread is rendering."""
    event = Event()

    class Watched(Future[bytes]):
        def result(self, timeout: float | None = None) -> bytes:
            event.set()
            return super().result(timeout)

    monkeypatch.setattr(module, "Future", Watched)
    return event


def render_in_two_threads(
    monkeypatch: pytest.MonkeyPatch, waiting: Event, make: Callable[[Recipe], bytes]
) -> list[Future[Any]]:
    """Two threads render the same picture, the second while the first is still rendering."""
    picture_cache, started = PictureCache(max_bytes=0), Event()

    def slow_render(recipe: Recipe) -> bytes:
        started.set()
        assert waiting.wait(30)
        return make(recipe)

    monkeypatch.setattr(module, "render", slow_render)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(picture_cache.render, CAT)
        assert started.wait(30)
        return [first, threads.submit(picture_cache.render, CAT)]


def test_concurrent_calls_share_one_rendering(
    monkeypatch: pytest.MonkeyPatch, waiting: Event, rendered: list[Recipe]
) -> None:
    first, second = render_in_two_threads(monkeypatch, waiting, module.render)
    assert first.result() is second.result()
    assert rendered == [CAT]


def test_an_error_is_raised_in_all_waiting_calls(monkeypatch: pytest.MonkeyPatch, waiting: Event) -> None:
    def fail(recipe: Recipe) -> bytes:
        raise MemoryError(recipe.prompt)

    first, second = render_in_two_threads(monkeypatch, waiting, fail)
    assert isinstance(first.exception(), MemoryError)
    assert isinstance(second.exception(), MemoryError)


def test_an_error_is_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    picture_cache = PictureCache()
    with monkeypatch.context() as broken:
        broken.setattr(module, "render", lambda recipe: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            picture_cache.render(CAT)
    assert picture_cache.render(CAT) == render(CAT)
