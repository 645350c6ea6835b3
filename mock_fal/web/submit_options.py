"""Submissions: their queue and file settings in headers and query, and the pictures that their input names."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from mock_fal.emulator import Emulator, SubmitOptions
from mock_fal.errors import JSON, UnusableFile
from mock_fal.files.long_input import LONG_BYTES, shortened
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.stream import while_connected

if TYPE_CHECKING:
    from mock_fal.accounts.keys import Keys
    from mock_fal.files.inputs import Sources
    from mock_fal.files.long_input import DataUri
    from mock_fal.pictures.recipe import Source
    from mock_fal.web.pictures import Pictures

# Pictures on other hosts that cost no thread; after as many, other requests get a turn.
_SLICE: Final = 200


def submit_options(
    http_request: HttpRequest, keys: Keys | None = None, *, queued: bool = True
) -> SubmitOptions:
    """The options of a submission; queue options only if it is `queued`. Raises BadQuery or BadUpload.

    With one of `keys` that no stranger can know, a page of another machine may have webhooks sent to this machine.
    """
    options = wire.submit_options(http_request) if queued else wire.direct_submit_options(http_request)
    if (
        options.webhook is not None
        and options.webhook.page
        and keys is not None
        and http_request.key_was_sent
    ):
        if keys.is_of_this_run(http_request.authorization):
            options = replace(options, webhook=replace(options.webhook, page=""))
    if http_request.headers.keys().isdisjoint(wire.LIFECYCLE):
        return options
    from mock_fal.web.wire_storage import with_object_lifecycle  # rarely used, so not imported at start

    return with_object_lifecycle(options, http_request)


class Input(NamedTuple):
    """An input that the emulator can run without waiting: a short body, and the pictures that it names."""

    body: bytes
    sources: Sources


async def read_input(
    emulator: Emulator, pictures: Pictures, body: bytes, tenant: str, receive: Receive | None = None
) -> Input:
    """The input of a submission. Its pictures are read in threads, and fetched if that is allowed.

    Raises InputTooLong; with `receive`, ClientDisconnected, as soon as the client closes the connection.
    """
    if len(body) <= LONG_BYTES and not _may_name_pictures(body):
        return Input(body, {})
    reading = _read(emulator, pictures, body, tenant)
    return await (while_connected(receive, reading) if receive else reading)


async def _read(emulator: Emulator, pictures: Pictures, body: bytes, tenant: str) -> Input:
    uris: dict[str, DataUri] = {}
    if len(body) > LONG_BYTES:
        body, uris = await pictures.in_thread(shortened, body)
        if not _may_name_pictures(body):
            return Input(body, {})
    return Input(body, await _sources(emulator, pictures, _document(body), tenant, uris))


def _may_name_pictures(body: bytes) -> bool:
    # JSON may escape any letter of `image_url` as \u00xx.
    return b"image_url" in body or rb"\u00" in body


async def _sources(
    emulator: Emulator, pictures: Pictures, document: JSON, tenant: str, uris: dict[str, DataUri]
) -> Sources:
    from mock_fal.files.inputs import urls

    sources: dict[str, Source | UnusableFile | None] = {}
    for number, url in enumerate(urls(document), 1):
        if url in sources:
            continue
        try:
            sources[url] = await _source(emulator, pictures, url, tenant, uris)
        except UnusableFile as error:
            sources[url] = error
            break  # a runner reads no further either
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return sources


async def _source(
    emulator: Emulator, pictures: Pictures, url: str, tenant: str, uris: dict[str, DataUri]
) -> Source | None:
    from mock_fal.files.inputs import External

    file = emulator.input_files.open(url, tenant, uris)
    if not isinstance(file, External):
        return await pictures.source(emulator.input_files, file)
    if emulator.fetch is None:
        return None
    data = await emulator.fetch(url)
    if data is None:
        raise UnusableFile("file_download_error")
    return await pictures.source(emulator.input_files, lambda: data)


def _document(body: bytes) -> JSON:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None  # the runner rejects it
