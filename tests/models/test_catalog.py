"""The catalogue: endpoints from the data file, from files of the user, and guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mock_fal.clock import ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import SettingsError
from mock_fal.models import catalog as catalog_module
from mock_fal.models.catalog import MAX_GUESSED, Catalog, relaxed
from mock_fal.models.classify import CATEGORIES
from mock_fal.models.input_schema import input_adapter
from mock_fal.models.overrides import REALTIME, STREAMING
from mock_fal.settings import Settings

CATALOG = Catalog()


def row(endpoint: str, **members: object) -> dict[str, object]:
    return {"id": endpoint, "input": {}, "output": {"type": "object", "properties": {}}, **members}


def file(tmp_path: Path, *rows: object) -> str:
    path = tmp_path / "models.json"
    path.write_text(json.dumps(rows))
    return str(path)


def test_a_model_is_decoded_once() -> None:
    model = CATALOG.find("fal-ai/flux/dev")
    assert model is not None
    assert (model.kind, model.category, model.source) == ("image", "text-to-image", "catalogue")
    assert list(model.input["properties"])[:3] == ["prompt", "image_size", "num_inference_steps"]
    assert CATALOG.find(EndpointId.parse("fal-ai/flux/dev")) is model


@pytest.mark.parametrize("endpoint", ["fal-ai/flux", "fal-ai/flux/dev/stream", "fal-ai/unheard-of", "", "x"])
def test_another_id_is_not_found(endpoint: str) -> None:
    assert CATALOG.find(endpoint) is None


def test_every_row_is_a_model() -> None:
    assert len(CATALOG.ids()) == len(CATALOG.entries()) > 1_700
    for endpoint in CATALOG.ids():
        model = CATALOG.find(endpoint)
        assert model is not None
        assert (model.id, str(EndpointId.parse(endpoint))) == (endpoint, endpoint)
        assert model.kind in {*CATEGORIES.values()}
        assert isinstance(model.input, dict) and isinstance(model.output, dict)


def test_ids_are_sorted_and_of_many_owners() -> None:
    ids = CATALOG.ids()
    assert list(ids) == sorted(ids)
    assert len({id.partition("/")[0] for id in ids}) > 30


@pytest.mark.parametrize(
    "app", ["fal-ai/flux", "openrouter/router", "bria/video", "CassetteAI/music-generator"]
)
def test_an_app_exists_for_any_path(app: str) -> None:
    assert CATALOG.has_app(app)


@pytest.mark.parametrize("app", ["fal-ai/fluxx", "other/flux", "fal-ai/flux/dev"])
def test_another_app_does_not_exist(app: str) -> None:
    assert not CATALOG.has_app(app)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("fal-ai/flux/dev/stream", "fal-ai/flux/dev"),
        ("fal-ai/any-llm/stream", "fal-ai/any-llm"),
        ("fal-ai/maya/stream", "fal-ai/maya/stream"),
        ("fal-ai/whisper/stream", None),
        ("fal-ai/flux/dev", None),
        ("fal-ai/nope/stream", None),
    ],
)
def test_a_stream_has_the_model_in_front_of_it_or_is_one(path: str, model: str | None) -> None:
    found = CATALOG.streaming_model(EndpointId.parse(path))
    assert (None if found is None else str(found)) == model


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("fal-ai/fast-lcm-diffusion/realtime", "fal-ai/fast-lcm-diffusion"),
        ("fal-ai/flux-2/klein/realtime", "fal-ai/flux-2/klein/realtime"),
        ("fal-ai/flux/dev/realtime", None),
        ("fal-ai/fast-lcm-diffusion", None),
    ],
)
def test_a_realtime_path_has_the_model_in_front_of_it_or_is_one(path: str, model: str | None) -> None:
    found = CATALOG.realtime_model(EndpointId.parse(path))
    assert (None if found is None else str(found)) == model


def test_paths_of_an_app_are_its_endpoints_streams_and_sockets() -> None:
    known = ("fal-ai/flux/dev", "fal-ai/flux/dev/stream", "fal-ai/fast-sdxl/realtime")
    assert all(map(CATALOG.has_path, known))
    assert not any(map(CATALOG.has_path, ("fal-ai/flux", "fal-ai/flux/dev/realtime")))


def test_streams_sockets_and_event_names_are_those_of_the_overrides() -> None:
    streams = {entry.id for entry in CATALOG.entries() if entry.stream}
    sockets = {entry.id for entry in CATALOG.entries() if entry.realtime}
    assert (streams, sockets) == (set(STREAMING), set(REALTIME))
    model = CATALOG.find("fal-ai/any-llm")
    assert model is not None
    assert (model.is_streaming, model.is_realtime, model.event_name) == (True, False, "event")
    assert "fal-ai/flux-2/klein/realtime" in CATALOG.realtime_paths()
    assert "fal-ai/fast-sdxl/realtime" in CATALOG.realtime_paths()


# -- unknown ids


def test_the_closest_ids_come_first() -> None:
    assert CATALOG.closest("fal-ai/flux/schnel")[0] == "fal-ai/flux/schnell"
    assert len(CATALOG.closest("fal-ai/flux/schnel", 2)) == 2
    assert CATALOG.closest("me/my-app") == []


def test_a_hint_names_what_may_have_been_meant() -> None:
    assert CATALOG.hint("fal-ai/wizpr").startswith("fal-ai/wizpr; did you mean fal-ai/wizper")
    assert CATALOG.hint("me/my-app") == "me/my-app"
    assert CATALOG.hint("a/" + "b" * 1000) == "a/" + "b" * 77 + "…"


def test_an_unknown_id_is_guessed_if_that_is_wanted() -> None:
    warnings: list[str] = []
    catalog = Catalog(guess=True, warn=warnings.append)
    model = catalog.find("acme/new/image-to-video")
    assert model is not None
    assert (model.kind, model.category, model.source) == ("video", "image-to-video", "guess")
    assert "required" not in model.input
    assert catalog.find("acme/new/image-to-video") is model
    assert warnings == [
        "mock-fal: acme/new/image-to-video is not known; it answers as image-to-video, like "
        "fal-ai/pixverse/v3.5/image-to-video (--guess-models)"
    ]
    assert catalog.has_app("acme/new") and catalog.has_path("acme/new/x")
    assert "acme/new/image-to-video" not in catalog.ids()


@pytest.mark.parametrize(
    ("endpoint", "sibling"),
    [
        ("fal-ai/wan-i2v/turbo", "fal-ai/wan-i2v"),  # called by programs, in no list of fal
        ("fal-ai/veo3/fast/ultra", "fal-ai/veo3/fast"),  # no word names a category
        ("fal-ai/kling-video/v9/image-to-video", "fal-ai/kling-video/"),
    ],
)
def test_an_unknown_path_of_a_known_app_is_guessed_by_its_siblings(endpoint: str, sibling: str) -> None:
    warnings: list[str] = []
    model = Catalog(guess=True, warn=warnings.append).find(endpoint)
    assert model is not None
    assert model.kind == "video"
    assert f", like {sibling}" in warnings[0]


@pytest.mark.parametrize(
    ("endpoint", "sibling"),
    [
        ("fal-ai/wan-i2v-turbo", "fal-ai/wan-i2v"),  # an app of its own
        ("fal-ai/kling-videos/v9/image-to-video", "fal-ai/kling-video/"),
        ("acme/kling-video/v9/image-to-video", "fal-ai/pixverse/v3.5/image-to-video"),  # another owner
        ("fal-ai/wan9/image-to-video", "fal-ai/pixverse/v3.5/image-to-video"),  # less than five characters
    ],
)
def test_an_unknown_app_is_guessed_by_those_of_its_owner_that_begin_alike(
    endpoint: str, sibling: str
) -> None:
    warnings: list[str] = []
    model = Catalog(guess=True, warn=warnings.append).find(endpoint)
    assert model is not None and model.kind == "video"
    assert f", like {sibling}" in warnings[0]


def test_the_input_of_a_guess_has_types_and_no_limits() -> None:
    """What an unknown endpoint accepts is not known: values beyond the limits of its sibling may be right."""
    model = Catalog(guess=True, warn=lambda text: None).find("fal-ai/wan-i2v/turbo")
    known = CATALOG.find("fal-ai/wan-i2v")
    assert model is not None and known is not None
    validate = input_adapter(model.input).validate_python
    validate({"aspect_ratio": "7:5", "resolution": "4k", "num_frames": 100_000, "new_field": 1})
    with pytest.raises(ValueError, match="aspect_ratio"):
        validate({"aspect_ratio": []})
    with pytest.raises(ValueError, match="num_frames"):
        input_adapter(known.input).validate_python({"num_frames": 100_000})
    assert list(model.input["properties"]) == list(known.input["properties"])


def test_a_relaxed_schema_keeps_fields_that_are_named_like_limits() -> None:
    schema = {
        "properties": {"pattern": {"type": "string", "pattern": "a+", "default": {"enum": 1}}},
        "anyOf": [{"maxLength": 3, "type": "string"}],
        "additionalProperties": False,
    }
    assert relaxed(schema) == {
        "properties": {"pattern": {"type": "string", "default": {"enum": 1}}},
        "anyOf": [{"type": "string"}],
    }


def test_only_the_latest_guesses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_module, "MAX_GUESSED", 2)
    warnings: list[str] = []
    catalog = Catalog(guess=True, warn=warnings.append)
    for name in ("a", "b", "c", "a"):
        catalog.find(f"acme/{name}")
        catalog.closest(f"acme/{name}")
    assert len(warnings) == 4
    assert MAX_GUESSED > 2


# -- files of the user


def test_a_file_is_in_front_of_the_built_in_rows(tmp_path: Path) -> None:
    catalog = Catalog([file(tmp_path, row("fal-ai/flux/dev", title="Mine"), row("me/my-app/go"))])
    ours, theirs = catalog.find("fal-ai/flux/dev"), catalog.find("fal-ai/flux/schnell")
    assert ours is not None and theirs is not None
    assert (ours.title, ours.source, theirs.source) == ("Mine", "file", "catalogue")
    assert catalog.has_app("me/my-app") and catalog.has_path("me/my-app/go")
    assert len(catalog.ids()) == len(CATALOG.ids()) + 1


def test_a_file_keeps_the_streams_that_are_known(tmp_path: Path) -> None:
    catalog = Catalog([file(tmp_path, row("fal-ai/flux/dev"), row("me/my-app", stream=True, realtime=True))])
    assert catalog.streaming_model("fal-ai/flux/dev/stream")
    assert catalog.streaming_model("me/my-app/stream") and catalog.realtime_model("me/my-app/realtime")


def test_the_last_file_wins(tmp_path: Path) -> None:
    first = file(tmp_path, row("me/my-app", title="1"))
    second = tmp_path / "second.json"
    second.write_text(json.dumps([row("me/my-app", title="2")]))
    model = Catalog([first, str(second)]).find("me/my-app")
    assert model is not None and model.title == "2"


def test_a_server_with_a_bad_file_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^--models .*nope\.json: No such file or directory$"):
        Emulator(Settings(models=(str(tmp_path / "nope.json"),)), ManualClock())


def test_nothing_is_read_before_the_first_request() -> None:
    emulator = Emulator(Settings(), ManualClock())
    assert "catalog" not in vars(emulator)
    assert "_built_in" not in vars(emulator.catalog)
