"""A user's own output: JSON with placeholders for files, or a callable."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mock_fal import File
from mock_fal.errors import ScenarioError
from mock_fal.scenario.directive import parse_directive, parse_rule
from mock_fal.scenario.explain import explain_text
from mock_fal.scenario.output import KINDS, output_of, placeholder, read_file_spec
from mock_fal.scenario.rules import Scenario


def failure(action: Callable[[], object]) -> str:
    with pytest.raises(ScenarioError) as error:
        action()
    return str(error.value)


# -- outputs


def test_an_output_is_what_json_makes_of_it() -> None:
    assert output_of({"a": (1, 2), 3: None}).value == {"a": [1, 2], "3": None}
    assert output_of(None) == output_of(None) != output_of("null")
    assert str(output_of({"text": "é"})) == '{"text":"é"}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": object()}, "output: object is not JSON"),
        (float("nan"), "output: Out of range float values are not JSON compliant"),
        ({("a", "b"): 1}, "output: keys must be str, int, float, bool or None, not tuple"),
        (b"bytes", "output: bytes is not JSON"),
    ],
)
def test_what_is_not_json_is_refused(value: Any, message: str) -> None:
    assert failure(lambda: output_of(value)).startswith(message)


def test_an_output_reads_its_own_text() -> None:
    directive = parse_rule("", {"endpoint": "me/app", "output": {"video": File("video"), "n": [1, "]"]}})
    assert parse_directive(str(directive)) == directive
    assert str(directive) == 'endpoint=me/app output={"video":{"$file":{"kind":"video"}},"n":[1,"]"]}'


def test_an_output_is_any_json() -> None:
    assert parse_directive("output=5").output == output_of(5)
    assert parse_directive("""output='"hello"'""").output == output_of("hello")
    assert parse_directive("output=null").output == output_of(None)
    assert "expected JSON, as in" in failure(lambda: parse_directive("output=hello"))


def test_an_output_is_explained() -> None:
    assert explain_text('output={"a":1} billed=3') == [
        'The output of the model is {"a":1}.',
        "The result is billed as 3 units, also a model error.",
        "Applies to: submission to the queue, direct request, stream request, realtime input.",
    ]


@pytest.mark.parametrize("text", ["x", "-1", "nan", "1e10", "9" * 50])
def test_billed_units_have_a_range(text: str) -> None:
    assert "expected a number from 0 to 1e+09" in failure(lambda: parse_directive(f"billed={text}"))


# -- callables


def test_a_callable_is_called_with_the_input() -> None:
    output = output_of(lambda document: {"echo": document["text"]})
    assert output.called(b'{"text": "hello"}') == output_of({"echo": "hello"})
    assert output_of(lambda document: document).called(b"") == output_of(None)


def test_a_callable_that_raises_gives_an_output_with_the_reason() -> None:
    def fails(document: Any) -> Any:
        raise KeyError("prompt")

    assert "fails raised KeyError: 'prompt'" in output_of(fails).called(b"{}").error
    assert "raised ScenarioError: output: set is not JSON" in output_of(lambda _: set()).called(b"{}").error
    assert "raised AssertionError" in output_of(_fails_silently).called(b"{}").error


def _fails_silently(document: Any) -> Any:
    raise AssertionError


def test_a_callable_is_not_called_with_what_is_not_json() -> None:
    calls: list[Any] = []
    assert output_of(calls.append).called(b"{").error
    assert calls == []


def test_a_callable_is_shown_by_its_name() -> None:
    scenario = Scenario()
    scenario.respond("me/app", _fails_silently, times=2)
    assert [str(rule) for rule in scenario.rules] == [
        "endpoint=me/app times=2 output='<callable _fails_silently>'"
    ]


# -- endpoints of rules


def test_an_output_makes_its_endpoint_exist() -> None:
    scenario = Scenario(["fal-ai/flux/dev"])
    assert "matches no endpoint" in failure(lambda: scenario.add("queue=5", endpoint="me/app"))
    scenario.respond("me/*", {"a": 1})
    scenario.add("queue=5", endpoint="me/app")
    assert scenario.has_output("me/app") and not scenario.has_output("you/app")
    assert "matches no endpoint" in failure(lambda: scenario.add("queue=5", endpoint="you/app"))


def test_an_unknown_endpoint_is_refused_with_the_ways_on() -> None:
    known = [f"fal-ai/model-{number}" for number in range(1000)]
    message = failure(lambda: Scenario(known).add("queue=5", endpoint="me/app"))
    assert message == (
        "endpoint: 'me/app' matches no endpoint of this mock-fal; "
        "an app of your own exists with an output (respond, output=), --models or --guess-models"
    )


def test_a_rule_may_be_about_any_workflow() -> None:
    scenario = Scenario(["fal-ai/flux/dev"])
    scenario.add("queue=5", endpoint="workflows/ana/posters")
    scenario.add("queue=5", endpoint="comfy/*")
    assert len(scenario.rules) == 2


def test_an_output_without_a_pattern_is_for_every_endpoint() -> None:
    scenario = Scenario(["fal-ai/flux/dev"])
    scenario.add('output={"a":1}')
    assert scenario.has_output("any/app")


def test_a_clear_forgets_what_outputs_took() -> None:
    scenario = Scenario()
    scenario.respond("me/app", ["x" * 1000] * 10)
    assert scenario.kept_bytes > 50_000
    scenario.clear()
    assert scenario.kept_bytes == 0


# -- files


def test_a_file_is_a_placeholder_in_json() -> None:
    file = File("video", duration_s=4)
    assert file.as_json == {"$file": {"kind": "video", "duration_s": 4}}
    assert file.url.as_json == {"$file_url": {"kind": "video", "duration_s": 4}}
    assert (repr(file), repr(file.url)) == ("File('video', duration_s=4)", "File('video', duration_s=4).url")


def test_a_file_of_the_user_keeps_name_and_type(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"png")
    content = b64encode(b"png").decode()
    expected = {"kind": "own", "content": content, "content_type": "image/png", "file_name": "cat.png"}
    assert File(path).as_json == File(str(path)).as_json == {"$file": expected}
    assert File(b"png").as_json == {"$file": {"kind": "own", "content": content}}
    assert File(b"png", content_type="image/png").as_json["$file"]["content_type"] == "image/png"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            lambda: File("vidoe"),
            "'vidoe' is neither a kind of file (image, video, audio, speech, model, document)",
        ),
        (lambda: File(Path("/nowhere/a.png")), "nor a file of yours: no such file"),
        (lambda: File("video", widht=5), "video has no 'widht'; expected one of text, width"),
        (lambda: File("image", width=8), "width: 8, expected a whole number from 16 to 4096"),
        (lambda: File("image", width=True), "width: True, expected a whole number"),
        (lambda: File("audio", duration_s=0), "duration_s: 0, expected a number from 0.1 to 600"),
        (lambda: File("audio", format="aiff"), "format: 'aiff', expected mp3 or wav or flac or ogg"),
        (lambda: File("video", sound=1), "sound: 1, expected true or false"),
        (lambda: File("image", text=1), "text: 1, expected a text"),
        (lambda: File(b"x", content_type="png"), "content_type: 'png', expected a media type"),
        (lambda: File(b"x", file_name="a/b"), "file_name: 'a/b', expected a name"),
        (lambda: read_file_spec({"kind": "own", "content": "é"}), "content: 'é', expected base64"),
        (lambda: read_file_spec(5), "kind 5, expected one of image"),
        (lambda: output_of([{"$file": {"kind": "gif"}}]), "kind 'gif', expected one of image"),
    ],
)
def test_a_wrong_file_is_refused(action: Callable[[], object], message: str) -> None:
    assert message in failure(action)


def test_only_an_object_with_the_one_member_is_a_placeholder() -> None:
    assert placeholder({"$file": {"kind": "image"}, "a": 1}) is None
    assert placeholder({"$file_url": {"kind": "image"}}) == (read_file_spec({"kind": "image"}), True)
    assert output_of({"$file": {"kind": "image"}, "a": 1}).has_files is False


@pytest.mark.parametrize("kind", KINDS)
def test_the_defaults_of_a_file_are_valid(kind: str) -> None:
    checked = [name for name, field in KINDS[kind].items() if field.default != ""]
    for name in checked:
        KINDS[kind][name].check(KINDS[kind][name].default)
    assert checked
