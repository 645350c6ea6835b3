"""Which cassette answers: in their order, the last one again and again, each account for itself."""

from __future__ import annotations

from mock_fal.cassettes.cassette import NOTHING, Body, Cassette, JsonBody, TextBody, key
from mock_fal.cassettes.matcher import CassetteMatcher

APP = "https://queue.fal.run/fal-ai/flux"
REQUEST = f"{APP}/requests/1"


def got(url: str, method: str = "GET", body: Body = NOTHING, wanted: str = "") -> Cassette:
    return Cassette(method, url, {"range": wanted} if wanted else {}, body, 200, {}, NOTHING)


def polls(matcher: CassetteMatcher, number: int, account: str = "alice") -> list[str | None]:
    return [matcher.match(key("GET", f"{REQUEST}/status", "", NOTHING), account) for _ in range(number)]


def test_the_last_of_several_answers_repeats() -> None:
    matcher = CassetteMatcher({name: got(f"{REQUEST}/status") for name in "abc"})
    assert polls(matcher, 5) == ["a", "b", "c", "c", "c"]
    assert polls(matcher, 1, "bob") == ["a"]


def test_what_was_not_asked_has_no_answer() -> None:
    matcher = CassetteMatcher({"a": got(REQUEST)})
    assert matcher.match(key("GET", f"{APP}/requests/2", "", NOTHING), "alice") is None
    assert matcher.knows("GET", "queue.falrun.com", "/fal-ai/flux/requests/1")
    assert not matcher.knows("PUT", "queue.fal.run", "/fal-ai/flux/requests/1")
    assert matcher.unused == ["a"]


def test_who_has_the_result_is_not_told_that_the_request_runs() -> None:
    matcher = CassetteMatcher({name: got(f"{REQUEST}/status") for name in "abc"} | {"r": got(REQUEST)})
    matcher.match(key("GET", REQUEST, "", NOTHING), "alice")
    assert polls(matcher, 1) == ["c"]
    assert polls(matcher, 1, "bob") == ["a"]


def test_who_has_the_events_is_not_told_that_the_request_runs() -> None:
    matcher = CassetteMatcher(
        {name: got(f"{REQUEST}/status") for name in "abc"} | {"s": got(f"{REQUEST}/status/stream")}
    )
    matcher.match(key("GET", f"{REQUEST}/status/stream", "", NOTHING), "alice")
    assert polls(matcher, 1) == ["c"]


def test_a_rewound_deck_begins_again() -> None:
    matcher = CassetteMatcher({name: got(f"{REQUEST}/status") for name in "ab"})
    assert (polls(matcher, 2), polls(matcher, 2, "bob")) == (["a", "b"], ["a", "b"])
    matcher.rewind("alice")
    assert (polls(matcher, 1), polls(matcher, 1, "bob")) == (["a"], ["b"])
    matcher.rewind(None)
    assert polls(matcher, 1, "bob") == ["a"]


def test_the_nearest_is_told_with_what_differs() -> None:
    cat, dog = JsonBody({"prompt": "a cat", "seed": 1}), JsonBody({"prompt": "a dog", "seed": 2})
    matcher = CassetteMatcher(
        {"1": got(APP, "POST", cat), "2": got(APP, "POST", dog), "3": got(f"{REQUEST}?logs=1")}
    )
    asked = JsonBody({"prompt": "a dog", "num": ["x" * 99]})
    assert matcher.nearest("POST", APP, asked) == f'2 has num missing, not ["{"x" * 55}…; seed 2, not missing'
    assert matcher.nearest("POST", APP, JsonBody([1])).startswith("1 has ")
    assert matcher.nearest("POST", APP, TextBody("a")) == "1 has another body"
    assert matcher.nearest("GET", REQUEST, NOTHING) == "3 has the query 'logs=1'"
    assert matcher.nearest("POST", f"{APP}/dev", asked) == f"1 answers POST {APP}"
    assert matcher.nearest("POST", "https://rest.fal.ai/tokens/realtime", NOTHING) == ""


def test_another_range_is_told() -> None:
    matcher = CassetteMatcher({"1": got(REQUEST, wanted="bytes=0-1")})
    assert matcher.nearest("GET", REQUEST, NOTHING) == "1 has another Range"
