"""The asset library of an account: what was added, favourites, collections, characters and tags. Bounded in number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

# deviation: the limit of one server for uploads, collections, characters and tags together.
MAX_ITEMS: Final = 10_000
# Beyond this number, the account whose library is the oldest starts anew.
MAX_LIBRARIES: Final = 1000
# The assets of an account that are favourites, or have a tag or a collection.
MAX_MARKED: Final = 10_000

# fal: collections nest up to five levels (Platform API specification, 2026).
MAX_DEPTH: Final = 5


@dataclass(slots=True, eq=False)
class Tag:
    """A tag for assets."""

    id: str
    name: str
    created_at: float


@dataclass(slots=True, eq=False)
class AddedAsset:
    """A file that the account added to its library; `path` is its path on the media host."""

    path: str
    type: str
    prompt: str | None
    created_at: float


@dataclass(slots=True, eq=False)
class Collection:
    """A collection of assets, or a character, which is one with reference images."""

    id: str
    type: Literal["manual", "character"]
    name: str
    created_at: float
    updated_at: float
    description: str | None = None
    icon: str | None = None
    color: str | None = None
    cover_image_url: str | None = None
    parent_id: str | None = None
    identifier: str | None = None
    reference_images: tuple[str, ...] = ()
    is_favorited: bool = False
    # The ids of its assets, in the order in which they were added.
    assets: dict[str, None] = field(default_factory=dict)


class Library:
    """The library of one account. Assets are known by their ids."""

    def __init__(self) -> None:
        self.added: dict[str, AddedAsset] = {}
        self.collections: dict[str, Collection] = {}
        self.tags: dict[str, Tag] = {}
        self.favorites: dict[str, None] = {}
        # Asset -> the ids of its tags.
        self.tagged: dict[str, dict[str, None]] = {}

    @property
    def size(self) -> int:
        """The number of its items."""
        return len(self.added) + len(self.collections) + len(self.tags)

    def collections_with(self, asset: str) -> list[str]:
        """The ids of the collections and characters with an asset."""
        return [found.id for found in self.collections.values() if asset in found.assets]

    def tags_of(self, asset: str) -> list[Tag]:
        """The tags of an asset."""
        return [self.tags[id] for id in self.tagged.get(asset, ())]

    def set_tags(self, asset: str, ids: list[str]) -> None:
        """Replace the tags of an asset; the oldest marked asset makes room."""
        self.tagged.pop(asset, None)
        if ids:
            _make_room(self.tagged)
            self.tagged[asset] = dict.fromkeys(ids)

    def favor(self, asset: str, *, is_favorite: bool) -> None:
        """Make an asset a favourite or not; the oldest favourite makes room."""
        self.favorites.pop(asset, None)
        if is_favorite:
            _make_room(self.favorites)
            self.favorites[asset] = None

    def put(self, collection: Collection, asset: str) -> None:
        """Add an asset to a collection; the oldest one in it makes room."""
        _make_room(collection.assets)
        collection.assets[asset] = None

    def delete_tag(self, id: str) -> None:
        """Delete a tag, also from its assets."""
        del self.tags[id]
        for asset in [asset for asset, ids in self.tagged.items() if id in ids]:
            self.set_tags(asset, [other for other in self.tagged[asset] if other != id])

    def delete_collection(self, id: str) -> None:
        """Delete a collection with those inside it. Its assets stay."""
        # assumption: collections inside it are deleted too.
        for inside in [found.id for found in self.collections.values() if found.parent_id == id]:
            self.delete_collection(inside)
        del self.collections[id]

    def above(self, id: str | None) -> Iterator[Collection]:
        """A collection and those that contain it, from the inside."""
        while id is not None:
            yield self.collections[id]
            id = self.collections[id].parent_id

    def height(self, id: str) -> int:
        """The number of levels of a collection and those inside it."""
        inside = [found.id for found in self.collections.values() if found.parent_id == id]
        return 1 + max(map(self.height, inside), default=0)


def _make_room(items: dict[str, object] | dict[str, None] | dict[str, dict[str, None]]) -> None:
    if len(items) >= MAX_MARKED:
        del items[next(iter(items))]


class Libraries:
    """The libraries of a server, by account."""

    def __init__(self) -> None:
        self._libraries: dict[str, Library] = {}

    def of(self, account: str) -> Library:
        """The library of an account; it is kept once it has anything."""
        return self._libraries.get(account) or Library()

    def keep(self, account: str, library: Library) -> None:
        """Keep the library of an account; the oldest library makes room."""
        if account not in self._libraries and len(self._libraries) >= MAX_LIBRARIES:
            del self._libraries[next(iter(self._libraries))]
        self._libraries[account] = library

    @property
    def has_room(self) -> bool:
        """Whether another item can be kept."""
        return sum(library.size for library in self._libraries.values()) < MAX_ITEMS

    def clear(self, account: str | None = None) -> None:
        """Forget the library of one account or of all."""
        if account is None:
            self._libraries = {}
        else:
            self._libraries.pop(account, None)
