"""Whom a question asks, by which way it came, and where the answer's links lead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.errors import BodyTooLarge
from mock_fal.hosts import EMULATED_HOSTS
from mock_fal.web.http_request import PROXY_PATH, Gone, HttpRequest, Links
from tests.web.conftest import NONE, OURS, scope

PATH = "/fal-ai/flux/schnell"


def asked(url: str, headers: Mapping[str, str] = NONE, *, local_media: str = "") -> HttpRequest:
    return HttpRequest(scope("GET", url, headers), local_media=local_media)


def by_proxy(target: str, path: str = PROXY_PATH) -> HttpRequest:
    return asked(OURS + path, {"x-fal-target-url": target})


# -- whom


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
def test_a_host_is_asked_by_its_name_or_by_a_path(host: str, url: str) -> None:
    http_request = asked(url.format(host, PATH))
    assert (http_request.host, http_request.path) == (host, PATH)
    assert not http_request.by_proxy


def test_a_host_has_its_name_in_any_case() -> None:
    assert asked("https://QUEUE.fal.run/x").host == "queue.fal.run"


@pytest.mark.parametrize("path", ["", "/"])
def test_the_path_of_a_host_alone_is_its_root(path: str) -> None:
    assert asked(f"{OURS}/queue.fal.run{path}").path == "/"


@pytest.mark.parametrize(
    "url", [OURS, f"{OURS}/", f"{OURS}/_mock/health", f"{OURS}/fal-ai/flux", "http://mock/x"]
)
def test_everything_else_asks_our_own_address(url: str) -> None:
    assert asked(url).host == ""


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://mcp.fal.ai/v1/models", "mcp.fal.ai"),
        ("http://127.0.0.1:8325/mcp.fal.ai/v1/models", "mcp.fal.ai"),
        ("https://wma.fal.run/v1/models", "wma.fal.run"),
    ],
)
def test_hosts_of_fal_that_are_not_here_are_known_too(url: str, host: str) -> None:
    http_request = asked(url)
    assert (http_request.host, http_request.path) == (host, "/v1/models")


@pytest.mark.parametrize("path", [PROXY_PATH, f"{PROXY_PATH}/"])
def test_a_proxy_is_told_the_target_in_a_header(path: str) -> None:
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
def test_a_proxy_without_a_target_asks_nobody(target: str) -> None:
    http_request = by_proxy(target)
    assert (http_request.by_proxy, http_request.host) == (True, "")


@pytest.mark.parametrize(
    "target", ["https://FAL.run", "https://fal.run:443/", "http://fal.run:80/#part", "HTTPS://fal.run?"]
)
def test_an_address_can_be_written_in_many_ways(target: str) -> None:
    http_request = by_proxy(target)
    assert (http_request.host, http_request.path, http_request.query) == ("fal.run", "/", "")


def test_a_proxy_with_two_targets_asks_nobody() -> None:
    its = scope("POST", OURS + PROXY_PATH)
    its["headers"] += [(b"x-fal-target-url", b"https://fal.run/x")] * 2
    assert HttpRequest(its).host == ""


@pytest.mark.parametrize(
    ("sent", "seen"), [(None, "Key mock:key"), ("", "Key mock:key"), ("Key a:b", "Key a:b")]
)
def test_a_proxy_has_a_key_for_whoever_has_none(sent: str | None, seen: str) -> None:
    headers = {"x-fal-target-url": "https://fal.run/x"} | ({} if sent is None else {"authorization": sent})
    http_request = HttpRequest(scope("POST", OURS + PROXY_PATH, headers), proxy_key="mock:key")
    assert http_request.authorization == seen


def test_a_longer_path_is_no_proxy() -> None:
    http_request = asked(f"{OURS}{PROXY_PATH}/more", {"x-fal-target-url": "https://fal.run/x"})
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
def test_links_follow_the_way_of_the_question(url: str, queue: str, media: str) -> None:
    assert asked(url).links == Links(queue, media)


def test_a_proxys_links_are_paths_that_a_browser_reaches() -> None:
    assert by_proxy("https://fal.run/x").links == Links(f"{OURS}/queue.fal.run", f"{OURS}/v3b.fal.media")


@pytest.mark.parametrize("url", ["https://fal.run/x", f"{OURS}/fal.run/x"])
def test_files_may_have_an_address_of_their_own(url: str) -> None:
    links = asked(url, local_media="http://127.0.0.1:1/v3b.fal.media").links
    assert links.media == "http://127.0.0.1:1/v3b.fal.media"
    assert links.queue == asked(url).links.queue


# -- what stands in it


def test_a_header_that_is_not_there_is_empty_and_authorization_is_none() -> None:
    http_request = asked(OURS)
    assert (http_request.header(b"x-nothing"), http_request.authorization) == ("", None)


def test_headers_are_latin_1() -> None:
    http_request = asked(OURS, {"x-name": "\xe9", "authorization": "Key \xe9:s"})
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
def test_of_a_parameter_given_twice_the_last_counts(query: str, params: dict[str, str]) -> None:
    assert asked(f"{OURS}/x?{query}").params == params


# -- the body


def receiving(*messages: dict[str, Any]) -> Callable[[], Any]:
    """What a server would hand over, piece by piece; after that, nothing may be asked for."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


def piece(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def read(limit: int, *messages: dict[str, Any], length: str = "") -> bytes:
    http_request = asked(OURS, {"content-length": length} if length else {})
    body = asyncio.run(http_request.read(receiving(*messages), limit))
    assert http_request.body == body
    return body


def test_a_body_is_read_to_its_end() -> None:
    assert read(10, piece(b"abc", more=False)) == b"abc"
    assert read(10, piece(b"abc"), piece(b""), piece(b"def", more=False)) == b"abcdef"
    assert read(10, {"type": "http.request"}) == b""


def test_a_body_of_just_the_limit_is_read() -> None:
    assert read(6, piece(b"abc"), piece(b"def", more=False), length="6") == b"abcdef"


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    with pytest.raises(BodyTooLarge, match="larger than 6 bytes"):
        read(6, length="7")


def test_a_body_that_turns_out_too_large_is_not_read_on() -> None:
    with pytest.raises(BodyTooLarge):
        read(6, piece(b"abcd"), piece(b"efg"))


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "\xb2"])
def test_a_length_that_is_no_number_is_no_length(length: str) -> None:
    assert read(6, piece(b"abc", more=False), length=length) == b"abc"


def test_a_body_that_breaks_off_is_nobodys() -> None:
    with pytest.raises(Gone):
        read(6, piece(b"abc"), {"type": "http.disconnect"})


# -- anything at all


@given(
    url=st.sampled_from(["https://fal.run", OURS, f"{OURS}/queue.fal.run", OURS + PROXY_PATH]),
    path=st.text(max_size=20),
    query=st.binary(max_size=20),
    headers=st.dictionaries(
        st.sampled_from([b"host", b"x-fal-target-url", b"authorization", b"content-length"]),
        st.binary(max_size=20) | st.sampled_from([b"https://[", b"//[", b"https://fal.run:x/", b"[::1"]),
    ),
)
def test_no_question_is_too_odd_to_be_understood(
    url: str, path: str, query: bytes, headers: dict[bytes, bytes]
) -> None:
    its = scope("GET", url)
    its |= {"path": its["path"] + path, "query_string": query, "headers": [*its["headers"], *headers.items()]}
    http_request = HttpRequest(its)
    assert http_request.segments
    assert isinstance(http_request.params, dict)
    assert http_request.announced_bytes >= 0
