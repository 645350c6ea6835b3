"""Platform API: collections, characters and tags of the asset library."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from mock_fal.accounts.library import MAX_DEPTH, Collection, Library, Tag
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.assets import (
    assets,
    check_room,
    found_collection,
    keep,
    known_tags,
    library_of,
    named,
    path_of,
    referred,
    tag_item,
)
from mock_fal.web.platform.wire import Invalid, PlatformError, Query, document, timestamp

Kind = Literal["manual", "character"]

# fal: the limits of names, descriptions, identifiers and reference images (Platform API specification, 2026).
_MAX_NAME: Final = 255
_MAX_DESCRIPTION: Final = 2000
_MAX_TAG: Final = 50
_MAX_IMAGES: Final = 20
_IDENTIFIER: Final = re.compile(r"[a-z0-9_-]{1,64}")


# -- collections


def collections(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /assets/collections`: the collections of the account, latest first."""
    return _listed(emulator, http_request, "manual")


def characters(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /assets/characters`: the characters of the account, latest first."""
    return _listed(emulator, http_request, "character")


def _listed(emulator: Emulator, http_request: HttpRequest, kind: Kind) -> JSON:
    query = Query(http_request)
    limit = query.limit(default=50, most=100, strict=True)
    text = query.text("offset") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Invalid("offset", text, "a whole number of 0 or more")
    library = library_of(emulator, http_request)
    found = [group for group in reversed(library.collections.values()) if group.type == kind]
    start = int(text)
    name = "collections" if kind == "manual" else "characters"
    return {name: [_item(group) for group in found[start : start + limit]]}


def create_collection(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`POST /assets/collections`: a collection, which may be inside another one."""
    body, library = document(http_request), library_of(emulator, http_request)
    parent = body.get("parent_collection_id")
    group = _new(emulator, library, "manual", body)
    _change(emulator, http_request, group, body)
    _move(library, group, parent)
    return _created(emulator, http_request, library, group)


def create_character(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`POST /assets/characters`: a character, with one or more pictures of it."""
    body, library = document(http_request), library_of(emulator, http_request)
    for name in ("description", "reference_images"):
        if name not in body:
            raise Invalid(name, None, "a text" if name == "description" else f"1 to {_MAX_IMAGES} pictures")
    group = _new(emulator, library, "character", body)
    _change(emulator, http_request, group, body)
    identifier = body.get("identifier")
    if identifier is None:
        # assumption: the identifier of a character without one follows from its name.
        identifier = re.sub(r"[^a-z0-9_-]+", "-", group.name.lower()).strip("-")[:64] or "character"
    elif not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
        raise Invalid("identifier", identifier, "1 to 64 lower-case letters, digits, - and _")
    if any(other.identifier == identifier for other in library.collections.values()):
        # assumption: an identifier is unique; the specification has the status.
        raise PlatformError(
            409, "validation_error", f"Invalid request parameters: identifier {identifier} is in use"
        )
    group.identifier = identifier
    return _created(emulator, http_request, library, group)


def _new(emulator: Emulator, library: Library, kind: Kind, body: dict[str, Any]) -> Collection:
    if "name" not in body:
        raise Invalid("name", None, f"a text of 1 to {_MAX_NAME} characters")
    check_room(emulator)
    now = emulator.clock.now()
    # fal: 20 letters and digits (Platform API specification, 2026).
    id = emulator.new_request_id("").replace("-", "")[-20:]
    return Collection(id, kind, "", now, now)


def _created(
    emulator: Emulator, http_request: HttpRequest, library: Library, group: Collection
) -> wire.Reply:
    library.collections[group.id] = group
    keep(emulator, http_request, library)
    # assumption: the status of the response, as of those to other creations.
    return wire.reply(201, _single(group))


def collection(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`GET /assets/collections/{collection_id}`: a collection."""
    return _single(found_collection(library_of(emulator, http_request), id, "manual"))


def character(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`GET /assets/characters/{character_id}`: a character."""
    return _single(found_collection(library_of(emulator, http_request), id, "character"))


def update_collection(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`PATCH /assets/collections/{collection_id}`: change what the body has."""
    return _updated(emulator, http_request, id, "manual")


def update_character(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`PATCH /assets/characters/{character_id}`: change what the body has."""
    return _updated(emulator, http_request, id, "character")


def _updated(emulator: Emulator, http_request: HttpRequest, id: str, kind: Kind) -> JSON:
    group = found_collection(library_of(emulator, http_request), id, kind)
    if not http_request.body:
        raise Invalid("the body", "", "JSON")
    _change(emulator, http_request, group, document(http_request))
    group.updated_at = emulator.clock.now()
    return _single(group)


def delete_collection(emulator: Emulator, http_request: HttpRequest, id: str) -> None:
    """`DELETE /assets/collections/{collection_id}`: its assets stay."""
    library = library_of(emulator, http_request)
    library.delete_collection(found_collection(library, id, "manual").id)


def delete_character(emulator: Emulator, http_request: HttpRequest, id: str) -> None:
    """`DELETE /assets/characters/{character_id}`: its assets stay."""
    library = library_of(emulator, http_request)
    library.delete_collection(found_collection(library, id, "character").id)


def favorite_collection(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`POST /assets/collections/{collection_id}/favorite`."""
    return _favored(emulator, http_request, id, "manual", is_favorite=True)


def unfavorite_collection(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`POST /assets/collections/{collection_id}/unfavorite`."""
    return _favored(emulator, http_request, id, "manual", is_favorite=False)


def favorite_character(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`POST /assets/characters/{character_id}/favorite`."""
    return _favored(emulator, http_request, id, "character", is_favorite=True)


def unfavorite_character(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`POST /assets/characters/{character_id}/unfavorite`."""
    return _favored(emulator, http_request, id, "character", is_favorite=False)


def _favored(
    emulator: Emulator, http_request: HttpRequest, id: str, kind: Kind, *, is_favorite: bool
) -> JSON:
    group = found_collection(library_of(emulator, http_request), id, kind)
    group.is_favorited = is_favorite
    return _single(group)


def move(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`POST /assets/collections/{collection_id}/move`: put a collection into another one, or to the top level."""
    library, body = library_of(emulator, http_request), document(http_request)
    group = found_collection(library, id, "manual")
    if "parent_collection_id" not in body:
        raise Invalid("parent_collection_id", None, "the id of a collection, or null in so many words")
    _move(library, group, body["parent_collection_id"])
    return _single(group)


def _move(library: Library, group: Collection, parent: Any) -> None:
    """Put a collection into another one; None is the top level. Raises Invalid or NotFound."""
    if parent is not None:
        above = list(library.above(found_collection(library, parent, "manual").id))
        if group in above:
            raise Invalid("parent_collection_id", parent, "no collection inside this one")
        height = library.height(group.id) if group.id in library.collections else 1
        if len(above) + height > MAX_DEPTH:
            raise Invalid("parent_collection_id", parent, f"at most {MAX_DEPTH} levels of collections")
    group.parent_id = parent


async def collection_assets(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`GET /assets/collections/{collection_id}/assets`: the assets in a collection or of a character."""
    return await assets(emulator, http_request, id)


def put(emulator: Emulator, http_request: HttpRequest, id: str) -> None:
    """`POST /assets/collections/{collection_id}/assets`: add an asset."""
    library = library_of(emulator, http_request)
    group = found_collection(library, id)
    library.put(group, referred(emulator, http_request, library).id)


def take_out(emulator: Emulator, http_request: HttpRequest, id: str) -> None:
    """`DELETE /assets/collections/{collection_id}/assets`: remove an asset."""
    library = library_of(emulator, http_request)
    group = found_collection(library, id)
    group.assets.pop(referred(emulator, http_request, library).id, None)


def _change(emulator: Emulator, http_request: HttpRequest, group: Collection, body: dict[str, Any]) -> None:
    """Set what a body has of a collection. Raises Invalid, and then changes nothing."""
    if body.get("filters") is not None:
        raise PlatformError(
            501,
            "not_implemented",
            "mock-fal does not emulate collections with filters: their language is not documented",
        )
    values: dict[str, Any] = {}
    if "name" in body:
        values["name"] = _text(body, "name", _MAX_NAME)
    is_character = group.type == "character"
    for name, most in (("description", _MAX_DESCRIPTION), ("icon", _MAX_NAME), ("color", _MAX_NAME)):
        if name in body and (name == "description" or not is_character):
            is_null = body[name] is None and not is_character
            values[name] = None if is_null else _text(body, name, most, least=1 if is_character else 0)
    if "cover_image_url" in body:
        url = body["cover_image_url"]
        if url is not None:
            path_of(emulator, http_request, "cover_image_url", url)
        values["cover_image_url"] = url
    if is_character and "reference_images" in body:
        images = body["reference_images"]
        if not isinstance(images, list) or not 0 < len(images) <= _MAX_IMAGES:
            raise Invalid("reference_images", images, f"1 to {_MAX_IMAGES} pictures")
        values["reference_images"] = tuple(_picture(emulator, http_request, image) for image in images)
        if group.cover_image_url is None:
            # assumption: the cover of a character without one is its first picture.
            values.setdefault("cover_image_url", values["reference_images"][0])
    for name, value in values.items():
        setattr(group, name, value)


def _picture(emulator: Emulator, http_request: HttpRequest, image: Any) -> str:
    """The URL of a picture that is named by its URL, or by the id of an asset or a request."""
    if not isinstance(image, str) or not image:
        raise Invalid("reference_images", image, "URLs, or ids of assets or requests")
    if "/" in image:
        path_of(emulator, http_request, "reference_images", image)
        return image
    found = named(emulator, http_request, library_of(emulator, http_request), image)
    return f"{http_request.links.media}{found.path}"


def _text(body: dict[str, Any], name: str, most: int, least: int = 1) -> str:
    value = body[name]
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise Invalid(name, value, f"a text of {least} to {most} characters")
    return value


def _single(group: Collection) -> dict[str, JSON]:
    return {"collection" if group.type == "manual" else "character": _item(group)}


def _item(group: Collection) -> dict[str, JSON]:
    is_character = group.type == "character"
    return {
        "id": group.id,
        "type": group.type,
        "name": group.name,
        "description": group.description,
        "icon": group.icon,
        "color": group.color,
        "cover_image_url": group.cover_image_url,
        "character_identifier": group.identifier,
        "parent_collection_id": group.parent_id,
        "is_favorited": group.is_favorited,
        "created_at": timestamp(group.created_at),
        "updated_at": timestamp(group.updated_at),
        # fal: null for characters (Platform API specification, 2026).
        "asset_count": None if is_character else len(group.assets),
        **({"reference_images": list(group.reference_images)} if is_character else {}),
    }


# -- tags


def tags(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /assets/tags`: the tags of the account."""
    return {"tags": [tag_item(tag) for tag in library_of(emulator, http_request).tags.values()]}


def create_tag(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`POST /assets/tags`: a tag."""
    library = library_of(emulator, http_request)
    name = _tag_name(http_request)
    _check_unused(library, name)
    check_room(emulator)
    tag = Tag(emulator.new_request_id(""), name, emulator.clock.now())
    library.tags[tag.id] = tag
    keep(emulator, http_request, library)
    # assumption: the status of the response, as of those to other creations.
    return wire.reply(201, {"tag": tag_item(tag)})


def update_tag(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`PATCH /assets/tags/{tag_id}`: rename a tag."""
    library = library_of(emulator, http_request)
    [known] = known_tags(library, [id])
    name = _tag_name(http_request)
    if name != library.tags[known].name:
        _check_unused(library, name)
    library.tags[known].name = name
    return {"tag": tag_item(library.tags[known])}


def delete_tag(emulator: Emulator, http_request: HttpRequest, id: str) -> None:
    """`DELETE /assets/tags/{tag_id}`: delete a tag, also from assets."""
    library = library_of(emulator, http_request)
    [known] = known_tags(library, [id])
    library.delete_tag(known)


def set_tags(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`PUT /assets/tags`: replace the tags of an asset."""
    library = library_of(emulator, http_request)
    ids = known_tags(library, document(http_request).get("tag_ids"))
    found = referred(emulator, http_request, library)
    library.set_tags(found.id, ids)
    keep(emulator, http_request, library)
    # assumption: the body.
    return {"tags": [tag_item(tag) for tag in library.tags_of(found.id)]}


def assign(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`POST /assets/tags/{tag_id}/assign`: add a tag to an asset."""
    return _assigned(emulator, http_request, id, is_assigned=True)


def unassign(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`DELETE /assets/tags/{tag_id}/assign`: remove a tag from an asset."""
    return _assigned(emulator, http_request, id, is_assigned=False)


def _assigned(emulator: Emulator, http_request: HttpRequest, id: str, *, is_assigned: bool) -> JSON:
    library = library_of(emulator, http_request)
    [known] = known_tags(library, [id])
    found = referred(emulator, http_request, library)
    others = [tag.id for tag in library.tags_of(found.id) if tag.id != known]
    library.set_tags(found.id, [*others, known] if is_assigned else others)
    # assumption: the body.
    return {"tags": [tag_item(tag) for tag in library.tags_of(found.id)]}


def _tag_name(http_request: HttpRequest) -> str:
    return _text({"name": None} | document(http_request), "name", _MAX_TAG)


def _check_unused(library: Library, name: str) -> None:
    if any(tag.name == name for tag in library.tags.values()):
        # assumption: names are unique; the specification has the status.
        raise PlatformError(409, "validation_error", f"Invalid request parameters: the tag {name} exists")
