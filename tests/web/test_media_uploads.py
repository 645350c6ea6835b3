"""v3b.fal.media: uploads, access lists, signed links and lifetimes of files."""

from __future__ import annotations

import json
from hashlib import md5
from typing import Any

import httpx
import pytest

from mock_fal.web.uploads import BATCH_BYTES, INLINE_WRITE_BYTES
from tests.web.conftest import ANA, BOB, EVE, Fal, Serve, chunks, send

REST = "https://rest.fal.ai/storage"
V3 = "https://v3.fal.media"
CAT = {"content_type": "image/png", "file_name": "cat.png"}
LARGE = bytes(range(256)) * ((2 * BATCH_BYTES + 4 * INLINE_WRITE_BYTES) // 256)


@pytest.fixture
def fal(serve: Serve) -> Fal:
    return serve(max_upload=4 << 20, max_disk=6 << 20, queue_duration=0.2, run_duration=0.8)


def token(fal: Fal, key: dict[str, str] = ANA, **options: object) -> dict[str, str]:
    """The header of a CDN token."""
    granted = send(fal, "POST", f"{REST}/auth/token", key, json=options).json()
    return {"authorization": f"{granted['token_type']} {granted['token']}"}


def uploaded(fal: Fal, data: bytes = b"0123456789", headers: dict[str, str] | None = None) -> str:
    """The URL of a file that Ana uploaded."""
    response = send(fal, "POST", f"{V3}/files/upload", {**token(fal), **(headers or {})}, content=data)
    assert response.status_code == 200
    access_url: str = response.json()["access_url"]
    return access_url


def restricted(fal: Fal, default: str) -> str:
    """The URL of a file of Ana that Bob may read too."""
    acl = {"default": default, "rules": [{"user": "bob", "decision": "allow"}]}
    return uploaded(fal, headers={"x-fal-object-lifecycle": json.dumps({"initial_acl": acl})})


# -- whole files


def test_a_file_is_uploaded_to_a_signed_url_without_a_key(fal: Fal) -> None:
    promised = send(fal, "POST", f"{REST}/upload/initiate", ANA, json=CAT).json()
    assert send(fal, "GET", promised["file_url"]).status_code == 404
    response = send(fal, "PUT", promised["upload_url"], {"content-type": "image/png"}, content=b"cat")
    assert (response.status_code, response.content) == (200, b"")
    file = send(fal, "GET", promised["file_url"])
    assert (file.content, file.headers["content-type"]) == (b"cat", "image/png")
    assert file.headers["etag"] == response.headers["etag"] == f'"{md5(b"cat").hexdigest()}"'


@pytest.mark.parametrize("signature", ["", "?signature=", "?signature=00", "?signature=%C3%A9"])
def test_an_upload_without_a_valid_signature_is_rejected(fal: Fal, signature: str) -> None:
    promised = send(fal, "POST", f"{REST}/upload/initiate", ANA, json=CAT).json()
    response = send(fal, "PUT", promised["file_url"] + signature, content=b"cat")
    assert (response.status_code, response.json()) == (401, {"detail": "Invalid token"})


def test_a_file_is_uploaded_with_a_token(fal: Fal) -> None:
    headers = {**token(fal), "content-type": "text/plain", "x-fal-file-name": "a.txt"}
    response = send(fal, "POST", f"{V3}/files/upload", headers, content=b"hello")
    url = response.json()["access_url"]
    assert (url[:30], url[-6:]) == ("https://v3b.fal.media/files/b/", "_a.txt")
    assert send(fal, "GET", url).text == "hello"


@pytest.mark.parametrize("raw", ["søster.txt".encode(), "søster.txt".encode("latin-1")])
def test_a_file_name_in_a_header_may_be_utf_8_or_latin_1(fal: Fal, raw: bytes) -> None:
    headers = {**ANA, "x-fal-file-name": raw.decode("latin-1")}
    call = fal.start_request("POST", f"{V3}/files/upload", key=None, headers=headers, body=b"x")
    url = call.response().json()["access_url"]
    assert url.endswith("_s%C3%B8ster.txt")
    assert send(fal, "GET", url).content == b"x"


@pytest.mark.parametrize("content_type", ["image/webp", "image/webp;q=1"])
def test_a_file_without_a_name_gets_the_extension_of_its_type(fal: Fal, content_type: str) -> None:
    assert uploaded(fal, headers={"content-type": content_type}).endswith(".webp")


@pytest.mark.parametrize("content_type", ["", "image", "image/png\r\nx-evil: 1", "x" * 200 + "/y", "é/é"])
def test_an_invalid_content_type_becomes_octet_stream(fal: Fal, content_type: str) -> None:
    promised = send(fal, "POST", f"{REST}/upload/initiate", ANA, json={"content_type": content_type}).json()
    send(fal, "PUT", promised["upload_url"], content=b"x")
    assert send(fal, "GET", promised["file_url"]).headers["content-type"] == "application/octet-stream"


def test_a_key_is_accepted_in_place_of_a_token(fal: Fal) -> None:
    assert send(fal, "POST", f"{V3}/files/upload", ANA, content=b"x").status_code == 200


REFUSED = {
    None: "Authorization header is required",
    "Bearer x": "Invalid token",
    "Key x": "invalid key credentials",
    "Basic eA==": "invalid key credentials",
}


@pytest.mark.parametrize("value", REFUSED)
def test_an_upload_without_a_valid_key_or_token_is_rejected(fal: Fal, value: str | None) -> None:
    headers = {} if value is None else {"authorization": value}
    response = send(fal, "POST", f"{V3}/files/upload", headers, content=b"x")
    assert (response.status_code, response.json()) == (401, {"detail": REFUSED[value]})
    assert response.headers["access-control-allow-origin"] == "*"


def test_a_token_that_is_over_takes_nothing(fal: Fal) -> None:
    headers = token(fal, expiration_seconds=60)
    fal.clock.advance(60)
    assert send(fal, "POST", f"{V3}/files/upload", headers, content=b"x").status_code == 401


def test_a_large_file_goes_to_disk_as_it_comes(fal: Fal) -> None:
    promised = send(fal, "POST", f"{REST}/upload/initiate", ANA, json=CAT).json()
    assert send(fal, "PUT", promised["upload_url"], content=chunks(LARGE, 100_000)).status_code == 200
    assert send(fal, "GET", promised["file_url"]).content == LARGE
    assert [exchange.uploaded_bytes for exchange in fal.journal] == [0, len(LARGE), 0]
    assert not any(exchange.request_body or exchange.response_body for exchange in fal.journal[1:])


def test_a_disconnect_during_an_upload_leaves_no_data(fal: Fal) -> None:
    url = f"{V3}/files/upload"
    messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        raise AssertionError("the client has disconnected")

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": httpx.URL(url).path,
        "query_string": b"",
        "headers": [(b"host", b"v3.fal.media"), (b"authorization", b"Key ana:secret")],
    }
    fal.wait_for(fal.app(scope, receive, send))
    assert fal.emulator.storage.file_store.used_bytes == 0


def test_max_upload_applies_with_and_without_a_content_length(fal: Fal) -> None:
    data = bytes((4 << 20) + 1)
    whole = send(fal, "POST", f"{V3}/files/upload", ANA, content=data)
    chunked = send(fal, "POST", f"{V3}/files/upload", ANA, content=chunks(data, 1 << 20))
    assert (whole.status_code, chunked.status_code) == (413, 413)
    assert "--max-upload" in whole.json()["detail"]
    assert fal.emulator.storage.file_store.used_bytes == 0


def test_max_disk_applies_to_all_uploads_together(fal: Fal) -> None:
    uploaded(fal, bytes(4 << 20))
    response = send(fal, "POST", f"{V3}/files/upload", ANA, content=bytes(3 << 20))
    assert (response.status_code, "--max-disk" in response.json()["detail"]) == (507, True)


# -- multipart uploads


def test_parts_are_uploaded_to_a_signed_url(fal: Fal) -> None:
    promised = send(fal, "POST", f"{REST}/upload/initiate-multipart", ANA, json=CAT).json()
    base, _, query = promised["upload_url"].partition("?")
    responses = [
        send(fal, "PUT", f"{base}/{n}?{query}", content=data) for n, data in ((2, b"b"), (1, b"a"), (2, b"B"))
    ]
    assert responses[0].json() == {"partNumber": 2, "etag": md5(b"b").hexdigest()}
    assert responses[0].headers["etag"] == f'"{md5(b"b").hexdigest()}"'
    assert send(fal, "PUT", promised["upload_url"], content=b"x").status_code == 400
    assert send(fal, "GET", promised["file_url"]).status_code == 404
    parts = [response.json() for response in responses[1:]]
    response = send(fal, "POST", f"{base}/complete?{query}", json={"parts": parts})
    assert (response.status_code, response.json()) == (200, {"access_url": promised["file_url"]})
    assert send(fal, "GET", promised["file_url"]).content == b"aB"
    assert send(fal, "PUT", f"{base}/1", content=b"x").status_code == 401


def multipart(fal: Fal) -> tuple[str, str]:
    """The base URL of the parts of a multipart upload of Ana, and the URL of the file."""
    headers = {**token(fal), "content-type": "video/mp4", "x-fal-file-name": "film.mp4"}
    begun = send(fal, "POST", f"{V3}/files/upload/multipart", headers).json()
    return f"{begun['access_url']}/multipart/{begun['uploadId']}", begun["access_url"]


def test_parts_are_uploaded_with_a_token(fal: Fal) -> None:
    base, url = multipart(fal)
    etags = {
        n: send(fal, "PUT", f"{base}/{n}", token(fal), content=b"%d" % n).headers["etag"] for n in (3, 1, 2)
    }
    parts = [{"partNumber": n, "etag": etag} for n, etag in etags.items()]
    assert send(fal, "POST", f"{base}/complete", token(fal), json={"parts": parts}).json() == {
        "access_url": url
    }
    file = send(fal, "GET", url)
    assert (file.content, file.headers["content-type"]) == (b"123", "video/mp4")


def test_only_the_owner_uploads_parts(fal: Fal) -> None:
    base, _ = multipart(fal)
    assert send(fal, "PUT", f"{base}/1", token(fal, EVE), content=b"x").status_code == 403
    assert send(fal, "PUT", f"{base[:-1]}/1", token(fal), content=b"x").status_code == 401
    assert send(fal, "PUT", f"{base}/x", token(fal), content=b"x").status_code == 405
    assert fal.emulator.storage.file_store.used_bytes == 0


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
def test_an_invalid_list_of_parts_is_rejected_and_can_be_corrected(fal: Fal, body: bytes) -> None:
    base, url = multipart(fal)
    etag = send(fal, "PUT", f"{base}/1", token(fal), content=b"whole").headers["etag"]
    refusal = send(fal, "POST", f"{base}/complete", token(fal), content=body)
    assert (refusal.status_code, refusal.json()["detail"]) == WRONG_LISTS[body]
    right = {"parts": [{"partNumber": 1, "etag": etag}]}
    assert send(fal, "POST", f"{base}/complete", token(fal), json=right).status_code == 200
    assert send(fal, "GET", url).content == b"whole"


# -- downloads


def test_head_returns_the_headers_of_get_without_the_body(fal: Fal) -> None:
    url = uploaded(fal)
    head, whole = send(fal, "HEAD", url), send(fal, "GET", url)
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


@pytest.mark.parametrize("header", RANGES)
def test_a_range_is_served(fal: Fal, header: str) -> None:
    response = send(fal, "GET", uploaded(fal), {"range": header})
    assert (response.status_code, response.content, response.headers.get("content-range")) == RANGES[header]
    assert response.headers["content-length"] == str(len(response.content))


@pytest.mark.parametrize(("same", "status"), [(True, 206), (False, 200)])
def test_if_range_with_another_etag_returns_the_whole_file(fal: Fal, same: bool, status: int) -> None:
    url = uploaded(fal)
    etag = send(fal, "HEAD", url).headers["etag"] if same else '"x"'
    assert send(fal, "GET", url, {"range": "bytes=2-5", "if-range": etag}).status_code == status


@pytest.mark.parametrize("form", ["*", "{}", "W/{}", '"x", {}'])
def test_if_none_match_with_the_etag_returns_304(fal: Fal, form: str) -> None:
    url = uploaded(fal)
    etag = send(fal, "HEAD", url).headers["etag"]
    response = send(fal, "GET", url, {"if-none-match": form.format(etag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)


def test_an_empty_file_is_served(fal: Fal) -> None:
    response = send(fal, "GET", uploaded(fal, b""))
    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "0")


def test_a_range_of_a_large_file_is_served(fal: Fal) -> None:
    response = send(fal, "GET", uploaded(fal, LARGE), {"range": "bytes=300000-999999"})
    assert response.content == LARGE[300_000:1_000_000]


def test_pages_of_any_origin_may_read_and_upload(fal: Fal) -> None:
    preflight_headers = {"origin": "http://app.test", "access-control-request-method": "PUT"}
    preflight = send(fal, "OPTIONS", f"{V3}/files/upload", preflight_headers)
    assert (preflight.status_code, preflight.headers["access-control-allow-methods"]) == (204, "*")
    assert send(fal, "GET", uploaded(fal), preflight_headers).headers["access-control-allow-origin"] == "*"


def test_other_methods_are_rejected(fal: Fal) -> None:
    response = send(fal, "DELETE", uploaded(fal))
    assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD")


# -- access lists and lifetimes


@pytest.mark.parametrize(("default", "status"), [("allow", 200), ("forbid", 403), ("hide", 404)])
def test_the_default_decision_applies_to_everyone_else(fal: Fal, default: str, status: int) -> None:
    url = restricted(fal, default)
    assert [
        send(fal, "GET", url, headers).status_code for headers in ({}, ANA, {"authorization": "Bearer x"})
    ] == [
        status,
        status,
        status,
    ]
    assert send(fal, "GET", url, token(fal, EVE)).status_code == status


@pytest.mark.parametrize("default", ["allow", "forbid", "hide"])
def test_the_owner_and_allowed_users_may_read(fal: Fal, default: str) -> None:
    url = restricted(fal, default)
    response = send(fal, "GET", url, token(fal))
    assert (response.status_code, response.headers["cache-control"]) == (200, "private, no-cache")
    assert send(fal, "GET", url, token(fal, BOB)).status_code == 200


@pytest.mark.parametrize("name", ["x-fal-object-lifecycle", "x-fal-object-lifecycle-preference"])
@pytest.mark.parametrize("way", ["upload/initiate", "files/upload"])
def test_a_file_expires_by_the_clock(fal: Fal, way: str, name: str) -> None:
    headers = {**ANA, name: '{"expiration_duration_seconds": 60}'}
    if way == "files/upload":
        url = send(fal, "POST", f"{V3}/{way}", headers, content=b"x").json()["access_url"]
    else:
        promised = send(fal, "POST", f"{REST}/{way}", headers, json=CAT).json()
        send(fal, "PUT", promised["upload_url"], content=b"x")
        url = promised["file_url"]
    fal.clock.advance(59.9)
    assert send(fal, "GET", url).status_code == 200
    fal.clock.advance(0.1)
    assert [send(fal, "GET", url, headers).status_code for headers in ({}, token(fal))] == [404, 404]


# -- signed links


def test_a_signed_link_opens_a_hidden_file_for_a_day(fal: Fal) -> None:
    url = restricted(fal, "hide")
    response = send(fal, "POST", f"{url}/sign", token(fal), json={})
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert response.text.startswith(f"{url}?identity=")
    assert send(fal, "GET", response.text).content == b"0123456789"
    fal.clock.advance(86400)
    assert send(fal, "GET", response.text).status_code == 404


def test_a_signed_link_has_the_requested_lifetime_and_opens_one_file(fal: Fal) -> None:
    url, other = restricted(fal, "forbid"), restricted(fal, "forbid")
    link = send(fal, "POST", f"{url}/sign", token(fal, BOB), json={"duration": 60, "scope": ["read"]}).text
    assert send(fal, "GET", link).status_code == 200
    assert send(fal, "GET", other + link[len(url) :]).status_code == 403
    fal.clock.advance(60)
    assert send(fal, "GET", link).status_code == 403


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"duration": 7 * 86400 + 1}, "duration is 604801, expected at most 604800 seconds"),
        ({"scope": ["write"]}, "scope is ['write'], expected ['read']"),
    ],
)
def test_invalid_options_of_a_signed_link_are_rejected(fal: Fal, body: object, reason: str) -> None:
    response = send(fal, "POST", f"{uploaded(fal)}/sign", token(fal), json=body)
    assert (response.status_code, response.json()) == (422, {"detail": reason})


@pytest.mark.parametrize(("default", "status"), [("forbid", 403), ("hide", 404)])
def test_only_readers_of_a_file_may_sign_a_link(fal: Fal, default: str, status: int) -> None:
    url = restricted(fal, default)
    assert send(fal, "POST", f"{url}/sign", token(fal, EVE), json={}).status_code == status
    assert send(fal, "POST", f"{url}/sign", json={}).status_code == 401


# -- result files


def result(fal: Fal, **lifecycle: object) -> str:
    """The URL of a result picture of Ana."""
    headers = {**ANA, "x-fal-object-lifecycle-preference": json.dumps(lifecycle)}
    body = {"prompt": "a cat", "image_size": {"width": 16, "height": 16}}
    submitted = send(fal, "POST", "https://queue.fal.run/fal-ai/flux/schnell", headers, json=body).json()
    fal.clock.advance(10)
    url: str = send(fal, "GET", submitted["response_url"], ANA).json()["images"][0]["url"]
    return url


def test_the_lifetime_of_a_result_starts_when_the_request_completes(fal: Fal) -> None:
    url = result(fal, expiration_duration_seconds=60)
    fal.clock.advance(50.9)
    assert send(fal, "GET", url).headers["cache-control"] == "private, no-cache"
    fal.clock.advance(0.1)
    assert send(fal, "GET", url).status_code == 404


@pytest.mark.parametrize(("default", "status"), [("forbid", 403), ("hide", 404)])
def test_a_result_may_be_restricted(fal: Fal, default: str, status: int) -> None:
    url = result(fal, initial_acl={"default": default, "rules": [{"user": "bob", "decision": "allow"}]})
    readers = (None, token(fal, EVE), token(fal, BOB), token(fal))
    assert [send(fal, "GET", url, headers).status_code for headers in readers] == [status, status, 200, 200]
    link = send(fal, "POST", f"{url}/sign", token(fal), json={}).text
    assert send(fal, "GET", link).headers["content-type"] == "image/jpeg"
    changed = send(fal, "PUT", f"{REST}/files/acl", ANA, params={"url": url}, json={"default": "allow"})
    assert (changed.json(), send(fal, "GET", url).status_code) == ({"default": "allow", "rules": []}, 200)


def test_a_direct_request_validates_the_lifecycle_header_too(fal: Fal) -> None:
    headers = {**ANA, "x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": "x"}'}
    response = send(fal, "POST", "https://fal.run/fal-ai/flux/schnell", headers, json={"prompt": "a cat"})
    assert (response.status_code, "expiration_duration_seconds" in response.json()["detail"]) == (422, True)


# -- close and reset


def test_the_application_works_after_close(fal: Fal) -> None:
    fal.app.close()
    fal.emulator.storage.file_store.close()
    fal.app.close()
    assert send(fal, "GET", uploaded(fal, LARGE)).content == LARGE
    assert send(fal, "GET", result(fal)).status_code == 200


def test_a_reset_deletes_the_files_of_the_account(fal: Fal) -> None:
    url = uploaded(fal)
    bobs = send(fal, "POST", f"{V3}/files/upload", BOB, content=b"x").json()["access_url"]
    fal.emulator.reset("ana")
    assert [send(fal, "GET", file).status_code for file in (url, bobs)] == [404, 200]
    fal.emulator.reset()
    assert send(fal, "GET", bobs).status_code == 404
