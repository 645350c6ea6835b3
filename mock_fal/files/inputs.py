"""The files that an input refers to: data URIs, uploads, results of other requests, and files of other hosts."""

from __future__ import annotations

from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from threading import Lock
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from mock_fal.errors import JSON, FalError, UnusableFile
from mock_fal.files.blobs import read
from mock_fal.files.file_store import Upload
from mock_fal.files.long_input import DataUri, percent_decoded
from mock_fal.files.storage import Storage
from mock_fal.hosts import MEDIA_HOSTS
from mock_fal.pictures.recipe import MAX_SOURCE_PIXELS, Recipe, Source
from mock_fal.pictures.render import read_size, read_source, render
from mock_fal.store import ResultFile

# fal: runners download pictures of up to 50 MiB (fal SDK, toolkit).
MAX_BYTES: Final = 50 << 20

# Cached pictures: tests use the same few pictures repeatedly. Each takes some 20 kB.
_MAX_CACHED: Final = 256

# URL in an input -> its picture, the error of a file that can't be used, or None for one that was not fetched.
Sources = Mapping[str, Source | UnusableFile | None]


@dataclass(frozen=True, slots=True)
class External:
    """A file on another host."""

    url: str


# A file that an input names: the result of a request, or a function that reads its bytes. The function may run in
# any thread, takes up to a second for a large file, and raises UnusableFile.
LocalFile = Recipe | Callable[[], bytes]


class InputFiles:
    """Reads the files that an input refers to, with the rights of the account that sends the request.

    `open` runs in the server's thread and takes microseconds. `content`, `size` and `decode` may take seconds and run
    in any thread.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        # Digest of a file, or recipe of a result -> its picture, or the error if it is none.
        self._cache: OrderedDict[bytes | Recipe, Source | UnusableFile] = OrderedDict()
        self._lock = Lock()

    def picture(self, url: str, account: str) -> Source | None:
        """The picture at a URL, read at once; None for one on another host. Raises UnusableFile."""
        file = self.open(url, account)
        match file:
            case External():
                # deviation: without --allow-egress, URLs of other hosts are not fetched and count as valid pictures.
                return None
            case Recipe():
                return self.cached(file) or self.decode(render(file), file)
            case _:
                data = file()
                return self.cached(digest(data)) or self.decode(data)

    def open(self, url: str, account: str, uris: Mapping[str, DataUri] = {}) -> LocalFile | External:
        """The file at a URL; `uris` are the data URIs that were taken out of the input. Raises UnusableFile."""
        if (uri := uris.get(url)) is not None:
            return lambda: uri.data(MAX_BYTES)
        if url[:5].lower() == "data:":
            return lambda: _decode_data_uri(url)
        try:
            parts = urlsplit(url)
        except ValueError:
            raise UnusableFile("file_download_error") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UnusableFile("file_download_error")
        path = _local_path(parts)
        return External(url) if path is None else self._local_file(path, account)

    def _local_file(self, path: str, account: str) -> LocalFile:
        try:
            # assumption: a runner may read the restricted files that the requesting account may read.
            file = self._storage.read_as(path, account)
        except FalError:
            raise UnusableFile("file_download_error") from None
        if isinstance(file, ResultFile):
            recipe = file.picture.recipe
            if recipe.width * recipe.height > MAX_SOURCE_PIXELS:
                raise UnusableFile("image_load_error")
            return recipe
        if file.size > MAX_BYTES:
            raise UnusableFile("file_too_large", max_size=MAX_BYTES)
        return lambda: _content(file)

    def cached(self, key: bytes | Recipe) -> Source | None:
        """The picture of a file that was decoded before, by digest or recipe. Raises UnusableFile if it was none."""
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
        if isinstance(known, UnusableFile):
            raise UnusableFile(known.error_type, **known.ctx)
        return known

    def decode(self, data: bytes, recipe: Recipe | None = None) -> Source:
        """The picture in a file, kept for later requests. `recipe` is that of a result. Raises UnusableFile."""
        source: Source | UnusableFile
        try:
            _check_size(data)
            source = read_source(data)
        except UnusableFile as error:
            source = UnusableFile(error.error_type, **error.ctx)
        with self._lock:
            self._cache[digest(data)] = source
            if recipe is not None:
                self._cache[recipe] = source
            while len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        if isinstance(source, UnusableFile):
            raise source
        return source


def urls(document: JSON) -> Iterator[str]:
    """The URLs of pictures in an input, in the order in which a runner reads them."""
    fields = document if isinstance(document, dict) else {}
    image_urls = fields.get("image_urls")
    for url in (fields.get("image_url"), *(image_urls if isinstance(image_urls, list) else [])):
        if isinstance(url, str):
            yield url


def digest(data: bytes) -> bytes:
    """The key of a file in the cache."""
    return sha256(data).digest()


def pixels(data: bytes) -> int:
    """The number of pixels of the picture in a file, from its header. Raises UnusableFile."""
    _check_size(data)
    width, height = read_size(data)
    return width * height


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise UnusableFile("file_too_large", max_size=MAX_BYTES)


def _content(upload: Upload) -> bytes:
    file = BytesIO()  # it grows in place; joining 50 MB holds the interpreter for 40 ms
    for piece in read(upload.blobs or (), range(upload.size)):
        file.write(piece)
    return file.getvalue()


def _decode_data_uri(uri: str) -> bytes:
    header, _, data = uri.partition(",")
    try:
        plain = percent_decoded(data.encode())
        return b64decode(plain, validate=True) if header.lower().endswith(";base64") else plain
    except ValueError:
        raise UnusableFile("image_load_error") from None


def _local_path(parts: SplitResult) -> str | None:
    """The path of a file on the media host, by fal's host name or below the emulator's own address; else None."""
    path = unquote(parts.path)
    if (parts.hostname or "") in MEDIA_HOSTS:
        return path
    first, _, rest = path[1:].partition("/")
    return "/" + rest if first in MEDIA_HOSTS else None
