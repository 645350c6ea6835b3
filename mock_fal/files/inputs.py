"""The files that an input refers to: data URIs, uploads, results of other requests, and files of other hosts."""

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
from mock_fal.pictures.render import read_source, render
from mock_fal.store import ResultFile

# fal: runners download pictures of up to 50 MiB (fal SDK, toolkit).
MAX_BYTES: Final = 50 << 20

# Cached pictures: tests use the same few pictures repeatedly. Each takes some 20 kB.
_MAX_CACHED: Final = 256

# Files fetched from other hosts are held in memory until the runner reads them.
_MAX_FETCHED: Final = 4


class InputFiles:
    """Reads the files that an input refers to, with the rights of the account that sends the request."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._cache: OrderedDict[bytes, Source] = OrderedDict()
        self._fetched: OrderedDict[str, bytes | None] = OrderedDict()

    def external_urls(self, document: JSON) -> list[str]:
        """The URLs in an input that point to other hosts, whose files must be fetched."""
        fields = document if isinstance(document, dict) else {}
        image_urls = fields.get("image_urls")
        urls = [fields.get("image_url"), *(image_urls if isinstance(image_urls, list) else [])]
        return [url for url in urls if isinstance(url, str) and _is_external(url)]

    def add_fetched(self, url: str, data: bytes | None) -> None:
        """Store a file fetched from another host, for the request that refers to it; None if the download failed."""
        self._fetched[url] = data
        while len(self._fetched) > _MAX_FETCHED:
            self._fetched.popitem(last=False)

    def picture(self, url: str, account: str) -> Source | None:
        """The picture at a URL; None for one on another host that was not fetched. Raises UnusableFile."""
        if url[:5].lower() == "data:":
            return self._read(_decode_data_uri(url))
        try:
            parts = urlsplit(url)
        except ValueError:
            raise UnusableFile("file_download_error") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnusableFile("file_download_error")
        path = _local_path(parts)
        if path is not None:
            return self._read(self._local_file(path, account))
        if url in self._fetched:
            return self._read(_downloaded(self._fetched[url]))
        # deviation: without --allow-egress, URLs of other hosts are not fetched and count as valid pictures.
        return None

    def _local_file(self, path: str, account: str) -> bytes:
        try:
            # assumption: a runner may read the restricted files that the requesting account may read.
            file = self._storage.read_as(path, account)
        except FalError:
            raise UnusableFile("file_download_error") from None
        if isinstance(file, ResultFile):
            return render(file.picture.recipe)
        if file.size > MAX_BYTES:
            raise UnusableFile("file_too_large", max_size=MAX_BYTES)
        return b"".join(read(file.blobs or (), range(file.size)))

    def _read(self, data: bytes) -> Source:
        if len(data) > MAX_BYTES:
            raise UnusableFile("file_too_large", max_size=MAX_BYTES)
        digest = sha256(data).digest()
        source = self._cache.pop(digest, None) or read_source(data)
        self._cache[digest] = source
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
        return source


def _decode_data_uri(uri: str) -> bytes:
    header, _, data = uri.partition(",")
    try:
        if not header.lower().endswith(";base64"):
            return unquote_to_bytes(data)
        return b64decode(unquote(data), validate=True)
    except ValueError:
        raise UnusableFile("image_load_error") from None


def _downloaded(data: bytes | None) -> bytes:
    if data is None:
        raise UnusableFile("file_download_error")
    return data


def _is_external(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and _local_path(parts) is None


def _local_path(parts: SplitResult) -> str | None:
    """The path of a file on the media host, by fal's host name or below the emulator's own address; else None."""
    path = unquote(parts.path)
    if (parts.hostname or "") in MEDIA_HOSTS:
        return path
    first, _, rest = path[1:].partition("/")
    return "/" + rest if first in MEDIA_HOSTS else None
