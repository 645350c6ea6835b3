from __future__ import annotations

from dataclasses import replace

import pytest

from mock_fal.pictures import render as module
from mock_fal.pictures.recipe import Recipe
from mock_fal.pictures.render import render

CAT = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=64, height=48)


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
