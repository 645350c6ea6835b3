"""Redaction: which values are redacted and which are kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.cassettes.redaction import REDACTED, Redaction, is_secret

KEY = "0f3b2c1d-1111-4222-8333-abcdefabcdef:00112233445566778899aabbccddeeff"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
SECRET = "s3cr3t/with+signs"

JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from([KEY, JWT, f"https://a/?token={KEY}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"a {JWT} b", f"a {REDACTED} b"),
        (KEY, REDACTED),
        ("Authorization: Bearer abcdefghijklmnopqrstuvwxyz", f"Authorization: Bearer {REDACTED}"),
        ("https://v3b.fal.media/f.png?signature=abc&x=1", f"https://v3b.fal.media/f.png?signature={REDACTED}&x=1"),
        ("https://s3/f?X-Amz-Signature=ab&X-Amz-Date=1", f"https://s3/f?X-Amz-Signature={REDACTED}&X-Amz-Date=1"),
        ("https://fal.run/a?fal_jwt_token=abc", f"https://fal.run/a?fal_jwt_token={REDACTED}"),
        ("https://me:pass@host/", f"https://{REDACTED}@host/"),
        ("data:application/json;base64,eyJhIjoxfQ==", "data:application/json;base64,eyJhIjoxfQ=="),
        ("Key moments of a bearer market", "Key moments of a bearer market"),
    ],
)  # fmt: skip
def test_a_secret_is_recognized_by_its_format(text: str, clean: str) -> None:
    assert Redaction().text(text) == clean


@pytest.mark.parametrize(
    "name", ["token", "access_token", "apiKey", "Authorization", "X-Amz-Signature", "Set-Cookie"]
)
def test_a_secret_is_recognized_by_its_name(name: str) -> None:
    assert is_secret(name)
    assert Redaction().json({name: "abc", "list": [{name: ["abc"]}]}) == {
        name: REDACTED,
        "list": [{name: [REDACTED]}],
    }


@pytest.mark.parametrize("name", ["max_tokens", "token_type", "prompt", "keyframes", "seed"])
def test_values_with_other_names_are_kept(name: str) -> None:
    assert Redaction().json({name: "abc"}) == {name: "abc"}


def test_the_scheme_of_an_authorization_is_kept() -> None:
    assert Redaction().header("authorization", f"Key {KEY}") == f"Key {REDACTED}"
    assert Redaction().header("authorization", "abc") == REDACTED


def test_the_data_of_events_is_redacted_as_json() -> None:
    assert Redaction().lines('event: a\ndata: {"token":"abc"}\n\ndata: {"x": 1}\ndata: [') == (
        f'event: a\ndata: {{"token":"{REDACTED}"}}\n\ndata: {{"x": 1}}\ndata: ['
    )


@given(JSONS, st.integers(0, 3))
def test_no_known_secret_remains_at_any_depth(value: object, depth: int) -> None:
    document: object = {f"a {SECRET}": [value, f"x{SECRET}y", f"https://a/?q={SECRET}"]}
    for _ in range(depth):
        document = [document]
    clean = json.dumps(Redaction([SECRET]).json(document), ensure_ascii=False)
    assert not any(secret in clean for secret in (SECRET, KEY, JWT))


@given(JSONS)
def test_redaction_of_json_is_idempotent(value: object) -> None:
    redaction = Redaction([SECRET])
    clean = redaction.json(value)
    assert redaction.json(clean) == clean


@given(st.text(alphabet="?&=;aeyJ.:-/@ KeyBrtokensig0123456789", max_size=60))
def test_redaction_of_text_is_idempotent(text: str) -> None:
    clean = Redaction().text(text)
    assert Redaction().text(clean) == clean
