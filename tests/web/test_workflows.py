"""Workflows on the queue, on fal.run and as streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mock_fal.errors import SettingsError
from tests.models.test_workflow import POSTERS
from tests.web.conftest import MEDIA, OURS, QUEUE_S, RUN, RUN_S, Fal, Serve

NODES = {
    "node_1": {
        "type": "run",
        "app": "fal-ai/flux/dev",
        "input": {"prompt": "$input.prompt", "image_size": "$input.size", "sync_mode": True},
    },
    "node_2": {
        "type": "run",
        "app": "fal-ai/flux/dev/image-to-image",
        "input": {"prompt": "$input.prompt", "image_url": "$node_1.images.0.url"},
    },
    "output": {"type": "display", "fields": {"image": "$node_2.images.0", "first": "$node_1.images.0.url"}},
}
ENDPOINT = "workflows/ana/posters"


@pytest.fixture
def posters(serve: Serve, tmp_path: Path) -> Fal:
    """An application with one workflow."""
    file = tmp_path / "workflows.json"
    file.write_text(json.dumps({"workflows": {"ana/posters": NODES, "ana/lost": lost()}}))
    return serve(models=(str(file),))


def lost() -> dict[str, Any]:
    """A workflow whose app does not exist."""
    node = {"type": "run", "app": "fal-ai/no-such-app", "input": {}}
    return {"n": node, "out": {"type": "display", "fields": {"a": "$n.a"}}}


def stream(fal: Fal, endpoint: str = ENDPOINT, **fields: Any) -> list[dict[str, Any]]:
    """The events of a stream."""
    body = json.dumps({"prompt": "a cat", "size": "square", **fields}).encode()
    call = fal.start_request("POST", f"{RUN}/{endpoint}/stream", body=body)
    for _ in range(6):
        fal.advance(RUN_S)
    return call.events()


def test_a_stream_reports_each_node_and_the_output(posters: Fal) -> None:
    events = stream(posters)
    assert [(event["type"], event.get("node_id")) for event in events] == [
        ("submit", "node_1"),
        ("completion", "node_1"),
        ("submit", "node_2"),
        ("completion", "node_2"),
        ("output", None),
    ]
    first, second = events[1]["output"]["images"][0], events[3]["output"]["images"][0]
    assert events[-1]["output"] == {"image": second, "first": first["url"]}
    # The size of the second picture follows from the first, which is its input.
    assert (first["width"], second["width"], second["height"]) == (512, 512, 512)


def test_the_files_of_all_nodes_can_be_read(posters: Fal) -> None:
    output = stream(posters)[-1]["output"]
    for url in (output["first"], output["image"]["url"]):
        assert url.startswith(MEDIA)
        assert posters.request("GET", url).status_code == 200


def test_each_node_is_a_request_of_its_own(posters: Fal) -> None:
    events = stream(posters)
    found = posters.request("GET", f"https://queue.fal.run/fal-ai/flux/requests/{events[0]['request_id']}")
    assert found.json()["images"] == events[1]["output"]["images"]
    charges = [(charge.endpoint, charge.units) for charge in posters.emulator.charges()]
    assert sorted(charges) == [("fal-ai/flux/dev", 1), ("fal-ai/flux/dev/image-to-image", 1)]


def test_a_workflow_takes_as_long_as_its_nodes(posters: Fal) -> None:
    handle = posters.submit(endpoint=ENDPOINT)
    posters.advance(QUEUE_S + 2 * RUN_S - 0.1)
    assert handle.status().json()["status"] == "IN_PROGRESS"
    posters.advance(0.1)
    assert list(handle.result().json()) == ["image", "first"]


def test_a_failed_node_is_an_error_event_and_the_result(posters: Fal) -> None:
    *_, last = stream(posters, size="nope")
    assert (last["type"], last["node_id"], last["error"]["status"]) == ("error", "node_1", 422)
    handle = posters.completed(endpoint=ENDPOINT, size="nope")
    result = handle.result()
    assert result.status_code == 422
    assert result.json()["detail"][0]["input"] == "nope"


def test_an_unknown_app_is_an_error_event(posters: Fal) -> None:
    [event] = stream(posters, "workflows/ana/lost")
    assert event["message"] == 'Application "no-such-app" not found'
    assert event["error"] == {"status": 404, "body": {"detail": 'Application "no-such-app" not found'}}


def test_a_rule_for_the_app_of_a_node_fails_that_node(posters: Fal) -> None:
    rule = "endpoint=fal-ai/flux/dev/image-to-image error=runner_disconnected retry=false"
    added = posters.request("POST", f"{OURS}/_mock/scenario", body=json.dumps([rule]).encode())
    assert added.status_code == 200, added.text
    *_, completion, submit, error = stream(posters)
    assert (completion["type"], submit["type"]) == ("completion", "submit")
    assert (error["node_id"], error["error"]["body"]["error_type"]) == ("node_2", "runner_disconnected")


def test_a_directive_fails_the_workflow_itself(posters: Fal) -> None:
    response = posters.run("a cat", endpoint=ENDPOINT, headers={"x-mock-fal": "error=runner_disconnected"})
    assert response.status_code == 503


@pytest.mark.parametrize("namespace", ["workflows", "comfy"])
def test_a_workflow_without_a_definition_makes_a_picture(fal: Fal, namespace: str) -> None:
    events = stream(fal, f"{namespace}/bob/anything")
    assert [event["type"] for event in events] == ["submit", "completion", "output"]
    assert events[-1]["output"]["images"] == events[1]["output"]["images"]
    assert fal.run("a cat", endpoint=f"{namespace}/bob/anything").json()["images"][0]["width"] == 1024


def test_a_workflow_has_no_other_paths(fal: Fal) -> None:
    response = fal.run("a cat", endpoint="workflows/bob/anything/else")
    assert (response.status_code, response.json()) == (404, {"detail": "Path /else not found"})


def test_an_input_that_is_no_object_is_rejected(posters: Fal) -> None:
    handle = posters.submit(endpoint=ENDPOINT, body=b"[1]")
    posters.advance(QUEUE_S + RUN_S)
    assert handle.result().status_code == 422


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"workflows": {"ana/posters": POSTERS | {"output": {"type": "display", "fields": {}}}}},
            "no output",
        ),
        ({"workflows": {"posters": POSTERS}}, "expected user/name"),
    ],
)
def test_an_invalid_file_stops_the_server(serve: Serve, tmp_path: Path, content: Any, reason: str) -> None:
    file = tmp_path / "workflows.json"
    file.write_text(json.dumps(content))
    with pytest.raises(SettingsError, match=reason):
        serve(models=(str(file),))


def test_a_rule_that_applies_once_fails_one_node_of_an_app(serve: Serve, tmp_path: Path) -> None:
    run: dict[str, Any] = {"type": "run", "app": "fal-ai/flux/dev", "input": {"prompt": "a cat"}}
    nodes = {"a": run, "b": {**run, "depends": ["a"]}, "out": {"type": "display", "fields": {"x": "$b.seed"}}}
    file = tmp_path / "workflows.json"
    file.write_text(json.dumps({"workflows": {"ana/twice": nodes}}))
    fal = serve(models=(str(file),))
    fal.request("POST", f"{OURS}/_mock/scenario", body=b'["endpoint=fal-ai/flux/dev times=1 run=1"]')
    handle = fal.submit(endpoint="workflows/ana/twice")
    fal.advance(QUEUE_S + 1 + RUN_S)
    assert list(handle.result().json()) == ["x"]


def test_a_video_of_one_node_is_the_input_of_another(serve: Serve, tmp_path: Path) -> None:
    video = {
        "type": "run",
        "app": "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
        "input": {"prompt": "$input.prompt"},
    }
    caption = {
        "type": "run",
        "app": "openrouter/router/video",
        "input": {"prompt": "what?", "model": "m", "video_urls": ["$film.video.url"]},
    }
    output = {"type": "display", "fields": {"video": "$film.video.url", "text": "$caption.output"}}
    file = tmp_path / "workflows.json"
    file.write_text(
        json.dumps({"workflows": {"ana/film": {"film": video, "caption": caption, "out": output}}})
    )
    fal = serve(models=(str(file),), clock="auto-advance")
    result = fal.run("a cat", endpoint="workflows/ana/film").json()
    assert result["video"].endswith(".mp4")
    assert "I was given: 1 file" in result["text"]
