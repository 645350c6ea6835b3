"""Submissions: their queue and file settings in headers and query, and the files that their input names."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from mock_fal.emulation.emulator import Emulator
from mock_fal.emulation.options import SubmitOptions
from mock_fal.emulation.submissions import document_of, may_name_files
from mock_fal.errors import JSON, UnusableFile
from mock_fal.files.long_input import LONG_BYTES, shortened
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.stream import while_connected

if TYPE_CHECKING:
    from mock_fal.accounts.keys import Keys
    from mock_fal.endpoint import EndpointId
    from mock_fal.files.inputs import Content, Contents
    from mock_fal.files.long_input import DataUri
    from mock_fal.models.job import Media
    from mock_fal.requests.upload_policy import UploadPolicy
    from mock_fal.web.renderer import Renderer

# Renderer on other hosts that cost no thread; after as many, other requests get a turn.
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
            options = options._replace(webhook=replace(options.webhook, page=""))
    if (policy := http_request.headers.get(_UPLOAD_POLICY)) is not None:
        options = options._replace(upload_policy=_upload_policy(policy, http_request, keys))
    if http_request.headers.keys().isdisjoint(wire.LIFECYCLE):
        return options
    from mock_fal.web.wire_storage import with_object_lifecycle  # rarely used, so not imported at start

    return with_object_lifecycle(options, http_request)


_UPLOAD_POLICY: Final = b"x-app-fal-upload-policy"


def _upload_policy(header: bytes, http_request: HttpRequest, keys: Keys | None) -> UploadPolicy | str:
    """The policy in the header, or why fal rejects it."""
    from mock_fal.requests.upload_policy import InvalidPolicy, parse  # rarely used

    is_trusted = (
        keys is not None and http_request.key_was_sent and keys.is_of_this_run(http_request.authorization)
    )
    try:
        return parse(header.decode("utf-8", "replace"), "" if is_trusted else http_request.foreign_origin)
    except InvalidPolicy as error:
        return str(error)


class Input(NamedTuple):
    """An input that the emulator can run without waiting: a short body, and what is in the files that it names."""

    body: bytes
    contents: Contents


async def read_input(
    emulator: Emulator,
    renderer: Renderer,
    endpoint: EndpointId,
    body: bytes,
    tenant: str,
    receive: Receive | None = None,
) -> Input:
    """The input of a submission. The files that it names are read in threads, and fetched if that is allowed.

    Raises InputTooLong; with `receive`, ClientDisconnected, as soon as the client closes the connection.
    """
    if len(body) <= LONG_BYTES and not may_name_files(body):
        return Input(body, {})
    reading = _read(emulator, renderer, endpoint, body, tenant)
    return await (while_connected(receive, reading) if receive else reading)


async def _read(
    emulator: Emulator, renderer: Renderer, endpoint: EndpointId, body: bytes, tenant: str
) -> Input:
    uris: dict[str, DataUri] = {}
    if len(body) > LONG_BYTES:
        body, uris = await renderer.in_thread(shortened, body)
        if not may_name_files(body):
            return Input(body, {})
    return Input(body, await _contents(emulator, renderer, endpoint, document_of(body), tenant, uris))


async def _contents(
    emulator: Emulator,
    renderer: Renderer,
    endpoint: EndpointId,
    document: JSON,
    tenant: str,
    uris: dict[str, DataUri],
) -> Contents:
    contents: dict[tuple[str, Media], Content | UnusableFile | None] = {}
    for number, file in enumerate(emulator.named_files(endpoint, document), 1):
        key = file.url, file.media
        if key in contents:
            continue
        try:
            contents[key] = await _content(emulator, renderer, file.url, file.media, tenant, uris)
        except UnusableFile as error:
            contents[key] = error
            break  # a runner reads no further either
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return contents


async def _content(
    emulator: Emulator, renderer: Renderer, url: str, media: Media, tenant: str, uris: dict[str, DataUri]
) -> Content | None:
    from mock_fal.files.inputs import MAX_BYTES, External
    from mock_fal.media.probe import Probe

    file = emulator.input_files.open(url, tenant, uris, media)
    if isinstance(file, Probe):
        return file
    if not isinstance(file, External):
        return await renderer.content(emulator.input_files, file, media)
    if emulator.fetch is None:
        file.check()
        return None
    # Archives and weights may have gigabytes, and nothing in the result depends on what is in them.
    if media == "other":
        return None
    data = await emulator.fetch(url)
    if data is None:
        raise UnusableFile("file_download_error")
    if len(data) > MAX_BYTES:
        # deviation: a video or sound of another host is limited to the size of a picture.
        raise UnusableFile("file_too_large", max_size=MAX_BYTES)
    return await renderer.content(emulator.input_files, lambda: data, media)
