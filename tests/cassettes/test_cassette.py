"""Cassettes: what is written reads back equal, what is damaged is named, and which questions are the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.cassettes.cassette import (
    NOT_JSON,
    NOTHING,
    Cassette,
    FileBody,
    JsonBody,
    TextBody,
    cassette_request_headers,
    cassette_response_headers,
    file_name,
    files,
    is_file,
    key,
    key_of,
    parse,
    read,
    request_body,
    response_json,
    wire_headers,
    written,
)
from mock_fal.cassettes.redaction import REDACTED, Redaction
from mock_fal.errors import SettingsError

SUBMIT = "https://queue.fal.run/fal-ai/flux/schnell"
PLAIN = Redaction()

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
LINES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20)
HEADERS = st.dictionaries(LINES, LINES | st.lists(LINES, min_size=2, max_size=3), max_size=3)
NAMES = st.from_regex(r"\A\d{4}\.[a-z]{3}\Z")
BODIES = st.builds(JsonBody, VALUES) | st.builds(TextBody, st.text()) | st.builds(FileBody, NAMES, st.text())
METHODS, STATUSES = st.sampled_from(["GET", "POST", "PUT"]), st.integers(200, 599)
CASSETTES = st.builds(Cassette, METHODS, st.text(), HEADERS, BODIES, STATUSES, HEADERS, BODIES)


@given(CASSETTES)
def test_what_is_written_reads_back_equal(cassette: Cassette) -> None:
    assert read(written(cassette).encode().decode(), "x") == cassette


def test_half_a_surrogate_pair_is_kept() -> None:
    cassette = Cassette("POST", SUBMIT, {}, JsonBody("\ud800"), 200, {}, NOTHING)
    assert read(written(cassette).encode().decode(), "x") == cassette


def damaged(**changes: object) -> str:
    good = json.loads(written(Cassette("POST", SUBMIT, {}, NOTHING, 200, {}, NOTHING)))
    for name, value in changes.items():
        part, _, member = name.partition("_")
        if member:
            good[part][member] = value
        else:
            good[part] = value
    return json.dumps(good)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected an object with mock_fal_cassette in it"),
        ("[" * 100_000, "nested too deeply"),
        (json.dumps({"mock_fal_cassette": 2}), "its version is 2, expected 1"),
        (json.dumps({"mock_fal_cassette": 1}), "request is missing, expected an object"),
        (damaged(request=[]), r"request is \[\], expected an object"),
        (damaged(request_method=1), "method is 1, expected a string"),
        (damaged(response_status="200"), "status is '200', expected a whole number"),
        (damaged(response_status=100), "status is 100, expected 200 to 599"),
        (damaged(response_headers={"a": 1}), "the header 'a' is 1"),
        (damaged(response_headers={"a": "b\r\nc: d"}), "the header 'a' is"),
        (damaged(response_file="../key.pem"), "file is '../key.pem', expected the name of a file beside it"),
        (damaged(response_file="a.jpg"), "sha256 is missing"),
        (damaged(response_lines=[1]), "lines holds something else than strings"),
        (damaged(response_text=1), "text is 1, expected a string"),
    ],
)
def test_what_is_no_cassette_is_named(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"^tapes/1.json: no cassette: .*{words}"):
        read(text, "tapes/1.json")


def asked(body: bytes, url: str = SUBMIT, kind: str = "application/json") -> object:
    return key("POST", url, "", request_body(body, kind, PLAIN))


def test_the_meaning_of_json_counts_and_not_its_spelling() -> None:
    assert asked(b'{"a":1,"b":[2]}') == asked(b'{ "b": [2], "a": 1 }') != asked(b'{"a":1,"b":[3]}')


def test_a_second_name_of_a_host_counts_as_the_first() -> None:
    assert asked(b"{}", "https://queue.falrun.com/a/b") == asked(b"{}", "https://queue.fal.run/a/b")


def test_a_query_counts_without_order_and_secrets() -> None:
    one = key("GET", PLAIN.text("https://fal.run/a?x=1&signature=a"), "", NOTHING)
    assert one == key("GET", PLAIN.text("https://fal.run/a?signature=b&x=1"), "", NOTHING)
    assert one != key("GET", "https://fal.run/a?x=2&signature=REDACTED", "", NOTHING)


def test_the_boundary_of_a_form_does_not_count() -> None:
    one = asked(b"--x1\r\na\r\n--x1--", kind="multipart/form-data; boundary=x1")
    assert one == asked(b"--y22\r\na\r\n--y22--", kind='multipart/form-data; boundary="y22"')


def test_the_name_that_a_client_makes_up_for_a_blob_does_not_count() -> None:
    assert asked(b'{"file_name":"1700000000000.png"}') == asked(b'{"file_name":"1800000000000.png"}')
    assert asked(b'{"file_name":"a.png"}') != asked(b'{"file_name":"b.png"}')


def test_parts_count_in_any_order() -> None:
    assert asked(b'{"parts":[{"partNumber":1},{"partNumber":2}]}') == asked(
        b'{"parts":[{"partNumber":2},{"partNumber":1}]}'
    )


def test_bodies_are_what_they_are() -> None:
    assert request_body(b"", "", PLAIN) is NOTHING
    assert request_body(b' {"a": 1}', "", PLAIN) == JsonBody({"a": 1})
    assert request_body(b"a=1&token=x", "", PLAIN) == TextBody(f"a=1&token={REDACTED}")
    assert isinstance(request_body(b"\xff\xd8", "", PLAIN), FileBody)
    assert parse(b"[1e999]") is parse(b"[NaN]") is parse(b"[" * 100_000) is NOT_JSON


def test_a_bare_token_is_a_secret() -> None:
    assert response_json("https://rest.fal.ai/tokens/", "abc", PLAIN) == JsonBody(REDACTED)
    assert response_json("https://fal.run/a/b", "abc", PLAIN) == JsonBody("abc")


def test_headers_that_matter_are_kept() -> None:
    raw = [
        (b"Authorization", b"Key a:b"),
        (b"user-agent", b"x"),
        (b"x-fal-runner-hint", b"h"),
        (b"range", b"bytes=0-1"),
    ]
    kept = cassette_request_headers(raw, PLAIN)
    assert kept == {"authorization": "Key REDACTED", "x-fal-runner-hint": "h", "range": "bytes=0-1"}
    raw = [
        (b"date", b"x"),
        (b"vary", b"a"),
        (b"vary", b"b"),
        (b"content-length", b"3"),
        (b"set-cookie", b"a=b"),
    ]
    assert cassette_response_headers(raw, PLAIN) == {"vary": ["a", "b"]}
    assert cassette_response_headers(raw, PLAIN, bodiless=True) == {"vary": ["a", "b"], "content-length": "3"}
    assert wire_headers({"vary": ["a", "b"]}) == [(b"vary", b"a"), (b"vary", b"b")]


@pytest.mark.parametrize(
    ("method", "url", "name"),
    [
        ("POST", SUBMIT, "0007-queue.fal.run-POST-fal-ai-flux-schnell.json"),
        (
            "GET",
            "https://queue.fal.run/a/b/requests/1-2/status",
            "0007-queue.fal.run-GET-a-b-requests-status.json",
        ),
        ("GET", "https://v3b.fal.media/files/b/0a/x.jpg?a=b", "0007-v3b.fal.media-GET-files.json"),
        ("POST", "https://v3b.fal.media/files/upload", "0007-v3b.fal.media-POST-files-upload.json"),
        ("GET", "https://fal.ai/", "0007-fal.ai-GET.json"),
    ],
)
def test_a_cassette_is_named_for_what_was_asked(method: str, url: str, name: str) -> None:
    assert file_name(7, method, url) == name


def test_what_brings_a_file_is_known_before_it_comes() -> None:
    assert is_file("PUT", "v3b.fal.media", "/files/b/0a/x.jpg")
    assert is_file("POST", "v3.fal.media", "/files/upload")
    assert not is_file("POST", "v3.fal.media", "/files/upload/multipart")
    assert not is_file("PUT", "queue.fal.run", "/a/b/requests/1/cancel")


def test_the_files_of_a_cassette_have_addresses() -> None:
    file, url = FileBody("1.jpg", "0"), "https://v3b.fal.media/files/b/x.jpg"
    assert list(files(Cassette("GET", url, {}, NOTHING, 200, {}, file))) == [(url, "1.jpg")]
    assert list(files(Cassette("PUT", f"{url}?signature=a", {}, file, 200, {}, NOTHING))) == [(url, "1.jpg")]
    told = JsonBody({"access_url": url})
    upload = "https://v3.fal.media/files/upload"
    assert list(files(Cassette("POST", upload, {}, file, 200, {}, told))) == [(url, "1.jpg")]


def test_a_range_counts() -> None:
    part = Cassette("GET", SUBMIT, {"range": "bytes=0-1"}, NOTHING, 206, {}, NOTHING)
    assert key_of(part) == key("GET", SUBMIT, "bytes=0-1", NOTHING) != key("GET", SUBMIT, "", NOTHING)
