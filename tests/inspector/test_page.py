"""The inspector in headless Chromium: a person watches real clients, sets rules, and looks at what came out."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from mock_fal import MockFal, WebhookReceiver
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from tests.clients.programs import FOLDER, NODES, Node, run_program, tool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")

# The rows that the page asks for at once, and those that it makes elements of.
PAGE = 60
MAX_ROWS = 60


def browse(script: str, url: str, *options: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a script of tests/clients/node/inspector; the console of the page must be empty."""
    command = [str(Node(NODES[-1]).binary), str(FOLDER / "inspector" / script)]
    arguments = ["--chromium", tool("chromium"), "--url", url, "--python", sys.executable, *options]
    done = run_program([*command, *arguments], env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stderr + done.stdout
    output: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert output["complaints"] == []
    return output


def clients_of(fal: MockFal) -> Mapping[str, str]:
    """The environment in which fal's clients reach a server."""
    return fal.environment(os.environ)[0]


def test_a_row_goes_through_its_states_and_opens() -> None:
    """With fal's Node and Python clients; also filter, shared link, run again, and the keyboard alone."""
    with MockFal(clock="manual") as fal:
        output = browse("live.mjs", fal.url, env=clients_of(fal))
        assert output["requestId"] in [exchange.request_id for exchange in fal.account().requests]


def test_a_rule_of_the_form_acts_on_the_next_call() -> None:
    with MockFal(clock="auto-advance") as fal:
        browse("scenario.mjs", fal.url, env=clients_of(fal))


def test_media_play_and_webhooks_are_sent_again() -> None:
    """The receiver verifies the webhook that was edited on the page."""
    with (
        MockFal(clock="auto-advance") as fal,
        WebhookReceiver(f"{fal.url}/rest.fal.ai/.well-known/jwks.json") as receiver,
    ):
        output = browse("media.mjs", fal.url, "--hook", receiver.url, env=clients_of(fal))
        assert (output["video"] > 1, output["sound"] > 0.5) == (True, True)
        first, again, edited = receiver.wait_for(3)
        assert first.body == again.body
        assert first.json["request_id"] == output["requestId"]
        assert edited.json == {"edited": "on the page"}
        assert all(received.verified for received in (first, again, edited))


def test_no_view_has_a_serious_finding_of_axe() -> None:
    """Light and dark, wide and narrow, empty and with every state."""
    with (
        MockFal(queue_duration=0, run_duration=0) as fal,
        WebhookReceiver(f"{fal.url}/rest.fal.ai/.well-known/jwks.json") as receiver,
    ):
        output = browse("views.mjs", fal.url, "--hook", receiver.url, env=clients_of(fal))
        assert len(output["found"]) == 3 + 7 + 7 + 4 + 1
        assert {name: found for name, found in output["found"].items() if found} == {}


def test_the_page_asks_for_few_of_ten_thousand_requests() -> None:
    with MockFal(queue_duration=0, run_duration=0) as fal:
        submit_many(fal._emulator, 10_000)
        output = browse("many.mjs", fal.url)
        # A second time if the page read the list before the server had greeted it.
        assert output["first"] in ([PAGE], [PAGE, PAGE])
        assert max(output["rows"], output["later"]) <= MAX_ROWS


def test_the_page_goes_on_after_a_restart_of_the_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    browse("restart.mjs", f"http://127.0.0.1:{port}")


def submit_many(emulator: Emulator, count: int) -> None:
    endpoint = EndpointId.parse("fal-ai/flux/schnell")
    for number in range(count):
        emulator.submit(endpoint, json.dumps({"prompt": f"cat {number}"}).encode(), "many")
