"""FLUX.1 with custom LoRA weights."""

from __future__ import annotations

from tests.models.runs import FOUR, first, run, size

LORA = "fal-ai/flux-lora"


def test_the_output_is_like_that_of_dev() -> None:
    response = run(LORA)
    assert (list(first(response)), size(response), response.body["prompt"]) == (FOUR, (1024, 768), "a cat")


def test_weights_are_accepted_and_change_the_picture() -> None:
    weights = [{"path": "https://example.com/oil.safetensors", "scale": 0.5}, {"path": "ana/ink"}]
    assert run(LORA, loras=weights).body["seed"] != run(LORA).body["seed"]
