"""api.fal.ai: the asset library."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.web.conftest import OURS, Fal, Serve
from tests.web.test_platform import API, error_of, get

CAT, DOG = {"prompt": "a grey cat on a roof"}, {"prompt": "a brown dog"}
FILE = "https://v3b.fal.media/files/b/0aa2787a/none.png"


def call(
    fal: Fal, method: str, path: str, body: Any = None, key: str = "alice:secret", **headers: str
) -> Any:
    sent = {
        "content-type": "application/json",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    content = b"" if body is None else json.dumps(body).encode()
    return fal.request(method, f"{API}/assets{path}", key=key, headers=sent, body=content)


def done(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def made(fal: Fal, fields: dict[str, Any] = CAT, key: str = "alice:secret") -> str:
    """The request id of a picture."""
    return fal.completed(**fields, key=key).id


def listed(fal: Fal, query: str = "", key: str = "alice:secret") -> list[Any]:
    found: list[Any] = done(call(fal, "GET", query, key=key))["assets"]
    return found


def uploaded(fal: Fal, key: str = "alice:secret") -> str:
    response = fal.request(
        "POST", "https://rest.fal.ai/storage/upload/initiate", key=key, body=b'{"content_type": "image/png"}'
    ).json()
    fal.request("PUT", response["upload_url"], key=None, body=b"png")
    return str(response["file_url"])


def test_a_result_is_an_asset_of_its_account(fal: Fal) -> None:
    request_id = made(fal, {**CAT, "num_images": 2})
    body = done(call(fal, "GET", ""))
    assert (body["total_count"], body["scope_truncated"], body["has_more"]) == (2, False, False)
    first = body["assets"][0]
    assert first["request_id"] == request_id
    assert first["url"].startswith("https://v3b.fal.media/files/b/")
    assert (first["type"], first["content_type"]) == ("image", "image/jpeg")
    assert (first["width"], first["height"]) == (1024, 768)
    assert (first["source"], first["endpoint"]) == ("response", "fal-ai/flux/schnell")
    assert first["prompt"] == first["title"] == CAT["prompt"]
    assert (first["is_favorited"], first["collection_ids"], first["tags"]) == (False, [], [])
    assert first["similarity"] is None
    assert done(call(fal, "GET", f"/{first['vector_id']}")) == {"asset": first}
    assert listed(fal, key="bob:secret") == []
    assert call(fal, "GET", f"/{first['vector_id']}", key="bob:secret").status_code == 404


def test_assets_are_listed_latest_first_in_pages(fal: Fal) -> None:
    ids = [made(fal) for _ in range(3)]
    page = done(call(fal, "GET", "?limit=2"))
    assert [asset["request_id"] for asset in page["assets"]] == [ids[2], ids[1]]
    rest = listed(fal, f"?limit=2&cursor={page['next_cursor']}")
    assert [asset["request_id"] for asset in rest] == [ids[0]]


def test_a_search_finds_what_is_alike(fal: Fal) -> None:
    cat, dog = made(fal), made(fal, DOG)
    assert [(found["request_id"], found["similarity"]) for found in listed(fal, "?q=grey+cat")] == [
        (cat, 1.0)
    ]
    [image] = [asset for asset in listed(fal) if asset["request_id"] == dog]
    assert listed(fal, f"?search_image_url={image['url']}")[0]["request_id"] == dog
    assert error_of(call(fal, "GET", f"?q=a&search_image_url={image['url']}"))[0] == 400


def test_an_upload_is_added_with_what_is_said_of_it(fal: Fal) -> None:
    url = uploaded(fal)
    assert listed(fal) == []
    tag = done(call(fal, "POST", "/tags", {"name": "moodboard"}), 201)["tag"]
    group = done(call(fal, "POST", "/collections", {"name": "Roofs"}), 201)["collection"]
    body = {
        "url": url,
        "type": "image",
        "prompt": "a roof",
        "favorite": True,
        "tag_ids": [tag["id"]],
        "collection_id": group["id"],
    }
    asset = done(call(fal, "POST", "/uploads", body), 201)["asset"]
    assert (asset["source"], asset["prompt"], asset["content_type"]) == ("upload", "a roof", "image/png")
    assert (asset["is_favorited"], asset["tags"], asset["collection_ids"]) == (True, [tag], [group["id"]])
    made(fal)
    for query in (
        "?section=uploads",
        "?section=favorites",
        "?source=upload",
        f"?tag_id={tag['id']}",
        f"?collection_id={group['id']}",
        "?q=a+roof&media_type=image&source=upload",
    ):
        assert [found["vector_id"] for found in listed(fal, query)] == [asset["vector_id"]], query
    assert len(listed(fal, "?section=generated")) == 1
    assert listed(fal, "?media_type=video,audio") == []


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"type": "image"}, 400, "url is None"),
        ({"url": "https://example.com/a.png", "type": "image"}, 400, "url is 'https://example.com/a.png'"),
        ({"url": FILE, "type": "image"}, 404, f"no file at '{FILE}'"),
        ({"url": f"{FILE}?{'a' * 2048}", "type": "image"}, 400, "url is 'https://v3b.fal.media"),
        ({"url": FILE, "type": "text"}, 400, "type is 'text'"),
        ({"url": FILE, "type": "image", "prompt": ""}, 400, "prompt is ''"),
        ({"url": FILE, "type": "image", "prompt": "a" * 2001}, 400, "prompt is 'aaa"),
        ({"url": FILE, "type": "image", "favorite": 1}, 400, "favorite is 1"),
        ({"url": FILE, "type": "image", "tag_ids": "a"}, 400, "tag_ids is 'a'"),
        ({"url": FILE, "type": "image", "tag_ids": ["a"]}, 404, "no tag 'a'"),
        ({"url": FILE, "type": "image", "collection_id": "a"}, 404, "no collection 'a'"),
    ],
)
def test_an_invalid_addition_is_rejected(fal: Fal, body: Any, status: int, named: str) -> None:
    error = error_of(call(fal, "POST", "/uploads", body))
    assert error[0] == status and named in error[2]


def test_a_file_of_another_account_is_added_only_if_it_is_public(fal: Fal) -> None:
    url = uploaded(fal, key="bob:secret")
    assert done(call(fal, "POST", "/uploads", {"url": url, "type": "image"}), 201)
    fal.request(
        "PUT",
        f"https://rest.fal.ai/storage/files/acl?url={url}",
        key="bob:secret",
        body=b'{"default": "forbid"}',
    )
    assert call(fal, "POST", "/uploads", {"url": url, "type": "image"}).status_code == 404
    assert listed(fal) == []


def test_a_favourite_is_named_by_its_own_id_or_that_of_its_request(fal: Fal) -> None:
    request_id = made(fal)
    [asset] = listed(fal)
    assert done(call(fal, "POST", "/favorite", {"request_id": request_id})) == {"is_favorited": True}
    assert listed(fal, "?section=favorites")[0]["vector_id"] == asset["vector_id"]
    assert done(call(fal, "POST", "/unfavorite", {"vector_id": asset["vector_id"]})) == {
        "is_favorited": False
    }
    assert listed(fal, "?section=favorites") == []


@pytest.mark.parametrize("body", [{}, {"vector_id": 5}, {"vector_id": ""}])
def test_a_reference_is_one_id(fal: Fal, body: Any) -> None:
    assert error_of(call(fal, "POST", "/favorite", body))[0] == 400


def test_collections_nest_and_move(fal: Fal) -> None:
    ids: list[str] = []
    for number in range(5):
        body = {"name": f"c{number}", "parent_collection_id": ids[-1] if ids else None}
        ids.append(done(call(fal, "POST", "/collections", body), 201)["collection"]["id"])
    too_deep = call(fal, "POST", "/collections", {"name": "c5", "parent_collection_id": ids[-1]})
    assert "at most 5 levels" in error_of(too_deep)[2]
    assert (
        "no collection inside"
        in error_of(call(fal, "POST", f"/collections/{ids[0]}/move", {"parent_collection_id": ids[3]}))[2]
    )
    moved = done(call(fal, "POST", f"/collections/{ids[4]}/move", {"parent_collection_id": None}))
    assert moved["collection"]["parent_collection_id"] is None
    assert error_of(call(fal, "POST", f"/collections/{ids[4]}/move", {}))[0] == 400
    done(call(fal, "DELETE", f"/collections/{ids[1]}"), 204)
    names = [group["name"] for group in done(call(fal, "GET", "/collections"))["collections"]]
    assert names == ["c4", "c0"]
    assert len(done(call(fal, "GET", "/collections?limit=1&offset=1"))["collections"]) == 1


def test_a_collection_holds_assets(fal: Fal) -> None:
    request_id = made(fal)
    made(fal, DOG)
    group = done(call(fal, "POST", "/collections", {"name": "Cats", "icon": "folder"}), 201)["collection"]
    url = f"/collections/{group['id']}"
    for _ in range(2):
        assert done(call(fal, "POST", f"{url}/assets", {"request_id": request_id}), 204) is None
    assert [asset["request_id"] for asset in listed(fal, f"{url}/assets")] == [request_id]
    assert listed(fal, f"{url}/assets?q=dog") == []
    assert done(call(fal, "GET", url))["collection"]["asset_count"] == 1
    done(call(fal, "DELETE", f"{url}/assets", {"request_id": request_id}), 204)
    assert listed(fal, f"{url}/assets") == []
    fal.advance(5)
    changed = done(call(fal, "PATCH", url, {"name": "Dogs", "description": None}))["collection"]
    assert (changed["name"], changed["icon"]) == ("Dogs", "folder")
    assert changed["updated_at"] > changed["created_at"]
    assert done(call(fal, "POST", f"{url}/favorite"))["collection"]["is_favorited"] is True
    assert done(call(fal, "POST", f"{url}/unfavorite"))["collection"]["is_favorited"] is False


def test_a_change_needs_a_body_and_a_search_an_address(fal: Fal) -> None:
    group = done(call(fal, "POST", "/collections", {"name": "Cats"}), 201)["collection"]
    assert error_of(call(fal, "PATCH", f"/collections/{group['id']}"))[0] == 400
    for query in ("?search_image_url=", "?search_video_url=cat.mp4"):
        assert error_of(call(fal, "GET", query))[0] == 400


def test_a_character_has_pictures_and_an_identifier(fal: Fal) -> None:
    request_id = made(fal)
    [asset] = listed(fal)
    body = {"name": "Grey Cat!", "description": "a cat", "reference_images": [request_id, asset["url"]]}
    character = done(call(fal, "POST", "/characters", body), 201)["character"]
    assert character["type"] == "character" and character["asset_count"] is None
    assert character["character_identifier"] == "grey-cat"
    assert character["reference_images"] == [asset["url"]] * 2
    assert character["cover_image_url"] == asset["url"]
    assert error_of(call(fal, "POST", "/characters", body))[0] == 409
    url = f"/characters/{character['id']}"
    assert done(call(fal, "GET", url)) == {"character": character}
    assert listed(fal, "?character_identifier=grey-cat") == []
    done(call(fal, "POST", f"/collections/{character['id']}/assets", {"request_id": request_id}), 204)
    assert len(listed(fal, "?character_identifier=grey-cat")) == 1
    assert listed(fal, "?character_identifier=nobody") == []
    assert (
        done(call(fal, "PATCH", url, {"description": "a grey cat"}))["character"]["description"]
        == "a grey cat"
    )
    for verb, is_favorite in (("favorite", True), ("unfavorite", False)):
        assert done(call(fal, "POST", f"{url}/{verb}"))["character"]["is_favorited"] is is_favorite
    assert done(call(fal, "GET", "/collections"))["collections"] == []
    assert len(done(call(fal, "GET", "/characters"))["characters"]) == 1
    assert call(fal, "GET", f"/collections/{character['id']}").status_code == 404
    done(call(fal, "DELETE", url), 204)
    assert call(fal, "GET", url).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("collections", {}, "name is None"),
        ("collections", {"name": ""}, "name is ''"),
        ("collections", {"name": "a" * 256}, "name is 'aaa"),
        ("collections", {"name": "a", "icon": 5}, "icon is 5"),
        ("collections", {"name": "a", "cover_image_url": "https://example.com/a"}, "cover_image_url is"),
        ("characters", {"name": "a", "reference_images": ["b"]}, "description is None"),
        ("characters", {"name": "a", "description": "b"}, "reference_images is None"),
        ("characters", {"name": "a", "description": "b", "reference_images": []}, "reference_images is []"),
        ("characters", {"name": "a", "description": "b", "reference_images": [5]}, "reference_images is 5"),
        ("characters", {"name": "a", "description": None, "reference_images": ["b"]}, "description is None"),
        ("tags", {}, "name is None"),
        ("tags", {"name": "a" * 51}, "name is 'aaa"),
    ],
)
def test_an_invalid_group_is_rejected(fal: Fal, path: str, body: Any, named: str) -> None:
    status, kind, message = error_of(call(fal, "POST", f"/{path}", body))
    assert (status, kind) == (400, "validation_error") and named in message
    assert done(call(fal, "GET", f"/{path}"))[path] == []


def test_an_identifier_is_checked(fal: Fal) -> None:
    made(fal)
    body = {"name": "a", "description": "b", "reference_images": [listed(fal)[0]["url"]]}
    assert error_of(call(fal, "POST", "/characters", {**body, "identifier": "No way"}))[0] == 400
    named = done(call(fal, "POST", "/characters", {**body, "identifier": "me"}), 201)
    assert named["character"]["character_identifier"] == "me"


def test_filters_hierarchies_and_lineages_are_not_emulated(fal: Fal) -> None:
    status, kind, message = error_of(call(fal, "POST", "/collections", {"name": "a", "filters": {"a": 1}}))
    assert (status, kind) == (501, "not_implemented") and "language is not documented" in message
    for path in ("/collections/a/hierarchy", "/a/lineage"):
        assert error_of(call(fal, "GET", path))[0] == 501


def test_tags_are_set_added_and_removed(fal: Fal) -> None:
    request_id = made(fal)
    [asset] = listed(fal)
    red, blue = (done(call(fal, "POST", "/tags", {"name": name}), 201)["tag"] for name in ("red", "blue"))
    assert done(call(fal, "GET", "/tags"))["tags"] == [red, blue]
    assert error_of(call(fal, "POST", "/tags", {"name": "red"}))[0] == 409
    body = {"request_id": request_id}
    assert done(call(fal, "POST", f"/tags/{red['id']}/assign", body))["tags"] == [red]
    assert done(call(fal, "PUT", "/tags", {**body, "tag_ids": [blue["id"], red["id"]]}))["tags"] == [
        blue,
        red,
    ]
    assert done(call(fal, "GET", f"/{asset['vector_id']}/tags"))["tags"] == [blue, red]
    both = f"?tag_id={red['id']}&tag_id={blue['id']}"
    assert len(listed(fal, f"{both}&tag_mode=all")) == 1
    assert done(call(fal, "DELETE", f"/tags/{red['id']}/assign", body))["tags"] == [blue]
    assert (len(listed(fal, both)), len(listed(fal, f"{both}&tag_mode=all"))) == (1, 0)
    assert done(call(fal, "PATCH", f"/tags/{blue['id']}", {"name": "navy"}))["tag"]["name"] == "navy"
    assert error_of(call(fal, "PATCH", f"/tags/{blue['id']}", {"name": "red"}))[0] == 409
    done(call(fal, "DELETE", f"/tags/{blue['id']}"), 204)
    assert listed(fal)[0]["tags"] == []
    assert done(call(fal, "GET", "/unknown/tags")) == {"tags": []}


def test_a_repeated_write_with_the_same_idempotency_key_is_made_once(fal: Fal) -> None:
    for _ in range(2):
        first = call(fal, "POST", "/collections", {"name": "a"}, idempotency_key="once")
        assert first.status_code == 201
    assert len(done(call(fal, "GET", "/collections"))["collections"]) == 1
    again = call(fal, "POST", "/collections", {"name": "a"}, key="bob:secret", idempotency_key="once")
    assert again.json() != first.json()
    fal.advance(601)
    call(fal, "POST", "/collections", {"name": "a"}, idempotency_key="once")
    assert len(done(call(fal, "GET", "/collections"))["collections"]) == 2
    call(fal, "POST", "/collections", {"name": "b"}, idempotency_key="once")
    assert len(done(call(fal, "GET", "/collections"))["collections"]) == 3


def test_a_refused_write_may_be_repeated_with_its_key(fal: Fal) -> None:
    assert call(fal, "POST", "/tags", {}, idempotency_key="once").status_code == 400
    assert call(fal, "POST", "/tags", {"name": "a"}, idempotency_key="once").status_code == 201


def test_a_reset_empties_the_library_of_the_account(fal: Fal) -> None:
    call(fal, "POST", "/tags", {"name": "a"})
    call(fal, "POST", "/tags", {"name": "b"}, key="bob:secret")
    fal.request("DELETE", f"{OURS}/_mock/requests?key=alice", key=None)
    assert done(call(fal, "GET", "/tags"))["tags"] == []
    assert len(done(call(fal, "GET", "/tags", key="bob:secret"))["tags"]) == 1


def test_libraries_are_bounded(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.accounts.library.MAX_ITEMS", 2)
    for name in "ab":
        done(call(fal, "POST", "/tags", {"name": name}), 201)
    assert "no room" in error_of(call(fal, "POST", "/tags", {"name": "c"}))[2]
    assert "no room" in error_of(call(fal, "POST", "/collections", {"name": "c"}, key="bob:secret"))[2]
    monkeypatch.setattr("mock_fal.accounts.library.MAX_MARKED", 1)
    for _ in range(2):
        call(fal, "POST", "/favorite", {"request_id": made(fal)})
    assert len(listed(fal, "?section=favorites")) == 1


def test_expired_and_deleted_files_are_no_assets(serve: Serve) -> None:
    fal = serve()
    expiry = {"x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 60}'}
    fal.completed(**CAT, headers=expiry)
    assert len(listed(fal)) == 1
    fal.advance(61)
    assert listed(fal) == []


# -- rented machines


def test_a_machine_is_ready_after_a_minute(fal: Fal) -> None:
    url = f"{API}/compute/instances"
    body = json.dumps(
        {"instance_type": "gpu_8x_h100_sxm5", "ssh_key": "ssh-ed25519 AAAA", "sector": "sector_1"}
    )
    once = {"idempotency-key": "once"}
    for _ in range(2):
        created = done(fal.request("POST", url, body=body.encode(), headers=once), 201)
    assert (created["status"], created["sector"], "ip" in created) == ("provisioning", "sector_1", False)
    assert created["id"].startswith("inst_") and created["creator_user_nickname"] == "alice"
    fal.advance(60)
    [listed] = get(fal, "compute/instances")["instances"]
    assert listed == {**created, "status": "ready", "ip": "203.0.113.42"}
    assert get(fal, f"compute/instances/{created['id']}") == listed
    assert get(fal, "compute/instances", key="bob:secret")["instances"] == []
    assert fal.request("DELETE", f"{url}/{created['id']}", key="bob:secret").status_code == 404
    assert fal.request("DELETE", f"{url}/{created['id']}").status_code == 204
    assert error_of(fal.request("GET", f"{url}/{created['id']}"))[0] == 404


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"ssh_key": "a"}, "instance_type is None"),
        ({"instance_type": "gpu_1x_h100_sxm5"}, "ssh_key is None"),
        ({"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "a", "sector": "sector_1"}, "sector is 'sector_1'"),
        ({"instance_type": "gpu_8x_h100_sxm5", "ssh_key": "a", "sector": "x"}, "sector is 'x'"),
    ],
)
def test_an_invalid_machine_is_rejected(fal: Fal, body: Any, named: str) -> None:
    response = fal.request("POST", f"{API}/compute/instances", body=json.dumps(body).encode())
    assert error_of(response)[0] == 400 and named in error_of(response)[2]


def test_the_number_of_machines_is_limited(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.accounts.instances.MAX_INSTANCES", 0)
    body = b'{"instance_type": "gpu_1x_h100_sxm5", "ssh_key": "a"}'
    assert error_of(fal.request("POST", f"{API}/compute/instances", body=body))[0] == 400


# -- the organization


def test_an_account_is_the_one_team_of_its_organization(fal: Fal) -> None:
    team = {"username": "alice", "display_name": "alice", "is_org_root": True}
    assert get(fal, "organization/teams") == {"teams": [team]}
    made(fal)
    assert len(get(fal, "organization/usage?team_username=alice&expand=summary")["summary"]) == 1
    assert get(fal, "organization/usage?team_username=bob&expand=summary")["summary"] == []
