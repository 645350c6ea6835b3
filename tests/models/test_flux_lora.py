"""FLUX.1 with weights of one's own."""

from __future__ import annotations

from tests.models.families import FOUR, ask, first, size

LORA = "fal-ai/flux-lora"


def test_it_answers_as_dev_does() -> None:
    response = ask(LORA)
    assert (list(first(response)), size(response), response.body["prompt"]) == (FOUR, (1024, 768), "a cat")


def test_weights_are_taken_and_change_the_picture() -> None:
    weights = [{"path": "https://example.com/oil.safetensors", "scale": 0.5}, {"path": "ana/ink"}]
    assert ask(LORA, loras=weights).body["seed"] != ask(LORA).body["seed"]
