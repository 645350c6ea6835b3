from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
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
def made(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Pictures of ten bytes each, and the list of those that were made."""
    recipes: list[Recipe] = []

    def ten_bytes(recipe: Recipe) -> bytes:
        recipes.append(recipe)
        return recipe.prompt.encode().ljust(10)

    monkeypatch.setattr(module, "render", ten_bytes)
    return recipes


def test_a_recipe_becomes_a_file() -> None:
    assert render(CAT).startswith(b"\xff\xd8\xff")
    assert render(replace(CAT, format="png")).startswith(b"\x89PNG")


def test_a_large_picture_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_PIXELS", 100)
    turns: list[str] = []
    monkeypatch.setattr(module, "_large", Turns(turns))
    render(CAT)
    assert turns == ["in", "out"]


class Turns:
    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def __enter__(self) -> None:
        self.seen.append("in")

    def __exit__(self, *_: object) -> None:
        self.seen.append("out")


def test_a_picture_is_made_once(made: list[Recipe]) -> None:
    picture_cache = PictureCache()
    assert picture_cache.render(CAT) == picture_cache.render(replace(CAT)) == b"a cat     "
    assert made == [CAT]


def test_a_look_makes_nothing(made: list[Recipe]) -> None:
    picture_cache = PictureCache()
    assert picture_cache.peek(CAT) is None
    picture_cache.render(CAT)
    assert picture_cache.peek(CAT) == b"a cat     "
    assert made == [CAT]


def test_what_was_not_asked_for_longest_is_forgotten(made: list[Recipe]) -> None:
    picture_cache = PictureCache(max_bytes=20)
    picture_cache.render(CAT)
    picture_cache.render(DOG)
    picture_cache.peek(CAT)
    picture_cache.render(BIRD)
    assert [picture_cache.peek(recipe) is None for recipe in (CAT, DOG, BIRD)] == [False, True, False]


def test_a_picture_beyond_the_budget_is_given_and_not_kept(made: list[Recipe]) -> None:
    picture_cache = PictureCache(max_bytes=9)
    assert picture_cache.render(CAT) == b"a cat     "
    assert picture_cache.peek(CAT) is None


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Set as soon as somebody waits for a picture that another thread makes."""
    event = Event()

    class Watched(Future[bytes]):
        def result(self, timeout: float | None = None) -> bytes:
            event.set()
            return super().result(timeout)

    monkeypatch.setattr(module, "Future", Watched)
    return event


def both_ask(
    monkeypatch: pytest.MonkeyPatch, waiting: Event, make: Callable[[Recipe], bytes]
) -> list[Future[Any]]:
    """Two threads ask for the same picture, the second while the first is at it."""
    picture_cache, at_it = PictureCache(max_bytes=0), Event()

    def slowly(recipe: Recipe) -> bytes:
        at_it.set()
        assert waiting.wait(30)
        return make(recipe)

    monkeypatch.setattr(module, "render", slowly)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(picture_cache.render, CAT)
        assert at_it.wait(30)
        return [first, threads.submit(picture_cache.render, CAT)]


def test_two_who_ask_at_once_share_one_picture(
    monkeypatch: pytest.MonkeyPatch, waiting: Event, made: list[Recipe]
) -> None:
    first, second = both_ask(monkeypatch, waiting, module.render)
    assert first.result() is second.result()
    assert made == [CAT]


def test_a_failure_reaches_all_who_wait_and_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, waiting: Event
) -> None:
    def fail(recipe: Recipe) -> bytes:
        raise MemoryError(recipe.prompt)

    first, second = both_ask(monkeypatch, waiting, fail)
    assert isinstance(first.exception(), MemoryError)
    assert isinstance(second.exception(), MemoryError)


def test_after_a_failure_one_may_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    picture_cache = PictureCache()
    with monkeypatch.context() as broken:
        broken.setattr(module, "render", lambda recipe: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            picture_cache.render(CAT)
    assert picture_cache.render(CAT) == render(CAT)
