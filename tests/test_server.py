"""MockFal as a library: it starts, serves, stops and frees all resources."""

from __future__ import annotations

import json
import logging
import os
import re
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
from mock_fal.server import open_remote_gateway

CAT = {"prompt": "a cat"}


@pytest.fixture
def fal() -> Iterator[MockFal]:
    with MockFal(clock="auto-advance") as fal:
        yield fal


def submit(fal: MockFal, key: str = "alice:secret", **input: Any) -> dict[str, Any]:
    """The response to a submission below the server's address."""
    headers = {"authorization": f"Key {key}"}
    url = f"{fal.url}/queue.fal.run/fal-ai/flux/schnell"
    response = httpx.post(url, json={**CAT, **input}, headers=headers, trust_env=False)
    assert response.status_code == 200
    document: dict[str, Any] = response.json()
    return document


# -- starting and stopping


def test_it_serves_as_soon_as_it_has_started(fal: MockFal) -> None:
    assert submit(fal)["status"] == "IN_QUEUE"


def test_it_starts_again_after_a_stop() -> None:
    fal = MockFal()
    for _ in range(2):
        fal.start()
        assert submit(fal)["status"] == "IN_QUEUE"
        fal.stop()


def test_the_journal_is_kept_after_a_stop() -> None:
    """Tests can read the journal after the server has stopped."""
    with MockFal() as fal:
        submit(fal)
    assert [exchange.url for exchange in fal.requests] == ["https://queue.fal.run/fal-ai/flux/schnell"]


def test_a_running_server_can_not_be_started_again(fal: MockFal) -> None:
    with pytest.raises(MockFalError, match="already running"):
        fal.start()


def test_stopping_twice_does_nothing() -> None:
    fal = MockFal().start()
    fal.stop()
    fal.stop()


def test_a_stop_frees_files_threads_and_ports() -> None:
    before = set(threading.enumerate())
    with MockFal() as fal:
        files = [fal.env["SSL_CERT_FILE"], fal.env["MOCK_FAL_CA"]]
        ports = [fal.url.rpartition(":")[2], *(fal.env[name].rpartition(":")[2] for name in PORTS)]
        assert all(map(os.path.exists, files))
    assert not any(map(os.path.exists, files))
    assert set(threading.enumerate()) <= before  # one of another test may end meanwhile
    assert not any(map(is_listening, map(int, ports)))


PORTS = ("HTTPS_PROXY", "MOCK_FAL_TLS")


def is_listening(port: int) -> bool:
    """Whether a port accepts connections."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_an_exception_in_the_with_block_stops_it() -> None:
    with pytest.raises(ZeroDivisionError), MockFal() as fal:
        1 / 0  # noqa: B018
    assert not is_listening(int(fal.url.rpartition(":")[2]))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_stop_does_not_wait_for_a_stream(scheme: str, caplog: pytest.LogCaptureFixture) -> None:
    """The stream of a request that never ends is aborted, and no error is logged."""
    with MockFal(clock="manual") as fal:
        status_url = submit(fal)["status_url"]
        env = fal.env
        context = ssl.create_default_context(cafile=env["SSL_CERT_FILE"])
        proxy = env["HTTPS_PROXY"] if scheme == "https" else None
        if scheme == "https":
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
        # The request is in the store once the call waits for it.
        arrived = threading.Event()
        while not fal._emulator.store.requests:
            arrived.wait(0.001)
        fal.stop()
        caller.join(60)
    assert responses in ([httpx.RemoteProtocolError], [httpx.ReadError])
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


# -- ports and hosts


def test_a_port_in_use_is_a_one_line_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MockFalError) as caught:
            MockFal(port=port).start()
    reason = f"can't listen on 127.0.0.1 port {port}: Address already in use"
    assert str(caught.value) == f"{reason}; choose another with --port, or --port 0 for a free one"


def test_it_can_be_started_once_the_port_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fal = MockFal(port=taken.getsockname()[1])
        with pytest.raises(MockFalError):
            fal.start()
    with fal:
        assert submit(fal)


def test_an_unknown_host_is_an_error() -> None:
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
        assert submit(fal)["status_url"].startswith(f"{fal.url}/queue.fal.run/")


def test_the_url_for_an_unspecified_address_is_loopback() -> None:
    with MockFal(host="0.0.0.0") as fal:
        assert fal.url.startswith("http://127.0.0.1:")
        assert submit(fal)


# -- settings


def test_settings_are_given_as_an_object_or_as_keywords() -> None:
    assert MockFal(Settings(port=0, queue_duration=5)).settings == MockFal(queue_duration=5).settings


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(SettingsError, match="queue_seconds"):
        MockFal(queue_seconds=5)


@pytest.mark.parametrize(
    ("name", "kind"), [("system", SystemClock), ("manual", ManualClock), ("auto-advance", AutoAdvanceClock)]
)
def test_the_clock_follows_its_setting(name: str, kind: type) -> None:
    assert type(MockFal(clock=name).clock) is kind


# -- the environment


def test_the_environment_needs_a_running_server() -> None:
    with pytest.raises(MockFalError, match="not running"):
        MockFal().env  # noqa: B018


def test_the_environment_is_the_same_each_time(fal: MockFal) -> None:
    assert fal.env == fal.env


def test_an_unmodified_program_uses_the_server(fal: MockFal) -> None:
    added, removed = fal.environment(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in removed} | added
    program = "import fal_client; print(fal_client.run('fal-ai/flux/schnell', {'prompt': 'a cat'})['prompt'])"
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, check=True)
    assert done.stdout == b"a cat\n"
    assert {event.host for event in fal.gateway_events} == {"fal.run"}


def test_the_gateway_can_be_opened_by_url(fal: MockFal) -> None:
    addresses = open_remote_gateway(f"{fal.url}/")
    port = addresses["proxy_url"].removeprefix("http://127.0.0.1:")
    assert re.fullmatch(rf"http://run:[0-9a-f]{{32}}@127\.0\.0\.1:{port}", fal.env["HTTPS_PROXY"])
    assert addresses["ca_file"] == fal.env["MOCK_FAL_CA"]


def test_a_missing_server_is_a_one_line_error() -> None:
    with MockFal() as fal:
        url = fal.url
    with pytest.raises(MockFalError, match=f"no mock-fal at {url} .*; start one with: mock-fal serve"):
        open_remote_gateway(url)


# -- accounts


def test_an_account_sees_its_own_requests_only(fal: MockFal) -> None:
    alice, bob = fal.account("alice:secret"), fal.account("bob:secret")
    request_id = submit(fal, alice.key)["request_id"]
    submit(fal, bob.key)
    assert [exchange.request_id for exchange in alice.requests] == [request_id]
    assert (len(bob.requests), len(fal.requests)) == (1, 2)


def test_an_account_has_its_own_rules_and_those_for_all(fal: MockFal) -> None:
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
        submit(fal, account.key)
        account.scenario.add("nsfw")
    alice.reset()
    assert (len(alice.requests), len(bob.requests)) == (0, 1)
    assert run(fal, alice.key).json()["has_nsfw_concepts"] == [False]
    assert run(fal, bob.key).json()["has_nsfw_concepts"] == [True]


def test_a_reset_deletes_everything(fal: MockFal) -> None:
    submitted = submit(fal)
    fal.scenario.add("nsfw")
    fal.reset()
    assert fal.requests == []
    assert httpx.get(submitted["status_url"], trust_env=False).status_code == 404
    assert run(fal, "alice:secret").json()["has_nsfw_concepts"] == [False]


def test_results_are_reproducible_after_a_reset(fal: MockFal) -> None:
    first = run(fal, "alice:secret")
    fal.reset()
    second = run(fal, "alice:secret")
    assert second.json() == first.json()


@pytest.mark.parametrize("key", ["", "alice", "alice:", ":secret"])
def test_an_account_needs_a_key(fal: MockFal, key: str) -> None:
    with pytest.raises(SettingsError, match="expected id:secret"):
        fal.account(key)


def test_an_account_has_the_url_clock_and_environment_of_its_server(fal: MockFal) -> None:
    account = fal.account("alice:secret")
    assert (account.url, account.clock) == (fal.url, fal.clock)
    assert (account.env["FAL_KEY"], account.env["HTTPS_PROXY"]) == ("alice:secret", fal.env["HTTPS_PROXY"])


def test_local_media_urls_need_no_gateway() -> None:
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
    ("keywords", "message"),
    [
        ({"queue_duratoin": 3}, "MockFal: unknown setting 'queue_duratoin'; did you mean 'queue_duration'?"),
        ({"zzz": 3}, "MockFal: unknown setting 'zzz'; expected one of host, port, queue_duration"),
        ({"clock": "sundial"}, "clock: 'sundial': expected system or manual or auto-advance"),
    ],
)
def test_an_invalid_keyword_is_an_error(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        MockFal(**keywords)
    assert str(error.value).startswith(message)


def test_the_repr_of_an_account(fal: MockFal) -> None:
    account = fal.account("alice:secret")
    assert repr(account) == f"<account alice of the mock-fal at {fal.url}>"
