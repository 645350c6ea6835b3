"""An input that differs from an earlier one only in its prompt is not read, and its result is as if it were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mock_fal.clock import ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.models import readings
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.settings import Settings
from mock_fal.web import wire
from tests.models.smallest import smallest

FLUX = "fal-ai/flux/schnell"
MEDIA = "https://v3b.fal.media"


@pytest.fixture(scope="module")
def shared() -> Emulator:
    """An emulator whose catalogue is loaded once."""
    return Emulator(Settings(), ManualClock())


@pytest.fixture
def mock(shared: Emulator) -> Emulator:
    """A new emulator."""
    forget_all(shared)
    return shared


def forget_all(mock: Emulator) -> None:
    mock.reset()
    mock.runs._readings = readings.Readings()


def submit(mock: Emulator, document: Any, endpoint: str = FLUX) -> ModelRequest:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return mock.submit(EndpointId.parse(endpoint), body, "ana")


def seen(
    mock: Emulator, *documents: Any, endpoint: str = FLUX, reads_all: bool = False
) -> list[tuple[Any, ...]]:
    """What follows from some submissions, one after the other. JSON that is written for a client has to be the same."""
    forget_all(mock)
    found = []
    for document in documents:
        if reads_all:
            mock.runs._readings = readings.Readings()
        request = submit(mock, document, endpoint)
        head = request.head
        assert isinstance(head, RunnerResponse)
        assert head.status < 500
        written = request.written(MEDIA, wire.write)
        if written is not None:
            paths = request.paths
            assert isinstance(request.outcome, RunnerResponse)
            assert written == wire.write(request.outcome.body, MEDIA).encode()
            assert paths == [file.path for file in request.files]
        found.append(
            (
                request.schedule,
                head.status,
                head.billable_units,
                request.steps,
                request.outcome,
                request.files,
            )
        )
    return found


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [
        (FLUX, {"num_images": 4}),
        (FLUX, {"seed": 7, "output_format": "png"}),
        ("fal-ai/kling-video/v2/master/text-to-video", {"duration": "10"}),
    ],
)
@pytest.mark.parametrize(
    "prompt", ["a dog", 'in "quotes", {0} and {{braces}} %s', "\u732b \\ \n", "the seed of 7c1f0d5e"]
)
def test_the_json_of_another_prompt_is_written_without_building_it(
    mock: Emulator, endpoint: str, document: Any, prompt: str
) -> None:
    submit(mock, document | {"prompt": "a cat"}, endpoint)
    body = json.dumps(document | {"prompt": prompt}, ensure_ascii=False).encode()
    request = submit(mock, body, endpoint)
    _ = request.schedule
    written = request.written('http://a "host"', wire.write)
    assert written is not None
    assert not request.is_built
    assert request.written('http://a "host"', wire.write) is None  # whoever comes after that
    assert isinstance(request.outcome, RunnerResponse)
    assert written == wire.write(request.outcome.body, 'http://a "host"').encode()


def test_half_of_a_surrogate_pair_is_not_written(mock: Emulator) -> None:
    submit(mock, {"prompt": "a cat"})
    request = submit(mock, {"prompt": "\ud800"})
    _ = request.schedule
    assert request.written(MEDIA, wire.write) is None
    assert isinstance(request.outcome, RunnerResponse)


def is_read(mock: Emulator, document: Any, endpoint: str = FLUX) -> bool:
    """Whether an input has to be read: then it is built at once."""
    request = submit(mock, document, endpoint)
    _ = request.schedule
    return request.is_built


@pytest.mark.parametrize(
    "prompt",
    [
        "a dog",
        "tr\u00e8s grand, \u732b \U0001f408",
        'a "quoted" text, back\\slash, {"prompt": "x"}',
        "two\nlines\tand a tab",
        "x" * 3000,
        "",
        " ",
        "\ud800",
        "\x00",
        "it's",
        7,
        None,
        ["a"],
    ],
    ids=lambda prompt: ascii(prompt)[:20],
)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_the_result_is_that_of_an_input_that_was_read(mock: Emulator, prompt: Any, is_ascii: bool) -> None:
    text = json.dumps({"num_images": 2, "prompt": prompt}, ensure_ascii=is_ascii)
    given = [{"num_images": 2, "prompt": "a cat"}, text.encode("utf-8", "surrogatepass")]
    assert seen(mock, *given) == seen(mock, *given, reads_all=True)


@pytest.mark.parametrize(
    "document", [{"seed": 7}, {"image_size": {"width": 100, "height": 50}}, {"sync_mode": True}]
)
def test_a_prompt_is_all_that_differs(mock: Emulator, document: Any) -> None:
    given = [document | {"prompt": text} for text in ("a cat", "a dog", "a cat")]
    assert seen(mock, *given) == seen(mock, *given, reads_all=True)
    forget_all(mock)
    assert [is_read(mock, each) for each in given] == [True, False, False]
    assert is_read(mock, document | {"prompt": "a cat", "num_images": 3})


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt": "a cat", "prompt": "%b"}',
        b'{"loras": [{"path": "x", "prompt": "%b"}], "prompt": "a cat"}',
        b'{"my\\"prompt": "%b", "prompt": "a cat"}',
        b'{"negative_prompt": "%b", "prompt": "a cat"}',
        b'\xef\xbb\xbf{"prompt": "%b"}',
        b'{"prompt": "%b"',
    ],
)
def test_another_text_is_not_taken_for_the_prompt(mock: Emulator, body: bytes) -> None:
    given = [body % text for text in (b"a", b"b", b"a", b"c")]
    assert seen(mock, *given, endpoint="fal-ai/flux-lora") == seen(
        mock, *given, endpoint="fal-ai/flux-lora", reads_all=True
    )


def test_a_prompt_of_the_wrong_length_is_read_and_rejected(mock: Emulator) -> None:
    endpoint = "fal-ai/gemini-25-flash-image"
    model = mock.catalog.find(EndpointId.parse(endpoint))
    assert model is not None
    limit = model.input["properties"]["prompt"]["maxLength"]
    document = smallest(model.input)
    assert isinstance(document, dict)
    given = [document | {"prompt": "x" * size} for size in (5, limit, limit + 1)]
    found = seen(mock, *given, endpoint=endpoint)
    assert found == seen(mock, *given, endpoint=endpoint, reads_all=True)
    assert [status for _, status, *_ in found] == [200, 200, 422]


def test_speech_lasts_as_long_as_its_text(mock: Emulator) -> None:
    given = [{"prompt": text} for text in ("a", "a much longer text to be spoken")]
    for endpoint in ("fal-ai/kokoro", "fal-ai/playai/tts/v3", "openrouter/router"):
        assert seen(mock, *given, endpoint=endpoint) == seen(mock, *given, endpoint=endpoint, reads_all=True)


@pytest.mark.parametrize("part", range(16))
def test_it_is_so_for_every_endpoint_that_takes_a_prompt(mock: Emulator, part: int) -> None:
    for endpoint in mock.catalog.ids()[part::16]:
        model = mock.catalog.find(EndpointId.parse(endpoint))
        assert model is not None
        if "prompt" in model.input.get("properties", {}):
            document = smallest(model.input)
            assert isinstance(document, dict)
            given = [document | {"prompt": text} for text in ("one", "and two")]
            assert seen(mock, *given, endpoint=endpoint) == seen(
                mock, *given, endpoint=endpoint, reads_all=True
            ), endpoint


def test_the_readings_are_bounded(mock: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "MAX_READINGS", 2)
    for number in range(1, 5):
        is_read(mock, {"prompt": "a", "num_images": number})
    assert len(mock.runs._readings._known) == 2
    assert not is_read(mock, {"prompt": "b", "num_images": 4})
    assert is_read(mock, {"prompt": "b", "num_images": 1})
    long = {"prompt": "a", "negative_prompt": "b" * readings.MAX_READ_BYTES}
    assert is_read(mock, long)
    assert is_read(mock, long)


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [("bria/replace-background", {}), ("fal-ai/steady-dancer", {}), ("decart/lucy2-vton/realtime", {})],
)
def test_a_file_that_an_input_names_by_default_is_not_looked_for(
    mock: Emulator, endpoint: str, document: Any
) -> None:
    """It is fal's own, on its media host."""
    head = submit(mock, document, endpoint).head
    assert isinstance(head, RunnerResponse)
    assert head.status == 200
