"""Matching: recorded responses in order, the last one repeated, separately for each account."""

from __future__ import annotations

from mock_fal.cassettes.cassette import NO_BODY, Body, Cassette, JsonBody, TextBody, match_key
from mock_fal.cassettes.matcher import CassetteMatcher

APP = "https://queue.fal.run/fal-ai/flux"
REQUEST = f"{APP}/requests/1"


def cassette(url: str, method: str = "GET", body: Body = NO_BODY, range_header: str = "") -> Cassette:
    return Cassette(method, url, {"range": range_header} if range_header else {}, body, 200, {}, NO_BODY)


def polls(matcher: CassetteMatcher, number: int, account: str = "alice") -> list[str | None]:
    return [matcher.match(match_key("GET", f"{REQUEST}/status", "", NO_BODY), account) for _ in range(number)]


def test_the_last_of_several_responses_is_repeated() -> None:
    matcher = CassetteMatcher({name: cassette(f"{REQUEST}/status") for name in "abc"})
    assert polls(matcher, 5) == ["a", "b", "c", "c", "c"]
    assert polls(matcher, 1, "bob") == ["a"]


def test_an_unrecorded_request_has_no_match() -> None:
    matcher = CassetteMatcher({"a": cassette(REQUEST)})
    assert matcher.match(match_key("GET", f"{APP}/requests/2", "", NO_BODY), "alice") is None
    assert matcher.knows("GET", "queue.falrun.com", "/fal-ai/flux/requests/1")
    assert not matcher.knows("PUT", "queue.fal.run", "/fal-ai/flux/requests/1")
    assert matcher.unused == ["a"]


def test_after_the_result_the_status_is_the_last_one() -> None:
    matcher = CassetteMatcher(
        {name: cassette(f"{REQUEST}/status") for name in "abc"} | {"r": cassette(REQUEST)}
    )
    matcher.match(match_key("GET", REQUEST, "", NO_BODY), "alice")
    assert polls(matcher, 1) == ["c"]
    assert polls(matcher, 1, "bob") == ["a"]


def test_after_the_status_stream_the_status_is_the_last_one() -> None:
    matcher = CassetteMatcher(
        {name: cassette(f"{REQUEST}/status") for name in "abc"} | {"s": cassette(f"{REQUEST}/status/stream")}
    )
    matcher.match(match_key("GET", f"{REQUEST}/status/stream", "", NO_BODY), "alice")
    assert polls(matcher, 1) == ["c"]


def test_rewind_starts_again() -> None:
    matcher = CassetteMatcher({name: cassette(f"{REQUEST}/status") for name in "ab"})
    assert (polls(matcher, 2), polls(matcher, 2, "bob")) == (["a", "b"], ["a", "b"])
    matcher.rewind("alice")
    assert (polls(matcher, 1), polls(matcher, 1, "bob")) == (["a"], ["b"])
    matcher.rewind(None)
    assert polls(matcher, 1, "bob") == ["a"]


def test_the_nearest_cassette_is_described_with_the_differences() -> None:
    cat, dog = JsonBody({"prompt": "a cat", "seed": 1}), JsonBody({"prompt": "a dog", "seed": 2})
    matcher = CassetteMatcher(
        {"1": cassette(APP, "POST", cat), "2": cassette(APP, "POST", dog), "3": cassette(f"{REQUEST}?logs=1")}
    )
    request = JsonBody({"prompt": "a dog", "num": ["x" * 99]})
    assert (
        matcher.nearest("POST", APP, request) == f'2 has num missing, not ["{"x" * 55}…; seed 2, not missing'
    )
    assert matcher.nearest("POST", APP, JsonBody([1])).startswith("1 has ")
    assert matcher.nearest("POST", APP, TextBody("a")) == "1 has another body"
    assert matcher.nearest("GET", REQUEST, NO_BODY) == "3 has the query 'logs=1'"
    assert matcher.nearest("POST", f"{APP}/dev", request) == f"1 matches POST {APP}"
    assert matcher.nearest("POST", "https://rest.fal.ai/tokens/realtime", NO_BODY) == ""


def test_another_range_is_described() -> None:
    matcher = CassetteMatcher({"1": cassette(REQUEST, range_header="bytes=0-1")})
    assert matcher.nearest("GET", REQUEST, NO_BODY) == "1 has another Range"
