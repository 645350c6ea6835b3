"""Platform API: the asset library, which has the files of results and the uploads that were added to it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from mock_fal.accounts.library import MAX_ITEMS, AddedAsset, Library, Tag
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON, FalError
from mock_fal.journal.exchanges import Exchange
from mock_fal.web import wire, wire_storage
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.requests import submissions
from mock_fal.web.platform.wire import Invalid, NotFound, PlatformError, Query, document, paged, timestamp

MediaType = Literal["image", "video", "audio", "3d"]
# fal: the values of filters (Platform API specification, 2026).
_TYPES: Final = ("image", "video", "audio", "3d")
_SOURCES: Final = ("upload", "response", "request")
_SECTIONS: Final = ("all-media", "uploads", "favorites", "generated")
_SOUGHT: Final = ("q", "search_image_url", "search_video_url")
_MAX_PROMPT: Final = 2000
_MAX_URL: Final = 2048
_MAX_TITLE: Final = 80
_WORD: Final = re.compile(r"\w+")
# Longer inputs have no prompt here: parsing one takes the event loop.
_MAX_INPUT: Final = 64 << 10
# The assets that are compared before others get a turn: about a millisecond, or one long input.
_SLICE: Final = 20


@dataclass(frozen=True, slots=True)
class Asset:
    """A file in a library."""

    id: str
    path: str
    type: str
    content_type: str
    source: str
    created_at: float
    # The description that it was added with; and how the request was submitted that made it.
    caption: str | None = None
    exchange: Exchange | None = None
    request_id: str | None = None
    endpoint: str | None = None
    width: int | None = None
    height: int | None = None

    @property
    def prompt(self) -> str | None:
        """Its description, or the prompt that it was made for."""
        if self.exchange is None or self.exchange.request_bytes > _MAX_INPUT:
            return self.caption
        fields = self.exchange.input
        prompt = fields.get("prompt") if isinstance(fields, dict) else None
        return prompt if isinstance(prompt, str) else None


# -- routes


async def assets(emulator: Emulator, http_request: HttpRequest, collection: str | None = None) -> JSON:
    """`GET /assets`: the assets of the account, latest first, or those most like a text or a file."""
    query = Query(http_request)
    page = query.page(default=50, most=100)
    sought = {name: text for name in _SOUGHT if (text := query.text(name)) is not None}
    if len(sought) > 1:
        raise Invalid(" and ".join(sought), len(sought), f"one of {', '.join(_SOUGHT)}")
    for name, text in sought.items():
        if name != "q" and not (text.startswith(("http://", "https://")) and "/files/" in text):
            raise Invalid(name, text, "the address of a file on fal's media host")
    types, sources = query.listed("media_type", _TYPES), query.listed("source", _SOURCES)
    section = query.choice("section", _SECTIONS, _SECTIONS[0])
    tags, characters = query.listed("tag_id"), query.listed("character_identifier")
    is_match = all if query.choice("tag_mode", ("any", "all"), "any") == "all" else any
    library = library_of(emulator, http_request)
    within = query.text("collection_id") if collection is None else collection
    groups = [] if within is None else [found_collection(library, within)]
    groups += [group for group in library.collections.values() if group.identifier in characters]
    if characters and not any(group.identifier for group in groups):
        return _page([], page, emulator, http_request, library)
    found = [
        asset
        for asset in _all(emulator, http_request.account, library)
        if (not types or asset.type in types)
        and (not sources or asset.source in sources)
        and (section != "uploads" or asset.source == "upload")
        and (section != "generated" or asset.source == "response")
        and (section != "favorites" or asset.id in library.favorites)
        and all(asset.id in group.assets for group in groups)
        and (not tags or is_match(tag in library.tagged.get(asset.id, ()) for tag in tags))
    ]
    return _page(await _ranked(found, sought), page, emulator, http_request, library)


def asset(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`GET /assets/{vector_id}`: an asset."""
    library = library_of(emulator, http_request)
    return {"asset": _item(named(emulator, http_request, library, id), http_request, library)}


def add(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`POST /assets/uploads`: add a file of fal's storage to the library."""
    body = document(http_request)
    library = library_of(emulator, http_request)
    url, kind, prompt = body.get("url"), body.get("type"), body.get("prompt")
    if kind not in _TYPES:
        raise Invalid("type", kind, f"one of {', '.join(_TYPES)}")
    if prompt is not None and (not isinstance(prompt, str) or not 0 < len(prompt) <= _MAX_PROMPT):
        raise Invalid("prompt", prompt, f"a text of 1 to {_MAX_PROMPT} characters, or null")
    favorite = body.get("favorite", False)
    if not isinstance(favorite, bool):
        raise Invalid("favorite", favorite, "true or false")
    tags = known_tags(library, body.get("tag_ids", []))
    group = body.get("collection_id")
    collection = None if group is None else found_collection(library, group)
    path = path_of(emulator, http_request, "url", url)
    id = vector_id(path)
    if id not in library.added:
        check_room(emulator)
    library.added[id] = AddedAsset(path, kind, prompt, emulator.clock.now())
    if favorite:
        library.favor(id, is_favorite=True)
    if tags:
        library.set_tags(id, tags)
    if collection is not None:
        library.put(collection, id)
    keep(emulator, http_request, library)
    # assumption: the status of the response, as of those to other creations.
    return wire.reply(
        201, {"asset": _item(named(emulator, http_request, library, id), http_request, library)}
    )


def favorite(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`POST /assets/favorite`: make an asset a favourite."""
    return _favored(emulator, http_request, is_favorite=True)


def unfavorite(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`POST /assets/unfavorite`: the reverse."""
    return _favored(emulator, http_request, is_favorite=False)


def _favored(emulator: Emulator, http_request: HttpRequest, *, is_favorite: bool) -> JSON:
    library = library_of(emulator, http_request)
    library.favor(referred(emulator, http_request, library).id, is_favorite=is_favorite)
    keep(emulator, http_request, library)
    return {"is_favorited": is_favorite}


def tags_of(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`GET /assets/{vector_id}/tags`: the tags of an asset; none for one that has none or is not known."""
    # fal: an id that is not saved has an empty list (Platform API specification, 2026).
    return {"tags": [tag_item(tag) for tag in library_of(emulator, http_request).tags_of(id)]}


# -- libraries and their assets, also for collections and tags


def library_of(emulator: Emulator, http_request: HttpRequest) -> Library:
    """The library of the request's account."""
    return emulator.store.workspaces.libraries.of(http_request.account)


def keep(emulator: Emulator, http_request: HttpRequest, library: Library) -> None:
    """Keep what was changed."""
    emulator.store.workspaces.libraries.keep(http_request.account, library)


def check_room(emulator: Emulator) -> None:
    """Raises PlatformError if no further item can be kept."""
    if not emulator.store.workspaces.libraries.has_room:
        raise PlatformError(
            400, "validation_error", f"mock-fal: no room; it keeps {MAX_ITEMS} items of libraries"
        )


def found_collection(library: Library, id: Any, kind: str = "") -> Any:
    """A collection or character. Raises NotFound."""
    found = library.collections.get(id) if isinstance(id, str) else None
    if found is None or kind not in ("", found.type):
        raise NotFound(f"no {kind or 'collection'} {id!r:.100}")
    return found


def known_tags(library: Library, ids: Any) -> list[str]:
    """Ids of tags. Raises Invalid, or NotFound for one that does not exist."""
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise Invalid("tag_ids", ids, "a list of ids of tags")
    for id in ids:
        if id not in library.tags:
            raise NotFound(f"no tag {id!r:.100}")
    return list(dict.fromkeys(ids))


def tag_item(tag: Tag) -> dict[str, JSON]:
    """A tag in a response."""
    return {"id": tag.id, "name": tag.name, "created_at": timestamp(tag.created_at)}


def vector_id(path: str) -> str:
    """The id of the asset at a path."""
    # fal: a UUID (Platform API specification, 2026). Here it follows from the path.
    digits = sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


def path_of(emulator: Emulator, http_request: HttpRequest, name: str, url: Any) -> str:
    """The path of a file on fal's media host that the account may read. Raises Invalid or NotFound."""
    at = url.find("/files/") if isinstance(url, str) and len(url) <= _MAX_URL else -1
    if at < 0:
        raise Invalid(name, url, "the address of a file on fal's media host")
    path = unquote(urlsplit(url[at:]).path)
    try:
        emulator.storage.read_as(path, http_request.account)
    except FalError:
        raise NotFound(f"no file at {url!r:.200}") from None
    return path


def referred(emulator: Emulator, http_request: HttpRequest, library: Library) -> Asset:
    """The asset that a body names by `vector_id` or `request_id`. Raises Invalid or NotFound."""
    body = document(http_request)
    ids = {name: body[name] for name in ("vector_id", "request_id") if body.get(name) is not None}
    if not ids:
        raise Invalid("the body", body, "vector_id or request_id")
    # assumption: of both, the id of the asset counts.
    name, id = next(iter(ids.items()))
    if not isinstance(id, str) or not id:
        raise Invalid(name, id, "an id")
    return named(emulator, http_request, library, id)


def named(emulator: Emulator, http_request: HttpRequest, library: Library, id: str) -> Asset:
    """The asset with that id, or the first one of the request with that id. Raises NotFound."""
    for found in _all(emulator, http_request.account, library):
        if id in (found.id, found.request_id):
            return found
    raise NotFound(f"no asset {id!r:.100}")


def _all(emulator: Emulator, account: str, library: Library) -> Iterator[Asset]:
    """The assets of an account, latest first: files of results, and uploads that were added."""
    now = emulator.clock.now()
    sent = submissions(emulator, account)
    found = []
    for path, result in emulator.store.files.items():
        request, recipe = result.request, result.file.recipe
        kind = _type_of(recipe.content_type)
        if result.owner != account or kind is None or not request.schedule.ends_at <= now < result.expires_at:
            continue
        picture = getattr(recipe, "picture", recipe)
        found.append(
            Asset(
                vector_id(path),
                path,
                kind,
                recipe.content_type,
                "response",
                request.schedule.ends_at,
                None,
                sent.get(request.id),
                request.id,
                str(request.endpoint),
                getattr(picture, "width", None),
                getattr(picture, "height", None),
            )
        )
    known = {asset.id for asset in found}
    for id, added in library.added.items():
        try:
            file = emulator.storage.read_as(added.path, account)
        except FalError:
            continue  # it has expired
        if id not in known:
            content_type = getattr(file, "content_type", "")
            found.append(
                Asset(id, added.path, added.type, content_type, "upload", added.created_at, added.prompt)
            )
    return iter(sorted(reversed(found), key=lambda asset: -asset.created_at))


def _type_of(content_type: str) -> str | None:
    """The type of an asset; None for a file that is no medium."""
    kind = content_type.partition("/")[0]
    return {"image": "image", "video": "video", "audio": "audio", "model": "3d"}.get(kind)


# -- searches and responses


async def _ranked(found: list[Asset], sought: dict[str, str]) -> list[tuple[Asset, float | None]]:
    """Assets with their similarity to what is sought, most alike first; None if nothing is."""
    # deviation: fal compares embeddings. Here it is the share of the words of a query that the prompt has; a file is
    # like itself, and the others by the words of its prompt.
    if not sought:
        return [(asset, None) for asset in found]
    [(name, text)] = sought.items()
    own = ""
    if name != "q":
        path = unquote(urlsplit(text).path)
        own = vector_id(path[max(path.find("/files/"), 0) :])
        text = next((asset.prompt or "" for asset in found if asset.id == own), "")
    words = set(_WORD.findall(text.lower()))
    ranked: list[tuple[float, Asset]] = []
    for number, asset in enumerate(found, 1):
        ranked.append((1.0 if asset.id == own else _share(words, asset.prompt or ""), asset))
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    ranked.sort(key=lambda item: -item[0])
    return [(asset, similarity) for similarity, asset in ranked if similarity]


def _share(words: set[str], text: str) -> float:
    return round(len(words & set(_WORD.findall(text.lower()))) / len(words), 4) if words else 0.0


def _page(
    found: list[tuple[Asset, float | None]],
    page: Any,
    emulator: Emulator,
    http_request: HttpRequest,
    library: Library,
) -> JSON:
    body = paged("assets", found, page)
    items = [_item(asset, http_request, library, similarity) for asset, similarity in body["assets"]]
    return {**body, "assets": items, "total_count": len(found), "scope_truncated": False}


def _item(
    asset: Asset, http_request: HttpRequest, library: Library, similarity: float | None = None
) -> dict[str, JSON]:
    # assumption: the title, from the prompt or the name of the file.
    prompt = asset.prompt
    title = (prompt or asset.path.rpartition("/")[2])[:_MAX_TITLE]
    return {
        "vector_id": asset.id,
        "request_id": asset.request_id,
        "url": wire_storage.url(asset.path, http_request.links),
        "type": asset.type,
        "title": title,
        "endpoint": asset.endpoint,
        "created_at": timestamp(asset.created_at),
        "source": asset.source,
        "prompt": prompt,
        "width": asset.width,
        "height": asset.height,
        "content_type": asset.content_type or None,
        "is_favorited": asset.id in library.favorites,
        "collection_ids": library.collections_with(asset.id),
        "tags": [tag_item(tag) for tag in library.tags_of(asset.id)],
        "similarity": similarity,
    }
