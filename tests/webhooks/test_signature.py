from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import VerifyKey

from mock_fal.clock import real_time
from mock_fal.errors import JSON, InvalidWebhook, SettingsError
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.webhooks import signature
from mock_fal.webhooks.payload import webhook_body
from mock_fal.webhooks.signature import Signer, user_id, verify, webhook_headers

ID = "019f6b1b-49c3-7163-9866-2d7bdfec2232"
MEDIA = "https://v3b.fal.media"
NOW = 1784208380.0
SIGNER = Signer(seed=0)

documents: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def signed(content: bytes, *, now: float = NOW, attempt: int = 1, signer: Signer = SIGNER) -> dict[str, str]:
    """The headers of a webhook with that body."""
    return dict(webhook_headers(ID, "alice", content, signer, now=now, attempt=attempt))


# -- signing


def test_what_was_signed_is_verified_later_without_the_body() -> None:
    sent = signature.signed(signed(b"{}").items(), b"{}")
    assert sent.timestamp == int(NOW)
    assert signature.fault_of(sent, ID, "alice", SIGNER.jwks) == ""
    for other in (
        sent._replace(timestamp=1),
        sent._replace(digest=bytes(32)),
        sent._replace(signature=sent.signature[::-1]),
    ):
        assert "fits none of the 2 keys" in signature.fault_of(other, ID, "alice", SIGNER.jwks)
    assert signature.fault_of(sent, ID, "bob", SIGNER.jwks) != ""
    assert "expected 128 hex digits" in signature.fault_of(
        sent._replace(signature="x"), ID, "alice", SIGNER.jwks
    )


def test_the_first_attempt_has_exactly_the_captured_headers() -> None:
    assert list(signed(b"{}")) == [
        "content-type",
        "accept",
        "accept-encoding",
        "content-length",
        "x-fal-webhook-request-id",
        "x-fal-webhook-user-id",
        "x-fal-webhook-timestamp",
        "x-fal-webhook-signature",
    ]
    assert re.fullmatch(r"[0-9a-f]{128}", signed(b"{}")["x-fal-webhook-signature"])
    assert re.fullmatch(r"github\|\d{6}", signed(b"{}")["x-fal-webhook-user-id"])
    assert signed(b"{}")["x-fal-webhook-timestamp"] == "1784208380"


def test_a_retry_names_the_component_that_sends_it() -> None:
    retry = signed(b"{}", attempt=2)
    assert retry["user-agent"] == "python-httpx/0.27.0"
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", retry["traceparent"])
    assert list(retry)[8:] == [
        "user-agent",
        "traceparent",
        "tracestate",
        "x-datadog-trace-id",
        "x-datadog-parent-id",
        "x-datadog-sampling-priority",
    ]


def test_each_attempt_is_signed_anew() -> None:
    first, second = signed(b"{}"), signed(b"{}", now=NOW + 2, attempt=2)
    assert first["x-fal-webhook-signature"] != second["x-fal-webhook-signature"]


def test_another_library_verifies_the_signature() -> None:
    content, headers = b'{"status": "OK"}', signed(b'{"status": "OK"}')
    key = VerifyKey(urlsafe_b64decode(SIGNER.jwks["keys"][0]["x"]))
    text = f"{ID}\n{user_id('alice')}\n1784208380\n{hashlib.sha256(content).hexdigest()}"
    assert key.verify(text.encode(), bytes.fromhex(headers["x-fal-webhook-signature"])) == text.encode()


def test_users_have_different_ids() -> None:
    assert user_id("alice") == user_id("alice") != user_id("bob")


def test_the_keys_have_the_format_of_the_live_service() -> None:
    first, second = SIGNER.jwks["keys"]
    assert list(first) == ["kty", "crv", "kid", "x", "use"]
    assert (first["kty"], first["crv"], first["use"]) == ("OKP", "Ed25519", "sig")
    assert re.fullmatch(r"[\w-]{43}", first["kid"]) and re.fullmatch(r"[\w-]{43}=", first["x"])
    assert first["x"] != second["x"]


def test_the_key_is_derived_from_the_seed() -> None:
    assert Signer(1).jwks == Signer(1).jwks != Signer(2).jwks


def test_the_key_can_be_read_from_a_file(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signer = Signer(0, file)
    assert urlsafe_b64decode(signer.jwks["keys"][0]["x"]) == key.public_key().public_bytes_raw()
    assert signer.jwks["keys"][1] == SIGNER.jwks["keys"][1]
    verify(signed(b"{}", signer=signer), b"{}", signer.jwks, now=NOW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't read .*key.pem: No such file"),
        (b"no key", "expected a private key in PEM"),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "has another type of key, expected Ed25519",
        ),
    ],
)
def test_a_file_without_a_usable_key_is_rejected(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"--signing-key: .*{message}"):
        Signer(0, file)


# -- verification


@given(documents)
def test_every_payload_is_verified(payload: JSON) -> None:
    content = webhook_body(ID, RunnerResponse(200, payload), MEDIA, {})
    verify(signed(content), content, SIGNER.jwks, now=NOW)
    assert json.loads(content)["payload"] == payload


@given(documents, st.data())
def test_a_body_with_one_changed_bit_is_not_verified(payload: JSON, data: st.DataObject) -> None:
    content = webhook_body(ID, RunnerResponse(200, payload), MEDIA, {})
    at = data.draw(st.integers(0, len(content) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
    with pytest.raises(InvalidWebhook, match="fits none of the 2 keys"):
        verify(signed(content), changed, SIGNER.jwks, now=NOW)


@given(st.data())
def test_a_signature_with_one_changed_digit_is_not_verified(data: st.DataObject) -> None:
    headers = signed(b"{}")
    signature = headers["x-fal-webhook-signature"]
    at = data.draw(st.integers(0, 127))
    digit = data.draw(st.sampled_from(sorted(set("0123456789abcdef") - {signature[at]})))
    headers["x-fal-webhook-signature"] = signature[:at] + digit + signature[at + 1 :]
    with pytest.raises(InvalidWebhook, match="fits none"):
        verify(headers, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize(
    ("name", "value"), [("request-id", "other"), ("user-id", "github|1"), ("timestamp", "1784208381")]
)
def test_a_changed_header_is_not_verified(name: str, value: str) -> None:
    with pytest.raises(InvalidWebhook, match="headers or body were changed"):
        verify(signed(b"{}") | {f"x-fal-webhook-{name}": value}, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize("name", ["request-id", "user-id", "timestamp", "signature"])
def test_a_missing_header_is_named(name: str) -> None:
    headers = signed(b"{}")
    del headers[f"x-fal-webhook-{name}"]
    with pytest.raises(InvalidWebhook, match=f"the header x-fal-webhook-{name} is missing"):
        verify(headers, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("timestamp", "yesterday", "the timestamp is 'yesterday', expected Unix seconds"),
        ("timestamp", "-5", "the timestamp is '-5'"),
        ("signature", "nothex", "the signature is 'nothex', expected 128 hex digits"),
        ("signature", "abcd", "fits none"),
    ],
)
def test_an_invalid_header_is_reported(name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidWebhook, match=message):
        verify(signed(b"{}") | {f"x-fal-webhook-{name}": value}, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize("late", [-300, 0, 300])
def test_five_minutes_are_accepted(late: int) -> None:
    verify(signed(b"{}"), b"{}", SIGNER.jwks, now=NOW + late)


@pytest.mark.parametrize(("late", "difference"), [(301, "301 s in the past"), (-301, "301 s in the future")])
def test_more_than_five_minutes_are_rejected(late: int, difference: str) -> None:
    with pytest.raises(InvalidWebhook, match=f"the timestamp is {difference}, expected at most 300"):
        verify(signed(b"{}"), b"{}", SIGNER.jwks, now=NOW + late)


def test_the_timestamp_is_compared_with_the_real_time() -> None:
    verify(signed(b"{}", now=real_time()), b"{}", SIGNER.jwks)
    with pytest.raises(InvalidWebhook, match="s in the past"):
        verify(signed(b"{}"), b"{}", SIGNER.jwks)


def test_header_names_may_be_in_any_case() -> None:
    verify({name.title(): value for name, value in signed(b"{}").items()}, b"{}", SIGNER.jwks, now=NOW)


def test_any_key_of_the_set_may_match_with_or_without_padding() -> None:
    first, second = SIGNER.jwks["keys"]
    odd: list[Any] = [{"kty": "RSA", "n": "AQAB"}, {"x": "AAAA"}, "no key", second]
    verify(signed(b"{}"), b"{}", {"keys": [*odd, first | {"x": first["x"].rstrip("=")}]}, now=NOW)


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": [{"kty": "RSA"}]}])
def test_a_set_without_keys_is_reported(jwks: dict[str, Any]) -> None:
    with pytest.raises(InvalidWebhook, match="the JWKS has no Ed25519 key"):
        verify(signed(b"{}"), b"{}", jwks, now=NOW)


def test_the_keys_of_another_server_do_not_match() -> None:
    with pytest.raises(InvalidWebhook, match="fits none"):
        verify(signed(b"{}"), b"{}", Signer(1).jwks, now=NOW)
