"""Cassettes: their format, its errors, and the keys that requests are matched on."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.cassettes.cassette import (
    NO_BODY,
    NOT_JSON,
    Cassette,
    FileBody,
    JsonBody,
    TextBody,
    cassette_key,
    cassette_request_headers,
    cassette_response_headers,
    file_name,
    files,
    format_cassette,
    is_file,
    match_key,
    parse,
    parse_cassette,
    request_body,
    response_json,
    wire_headers,
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
HEADER_NAMES = st.from_regex(r"\A(?!content-length)[a-z][a-z0-9-]{0,12}\Z")
HEADERS = st.dictionaries(HEADER_NAMES, LINES | st.lists(LINES, min_size=2, max_size=3), max_size=3)
NAMES = st.from_regex(r"\A\d{4}\.[a-z]{3}\Z")
BODIES = st.builds(JsonBody, VALUES) | st.builds(TextBody, st.text()) | st.builds(FileBody, NAMES, st.text())
METHODS, STATUSES = st.sampled_from(["GET", "POST", "PUT"]), st.integers(200, 599)
URLS = st.text(max_size=20).map(lambda text: f"https://fal.run/{quote(text, errors='replace')}")
CASSETTES = st.builds(Cassette, METHODS, URLS, HEADERS, BODIES, STATUSES, HEADERS, BODIES)


@given(CASSETTES)
def test_a_formatted_cassette_parses_back_equal(cassette: Cassette) -> None:
    assert parse_cassette(format_cassette(cassette).encode().decode(), "x") == cassette


def test_an_unpaired_surrogate_is_preserved() -> None:
    cassette = Cassette("POST", SUBMIT, {}, JsonBody("\ud800"), 200, {}, NO_BODY)
    assert parse_cassette(format_cassette(cassette).encode().decode(), "x") == cassette


def damaged(**changes: object) -> str:
    document = json.loads(format_cassette(Cassette("POST", SUBMIT, {}, NO_BODY, 200, {}, NO_BODY)))
    for name, value in changes.items():
        part, _, member = name.partition("_")
        if member:
            document[part][member] = value
        else:
            document[part] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected an object with the member mock_fal_cassette"),
        ("[" * 100_000, "nested too deeply"),
        (json.dumps({"mock_fal_cassette": 2}), "version is 2, expected 1"),
        (json.dumps({"mock_fal_cassette": 1}), "request is missing, expected an object"),
        (damaged(request=[]), r"request is \[\], expected an object"),
        (damaged(request_method=1), "method is 1, expected a string"),
        (damaged(response_status="200"), "status is '200', expected a whole number"),
        (damaged(response_status=100), "status is 100, expected 200 to 599"),
        (damaged(response_headers={"a": 1}), "the header 'a' is 1"),
        (damaged(response_headers={"a": "b\r\nc: d"}), "the header 'a' is"),
        (
            damaged(response_file="../key.pem"),
            "file is '../key.pem', expected the name of a file in the same folder",
        ),
        (damaged(response_file="a.jpg"), "sha256 is missing"),
        (damaged(response_lines=[1]), "lines contains something other than strings"),
        (damaged(response_text=1), "text is 1, expected a string"),
    ],
)
def test_an_invalid_cassette_is_reported_with_its_file(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^cassettes/1.json: invalid cassette: .*{message}"):
        parse_cassette(text, "cassettes/1.json")


def body_key(body: bytes, url: str = SUBMIT, kind: str = "application/json") -> object:
    return match_key("POST", url, "", request_body(body, kind, PLAIN))


def test_json_is_compared_parsed() -> None:
    assert body_key(b'{"a":1,"b":[2]}') == body_key(b'{ "b": [2], "a": 1 }') != body_key(b'{"a":1,"b":[3]}')


def test_a_second_name_of_a_host_matches_the_first() -> None:
    assert body_key(b"{}", "https://queue.falrun.com/a/b") == body_key(b"{}", "https://queue.fal.run/a/b")


def test_a_query_is_compared_without_order_and_secrets() -> None:
    one = match_key("GET", PLAIN.text("https://fal.run/a?x=1&signature=a"), "", NO_BODY)
    assert one == match_key("GET", PLAIN.text("https://fal.run/a?signature=b&x=1"), "", NO_BODY)
    assert one != match_key("GET", "https://fal.run/a?x=2&signature=REDACTED", "", NO_BODY)


def test_the_boundary_of_a_form_is_ignored() -> None:
    one = body_key(b"--x1\r\na\r\n--x1--", kind="multipart/form-data; boundary=x1")
    assert one == body_key(b"--y22\r\na\r\n--y22--", kind='multipart/form-data; boundary="y22"')


def test_the_generated_name_of_a_blob_is_ignored() -> None:
    assert body_key(b'{"file_name":"1700000000000.png"}') == body_key(b'{"file_name":"1800000000000.png"}')
    assert body_key(b'{"file_name":"a.png"}') != body_key(b'{"file_name":"b.png"}')


def test_the_order_of_parts_is_ignored() -> None:
    assert body_key(b'{"parts":[{"partNumber":1},{"partNumber":2}]}') == body_key(
        b'{"parts":[{"partNumber":2},{"partNumber":1}]}'
    )


def test_the_type_of_a_body_is_detected() -> None:
    assert request_body(b"", "", PLAIN) is NO_BODY
    assert request_body(b' {"a": 1}', "", PLAIN) == JsonBody({"a": 1})
    assert request_body(b"a=1&token=x", "", PLAIN) == TextBody(f"a=1&token={REDACTED}")
    assert isinstance(request_body(b"\xff\xd8", "", PLAIN), FileBody)
    assert parse(b"[1e999]") is parse(b"[NaN]") is parse(b"[" * 100_000) is NOT_JSON


def test_a_bare_token_is_a_secret() -> None:
    assert response_json("https://rest.fal.ai/tokens/", "abc", PLAIN) == JsonBody(REDACTED)
    assert response_json("https://fal.run/a/b", "abc", PLAIN) == JsonBody("abc")


def test_only_relevant_headers_are_kept() -> None:
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
def test_a_cassette_is_named_after_its_request(method: str, url: str, name: str) -> None:
    assert file_name(7, method, url) == name


def test_an_upload_is_recognized_by_its_path() -> None:
    assert is_file("PUT", "v3b.fal.media", "/files/b/0a/x.jpg")
    assert is_file("POST", "v3.fal.media", "/files/upload")
    assert not is_file("POST", "v3.fal.media", "/files/upload/multipart")
    assert not is_file("PUT", "queue.fal.run", "/a/b/requests/1/cancel")


def test_the_files_of_a_cassette_have_urls() -> None:
    file, url = FileBody("1.jpg", "0"), "https://v3b.fal.media/files/b/x.jpg"
    assert list(files(Cassette("GET", url, {}, NO_BODY, 200, {}, file))) == [(url, "1.jpg")]
    assert list(files(Cassette("PUT", f"{url}?signature=a", {}, file, 200, {}, NO_BODY))) == [(url, "1.jpg")]
    response = JsonBody({"access_url": url})
    upload = "https://v3.fal.media/files/upload"
    assert list(files(Cassette("POST", upload, {}, file, 200, {}, response))) == [(url, "1.jpg")]


def test_the_range_is_part_of_the_key() -> None:
    part = Cassette("GET", SUBMIT, {"range": "bytes=0-1"}, NO_BODY, 206, {}, NO_BODY)
    assert (
        cassette_key(part)
        == match_key("GET", SUBMIT, "bytes=0-1", NO_BODY)
        != match_key("GET", SUBMIT, "", NO_BODY)
    )
