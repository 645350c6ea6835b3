"""What is taken out of cassettes, and what stays."""

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
def test_a_secret_is_known_by_its_form(text: str, clean: str) -> None:
    assert Redaction().text(text) == clean


@pytest.mark.parametrize(
    "name", ["token", "access_token", "apiKey", "Authorization", "X-Amz-Signature", "Set-Cookie"]
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)
    assert Redaction().json({name: "abc", "list": [{name: ["abc"]}]}) == {
        name: REDACTED,
        "list": [{name: [REDACTED]}],
    }


@pytest.mark.parametrize("name", ["max_tokens", "token_type", "prompt", "keyframes", "seed"])
def test_other_names_are_not(name: str) -> None:
    assert Redaction().json({name: "abc"}) == {name: "abc"}


def test_of_an_authorization_the_scheme_stays() -> None:
    assert Redaction().header("authorization", f"Key {KEY}") == f"Key {REDACTED}"
    assert Redaction().header("authorization", "abc") == REDACTED


def test_the_data_of_events_is_json() -> None:
    assert Redaction().lines('event: a\ndata: {"token":"abc"}\n\ndata: {"x": 1}\ndata: [') == (
        f'event: a\ndata: {{"token":"{REDACTED}"}}\n\ndata: {{"x": 1}}\ndata: ['
    )


@given(JSONS, st.integers(0, 3))
def test_no_known_secret_stays_anywhere(value: object, depth: int) -> None:
    hidden: object = {f"a {SECRET}": [value, f"x{SECRET}y", f"https://a/?q={SECRET}"]}
    for _ in range(depth):
        hidden = [hidden]
    clean = json.dumps(Redaction([SECRET]).json(hidden), ensure_ascii=False)
    assert not any(secret in clean for secret in (SECRET, KEY, JWT))


@given(JSONS)
def test_twice_is_once(value: object) -> None:
    redaction = Redaction([SECRET])
    clean = redaction.json(value)
    assert redaction.json(clean) == clean


@given(st.text(alphabet="?&=;aeyJ.:-/@ KeyBrtokensig0123456789", max_size=60))
def test_twice_is_once_for_any_text(text: str) -> None:
    clean = Redaction().text(text)
    assert Redaction().text(clean) == clean
