from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest

from mock_fal.clock import EPOCH
from mock_fal.errors import InvalidAppToken, WrongAppToken
from tests.web.world import ANA, BOB, EVE, World

REST = "https://rest.fal.ai"
INITIATE = f"{REST}/storage/upload/initiate?storage_type=fal-cdn-v3"
TOKEN = f"{REST}/storage/auth/token?storage_type=fal-cdn-v3"
CAT = {"content_type": "image/png", "file_name": "cat.png"}


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def uploaded(world: World, **lifecycle: object) -> str:
    """The address of Ana's file."""
    headers = {**ANA, "x-fal-object-lifecycle": json.dumps(lifecycle)}
    promised = world("POST", INITIATE, headers, json=CAT).json()
    world("PUT", promised["upload_url"], content=b"cat")
    file_url: str = promised["file_url"]
    return file_url


def acl(
    world: World, method: str, url: str, headers: dict[str, str] = ANA, body: object = None
) -> httpx.Response:
    return world(method, f"{REST}/storage/files/acl", headers, params={"url": url}, json=body)


# -- who may ask


@pytest.mark.parametrize("path", ["upload/initiate", "upload/initiate-multipart", "auth/token"])
def test_a_key_is_asked_for(world: World, path: str) -> None:
    response = world("POST", f"{REST}/storage/{path}", json={})
    assert (response.status_code, response.json()) == (401, {"detail": "Authorization header is required"})


@pytest.mark.parametrize("value", ["Key ana", "Key :", "Basic ana:secret"])
def test_what_is_no_key_is_refused(world: World, value: str) -> None:
    response = world("POST", INITIATE, {"authorization": value}, json=CAT)
    assert (response.status_code, response.json()) == (401, {"detail": "invalid key credentials"})


def test_nothing_else_is_there(world: World) -> None:
    response = world("GET", f"{REST}/users/me", ANA)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_another_method_is_not_allowed(world: World) -> None:
    response = world("PUT", INITIATE, ANA)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_a_browser_may_ask(world: World) -> None:
    asked = {"origin": "http://app.test", "access-control-request-method": "POST"}
    assert world("OPTIONS", INITIATE, asked).headers["access-control-allow-origin"] == "http://app.test"


# -- where to upload


def test_initiate_names_an_address_to_upload_to_and_the_files_own(world: World) -> None:
    response = world("POST", INITIATE, ANA, json=CAT)
    seen = response.json()
    assert (response.status_code, list(seen)) == (200, ["upload_url", "file_url"])
    upload, _, query = seen["upload_url"].partition("?")
    assert (upload, query[:10]) == (seen["file_url"], "signature=")
    host, folder, name = seen["file_url"].rsplit("/", 2)
    assert (host, len(folder)) == ("https://v3b.fal.media/files/b", 8)
    assert (len(name.partition("_cat")[0]), name[21:]) == (21, "_cat.png")


@pytest.mark.parametrize("host", ["rest.fal.ai", "rest.alpha.fal.ai"])
@pytest.mark.parametrize("query", ["", "?storage_type=fal-cdn-v3"])
def test_initiate_answers_by_both_names_and_without_a_storage_type(
    world: World, host: str, query: str
) -> None:
    assert world("POST", f"https://{host}/storage/upload/initiate/{query}", ANA, json=CAT).status_code == 200


@pytest.mark.parametrize("kind", ["gcs", "fal-cdn", ""])
@pytest.mark.parametrize("path", ["upload/initiate", "upload/initiate-multipart", "auth/token"])
def test_there_is_one_storage_type(world: World, path: str, kind: str) -> None:
    response = world("POST", f"{REST}/storage/{path}?storage_type={kind}", ANA, json=CAT)
    assert (response.status_code, response.json()) == (400, {"detail": "Invalid storage type"})


def test_links_follow_the_way_of_the_question(world: World) -> None:
    by_path = world("POST", "http://localhost:8325/rest.fal.ai/storage/upload/initiate", ANA, json=CAT)
    target = {**ANA, "x-fal-target-url": INITIATE}
    by_proxy = world("POST", "http://localhost:8325/api/fal/proxy", target, json=CAT)
    base = "http://localhost:8325/v3b.fal.media/files/b/"
    assert by_path.json()["file_url"].startswith(base)
    assert by_proxy.json()["upload_url"].startswith(base)
    assert world("PUT", by_proxy.json()["upload_url"], content=b"cat").status_code == 200
    assert world("GET", by_proxy.json()["file_url"]).content == b"cat"


def test_files_never_share_an_address(world: World) -> None:
    seen = {world("POST", INITIATE, key, json=CAT).json()["file_url"] for key in (ANA, ANA, BOB, BOB)}
    assert len(seen) == 4


def test_an_address_that_is_taken_is_not_given_again(world: World) -> None:
    """An account that was forgotten begins its names anew."""
    first = uploaded(world)
    del world.emulator.store._tenants["ana"]
    assert uploaded(world) != first


@pytest.mark.parametrize(
    ("name", "end"),
    [("søster.png", "_s%C3%B8ster.png"), ("../../x.png", "_x.png"), ("a\r\nb", "_a__b"), ("", ".png")],
)
def test_names_are_made_harmless(world: World, name: str, end: str) -> None:
    seen = world("POST", INITIATE, ANA, json={"file_name": name, "content_type": "image/png"})
    assert seen.json()["file_url"].rpartition("/")[2][21:] == end


WRONG_BODIES = {
    b"{": "the body is no JSON",
    b"[" * 100_000: "the body is no JSON",
    b"[]": "the body is [], expected an object",
    b'{"file_name": 5}': "file_name is 5, expected a string",
    b'{"content_type": null}': "content_type is None, expected a string",
}


@pytest.mark.parametrize("body", WRONG_BODIES)
def test_a_body_that_does_not_fit_is_refused(world: World, body: bytes) -> None:
    response = world("POST", INITIATE, ANA, content=body)
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
def test_a_lifecycle_that_does_not_fit_is_refused(world: World, terms: str) -> None:
    response = world("POST", INITIATE, {**ANA, "x-fal-object-lifecycle": terms}, json=CAT)
    assert (response.status_code, response.json()) == (422, {"detail": WRONG_TERMS[terms]})


# -- tokens


def test_a_token_lasts_thirty_days(world: World) -> None:
    seen = world("POST", TOKEN, ANA, json={}).json()
    assert list(seen) == ["token", "token_type", "base_url", "expires_at"]
    assert (seen["token_type"], seen["base_url"]) == ("Bearer", "https://v3b.fal.media")
    assert seen["expires_at"] == "2026-01-31T00:00:00.000000+00:00"
    assert datetime.fromisoformat(seen["expires_at"]).timestamp() == EPOCH + 30 * 86400


@pytest.mark.parametrize(
    ("asked", "given"), [(60, 60), (0, 30 * 86400), (None, 30 * 86400), (1e9, 30 * 86400)]
)
def test_a_token_lasts_as_long_as_asked_for(world: World, asked: float | None, given: float) -> None:
    seen = world("POST", TOKEN, ANA, json={"expiration_seconds": asked}).json()
    assert datetime.fromisoformat(seen["expires_at"]).timestamp() == EPOCH + given


# -- who may read


def test_a_file_is_public_unless_told_otherwise(world: World) -> None:
    assert acl(world, "GET", uploaded(world)).json() == {"default": "allow", "rules": []}


def test_the_acl_of_the_upload_is_told_and_can_be_changed(world: World) -> None:
    url = uploaded(world, initial_acl={"default": "forbid", "rules": [{"user": "bob", "decision": "allow"}]})
    assert acl(world, "GET", url).json()["default"] == "forbid"
    assert world("GET", url).status_code == 403
    wanted = {"default": "hide", "rules": [{"user": "eve", "decision": "forbid"}]}
    changed = acl(world, "PUT", url, body=wanted)
    assert (changed.status_code, changed.json()) == (200, wanted)
    assert acl(world, "GET", f"{url}?identity=x").json() == wanted
    assert world("GET", url).status_code == 404


def test_an_acl_is_its_owners_affair(world: World) -> None:
    forbidden, hidden = (uploaded(world, initial_acl={"default": kind}) for kind in ("forbid", "hide"))
    assert [acl(world, "GET", url, BOB).status_code for url in (forbidden, hidden)] == [403, 404]
    assert acl(world, "PUT", forbidden, EVE, {"default": "allow"}).status_code == 403
    assert world("GET", forbidden).status_code == 403


def test_strangers_are_dropped_from_an_acl() -> None:
    world = World(key=("ana:secret", "bob:secret"))
    url = uploaded(world)
    rules = [{"user": user, "decision": "allow"} for user in ("bob", "eve")]
    assert acl(world, "PUT", url, body={"rules": rules}).json() == {"default": "allow", "rules": rules[:1]}
    world.close()


@pytest.mark.parametrize("url", ["https://v3b.fal.media/files/b/0/x.png", "x", ""])
def test_a_file_that_is_not_there_has_no_acl(world: World, url: str) -> None:
    assert acl(world, "GET", url).status_code == 404


def test_the_journal_knows_whose_upload_it_was(world: World) -> None:
    uploaded(world)
    assert [(each.method, each.tenant, each.uploaded_bytes) for each in world.journal] == [
        ("POST", "ana", 0),
        ("PUT", "ana", 3),
    ]
    assert world.journal[1].request_body == b""


# -- tokens that open apps

TOKENS = f"{REST}/tokens/"


@pytest.mark.parametrize("url", [TOKENS, f"{REST}/tokens", "https://rest.alpha.fal.ai/tokens/"])
def test_a_token_is_a_bare_string(world: World, url: str) -> None:
    response = world("POST", url, ANA, json={"allowed_apps": ["flux"], "token_expiration": 120})
    assert response.status_code == 200
    tokens, now = world.emulator.tokens, world.clock.now()
    assert tokens.account(response.json(), "flux", now) == "ana"
    assert world.journal[-1].tenant == "ana"


def test_a_token_lasts_as_long_as_was_asked_for(world: World) -> None:
    token = world("POST", TOKENS, ANA, json={"allowed_apps": ["flux"], "token_expiration": 5}).json()
    world.clock.advance(4.9)
    assert world.emulator.tokens.account(token, "flux", world.clock.now()) == "ana"
    world.clock.advance(0.1)
    with pytest.raises(InvalidAppToken):
        world.emulator.tokens.account(token, "flux", world.clock.now())


def test_a_token_for_a_whole_endpoint_id_is_given_and_good_for_nothing(world: World) -> None:
    token = world("POST", TOKENS, ANA, json={"allowed_apps": ["fal-ai/flux/realtime"]}).json()
    with pytest.raises(WrongAppToken):
        world.emulator.tokens.account(token, "flux", world.clock.now())


@pytest.mark.parametrize(
    "body",
    [
        {"allowed_apps": ["fal-ai/flux/realtime"], "duration": 120},
        {"app": "fal-ai/flux/realtime", "duration": 120},
        {"app": "fal-ai/flux", "token_expiration": 120},
        {"app": "flux"},
    ],
)
def test_a_realtime_token_is_in_an_object_and_names_endpoints(world: World, body: object) -> None:
    response = world("POST", f"{REST}/tokens/realtime", ANA, json=body)
    assert list(response.json()) == ["token"]
    assert world.emulator.tokens.account(response.json()["token"], "flux", world.clock.now() + 119) == "ana"


@pytest.mark.parametrize("url", [TOKENS, f"{REST}/tokens/realtime"])
def test_there_is_no_token_without_a_key(world: World, url: str) -> None:
    response = world("POST", url, json={"allowed_apps": ["flux"]})
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
def test_what_is_wrong_with_a_wish_for_a_token_is_told(world: World, body: object, detail: str) -> None:
    response = world("POST", TOKENS, ANA, json=body)
    assert (response.status_code, response.json()) == (422, {"detail": detail})


def test_a_token_is_asked_for_by_post(world: World) -> None:
    assert world("GET", TOKENS, ANA).status_code == 405
