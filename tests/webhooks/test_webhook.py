from __future__ import annotations

import hashlib
import json
import math
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
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import Picture, RequestFailure, RunnerResponse, model_error, rejected
from mock_fal.webhooks.webhook import (
    MAX_PAYLOAD_BYTES,
    NOT_SERIALIZABLE,
    Signer,
    body,
    headers,
    user_id,
    verify,
)

ID = "019f6b1b-49c3-7163-9866-2d7bdfec2232"
MEDIA = "https://v3b.fal.media"
NOW = 1784208380.0
SIGNER = Signer(seed=0)
CAT = Picture(Recipe("fal-ai/flux/dev", "a cat", 7, 1024, 768), "/files/b/0aa27c72/phb6VWYUMKND0-gyZN-ul.jpg")

documents: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def said(outcome: RunnerResponse | RequestFailure, media: str = MEDIA) -> Any:
    return json.loads(body(ID, outcome, media, {}))


def sent(content: bytes, *, now: float = NOW, attempt: int = 1, signer: Signer = SIGNER) -> dict[str, str]:
    return dict(headers(ID, "alice", content, signer, now=now, attempt=attempt))


# -- what it says


def test_a_success_is_written_as_the_live_service_writes_it() -> None:
    images = [{"url": CAT, "width": 1024, "height": 768, "content_type": "image/jpeg"}]
    response = {"images": images, "timings": {"inference": 0.31}, "seed": 7, "has_nsfw_concepts": [False]}
    assert body(ID, RunnerResponse(200, response | {"prompt": "a cät"}), MEDIA, {}) == (
        b'{"error": null, "gateway_request_id": "019f6b1b-49c3-7163-9866-2d7bdfec2232", "payload": '
        b'{"has_nsfw_concepts": [false], "images": [{"content_type": "image/jpeg", "height": 768, "url": '
        b'"https://v3b.fal.media/files/b/0aa27c72/phb6VWYUMKND0-gyZN-ul.jpg", "width": 1024}], "prompt": '
        b'"a c\\u00e4t", "seed": 7, "timings": {"inference": 0.31}}, "request_id": '
        b'"019f6b1b-49c3-7163-9866-2d7bdfec2232", "status": "OK"}'
    )


def test_a_picture_is_found_where_the_submitter_finds_the_media_host() -> None:
    local = "http://127.0.0.1:8325/v3b.fal.media"
    assert said(RunnerResponse(200, {"image": CAT}), local)["payload"]["image"] == local + CAT.path


def test_an_inline_picture_is_carried_in_the_payload() -> None:
    inline = Picture(CAT.recipe, CAT.path, inline=True)
    told = body(ID, RunnerResponse(200, [inline]), MEDIA, {inline: "data:image/jpeg;base64,AAAA"})
    assert json.loads(told)["payload"] == ["data:image/jpeg;base64,AAAA"]


def test_a_rejected_input_is_an_error_with_its_details() -> None:
    items = [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing", "input": {}}]
    assert said(rejected(items)) == {
        "error": "Invalid status code: 422",
        "gateway_request_id": ID,
        "payload": {"detail": items},
        "request_id": ID,
        "status": "ERROR",
    }


def test_a_model_error_is_an_error_with_its_details() -> None:
    told = said(model_error("downstream_service_error"))
    assert (told["status"], told["error"]) == ("ERROR", "Invalid status code: 400")
    assert told["payload"]["detail"][0]["type"] == "downstream_service_error"


def test_a_request_that_no_runner_answered_is_an_error() -> None:
    told = said(RequestFailure("request_timeout"))
    assert (told["status"], told["error"]) == ("ERROR", "Invalid status code: 504")
    assert told["payload"] == {"detail": "Request timed out", "error_type": "request_timeout"}


@pytest.mark.parametrize("payload", [{"seed": math.inf}, [math.nan], "x" * MAX_PAYLOAD_BYTES])
def test_what_json_cannot_hold_and_what_is_too_large_has_a_payload_error(payload: JSON) -> None:
    told = said(RunnerResponse(200, payload))
    assert (told["payload"], told["payload_error"]) == (None, NOT_SERIALIZABLE)
    assert (told["status"], told["error"]) == ("OK", None)


def test_a_failure_too_may_have_a_payload_error() -> None:
    told = said(RunnerResponse(404, {"seen": math.inf}))
    assert (told["status"], told["error"]) == ("ERROR", "Invalid status code: 404")
    assert told["payload_error"] == NOT_SERIALIZABLE


# -- how it is signed


def test_the_first_attempt_has_the_captured_headers_and_no_others() -> None:
    assert list(sent(b"{}")) == [
        "content-type",
        "accept",
        "accept-encoding",
        "content-length",
        "x-fal-webhook-request-id",
        "x-fal-webhook-user-id",
        "x-fal-webhook-timestamp",
        "x-fal-webhook-signature",
    ]
    assert re.fullmatch(r"[0-9a-f]{128}", sent(b"{}")["x-fal-webhook-signature"])
    assert re.fullmatch(r"github\|\d{6}", sent(b"{}")["x-fal-webhook-user-id"])
    assert sent(b"{}")["x-fal-webhook-timestamp"] == "1784208380"


def test_a_retry_names_the_component_that_sends_it() -> None:
    retry = sent(b"{}", attempt=2)
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
    first, second = sent(b"{}"), sent(b"{}", now=NOW + 2, attempt=2)
    assert first["x-fal-webhook-signature"] != second["x-fal-webhook-signature"]


def test_another_library_agrees_with_the_signature() -> None:
    content, its = b'{"status": "OK"}', sent(b'{"status": "OK"}')
    key = VerifyKey(urlsafe_b64decode(SIGNER.jwks["keys"][0]["x"]))
    text = f"{ID}\n{user_id('alice')}\n1784208380\n{hashlib.sha256(content).hexdigest()}"
    assert key.verify(text.encode(), bytes.fromhex(its["x-fal-webhook-signature"])) == text.encode()


def test_users_are_told_apart() -> None:
    assert user_id("alice") == user_id("alice") != user_id("bob")


def test_the_keys_are_told_as_the_live_service_tells_them() -> None:
    first, second = SIGNER.jwks["keys"]
    assert list(first) == ["kty", "crv", "kid", "x", "use"]
    assert (first["kty"], first["crv"], first["use"]) == ("OKP", "Ed25519", "sig")
    assert re.fullmatch(r"[\w-]{43}", first["kid"]) and re.fullmatch(r"[\w-]{43}=", first["x"])
    assert first["x"] != second["x"]


def test_the_key_is_made_from_the_seed() -> None:
    assert Signer(1).jwks == Signer(1).jwks != Signer(2).jwks


def test_the_key_may_be_given(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signer = Signer(0, file)
    assert urlsafe_b64decode(signer.jwks["keys"][0]["x"]) == key.public_key().public_bytes_raw()
    assert signer.jwks["keys"][1] == SIGNER.jwks["keys"][1]
    verify(sent(b"{}", signer=signer), b"{}", signer.jwks, now=NOW)


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (None, "can't read .*key.pem: No such file"),
        (b"no key", "holds no private key in PEM"),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "holds another kind of key, expected Ed25519",
        ),
    ],
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: bytes | None, seen: str) -> None:
    file = tmp_path / "key.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"--signing-key: .*{seen}"):
        Signer(0, file)


# -- how a receiver can tell


@given(documents)
def test_whatever_a_webhook_says_is_verified(payload: JSON) -> None:
    content = body(ID, RunnerResponse(200, payload), MEDIA, {})
    verify(sent(content), content, SIGNER.jwks, now=NOW)
    assert json.loads(content)["payload"] == payload


@given(documents, st.data())
def test_a_body_with_one_bit_changed_is_not(payload: JSON, data: st.DataObject) -> None:
    content = body(ID, RunnerResponse(200, payload), MEDIA, {})
    at = data.draw(st.integers(0, len(content) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
    with pytest.raises(InvalidWebhook, match="fits none of the 2 keys"):
        verify(sent(content), changed, SIGNER.jwks, now=NOW)


@given(st.data())
def test_a_signature_with_one_digit_changed_is_not(data: st.DataObject) -> None:
    its = sent(b"{}")
    signature = its["x-fal-webhook-signature"]
    at = data.draw(st.integers(0, 127))
    digit = data.draw(st.sampled_from(sorted(set("0123456789abcdef") - {signature[at]})))
    its["x-fal-webhook-signature"] = signature[:at] + digit + signature[at + 1 :]
    with pytest.raises(InvalidWebhook, match="fits none"):
        verify(its, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize(
    ("name", "value"), [("request-id", "other"), ("user-id", "github|1"), ("timestamp", "1784208381")]
)
def test_a_changed_header_is_not_verified(name: str, value: str) -> None:
    with pytest.raises(InvalidWebhook, match="headers or body are not as they were signed"):
        verify(sent(b"{}") | {f"x-fal-webhook-{name}": value}, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize("name", ["request-id", "user-id", "timestamp", "signature"])
def test_a_missing_header_is_named(name: str) -> None:
    its = sent(b"{}")
    del its[f"x-fal-webhook-{name}"]
    with pytest.raises(InvalidWebhook, match=f"the header x-fal-webhook-{name} is missing"):
        verify(its, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("timestamp", "yesterday", "the timestamp is 'yesterday', expected Unix seconds"),
        ("timestamp", "-5", "the timestamp is '-5'"),
        ("signature", "nothex", "the signature is 'nothex', expected 128 hex digits"),
        ("signature", "abcd", "fits none"),
    ],
)
def test_an_unreadable_header_is_shown(name: str, value: str, seen: str) -> None:
    with pytest.raises(InvalidWebhook, match=seen):
        verify(sent(b"{}") | {f"x-fal-webhook-{name}": value}, b"{}", SIGNER.jwks, now=NOW)


@pytest.mark.parametrize("late", [-300, 0, 300])
def test_five_minutes_are_no_age(late: int) -> None:
    verify(sent(b"{}"), b"{}", SIGNER.jwks, now=NOW + late)


@pytest.mark.parametrize(("late", "seen"), [(301, "301 s old"), (-301, "301 s ahead")])
def test_more_than_five_minutes_are_too_many(late: int, seen: str) -> None:
    with pytest.raises(InvalidWebhook, match=f"the timestamp is {seen}, expected at most 300"):
        verify(sent(b"{}"), b"{}", SIGNER.jwks, now=NOW + late)


def test_the_age_is_held_against_the_real_time() -> None:
    verify(sent(b"{}", now=real_time()), b"{}", SIGNER.jwks)
    with pytest.raises(InvalidWebhook, match="s old"):
        verify(sent(b"{}"), b"{}", SIGNER.jwks)


def test_header_names_may_be_in_any_case() -> None:
    verify({name.title(): value for name, value in sent(b"{}").items()}, b"{}", SIGNER.jwks, now=NOW)


def test_any_key_of_the_set_may_fit_also_one_without_padding() -> None:
    first, second = SIGNER.jwks["keys"]
    odd: list[Any] = [{"kty": "RSA", "n": "AQAB"}, {"x": "AAAA"}, "no key", second]
    verify(sent(b"{}"), b"{}", {"keys": [*odd, first | {"x": first["x"].rstrip("=")}]}, now=NOW)


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": [{"kty": "RSA"}]}])
def test_a_set_without_keys_is_told(jwks: dict[str, Any]) -> None:
    with pytest.raises(InvalidWebhook, match="the JWKS holds no Ed25519 key"):
        verify(sent(b"{}"), b"{}", jwks, now=NOW)


def test_the_keys_of_another_server_do_not_fit() -> None:
    with pytest.raises(InvalidWebhook, match="fits none"):
        verify(sent(b"{}"), b"{}", Signer(1).jwks, now=NOW)
