"""The host, path and parameters of a request, its address form, and its links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.errors import BodyTooLarge
from mock_fal.hosts import EMULATED_HOSTS
from mock_fal.web.http_request import PROXY_PATH, ClientDisconnected, HttpRequest, Links
from tests.web.conftest import NONE, OURS, scope

PATH = "/fal-ai/flux/schnell"


def parsed(url: str, headers: Mapping[str, str] = NONE, *, local_media: str = "") -> HttpRequest:
    return HttpRequest.of(scope("GET", url, headers), local_media=local_media)


def by_proxy(target: str, path: str = PROXY_PATH) -> HttpRequest:
    return parsed(OURS + path, {"x-fal-target-url": target})


# -- hosts and paths


@pytest.mark.parametrize("host", sorted(EMULATED_HOSTS))
@pytest.mark.parametrize(
    "url",
    [
        "https://{}{}",
        "https://{}:443{}",
        "http://{}:8325{}",
        "http://127.0.0.1:8325/{}{}",
        "http://[::1]/{}{}",
    ],
)
def test_a_host_is_addressed_by_name_or_by_path(host: str, url: str) -> None:
    http_request = parsed(url.format(host, PATH))
    assert (http_request.host, http_request.path) == (host, PATH)
    assert not http_request.by_proxy


def test_host_names_are_case_insensitive() -> None:
    assert parsed("https://QUEUE.fal.run/x").host == "queue.fal.run"


@pytest.mark.parametrize("path", ["", "/"])
def test_a_host_without_a_path_has_the_root_path(path: str) -> None:
    assert parsed(f"{OURS}/queue.fal.run{path}").path == "/"


@pytest.mark.parametrize(
    "url", [OURS, f"{OURS}/", f"{OURS}/_mock/health", f"{OURS}/fal-ai/flux", "http://mock/x"]
)
def test_everything_else_is_for_the_own_address(url: str) -> None:
    assert parsed(url).host == ""


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://mcp.fal.ai/v1/models", "mcp.fal.ai"),
        ("http://127.0.0.1:8325/mcp.fal.ai/v1/models", "mcp.fal.ai"),
        ("https://wma.fal.run/v1/models", "wma.fal.run"),
    ],
)
def test_hosts_of_fal_that_are_not_emulated_are_recognized(url: str, host: str) -> None:
    http_request = parsed(url)
    assert (http_request.host, http_request.path) == (host, "/v1/models")


@pytest.mark.parametrize("path", [PROXY_PATH, f"{PROXY_PATH}/"])
def test_a_proxy_takes_its_target_from_a_header(path: str) -> None:
    http_request = by_proxy("https://queue.fal.run/fal-ai/flux/requests/a%20b/status?logs=1", path)
    assert (http_request.by_proxy, http_request.host) == (True, "queue.fal.run")
    assert http_request.path == "/fal-ai/flux/requests/a b/status"
    assert http_request.segments == ["fal-ai", "flux", "requests", "a b", "status"]
    assert http_request.params == {"logs": "1"}


@pytest.mark.parametrize(
    "target",
    [
        *("", "queue.fal.run/x", "/fal-ai/flux", "https://[", "https://[x]/", "\xe9", "https:///x"),
        *("ftp://fal.run/x", "wss://fal.run/x", "file:///fal.run/x", "https:fal.run/x"),
        *("https://fal.run:8443/x", "https://fal.run:80/x", "http://fal.run:443/x", "https://fal.run:x/"),
        *("https://fal.run@example.com/x", "https://me:secret@fal.run/x"),
    ],
)
def test_a_proxy_with_an_invalid_target_has_no_host(target: str) -> None:
    http_request = by_proxy(target)
    assert (http_request.by_proxy, http_request.host) == (True, "")


@pytest.mark.parametrize(
    "target", ["https://FAL.run", "https://fal.run:443/", "http://fal.run:80/#part", "HTTPS://fal.run?"]
)
def test_target_urls_are_normalized(target: str) -> None:
    http_request = by_proxy(target)
    assert (http_request.host, http_request.path, http_request.query) == ("fal.run", "/", "")


def test_a_proxy_with_two_targets_has_no_host() -> None:
    proxied = scope("POST", OURS + PROXY_PATH)
    proxied["headers"] += [(b"x-fal-target-url", b"https://fal.run/x")] * 2
    assert HttpRequest.of(proxied).host == ""


@pytest.mark.parametrize(
    ("sent", "expected"), [(None, "Key mock:key"), ("", "Key mock:key"), ("Key a:b", "Key a:b")]
)
def test_a_proxy_adds_its_key_if_none_was_sent(sent: str | None, expected: str) -> None:
    headers = {"x-fal-target-url": "https://fal.run/x"} | ({} if sent is None else {"authorization": sent})
    http_request = HttpRequest.of(scope("POST", OURS + PROXY_PATH, headers), proxy_key="mock:key")
    assert http_request.authorization == expected


def test_a_longer_path_is_not_the_proxy() -> None:
    http_request = parsed(f"{OURS}{PROXY_PATH}/more", {"x-fal-target-url": "https://fal.run/x"})
    assert (http_request.by_proxy, http_request.host) == (False, "")


# -- links


@pytest.mark.parametrize(
    ("url", "queue", "media"),
    [
        ("https://queue.fal.run/x", "https://queue.fal.run", "https://v3b.fal.media"),
        ("https://fal.run/x", "https://queue.fal.run", "https://v3b.fal.media"),
        ("https://queue.falrun.com/x", "https://queue.fal.run", "https://v3b.fal.media"),
        ("https://fal.run:8443/x", "https://queue.fal.run:8443", "https://v3b.fal.media:8443"),
        ("http://queue.fal.run:8325/x", "http://queue.fal.run:8325", "http://v3b.fal.media:8325"),
        (f"{OURS}/fal.run/x", f"{OURS}/queue.fal.run", f"{OURS}/v3b.fal.media"),
        ("http://localhost/fal.run/x", "http://localhost/queue.fal.run", "http://localhost/v3b.fal.media"),
        ("http://[::1]:8325/fal.run/x", "http://[::1]:8325/queue.fal.run", "http://[::1]:8325/v3b.fal.media"),
        ("https://mock.test/fal.run/x", "https://mock.test/queue.fal.run", "https://mock.test/v3b.fal.media"),
    ],
)
def test_links_use_the_same_address_form_as_the_request(url: str, queue: str, media: str) -> None:
    assert parsed(url).links == Links(queue, media)


def test_links_through_a_proxy_are_by_path() -> None:
    assert by_proxy("https://fal.run/x").links == Links(f"{OURS}/queue.fal.run", f"{OURS}/v3b.fal.media")


@pytest.mark.parametrize("url", ["https://fal.run/x", f"{OURS}/fal.run/x"])
def test_files_can_have_a_separate_base_url(url: str) -> None:
    links = parsed(url, local_media="http://127.0.0.1:1/v3b.fal.media").links
    assert links.media == "http://127.0.0.1:1/v3b.fal.media"
    assert links.queue == parsed(url).links.queue


# -- headers and parameters


def test_a_missing_header_is_empty_and_missing_authorization_is_none() -> None:
    http_request = parsed(OURS)
    assert (http_request.header(b"x-nothing"), http_request.authorization) == ("", None)


def test_headers_are_latin_1() -> None:
    http_request = parsed(OURS, {"x-name": "\xe9", "authorization": "Key \xe9:s"})
    assert (http_request.header(b"x-name"), http_request.authorization) == ("\xe9", "Key \xe9:s")


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a&b=", {"a": "", "b": ""}),
        ("a=%20%2B+x", {"a": " + x"}),
        ("a=%ff", {"a": "\ufffd"}),
    ],
)
def test_the_last_value_of_a_repeated_parameter_counts(query: str, params: dict[str, str]) -> None:
    assert parsed(f"{OURS}/x?{query}").params == params


# -- the body


def receiving(*messages: dict[str, Any]) -> Callable[[], Any]:
    """A `receive` that returns these messages. A further call fails."""
    remaining = list(messages)

    async def receive() -> dict[str, Any]:
        return remaining.pop(0)

    return receive


def chunk(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def read(limit: int, *messages: dict[str, Any], length: str = "") -> bytes:
    http_request = parsed(OURS, {"content-length": length} if length else {})
    body = asyncio.run(http_request.read(receiving(*messages), limit))
    assert http_request.body == body
    return body


def test_a_body_is_read_to_its_end() -> None:
    assert read(10, chunk(b"abc", more=False)) == b"abc"
    assert read(10, chunk(b"abc"), chunk(b""), chunk(b"def", more=False)) == b"abcdef"
    assert read(10, {"type": "http.request"}) == b""


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert read(6, chunk(b"abc"), chunk(b"def", more=False), length="6") == b"abcdef"


def test_a_too_large_content_length_is_rejected_before_reading() -> None:
    with pytest.raises(BodyTooLarge, match="larger than 6 bytes"):
        read(6, length="7")


def test_reading_stops_when_a_body_exceeds_the_limit() -> None:
    with pytest.raises(BodyTooLarge):
        read(6, chunk(b"abcd"), chunk(b"efg"))


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "\xb2"])
def test_an_invalid_content_length_is_ignored(length: str) -> None:
    assert read(6, chunk(b"abc", more=False), length=length) == b"abc"


def test_a_disconnect_during_the_body_raises() -> None:
    with pytest.raises(ClientDisconnected):
        read(6, chunk(b"abc"), {"type": "http.disconnect"})


# -- properties


@given(
    url=st.sampled_from(["https://fal.run", OURS, f"{OURS}/queue.fal.run", OURS + PROXY_PATH]),
    path=st.text(max_size=20),
    query=st.binary(max_size=20),
    headers=st.dictionaries(
        st.sampled_from([b"host", b"x-fal-target-url", b"authorization", b"content-length"]),
        st.binary(max_size=20) | st.sampled_from([b"https://[", b"//[", b"https://fal.run:x/", b"[::1"]),
    ),
)
def test_every_request_can_be_parsed(url: str, path: str, query: bytes, headers: dict[bytes, bytes]) -> None:
    http_scope = scope("GET", url)
    http_scope |= {
        "path": http_scope["path"] + path,
        "query_string": query,
        "headers": [*http_scope["headers"], *headers.items()],
    }
    http_request = HttpRequest.of(http_scope)
    assert http_request.segments
    assert isinstance(http_request.params, dict)
    assert http_request.content_length >= 0
