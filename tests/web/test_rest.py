"""rest.fal.ai: upload URLs, tokens and access lists."""

from __future__ import annotations

import json
from datetime import datetime

import httpx
import pytest

from mock_fal.clock import EPOCH
from mock_fal.errors import InvalidAppToken, WrongAppToken
from tests.web.conftest import ANA, BOB, EVE, Fal, Serve, send

REST = "https://rest.fal.ai"
ALPHA = "https://rest.alpha.fal.ai"
INITIATE = f"{REST}/storage/upload/initiate?storage_type=fal-cdn-v3"
TOKEN = f"{REST}/storage/auth/token?storage_type=fal-cdn-v3"
CAT = {"content_type": "image/png", "file_name": "cat.png"}


def uploaded(fal: Fal, **lifecycle: object) -> str:
    """The URL of a file that Ana uploaded."""
    headers = {**ANA, "x-fal-object-lifecycle": json.dumps(lifecycle)}
    promised = send(fal, "POST", INITIATE, headers, json=CAT).json()
    send(fal, "PUT", promised["upload_url"], content=b"cat")
    file_url: str = promised["file_url"]
    return file_url


def acl(
    fal: Fal, method: str, url: str, headers: dict[str, str] = ANA, body: object = None
) -> httpx.Response:
    return send(fal, method, f"{REST}/storage/files/acl", headers, params={"url": url}, json=body)


# -- authentication


@pytest.mark.parametrize("path", ["upload/initiate", "upload/initiate-multipart", "auth/token"])
def test_a_key_is_required(fal: Fal, path: str) -> None:
    response = send(fal, "POST", f"{REST}/storage/{path}", json={})
    assert (response.status_code, response.json()) == (401, {"detail": "Authorization header is required"})


@pytest.mark.parametrize("value", ["Key ana", "Key :", "Basic ana:secret"])
def test_an_invalid_key_is_rejected(fal: Fal, value: str) -> None:
    response = send(fal, "POST", INITIATE, {"authorization": value}, json=CAT)
    assert (response.status_code, response.json()) == (401, {"detail": "invalid key credentials"})


def test_other_paths_are_not_found(fal: Fal) -> None:
    response = send(fal, "GET", f"{REST}/users/me", ANA)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_other_methods_are_rejected(fal: Fal) -> None:
    response = send(fal, "PUT", INITIATE, ANA)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_browsers_of_any_origin_may_send_requests(fal: Fal) -> None:
    headers = {"origin": "http://app.test", "access-control-request-method": "POST"}
    assert send(fal, "OPTIONS", INITIATE, headers).headers["access-control-allow-origin"] == "http://app.test"


# -- upload URLs


def test_initiate_returns_an_upload_url_and_the_file_url(fal: Fal) -> None:
    response = send(fal, "POST", INITIATE, ANA, json=CAT)
    urls = response.json()
    assert (response.status_code, list(urls)) == (200, ["upload_url", "file_url"])
    upload, _, query = urls["upload_url"].partition("?")
    assert (upload, query[:10]) == (urls["file_url"], "signature=")
    host, folder, name = urls["file_url"].rsplit("/", 2)
    assert (host, len(folder)) == ("https://v3b.fal.media/files/b", 8)
    assert (len(name.partition("_cat")[0]), name[21:]) == (21, "_cat.png")


@pytest.mark.parametrize("host", ["rest.fal.ai", "rest.alpha.fal.ai"])
@pytest.mark.parametrize("query", ["", "?storage_type=fal-cdn-v3"])
def test_initiate_works_on_both_hosts_and_without_a_storage_type(fal: Fal, host: str, query: str) -> None:
    assert (
        send(fal, "POST", f"https://{host}/storage/upload/initiate/{query}", ANA, json=CAT).status_code == 200
    )


@pytest.mark.parametrize("kind", ["gcs", "fal-cdn", ""])
@pytest.mark.parametrize("path", ["upload/initiate", "upload/initiate-multipart", "auth/token"])
def test_other_storage_types_are_rejected(fal: Fal, path: str, kind: str) -> None:
    response = send(fal, "POST", f"{REST}/storage/{path}?storage_type={kind}", ANA, json=CAT)
    assert (response.status_code, response.json()) == (400, {"detail": "Invalid storage type"})


def test_links_use_the_same_address_form_as_the_request(fal: Fal) -> None:
    by_path = send(fal, "POST", "http://localhost:8325/rest.fal.ai/storage/upload/initiate", ANA, json=CAT)
    target = {**ANA, "x-fal-target-url": INITIATE}
    by_proxy = send(fal, "POST", "http://localhost:8325/api/fal/proxy", target, json=CAT)
    base = "http://localhost:8325/v3b.fal.media/files/b/"
    assert by_path.json()["file_url"].startswith(base)
    assert by_proxy.json()["upload_url"].startswith(base)
    assert send(fal, "PUT", by_proxy.json()["upload_url"], content=b"cat").status_code == 200
    assert send(fal, "GET", by_proxy.json()["file_url"]).content == b"cat"


def test_files_have_distinct_urls(fal: Fal) -> None:
    urls = {send(fal, "POST", INITIATE, key, json=CAT).json()["file_url"] for key in (ANA, ANA, BOB, BOB)}
    assert len(urls) == 4


def test_an_existing_url_is_not_reused(fal: Fal) -> None:
    """A removed account generates the same names again."""
    first = uploaded(fal)
    fal.emulator.store.clear("ana")
    assert uploaded(fal) != first


@pytest.mark.parametrize(
    ("name", "end"),
    [("søster.png", "_s%C3%B8ster.png"), ("../../x.png", "_x.png"), ("a\r\nb", "_a__b"), ("", ".png")],
)
def test_file_names_are_sanitized(fal: Fal, name: str, end: str) -> None:
    response = send(fal, "POST", INITIATE, ANA, json={"file_name": name, "content_type": "image/png"})
    assert response.json()["file_url"].rpartition("/")[2][21:] == end


WRONG_BODIES = {
    b"{": "the body is no JSON",
    b"[" * 100_000: "the body is no JSON",
    b"[]": "the body is [], expected an object",
    b'{"file_name": 5}': "file_name is 5, expected a string",
    b'{"content_type": null}': "content_type is None, expected a string",
}


@pytest.mark.parametrize("body", WRONG_BODIES)
def test_an_invalid_body_is_rejected(fal: Fal, body: bytes) -> None:
    response = send(fal, "POST", INITIATE, ANA, content=body)
    assert (response.status_code, response.json()) == (422, {"detail": WRONG_BODIES[body]})


WRONG_TERMS = {
    "{": "the object lifecycle is no JSON",
    "[]": "the object lifecycle is [], expected an object",
    '{"expiration_duration_seconds": "1h"}': "expiration_duration_seconds is '1h', expected seconds",
    '{"expiration_duration_seconds": -1}': "expiration_duration_seconds is -1, expected seconds",
    '{"initial_acl": 5}': "initial_acl is 5, expected an object",
    '{"initial_acl": {"default": "open"}}': "default is 'open', expected allow, forbid or hide",
    '{"initial_acl": {"rules": 5}}': "rules is 5, expected a list",
    '{"initial_acl": {"rules": [{"decision": "hide"}]}}': "user is None, expected a string",
}


@pytest.mark.parametrize("terms", WRONG_TERMS)
def test_an_invalid_lifecycle_is_rejected(fal: Fal, terms: str) -> None:
    response = send(fal, "POST", INITIATE, {**ANA, "x-fal-object-lifecycle": terms}, json=CAT)
    assert (response.status_code, response.json()) == (422, {"detail": WRONG_TERMS[terms]})


# -- CDN tokens


def test_a_cdn_token_lasts_thirty_days_by_default(fal: Fal) -> None:
    token = send(fal, "POST", TOKEN, ANA, json={}).json()
    assert list(token) == ["token", "token_type", "base_url", "expires_at"]
    assert (token["token_type"], token["base_url"]) == ("Bearer", "https://v3b.fal.media")
    assert token["expires_at"] == "2026-01-31T00:00:00.000000+00:00"
    assert datetime.fromisoformat(token["expires_at"]).timestamp() == EPOCH + 30 * 86400


@pytest.mark.parametrize(
    ("seconds", "lifetime_s"), [(60, 60), (0, 30 * 86400), (None, 30 * 86400), (1e9, 30 * 86400)]
)
def test_a_cdn_token_has_the_requested_lifetime(fal: Fal, seconds: float | None, lifetime_s: float) -> None:
    token = send(fal, "POST", TOKEN, ANA, json={"expiration_seconds": seconds}).json()
    assert datetime.fromisoformat(token["expires_at"]).timestamp() == EPOCH + lifetime_s


# -- access lists


def test_a_file_is_public_by_default(fal: Fal) -> None:
    assert acl(fal, "GET", uploaded(fal)).json() == {"default": "allow", "rules": []}


def test_the_acl_of_an_upload_can_be_read_and_changed(fal: Fal) -> None:
    url = uploaded(fal, initial_acl={"default": "forbid", "rules": [{"user": "bob", "decision": "allow"}]})
    assert acl(fal, "GET", url).json()["default"] == "forbid"
    assert send(fal, "GET", url).status_code == 403
    new_acl = {"default": "hide", "rules": [{"user": "eve", "decision": "forbid"}]}
    changed = acl(fal, "PUT", url, body=new_acl)
    assert (changed.status_code, changed.json()) == (200, new_acl)
    assert acl(fal, "GET", f"{url}?identity=x").json() == new_acl
    assert send(fal, "GET", url).status_code == 404


def test_only_the_owner_reads_and_changes_an_acl(fal: Fal) -> None:
    forbidden, hidden = (uploaded(fal, initial_acl={"default": kind}) for kind in ("forbid", "hide"))
    assert [acl(fal, "GET", url, BOB).status_code for url in (forbidden, hidden)] == [403, 404]
    assert acl(fal, "PUT", forbidden, EVE, {"default": "allow"}).status_code == 403
    assert send(fal, "GET", forbidden).status_code == 403


def test_unknown_users_are_removed_from_an_acl(serve: Serve) -> None:
    fal = serve(key=("ana:secret", "bob:secret"))
    url = uploaded(fal)
    rules = [{"user": user, "decision": "allow"} for user in ("bob", "eve")]
    assert acl(fal, "PUT", url, body={"rules": rules}).json() == {"default": "allow", "rules": rules[:1]}


@pytest.mark.parametrize("url", ["https://v3b.fal.media/files/b/0/x.png", "x", ""])
def test_the_acl_of_an_unknown_file_is_not_found(fal: Fal, url: str) -> None:
    assert acl(fal, "GET", url).status_code == 404


def test_the_journal_attributes_an_upload_to_its_account(fal: Fal) -> None:
    uploaded(fal)
    assert [(exchange.method, exchange.tenant, exchange.uploaded_bytes) for exchange in fal.journal] == [
        ("POST", "ana", 0),
        ("PUT", "ana", 3),
    ]
    assert fal.journal[1].request_body == b""


# -- app and realtime tokens

TOKENS = f"{REST}/tokens/"


@pytest.mark.parametrize("url", [TOKENS, f"{REST}/tokens", "https://rest.alpha.fal.ai/tokens/"])
def test_an_app_token_is_a_json_string(fal: Fal, url: str) -> None:
    response = send(fal, "POST", url, ANA, json={"allowed_apps": ["flux"], "token_expiration": 120})
    assert response.status_code == 200
    tokens, now = fal.emulator.tokens, fal.clock.now()
    assert tokens.account(response.json(), "flux", now) == "ana"
    assert fal.journal[-1].tenant == "ana"


def test_an_app_token_has_the_requested_lifetime(fal: Fal) -> None:
    token = send(fal, "POST", TOKENS, ANA, json={"allowed_apps": ["flux"], "token_expiration": 5}).json()
    fal.clock.advance(4.9)
    assert fal.emulator.tokens.account(token, "flux", fal.clock.now()) == "ana"
    fal.clock.advance(0.1)
    with pytest.raises(InvalidAppToken):
        fal.emulator.tokens.account(token, "flux", fal.clock.now())


def test_an_app_token_for_an_endpoint_id_is_issued_but_grants_no_access(fal: Fal) -> None:
    token = send(fal, "POST", TOKENS, ANA, json={"allowed_apps": ["fal-ai/flux/realtime"]}).json()
    with pytest.raises(WrongAppToken):
        fal.emulator.tokens.account(token, "flux", fal.clock.now())


@pytest.mark.parametrize(
    "body",
    [
        {"allowed_apps": ["fal-ai/flux/realtime"], "duration": 120},
        {"app": "fal-ai/flux/realtime", "duration": 120},
        {"app": "fal-ai/flux", "token_expiration": 120},
        {"app": "flux"},
    ],
)
def test_a_realtime_token_is_in_an_object_and_accepts_endpoint_ids(fal: Fal, body: object) -> None:
    response = send(fal, "POST", f"{REST}/tokens/realtime", ANA, json=body)
    assert list(response.json()) == ["token"]
    assert fal.emulator.tokens.account(response.json()["token"], "flux", fal.clock.now() + 119) == "ana"


@pytest.mark.parametrize("url", [TOKENS, f"{REST}/tokens/realtime"])
def test_a_token_requires_a_key(fal: Fal, url: str) -> None:
    response = send(fal, "POST", url, json={"allowed_apps": ["flux"]})
    assert (response.status_code, response.json()) == (401, {"detail": "Authorization header is required"})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "allowed_apps is None, expected a list of app names"),
        ({"allowed_apps": []}, "allowed_apps is [], expected a list of app names"),
        ({"allowed_apps": "flux"}, "allowed_apps is 'flux', expected a list of app names"),
        ({"allowed_apps": [1]}, "allowed_apps is [1], expected a list of app names"),
        ({"app": ""}, "allowed_apps is [''], expected a list of app names"),
        (
            {"allowed_apps": ["flux"], "token_expiration": 0},
            "token_expiration is 0, expected seconds, at most 2592000",
        ),
        ({"app": "flux", "duration": "1"}, "duration is '1', expected seconds, at most 2592000"),
        ({"app": "flux", "duration": True}, "duration is True, expected seconds, at most 2592000"),
    ],
)
def test_an_invalid_token_request_is_rejected_with_the_reason(fal: Fal, body: object, detail: str) -> None:
    response = send(fal, "POST", TOKENS, ANA, json=body)
    assert (response.status_code, response.json()) == (422, {"detail": detail})


def test_tokens_are_requested_by_post_only(fal: Fal) -> None:
    assert send(fal, "GET", TOKENS, ANA).status_code == 405


# -- the account


def test_the_balance_is_a_plain_number(fal: Fal) -> None:
    fal.completed(key="ana:secret")
    balance = send(fal, "GET", f"{ALPHA}/billing/user_balance", ANA)
    assert (balance.status_code, balance.text) == (200, "99.997")
    assert balance.headers["content-type"] == "text/plain; charset=utf-8"
    assert send(fal, "GET", f"{REST}/billing/user_balance", BOB).text == "100.0"


@pytest.mark.parametrize("path", ["billing/user_balance", "billing/user_details", "users/current"])
def test_accounts_are_read_with_a_key(fal: Fal, path: str) -> None:
    assert send(fal, "GET", f"{ALPHA}/{path}").status_code == 401
    assert send(fal, "GET", f"{ALPHA}/{path}", {"authorization": "Key ana"}).status_code == 401
    assert send(fal, "POST", f"{ALPHA}/{path}", ANA).status_code == 405


def test_the_current_user_is_the_account_of_the_key(fal: Fal) -> None:
    assert send(fal, "GET", f"{ALPHA}/users/current", ANA).json() == {
        "full_name": "ana",
        "nickname": "ana",
        "user_id": "ana",
        "is_personal": True,
        "is_locked": False,
        "lock_reason": None,
        "is_paying": True,
    }


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("account=locked", "Exhausted balance. Top up your balance at fal.ai/dashboard/billing"),
        ("account=locked reason=admin_lock", "Admin lock. Please contact hello@fal.ai."),
        ("account=locked key=bob", None),
        ("account=forbidden", None),
    ],
)
def test_a_lock_and_its_reason_can_be_read(fal: Fal, rule: str, text: str | None) -> None:
    fal.emulator.scenario.add(rule)
    for path in ("users/current", "billing/user_details"):
        seen = send(fal, "GET", f"{ALPHA}/{path}", ANA).json()
        assert (seen["is_locked"], seen["lock_reason"]) == (text is not None, text)
