"""MockFal as a library: it starts, answers, stops, and lets go of all that it held."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mock_fal import (
    AutoAdvanceClock,
    ManualClock,
    MockFal,
    MockFalError,
    Settings,
    SettingsError,
    SystemClock,
)
from mock_fal.server import ask_gateway

CAT = {"prompt": "a cat"}


@pytest.fixture
def fal() -> Iterator[MockFal]:
    with MockFal(clock="auto-advance") as fal:
        yield fal


def submitted(fal: MockFal, key: str = "alice:secret", **input: Any) -> dict[str, Any]:
    """The answer to a submission by the direct address."""
    headers = {"authorization": f"Key {key}"}
    url = f"{fal.url}/queue.fal.run/fal-ai/flux/schnell"
    response = httpx.post(url, json={**CAT, **input}, headers=headers, trust_env=False)
    assert response.status_code == 200
    told: dict[str, Any] = response.json()
    return told


# -- starting and stopping


def test_it_answers_as_soon_as_it_has_started(fal: MockFal) -> None:
    assert submitted(fal)["status"] == "IN_QUEUE"


def test_it_starts_again_after_a_stop() -> None:
    fal = MockFal()
    for _ in range(2):
        fal.start()
        assert submitted(fal)["status"] == "IN_QUEUE"
        fal.stop()


def test_what_was_remembered_outlives_a_stop() -> None:
    """So that a test can look at the journal after the server is gone."""
    with MockFal() as fal:
        submitted(fal)
    assert [each.url for each in fal.requests] == ["https://queue.fal.run/fal-ai/flux/schnell"]


def test_it_can_not_be_started_twice_at_a_time(fal: MockFal) -> None:
    with pytest.raises(MockFalError, match="already running"):
        fal.start()


def test_stopping_twice_does_nothing() -> None:
    fal = MockFal().start()
    fal.stop()
    fal.stop()


def test_nothing_is_left_after_a_stop() -> None:
    before = threading.active_count()
    with MockFal() as fal:
        files = [fal.env["SSL_CERT_FILE"], fal.env["MOCK_FAL_CA"]]
        ports = [fal.url.rpartition(":")[2], *(fal.env[name].rpartition(":")[2] for name in PORTS)]
        assert all(map(os.path.exists, files))
    assert not any(map(os.path.exists, files))
    assert threading.active_count() == before
    assert not any(map(listened, map(int, ports)))


PORTS = ("HTTPS_PROXY", "MOCK_FAL_TLS")


def listened(port: int) -> bool:
    """Whether somebody takes connections at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_failure_in_the_block_stops_it_too() -> None:
    with pytest.raises(ZeroDivisionError), MockFal() as fal:
        1 / 0  # noqa: B018
    assert not listened(int(fal.url.rpartition(":")[2]))


@pytest.mark.parametrize("way", ["http", "https"])
def test_a_stop_does_not_wait_for_a_stream(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """The stream is of a request that never ends; who reads it is hung up on, and nobody calls that a bug."""
    with MockFal(clock="manual") as fal:
        status_url = submitted(fal)["status_url"]
        env = fal.env
        context = ssl.create_default_context(cafile=env["SSL_CERT_FILE"])
        proxy = env["HTTPS_PROXY"] if way == "https" else None
        if way == "https":
            status_url = status_url.replace(f"{fal.url}/", "https://")
        client = httpx.Client(verify=context, proxy=proxy, trust_env=False, timeout=60)
        with client, client.stream("GET", f"{status_url}/stream") as stream:
            lines = stream.iter_lines()
            assert '"IN_QUEUE"' in next(lines)
            fal.stop()
            with pytest.raises(httpx.HTTPError):
                list(lines)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_stop_does_not_wait_for_a_direct_call(caplog: pytest.LogCaptureFixture) -> None:
    with MockFal(clock="manual") as fal:
        responses: list[type] = []

        def call() -> None:
            try:
                url = f"{fal.url}/fal.run/fal-ai/flux/schnell"
                httpx.post(url, json=CAT, headers={"authorization": "Key a:b"}, trust_env=False, timeout=60)
            except httpx.HTTPError as error:
                responses.append(type(error))

        caller = threading.Thread(target=call)
        caller.start()
        # The request is in the store as soon as it is waited for.
        arrived = threading.Event()
        while not fal._emulator.store.requests:
            arrived.wait(0.001)
        fal.stop()
        caller.join(60)
    assert responses in ([httpx.RemoteProtocolError], [httpx.ReadError])
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


# -- ports and hosts


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MockFalError) as caught:
            MockFal(port=port).start()
    reason = f"can't listen on 127.0.0.1 port {port}: Address already in use"
    assert str(caught.value) == f"{reason}; choose another with --port, or --port 0 for a free one"


def test_after_that_it_can_be_started_when_the_port_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fal = MockFal(port=taken.getsockname()[1])
        with pytest.raises(MockFalError):
            fal.start()
    with fal:
        assert submitted(fal)


def test_a_host_that_is_none_is_told() -> None:
    with pytest.raises(MockFalError, match="can't listen on nowhere.invalid port 0: "):
        MockFal(host="nowhere.invalid").start()


@pytest.fixture
def ipv6() -> str:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    return "::1"


def test_it_listens_on_ipv6(ipv6: str) -> None:
    with MockFal(host=ipv6) as fal:
        assert fal.url.startswith("http://[::1]:")
        assert submitted(fal)["status_url"].startswith(f"{fal.url}/queue.fal.run/")


def test_an_address_that_means_all_is_told_as_one_that_can_be_reached() -> None:
    with MockFal(host="0.0.0.0") as fal:
        assert fal.url.startswith("http://127.0.0.1:")
        assert submitted(fal)


# -- settings


def test_settings_come_whole_or_by_name() -> None:
    assert MockFal(Settings(port=0, queue_duration=5)).settings == MockFal(queue_duration=5).settings


def test_a_setting_that_is_none_is_told() -> None:
    with pytest.raises(SettingsError, match="queue_seconds"):
        MockFal(queue_seconds=5)


@pytest.mark.parametrize(
    ("name", "kind"), [("system", SystemClock), ("manual", ManualClock), ("auto-advance", AutoAdvanceClock)]
)
def test_the_clock_is_the_one_that_was_asked_for(name: str, kind: type) -> None:
    assert type(MockFal(clock=name).clock) is kind


# -- the environment


def test_without_a_start_there_is_no_environment() -> None:
    with pytest.raises(MockFalError, match="not running"):
        MockFal().env  # noqa: B018


def test_the_environment_is_the_same_at_every_look(fal: MockFal) -> None:
    assert fal.env == fal.env


def test_the_environment_leads_an_unmodified_program_here(fal: MockFal) -> None:
    added, removed = fal.environment(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in removed} | added
    program = "import fal_client; print(fal_client.run('fal-ai/flux/schnell', {'prompt': 'a cat'})['prompt'])"
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, check=True)
    assert done.stdout == b"a cat\n"
    assert {event.host for event in fal.gateway_events} == {"fal.run"}


def test_the_address_of_the_gateway_can_be_asked_for(fal: MockFal) -> None:
    addresses = ask_gateway(f"{fal.url}/")
    assert addresses["proxy_url"] == fal.env["HTTPS_PROXY"]
    assert addresses["ca_file"] == fal.env["MOCK_FAL_CA"]


def test_where_nobody_answers_one_line_says_so() -> None:
    with MockFal() as fal:
        url = fal.url
    with pytest.raises(
        MockFalError, match=f"no mock-fal answers at {url} .*; start one with: mock-fal serve"
    ):
        ask_gateway(url)


# -- accounts


def test_an_account_sees_its_own_requests_only(fal: MockFal) -> None:
    alice, bob = fal.account("alice:secret"), fal.account("bob:secret")
    request_id = submitted(fal, alice.key)["request_id"]
    submitted(fal, bob.key)
    assert [each.request_id for each in alice.requests] == [request_id]
    assert (len(bob.requests), len(fal.requests)) == (1, 2)


def test_an_account_has_rules_of_its_own_and_those_of_all(fal: MockFal) -> None:
    alice = fal.account("alice:secret")
    alice.scenario.add("error=internal_error")
    fal.scenario.add("nsfw")
    assert run(fal, "alice:secret").status_code == 500
    assert run(fal, "bob:secret").json()["has_nsfw_concepts"] == [True]


def run(fal: MockFal, key: str) -> httpx.Response:
    headers = {"authorization": f"Key {key}"}
    url = f"{fal.url}/fal.run/fal-ai/flux/schnell"
    return httpx.post(url, json={**CAT, "image_size": "square"}, headers=headers, trust_env=False)


def test_a_reset_of_one_account_leaves_the_others(fal: MockFal) -> None:
    alice, bob = fal.account("alice:secret"), fal.account("bob:secret")
    for account in (alice, bob):
        submitted(fal, account.key)
        account.scenario.add("nsfw")
    alice.reset()
    assert (len(alice.requests), len(bob.requests)) == (0, 1)
    assert run(fal, alice.key).json()["has_nsfw_concepts"] == [False]
    assert run(fal, bob.key).json()["has_nsfw_concepts"] == [True]


def test_a_reset_of_all_leaves_nothing(fal: MockFal) -> None:
    told = submitted(fal)
    fal.scenario.add("nsfw")
    fal.reset()
    assert fal.requests == []
    assert httpx.get(told["status_url"], trust_env=False).status_code == 404
    assert run(fal, "alice:secret").json()["has_nsfw_concepts"] == [False]


def test_an_account_after_a_reset_repeats_itself(fal: MockFal) -> None:
    first = run(fal, "alice:secret")
    fal.reset()
    second = run(fal, "alice:secret")
    assert second.json() == first.json()


@pytest.mark.parametrize("key", ["", "alice", "alice:", ":secret"])
def test_an_account_has_a_key(fal: MockFal, key: str) -> None:
    with pytest.raises(SettingsError, match="expected id:secret"):
        fal.account(key)


def test_an_account_knows_its_server(fal: MockFal) -> None:
    account = fal.account("alice:secret")
    assert (account.url, account.clock) == (fal.url, fal.clock)
    assert (account.env["FAL_KEY"], account.env["HTTPS_PROXY"]) == ("alice:secret", fal.env["HTTPS_PROXY"])


def test_local_media_urls_are_reached_without_a_gateway() -> None:
    with MockFal(clock="auto-advance", local_media_urls=True) as fal:
        context = ssl.create_default_context(cafile=fal.env["SSL_CERT_FILE"])
        client = httpx.Client(verify=context, proxy=fal.env["HTTPS_PROXY"], trust_env=False)
        with client:
            response = client.post(
                "https://fal.run/fal-ai/flux/schnell", json=CAT, headers={"authorization": "Key a:b"}
            )
        url = json.loads(response.text)["images"][0]["url"]
        assert url.startswith(f"{fal.url}/v3b.fal.media/files/b/")
        assert httpx.get(url, trust_env=False).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"queue_duratoin": 3}, "MockFal: unknown setting 'queue_duratoin'; did you mean 'queue_duration'?"),
        ({"zzz": 3}, "MockFal: unknown setting 'zzz'; expected one of host, port, queue_duration"),
        ({"clock": "sundial"}, "clock: 'sundial': expected system or manual or auto-advance"),
    ],
)
def test_a_keyword_that_can_not_be_used_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        MockFal(**given)
    assert str(error.value).startswith(message)


def test_an_account_is_shown_in_a_few_words(fal: MockFal) -> None:
    account = fal.account("alice:secret")
    assert repr(account) == f"<account alice of the mock-fal at {fal.url}>"
