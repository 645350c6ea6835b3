"""The files that an input names: data URIs, what was uploaded, and what came out of other requests."""

from __future__ import annotations

from base64 import b64decode
from collections import OrderedDict
from hashlib import sha256
from typing import Final
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit

from mock_fal.errors import JSON, FalError, UnusableFile
from mock_fal.files.blobs import read
from mock_fal.files.storage import Storage
from mock_fal.hosts import MEDIA_HOSTS
from mock_fal.pictures.recipe import Source
from mock_fal.pictures.render import look, render
from mock_fal.store import Result

# fal: runners download pictures of up to 50 MiB (fal SDK, toolkit).
MAX_BYTES: Final = 50 << 20

# A test asks with the same few pictures again and again; each is kept in some 20 kB.
_KEPT: Final = 256

# Between being fetched and being looked at, a file is in memory as it came.
_FETCHED: Final = 4


class Inputs:
    """What a runner reads from the addresses in an input, as the account whose request it is."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._seen: OrderedDict[bytes, Source] = OrderedDict()
        self._fetched: OrderedDict[str, bytes | None] = OrderedDict()

    def foreign(self, document: JSON) -> list[str]:
        """The addresses in an input that are not ours: what would have to be fetched."""
        named = document if isinstance(document, dict) else {}
        many = named.get("image_urls")
        urls = [named.get("image_url"), *(many if isinstance(many, list) else [])]
        return [url for url in urls if isinstance(url, str) and _is_foreign(url)]

    def learn(self, url: str, data: bytes | None) -> None:
        """What was found at a foreign address, for the request that names it; None where nothing was."""
        self._fetched[url] = data
        while len(self._fetched) > _FETCHED:
            self._fetched.popitem(last=False)

    def picture(self, url: str, account: str) -> Source | None:
        """The picture at an address; None for one that is not ours and was not fetched. Raises UnusableFile."""
        if url[:5].lower() == "data:":
            return self._look(_decoded(url))
        try:
            parts = urlsplit(url)
        except ValueError:
            raise UnusableFile("file_download_error") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnusableFile("file_download_error")
        path = _own_path(parts)
        if path is not None:
            return self._look(self._file(path, account))
        if url in self._fetched:
            return self._look(_found(self._fetched[url]))
        # deviation: without --allow-egress, files of other hosts are taken to be there and to be pictures.
        return None

    def _file(self, path: str, account: str) -> bytes:
        try:
            # assumption: that a runner reads restricted files as the account that asks would.
            file = self._storage.read_as(path, account)
        except FalError:
            raise UnusableFile("file_download_error") from None
        if isinstance(file, Result):
            return render(file.picture.recipe)
        if file.size > MAX_BYTES:
            raise UnusableFile("file_too_large", max_size=MAX_BYTES)
        return b"".join(read(file.blobs or (), range(file.size)))

    def _look(self, data: bytes) -> Source:
        if len(data) > MAX_BYTES:
            raise UnusableFile("file_too_large", max_size=MAX_BYTES)
        digest = sha256(data).digest()
        source = self._seen.pop(digest, None) or look(data)
        self._seen[digest] = source
        if len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        return source


def _decoded(uri: str) -> bytes:
    head, _, data = uri.partition(",")
    try:
        if not head.lower().endswith(";base64"):
            return unquote_to_bytes(data)
        return b64decode(unquote(data), validate=True)
    except ValueError:
        raise UnusableFile("image_load_error") from None


def _found(data: bytes | None) -> bytes:
    if data is None:
        raise UnusableFile("file_download_error")
    return data


def _is_foreign(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and _own_path(parts) is None


def _own_path(parts: SplitResult) -> str | None:
    """The path of a file of ours, by fal's name for the host or below our own address; None for another's."""
    path = unquote(parts.path)
    if (parts.hostname or "") in MEDIA_HOSTS:
        return path
    first, _, rest = path[1:].partition("/")
    return "/" + rest if first in MEDIA_HOSTS else None
