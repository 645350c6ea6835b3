"""A server of another process: here, the same process, through HTTP only."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from mock_fal import MockFal, MockFalError, ScenarioError
from mock_fal.remote.control import Control, Refused
from mock_fal.remote.records import exchange_of
from mock_fal.remote.rules import members
from mock_fal.remote.server import RemoteServer
from mock_fal.scenario.directive import parse_directive
from mock_fal.scenario.rule_file import read_json

SCHNELL = "fal-ai/flux/schnell"
A_CAT = {"prompt": "a cat"}


@pytest.fixture(scope="module")
def shared() -> Iterator[MockFal]:
    with MockFal(clock="auto-advance") as fal:
        yield fal


@pytest.fixture
def fal(shared: MockFal) -> MockFal:
    shared.reset()
    return shared


@pytest.fixture
def remote(fal: MockFal) -> RemoteServer:
    return RemoteServer(fal.url)


def call(fal: MockFal, key: str, body: object = A_CAT, path: str = f"fal.run/{SCHNELL}") -> httpx.Response:
    headers = {"authorization": f"Key {key}"}
    return httpx.post(f"{fal.url}/{path}", json=body, headers=headers, trust_env=False)


def test_the_exchanges_are_those_of_the_server(fal: MockFal, remote: RemoteServer) -> None:
    call(fal, "alice:secret-one")
    call(fal, "bob:secret-two", {"prompt": "ein grüner Hund"}, "queue.fal.run/fal-ai/fluxx")
    for seen, own in zip(remote.requests, fal.requests, strict=True):
        skipped = ("counted", "searched", "sent_at", "submitted")
        fields = [name for name in own.__slots__ if not name.startswith(skipped)]
        assert [getattr(seen, name) for name in fields] == [getattr(own, name) for name in fields]
        assert seen.duration_s == pytest.approx(own.duration_s, abs=1e-4)
        assert (seen.url, seen.operation, seen.endpoint) == (own.url, own.operation, own.endpoint)
    assert remote.exchanges(limit=1)[0].number == fal.requests[-1].number
    assert [exchange.tenant for exchange in remote.account("bob:secret-two").requests] == ["bob"]


def test_a_body_that_is_not_text_is_the_same(fal: MockFal) -> None:
    url = f"{fal.url}/fal.run/{SCHNELL}"
    httpx.post(url, content=b"\xff\xfe", headers={"authorization": "Key alice:secret"}, trust_env=False)
    (shown,) = Control(fal.url).get("requests")["requests"]
    assert exchange_of(shown).request_body == b"\xff\xfe"


def test_a_reset_of_an_account_leaves_the_others(fal: MockFal, remote: RemoteServer) -> None:
    for key in ("alice:secret", "bob:secret"):
        call(fal, key)
    remote.account("alice:secret").reset()
    assert [exchange.tenant for exchange in fal.requests] == ["bob"]
    remote.reset()
    assert fal.requests == []


def test_the_rules_of_all_are_those_of_the_server(fal: MockFal, remote: RemoteServer) -> None:
    remote.respond("me/my-app", {"text": "hello"})
    assert call(fal, "bob:secret", path="fal.run/me/my-app").json() == {"text": "hello"}
    assert list(map(str, fal.scenario.rules)) == list(map(str, remote.scenario.rules))
    remote.scenario.clear()
    assert not fal.scenario


@pytest.mark.parametrize(
    "text",
    [
        "endpoint=fal-ai/* prompt='a cat' times=2 error=image_too_small msg='not now' ctx.n=5 ctx.s='\"5\"'",
        "status=503 body='{\"a\": 1}' header.retry-after=5",
        'operation=status merge={"a":null,"b":[1]} set_null=a.0 throttle=5',
        "queue=0.25 run=0 nsfw retry=false error=internal_error",
        'endpoint=me/my-app output={"a":[1,"x"]} billed=2.5',
        "token=expired operation=handshake",
    ],
)
def test_a_rule_arrives_as_it_was_written(text: str) -> None:
    directive = parse_directive(text)
    assert read_json(json.dumps([members(directive)])) == [directive]


def test_the_server_says_what_is_wrong_with_a_rule(remote: RemoteServer) -> None:
    account = remote.account("alice:secret")
    with pytest.raises(ScenarioError, match="matches no endpoint of this mock-fal; did you mean"):
        account.fail_next("image_too_small", endpoint="fal-ai/fluxx")
    with pytest.raises(ScenarioError, match="expected JSON, or a server of the tests' own"):
        account.respond("me/my-app", lambda input: input)


def test_a_clock_is_moved_or_says_why_not(fal: MockFal, remote: RemoteServer) -> None:
    before = fal.clock.now()
    remote.clock.advance(10)
    assert remote.clock.now() == fal.clock.now() == before + 10
    with pytest.raises(ValueError, match="seconds"):
        remote.clock.advance(-1)
    with MockFal() as other, pytest.raises(RuntimeError, match="--clock auto-advance"):
        RemoteServer(other.url).clock.advance(10)


def test_the_environment_is_that_of_the_server(fal: MockFal, remote: RemoteServer) -> None:
    assert remote.environment({}, "alice:secret") == fal.environment({}, "alice:secret")
    assert remote.env["FAL_KEY"] == fal.env["FAL_KEY"] == remote.account().key
    assert remote.account_named("test").key == "test:" + remote.env["FAL_KEY"].partition(":")[2]
    child = {"FAL_KEY_ID": "real"}
    assert remote.child_environment(child) == fal.child_environment(child)


def test_attempts_are_those_of_the_server(fal: MockFal, remote: RemoteServer) -> None:
    prompt = {"prompt": "[mock: error=runner_disconnected times=1]"}
    request_id = call(fal, "alice:secret", prompt, f"queue.fal.run/{SCHNELL}").json()["request_id"]
    fal.clock.advance(600)
    account = remote.account("alice:secret")
    assert account.attempts(request_id) == fal.account("alice:secret").attempts(request_id)
    assert [attempt.status for attempt in account.attempts(request_id)] == [503, 200]
    with pytest.raises(LookupError, match="no stored request of alice has the id 'x'"):
        account.attempts("x")


def test_webhooks_are_sent_and_sent_again(fal: MockFal, remote: RemoteServer) -> None:
    account = remote.account("alice:secret")
    with account.webhooks:
        sent = account.send_webhook(account.webhooks.url, "fal-ai/whisper", {"text": "hello"})
        account.webhooks.wait_for(1)
        assert account.wait_for_deliveries()[0].request_id == sent.request_id
        account.resend_webhook(sent, {"status": "OK"})
        first, second = account.webhooks.wait_for(2)
    assert (first.json["payload"], second.json) == ({"text": "hello"}, {"status": "OK"})
    assert first.verified and second.verified
    with pytest.raises(MockFalError, match="error"):
        account.send_webhook("http://127.0.0.1:9/", "fal-ai/whisper", error="no_such_error")


def test_usage_is_that_of_an_account_or_of_all(fal: MockFal, remote: RemoteServer) -> None:
    for key in ("alice:secret", "bob:secret"):
        call(fal, key)
    assert remote.usage == fal.usage
    assert remote.account("alice:secret").usage == fal.account("alice:secret").usage


def test_a_secret_is_compared_by_its_id(fal: MockFal, remote: RemoteServer) -> None:
    key = "alice:a-long-secret"
    account = remote.account(key)
    call(fal, key, {"prompt": key})
    account.assert_called_once_with(prompt=key)
    assert account.requests[0].json == {"prompt": "alice:•••"}
    assert remote.hide(f"x {key}") == "x alice:•••"


def test_what_is_not_offered_says_what_to_do(remote: RemoteServer) -> None:
    with pytest.raises(MockFalError, match="a fixture mock_fal_server of your own"):
        remote.account("alice:secret")._emulator.store  # noqa: B018


def test_a_server_with_a_list_of_keys_is_not_joined() -> None:
    with MockFal(key="alice:secret") as fal, pytest.raises(MockFalError, match="keys of --key only"):
        RemoteServer(fal.url)


def test_a_server_that_has_gone_is_named(fal: MockFal) -> None:
    control = Control("http://127.0.0.1:1/")
    with pytest.raises(MockFalError, match="http://127.0.0.1:1 does not answer"):
        control.get("health")
    with pytest.raises(Refused, match="unknown parameter 'kex'"):
        Control(fal.url).get("requests", kex="alice")
    with pytest.raises(Refused, match="no route '/_mock/nothing'"):
        Control(fal.url).get("nothing")
