"""The files that an input refers to: data URIs, uploads, results of other requests, and files of other hosts."""

from __future__ import annotations

from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from threading import Lock
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from mock_fal.errors import FalError, UnusableFile
from mock_fal.files.blobs import read
from mock_fal.files.file_store import Upload
from mock_fal.files.long_input import DataUri, percent_decoded
from mock_fal.files.storage import Storage
from mock_fal.hosts import MEDIA_HOSTS, is_out_of_reach
from mock_fal.media.probe import Probe, described, probe
from mock_fal.media.recipe import MediaRecipe, OwnFile
from mock_fal.models.job import Media
from mock_fal.pictures.recipe import MAX_SOURCE_PIXELS, Recipe, Source
from mock_fal.pictures.render import read_size, read_source, render
from mock_fal.store import ResultFile

# fal: runners download pictures of up to 50 MiB (fal SDK, toolkit).
MAX_BYTES: Final = 50 << 20

# assumption: the largest video or sound that a model takes, and the formats of both. Some documents of fal set a limit
# of 100 or 200 MiB, most set none.
MAX_MEDIA_BYTES: Final = 200 << 20
VIDEOS: Final = (".mp4", ".mov", ".webm", ".m4v", ".gif")
SOUNDS: Final = (".mp3", ".wav", ".ogg", ".flac", ".m4a", ".aac", ".mp4", ".webm")

# Cached pictures: tests use the same few pictures repeatedly. Each takes some 20 kB.
_MAX_CACHED: Final = 256

# The longer side of a small copy of a picture, in pixels.
_SMALL_SIDE: Final = 96

# What is in a file: a picture, or what is known of other media.
Content = Source | Probe

# URL in an input, and what the file is for -> what is in it, the error of a file that can't be used, or None for one
# that was not fetched.
Contents = Mapping[tuple[str, Media], Content | UnusableFile | None]


@dataclass(frozen=True, slots=True)
class External:
    """A file on another host."""

    url: str

    def check(self) -> None:
        """Raises UnusableFile for a file on this machine or in a private network, when files are not fetched."""
        # deviation: without --allow-egress, URLs of other hosts are not fetched and count as valid files.
        # fal: it can't download from such an address, and says so with this error (documentation of errors, 2026).
        if is_out_of_reach(urlsplit(self.url).hostname or ""):
            raise UnusableFile("file_download_error")


# A file that an input names: a picture of a result, or a function that reads the bytes of a file. The function may run
# in any thread, takes up to a second for a large file, and raises UnusableFile.
LocalFile = Recipe | Callable[[], bytes]


class InputFiles:
    """Reads the files that an input refers to, with the rights of the account that sends the request.

    `open` runs in the server's thread and takes microseconds. `content`, `decode` and `probed` may take seconds and
    run in any thread.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        # Digest of a file, or recipe of a result -> its picture, or the error if it is none.
        self._cache: OrderedDict[bytes | Recipe, Source | UnusableFile] = OrderedDict()
        self._lock = Lock()

    def content(self, url: str, account: str, media: Media = "image") -> Content | None:
        """What is in the file at a URL, read at once; None for one on another host. Raises UnusableFile."""
        file = self.open(url, account, media=media)
        match file:
            case External():
                file.check()
                return None
            case Probe():
                return file
            case Recipe():
                return self.cached(file) or self.decode(render(file), file)
            case _ if media == "image":
                data = file()
                return self.cached(digest(data)) or self.decode(data)
            case _:
                return self.probed(file, media)

    def open(
        self, url: str, account: str, uris: Mapping[str, DataUri] = {}, media: Media = "image"
    ) -> LocalFile | External | Probe:
        """The file at a URL; `uris` are the data URIs that were taken out of the input. Raises UnusableFile.

        A Probe is what is known of a file that need not be read.
        """
        limit = max_bytes(media)
        if (uri := uris.get(url)) is not None:
            return lambda: uri.data(limit)
        if url[:5].lower() == "data:":
            return lambda: _decode_data_uri(url)
        try:
            parts = urlsplit(url)
        except ValueError:
            raise UnusableFile("file_download_error") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            if media == "other" and url:
                # assumption: a text that is no URL names a file that the model knows, such as one of Hugging Face.
                return _other(url)
            raise UnusableFile("file_download_error")
        path = _local_path(parts)
        return External(url) if path is None else self._local_file(path, account, media)

    def _local_file(self, path: str, account: str, media: Media) -> LocalFile | Probe:
        try:
            # assumption: a runner may read the restricted files that the requesting account may read.
            file = self._storage.read_as(path, account)
        except FalError:
            raise UnusableFile("file_download_error") from None
        if isinstance(file, ResultFile):
            return _result(file.file.recipe, media)
        if media == "other":  # only has to exist
            return _other(file.etag)
        if file.size > max_bytes(media):
            raise UnusableFile("file_too_large", max_size=max_bytes(media))
        return lambda: _content(file)

    def probed(self, file: Callable[[], bytes], media: Media) -> Probe:
        """What is known of a file that is not for a picture. Raises UnusableFile."""
        try:
            data = file()
        except UnusableFile as error:
            if error.error_type == "image_load_error":  # a data URI without valid Base64
                raise UnusableFile("file_download_error") from None
            raise
        if len(data) > max_bytes(media):
            raise UnusableFile("file_too_large", max_size=max_bytes(media))
        if media == "other":  # is not looked into
            return Probe("other", "", digest=sha256(data).hexdigest())
        found = probe(data)
        if not found or not _suits(found, media):
            raise _unsupported(media)
        return replace(found, digest=sha256(data).hexdigest())

    def of_result(self, recipe: MediaRecipe, media: Media, like: Source | None = None) -> Content:
        """What is in a file of a result, read at once. Raises UnusableFile.

        A picture is read from a small copy, in some 5 ms; with `like`, it has the tones of that one, in no time.
        """
        file = _result(recipe, media)
        if isinstance(file, Probe):
            return file
        if not isinstance(file, Recipe):
            return self.decode(file()) if media == "image" else self.probed(file, media)
        if like is None:
            longest = max(file.width, file.height, _SMALL_SIDE)
            width, height = (max(1, side * _SMALL_SIDE // longest) for side in (file.width, file.height))
            like = read_source(render(replace(file, width=width, height=height, format="jpeg")))
        return replace(like, width=file.width, height=file.height, digest=_text_digest(repr(file)))

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


def max_bytes(media: Media) -> int:
    """The size of the largest file."""
    return MAX_BYTES if media == "image" else MAX_MEDIA_BYTES


def _result(recipe: MediaRecipe, media: Media) -> LocalFile | Probe:
    """A file of a result: a picture to be rendered, or what its recipe says. Raises UnusableFile."""
    if media == "other":
        return _other(repr(recipe))
    if isinstance(recipe, OwnFile):
        return lambda: recipe.data
    if media == "image":
        if not isinstance(recipe, Recipe):
            raise UnusableFile("unsupported_image_format")
        if recipe.width * recipe.height > MAX_SOURCE_PIXELS:
            raise UnusableFile("image_load_error")
        return recipe
    found = described(recipe)
    if not found or not _suits(found, media):
        raise _unsupported(media)
    return replace(found, digest=_text_digest(repr(recipe)))


def _suits(found: Probe, media: Media) -> bool:
    """Whether a file is what its field is for."""
    if media == "audio":
        # assumption: a model takes the sound of a video; whether the video has any is not looked at.
        return found.kind in ("audio", "video")
    # fal: its documents of video inputs allow GIF.
    return found.kind == "video" or found.format == "gif"


def _unsupported(media: Media) -> UnusableFile:
    return UnusableFile(
        f"unsupported_{media}_format", supported_formats=list(VIDEOS if media == "video" else SOUNDS)
    )


def _other(text: str) -> Probe:
    """A file that is not read; `text` is the same for the same file."""
    return Probe("other", "", digest=_text_digest(text))


def _text_digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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
    # deviation: any label is accepted. fal's audio models reject data URIs labelled audio/wav, audio/webm, audio/mp4,
    # audio/x-m4a and audio/ogg with a 422 "Unsupported data URL" (two public clients, 2026); its body is not known.
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
