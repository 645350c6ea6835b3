from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from hashlib import md5
from typing import Any

import httpx
import pytest

from mock_fal.web.uploads import AT_ONCE_BYTES, BATCH_BYTES
from tests.web.world import ANA, BOB, EVE, World, pieces

REST = "https://rest.fal.ai/storage"
V3 = "https://v3.fal.media"
CAT = {"content_type": "image/png", "file_name": "cat.png"}
LARGE = bytes(range(256)) * ((2 * BATCH_BYTES + 4 * AT_ONCE_BYTES) // 256)


@pytest.fixture
def world() -> Iterator[World]:
    world = World(max_upload=4 << 20, max_disk=6 << 20)
    yield world
    world.close()


def token(world: World, key: dict[str, str] = ANA, **options: object) -> dict[str, str]:
    """The header of a CDN token."""
    seen = world("POST", f"{REST}/auth/token", key, json=options).json()
    return {"authorization": f"{seen['token_type']} {seen['token']}"}


def uploaded(world: World, data: bytes = b"0123456789", headers: dict[str, str] | None = None) -> str:
    """The address of a file of Ana's."""
    response = world("POST", f"{V3}/files/upload", {**token(world), **(headers or {})}, content=data)
    assert response.status_code == 200
    access_url: str = response.json()["access_url"]
    return access_url


def restricted(world: World, default: str) -> str:
    """The address of a file of Ana's that Bob may read, too."""
    acl = {"default": default, "rules": [{"user": "bob", "decision": "allow"}]}
    return uploaded(world, headers={"x-fal-object-lifecycle": json.dumps({"initial_acl": acl})})


# -- whole


def test_a_file_comes_by_a_signed_address_without_a_key(world: World) -> None:
    promised = world("POST", f"{REST}/upload/initiate", ANA, json=CAT).json()
    assert world("GET", promised["file_url"]).status_code == 404
    response = world("PUT", promised["upload_url"], {"content-type": "image/png"}, content=b"cat")
    assert (response.status_code, response.content) == (200, b"")
    file = world("GET", promised["file_url"])
    assert (file.content, file.headers["content-type"]) == (b"cat", "image/png")
    assert file.headers["etag"] == response.headers["etag"] == f'"{md5(b"cat").hexdigest()}"'


@pytest.mark.parametrize("signature", ["", "?signature=", "?signature=00", "?signature=%C3%A9"])
def test_an_address_without_its_signature_takes_nothing(world: World, signature: str) -> None:
    promised = world("POST", f"{REST}/upload/initiate", ANA, json=CAT).json()
    response = world("PUT", promised["file_url"] + signature, content=b"cat")
    assert (response.status_code, response.json()) == (401, {"detail": "Invalid token"})


def test_a_file_comes_with_a_token(world: World) -> None:
    headers = {**token(world), "content-type": "text/plain", "x-fal-file-name": "a.txt"}
    response = world("POST", f"{V3}/files/upload", headers, content=b"hello")
    url = response.json()["access_url"]
    assert (url[:30], url[-6:]) == ("https://v3b.fal.media/files/b/", "_a.txt")
    assert world("GET", url).text == "hello"


@pytest.mark.parametrize("raw", ["søster.txt".encode(), "søster.txt".encode("latin-1")])
def test_a_name_in_a_header_may_be_unicode(world: World, raw: bytes) -> None:
    headers = [(b"authorization", ANA["authorization"].encode()), (b"x-fal-file-name", raw)]
    seen = asyncio.run(world._ask("POST", f"{V3}/files/upload", headers=headers, content=b"x"))
    assert seen.json()["access_url"].endswith("_s%C3%B8ster.txt")
    assert world("GET", seen.json()["access_url"]).content == b"x"


@pytest.mark.parametrize("content_type", ["image/webp", "image/webp;q=1"])
def test_a_file_without_a_name_has_the_end_of_its_type(world: World, content_type: str) -> None:
    assert uploaded(world, headers={"content-type": content_type}).endswith(".webp")


@pytest.mark.parametrize("content_type", ["", "image", "image/png\r\nx-evil: 1", "x" * 200 + "/y", "é/é"])
def test_a_type_that_is_none_is_not_answered_with(world: World, content_type: str) -> None:
    promised = world("POST", f"{REST}/upload/initiate", ANA, json={"content_type": content_type}).json()
    world("PUT", promised["upload_url"], content=b"x")
    assert world("GET", promised["file_url"]).headers["content-type"] == "application/octet-stream"


def test_a_key_is_as_good_as_a_token(world: World) -> None:
    assert world("POST", f"{V3}/files/upload", ANA, content=b"x").status_code == 200


REFUSED = {
    None: "Authorization header is required",
    "Bearer x": "Invalid token",
    "Key x": "invalid key credentials",
    "Basic eA==": "invalid key credentials",
}


@pytest.mark.parametrize("value", REFUSED)
def test_without_either_nothing_is_taken(world: World, value: str | None) -> None:
    headers = {} if value is None else {"authorization": value}
    response = world("POST", f"{V3}/files/upload", headers, content=b"x")
    assert (response.status_code, response.json()) == (401, {"detail": REFUSED[value]})
    assert response.headers["access-control-allow-origin"] == "*"


def test_a_token_that_is_over_takes_nothing(world: World) -> None:
    headers = token(world, expiration_seconds=60)
    world.clock.advance(60)
    assert world("POST", f"{V3}/files/upload", headers, content=b"x").status_code == 401


def test_a_large_file_goes_to_disk_as_it_comes(world: World) -> None:
    promised = world("POST", f"{REST}/upload/initiate", ANA, json=CAT).json()
    assert world("PUT", promised["upload_url"], content=pieces(LARGE, 100_000)).status_code == 200
    assert world("GET", promised["file_url"]).content == LARGE
    assert [each.uploaded_bytes for each in world.journal] == [0, len(LARGE), 0]
    assert not any(each.request_body or each.response_body for each in world.journal[1:])


def test_who_hangs_up_leaves_nothing(world: World) -> None:
    url = f"{V3}/files/upload"
    messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there to hear it")

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": httpx.URL(url).path,
        "query_string": b"",
        "headers": [(b"host", b"v3.fal.media"), (b"authorization", b"Key ana:secret")],
    }
    asyncio.run(world.app(scope, receive, send))
    assert world.emulator.storage.file_store.used == 0


def test_the_limit_of_an_upload_holds_with_and_without_a_length(world: World) -> None:
    data = bytes((4 << 20) + 1)
    whole = world("POST", f"{V3}/files/upload", ANA, content=data)
    chunked = world("POST", f"{V3}/files/upload", ANA, content=pieces(data, 1 << 20))
    assert (whole.status_code, chunked.status_code) == (413, 413)
    assert "--max-upload" in whole.json()["detail"]
    assert world.emulator.storage.file_store.used == 0


def test_the_limit_of_all_uploads_holds(world: World) -> None:
    uploaded(world, bytes(4 << 20))
    response = world("POST", f"{V3}/files/upload", ANA, content=bytes(3 << 20))
    assert (response.status_code, "--max-disk" in response.json()["detail"]) == (507, True)


# -- in parts


def test_parts_come_by_a_signed_address(world: World) -> None:
    promised = world("POST", f"{REST}/upload/initiate-multipart", ANA, json=CAT).json()
    base, _, query = promised["upload_url"].partition("?")
    seen = [
        world("PUT", f"{base}/{n}?{query}", content=data) for n, data in ((2, b"b"), (1, b"a"), (2, b"B"))
    ]
    assert seen[0].json() == {"partNumber": 2, "etag": md5(b"b").hexdigest()}
    assert seen[0].headers["etag"] == f'"{md5(b"b").hexdigest()}"'
    assert world("PUT", promised["upload_url"], content=b"x").status_code == 400
    assert world("GET", promised["file_url"]).status_code == 404
    parts = [response.json() for response in seen[1:]]
    response = world("POST", f"{base}/complete?{query}", json={"parts": parts})
    assert (response.status_code, response.json()) == (200, {"access_url": promised["file_url"]})
    assert world("GET", promised["file_url"]).content == b"aB"
    assert world("PUT", f"{base}/1", content=b"x").status_code == 401


def multipart(world: World) -> tuple[str, str]:
    """Where the parts of a file of Ana's go, and where it will be."""
    headers = {**token(world), "content-type": "video/mp4", "x-fal-file-name": "film.mp4"}
    begun = world("POST", f"{V3}/files/upload/multipart", headers).json()
    return f"{begun['access_url']}/multipart/{begun['uploadId']}", begun["access_url"]


def test_parts_come_with_a_token(world: World) -> None:
    base, url = multipart(world)
    etags = {
        n: world("PUT", f"{base}/{n}", token(world), content=b"%d" % n).headers["etag"] for n in (3, 1, 2)
    }
    parts = [{"partNumber": n, "etag": etag} for n, etag in etags.items()]
    assert world("POST", f"{base}/complete", token(world), json={"parts": parts}).json() == {
        "access_url": url
    }
    file = world("GET", url)
    assert (file.content, file.headers["content-type"]) == (b"123", "video/mp4")


def test_parts_are_their_owners_affair(world: World) -> None:
    base, _ = multipart(world)
    assert world("PUT", f"{base}/1", token(world, EVE), content=b"x").status_code == 403
    assert world("PUT", f"{base[:-1]}/1", token(world), content=b"x").status_code == 401
    assert world("PUT", f"{base}/x", token(world), content=b"x").status_code == 405
    assert world.emulator.storage.file_store.used == 0


WRONG_LISTS = {
    b"{": (422, "the body is no JSON"),
    b"{}": (400, "parts is missing, expected a list"),
    b'{"parts": []}': (400, "the list of parts is empty"),
    b'{"parts": [1]}': (422, "a part is 1, expected an object"),
    b'{"parts": [{"partNumber": "1", "etag": "x"}]}': (400, "partNumber is '1', expected a whole number"),
    b'{"parts": [{"partNumber": true, "etag": "x"}]}': (400, "partNumber is True, expected a whole number"),
    b'{"parts": [{"partNumber": 1}]}': (422, "etag is None, expected a string"),
    b'{"parts": [{"partNumber": 2, "etag": "x"}]}': (400, "part 2 was not uploaded"),
}


@pytest.mark.parametrize("body", WRONG_LISTS)
def test_a_wrong_list_is_refused_and_spoils_nothing(world: World, body: bytes) -> None:
    base, url = multipart(world)
    etag = world("PUT", f"{base}/1", token(world), content=b"whole").headers["etag"]
    refusal = world("POST", f"{base}/complete", token(world), content=body)
    assert (refusal.status_code, refusal.json()["detail"]) == WRONG_LISTS[body]
    right = {"parts": [{"partNumber": 1, "etag": etag}]}
    assert world("POST", f"{base}/complete", token(world), json=right).status_code == 200
    assert world("GET", url).content == b"whole"


# -- reading


def test_a_head_is_an_answer_without_its_body(world: World) -> None:
    url = uploaded(world)
    head, whole = world("HEAD", url), world("GET", url)
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "date"} == dict(whole.headers)
    assert (head.headers["content-length"], head.headers["accept-ranges"]) == ("10", "bytes")


RANGES = {
    "bytes=2-5": (206, b"2345", "bytes 2-5/10"),
    "bytes=7-": (206, b"789", "bytes 7-9/10"),
    "bytes=7-99": (206, b"789", "bytes 7-9/10"),
    "bytes=-3": (206, b"789", "bytes 7-9/10"),
    "bytes=-99": (206, b"0123456789", "bytes 0-9/10"),
    "bytes=10-": (416, b"", "bytes */10"),
    "bytes=-0": (416, b"", "bytes */10"),
    "bytes=0-1,3-4": (200, b"0123456789", None),
    "bytes=5-2": (200, b"0123456789", None),
    "bytes=" + "9" * 5000 + "-": (200, b"0123456789", None),
    "lines=1-2": (200, b"0123456789", None),
}


@pytest.mark.parametrize("asked", RANGES)
def test_a_range_is_served(world: World, asked: str) -> None:
    response = world("GET", uploaded(world), {"range": asked})
    assert (response.status_code, response.content, response.headers.get("content-range")) == RANGES[asked]
    assert response.headers["content-length"] == str(len(response.content))


@pytest.mark.parametrize(("same", "status"), [(True, 206), (False, 200)])
def test_a_range_of_another_file_is_not_served(world: World, same: bool, status: int) -> None:
    url = uploaded(world)
    seen = world("HEAD", url).headers["etag"] if same else '"x"'
    assert world("GET", url, {"range": "bytes=2-5", "if-range": seen}).status_code == status


@pytest.mark.parametrize("form", ["*", "{}", "W/{}", '"x", {}'])
def test_who_has_the_file_gets_no_second(world: World, form: str) -> None:
    url = uploaded(world)
    etag = world("HEAD", url).headers["etag"]
    response = world("GET", url, {"if-none-match": form.format(etag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)


def test_an_empty_file_is_served(world: World) -> None:
    response = world("GET", uploaded(world, b""))
    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "0")


def test_a_range_of_a_large_file_is_served(world: World) -> None:
    response = world("GET", uploaded(world, LARGE), {"range": "bytes=300000-999999"})
    assert response.content == LARGE[300_000:1_000_000]


def test_any_page_may_read_and_upload(world: World) -> None:
    asked = {"origin": "http://app.test", "access-control-request-method": "PUT"}
    preflight = world("OPTIONS", f"{V3}/files/upload", asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-methods"]) == (204, "*")
    assert world("GET", uploaded(world), asked).headers["access-control-allow-origin"] == "*"


def test_another_method_is_not_allowed(world: World) -> None:
    response = world("DELETE", uploaded(world))
    assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "image/svg+xml"])
def test_what_could_hold_a_script_gets_a_sandbox(world: World, content_type: str) -> None:
    response = world("GET", uploaded(world, headers={"content-type": content_type}))
    assert response.headers["content-security-policy"] == "sandbox"


# -- who may read, and for how long


@pytest.mark.parametrize(("default", "status"), [("allow", 200), ("forbid", 403), ("hide", 404)])
def test_anybody_gets_the_default(world: World, default: str, status: int) -> None:
    url = restricted(world, default)
    assert [
        world("GET", url, headers).status_code for headers in ({}, ANA, {"authorization": "Bearer x"})
    ] == [
        status,
        status,
        status,
    ]
    assert world("GET", url, token(world, EVE)).status_code == status


@pytest.mark.parametrize("default", ["allow", "forbid", "hide"])
def test_the_owner_and_who_is_allowed_read(world: World, default: str) -> None:
    url = restricted(world, default)
    seen = world("GET", url, token(world))
    assert (seen.status_code, seen.headers["cache-control"]) == (200, "private, no-cache")
    assert world("GET", url, token(world, BOB)).status_code == 200


@pytest.mark.parametrize("name", ["x-fal-object-lifecycle", "x-fal-object-lifecycle-preference"])
@pytest.mark.parametrize("way", ["upload/initiate", "files/upload"])
def test_a_file_expires_by_the_clock(world: World, way: str, name: str) -> None:
    headers = {**ANA, name: '{"expiration_duration_seconds": 60}'}
    if way == "files/upload":
        url = world("POST", f"{V3}/{way}", headers, content=b"x").json()["access_url"]
    else:
        promised = world("POST", f"{REST}/{way}", headers, json=CAT).json()
        world("PUT", promised["upload_url"], content=b"x")
        url = promised["file_url"]
    world.clock.advance(59.9)
    assert world("GET", url).status_code == 200
    world.clock.advance(0.1)
    assert [world("GET", url, headers).status_code for headers in ({}, token(world))] == [404, 404]


# -- signed links


def test_a_signed_link_opens_a_hidden_file_for_a_day(world: World) -> None:
    url = restricted(world, "hide")
    response = world("POST", f"{url}/sign", token(world), json={})
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert response.text.startswith(f"{url}?identity=")
    assert world("GET", response.text).content == b"0123456789"
    world.clock.advance(86400)
    assert world("GET", response.text).status_code == 404


def test_a_signed_link_lasts_as_long_as_asked_for_and_opens_one_file(world: World) -> None:
    url, other = restricted(world, "forbid"), restricted(world, "forbid")
    link = world("POST", f"{url}/sign", token(world, BOB), json={"duration": 60, "scope": ["read"]}).text
    assert world("GET", link).status_code == 200
    assert world("GET", other + link[len(url) :]).status_code == 403
    world.clock.advance(60)
    assert world("GET", link).status_code == 403


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"duration": 7 * 86400 + 1}, "duration is 604801, expected at most 604800 seconds"),
        ({"scope": ["write"]}, "scope is ['write'], expected ['read']"),
    ],
)
def test_a_signed_link_has_bounds(world: World, body: object, reason: str) -> None:
    response = world("POST", f"{uploaded(world)}/sign", token(world), json=body)
    assert (response.status_code, response.json()) == (422, {"detail": reason})


@pytest.mark.parametrize(("default", "status"), [("forbid", 403), ("hide", 404)])
def test_who_may_not_read_may_not_sign(world: World, default: str, status: int) -> None:
    url = restricted(world, default)
    assert world("POST", f"{url}/sign", token(world, EVE), json={}).status_code == status
    assert world("POST", f"{url}/sign", json={}).status_code == 401


# -- what comes out of requests


def result(world: World, **lifecycle: object) -> str:
    """The address of a picture of Ana's."""
    headers = {**ANA, "x-fal-object-lifecycle-preference": json.dumps(lifecycle)}
    asked = {"prompt": "a cat", "image_size": {"width": 16, "height": 16}}
    submitted = world("POST", "https://queue.fal.run/fal-ai/flux/schnell", headers, json=asked).json()
    world.clock.advance(10)
    url: str = world("GET", submitted["response_url"], ANA).json()["images"][0]["url"]
    return url


def test_a_result_expires_by_the_clock_from_when_it_was_there(world: World) -> None:
    url = result(world, expiration_duration_seconds=60)
    world.clock.advance(50.9)
    assert world("GET", url).headers["cache-control"] == "private, no-cache"
    world.clock.advance(0.1)
    assert world("GET", url).status_code == 404


@pytest.mark.parametrize(("default", "status"), [("forbid", 403), ("hide", 404)])
def test_a_result_may_be_restricted(world: World, default: str, status: int) -> None:
    url = result(world, initial_acl={"default": default, "rules": [{"user": "bob", "decision": "allow"}]})
    readers = (None, token(world, EVE), token(world, BOB), token(world))
    assert [world("GET", url, its).status_code for its in readers] == [status, status, 200, 200]
    link = world("POST", f"{url}/sign", token(world), json={}).text
    assert world("GET", link).headers["content-type"] == "image/jpeg"
    opened = world("PUT", f"{REST}/files/acl", ANA, params={"url": url}, json={"default": "allow"})
    assert (opened.json(), world("GET", url).status_code) == ({"default": "allow", "rules": []}, 200)


def test_a_direct_request_heeds_the_lifecycle_too(world: World) -> None:
    headers = {**ANA, "x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": "x"}'}
    response = world("POST", "https://fal.run/fal-ai/flux/schnell", headers, json={"prompt": "a cat"})
    assert (response.status_code, "expiration_duration_seconds" in response.json()["detail"]) == (422, True)


# -- the end


def test_who_was_closed_can_be_asked_again(world: World) -> None:
    world.close()
    world.app.close()
    assert world("GET", uploaded(world, LARGE)).content == LARGE
    assert world("GET", result(world)).status_code == 200


def test_a_reset_takes_an_accounts_files_with_it(world: World) -> None:
    url = uploaded(world)
    bobs = world("POST", f"{V3}/files/upload", BOB, content=b"x").json()["access_url"]
    world.emulator.reset("ana")
    assert [world("GET", file).status_code for file in (url, bobs)] == [404, 200]
    world.emulator.reset()
    assert world("GET", bobs).status_code == 404
