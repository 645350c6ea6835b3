"""The kind of an endpoint, and the category that an id names."""

from __future__ import annotations

import pytest

from mock_fal.models.catalog import TYPICAL, Catalog
from mock_fal.models.classify import CATEGORIES, category_from_id, kind_of
from mock_fal.models.rows import built_in

FILE = {"title": "File", "type": "object", "properties": {"url": {"type": "string"}}, "x-file": True}
TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("category", "fields", "kind"),
    [
        ("text-to-image", {"images": {"type": "array", "items": {}}}, "image"),
        ("image-to-image", {"seed": {"type": "integer"}, "video": FILE}, "video"),
        ("text-to-speech", {"audio": FILE}, "speech"),
        ("text-to-audio", {"audio": FILE}, "audio"),
        ("video-to-audio", {"video": FILE}, "video"),
        ("training", {"video": FILE, "lora_file": FILE}, "training"),
        ("", {"diffusers_lora_file": FILE}, "training"),
        ("image-to-3d", {"model_mesh": {"anyOf": [FILE, {"type": "null"}]}}, "3d"),
        ("speech-to-text", {"text": TEXT}, "transcript"),
        ("speech-to-text", {"probability": {"type": "number"}}, "json"),
        ("vision", {"output": TEXT}, "text"),
        ("vision", {"image": FILE}, "image"),
        ("json", {"waveform": {"type": "array"}}, "json"),
        ("", {"result": {"type": "object", "properties": {"image": FILE}}}, "image"),
        ("text-to-image", {}, "image"),
        ("unheard-of", {}, "json"),
    ],
)
def test_the_kind_is_that_of_the_first_file_of_the_output(category: str, fields: object, kind: str) -> None:
    assert kind_of(category, {"properties": fields}) == kind


@pytest.mark.parametrize(
    ("endpoint", "category"),
    [
        ("fal-ai/new/v9/text-to-video", "text-to-video"),
        ("acme/new-tts", "text-to-speech"),
        ("acme/best-lora-trainer", "training"),
        ("acme/whisper-large", "speech-to-text"),
        ("acme/image-to-3d", "image-to-3d"),
        ("acme/upscaler", "image-to-image"),
        ("acme/unheard-of", "text-to-image"),
    ],
)
def test_the_words_of_an_id_name_a_category(endpoint: str, category: str) -> None:
    assert category_from_id(endpoint) == category


def test_nine_of_ten_ids_name_the_right_kind() -> None:
    sound = {"audio", "speech"}
    right = 0
    rows = list(built_in().rows())
    for row in rows:
        kind, guessed = kind_of(row["category"], row["output"]), CATEGORIES[category_from_id(row["id"])]
        right += kind == guessed or {kind, guessed} <= sound
    assert right >= 0.9 * len(rows)


def test_every_category_that_an_id_can_name_has_a_typical_endpoint_of_its_kind() -> None:
    catalog = Catalog()
    named = {category_from_id(id) for id in catalog.ids()}
    assert named <= set(TYPICAL)
    for category, endpoint in TYPICAL.items():
        model = catalog.find(endpoint)
        assert model is not None
        assert model.kind == CATEGORIES[category]
