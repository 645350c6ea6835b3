"""Submit options: queue settings and file settings that a submission has in its headers and query."""

from __future__ import annotations

from mock_fal.emulator import Emulator, SubmitOptions
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest


def submit_options(http_request: HttpRequest, *, queued: bool = True) -> SubmitOptions:
    """The options of a submission; queue options only if it is `queued`. Raises BadQuery or BadUpload."""
    options = wire.submit_options(http_request) if queued else wire.direct_submit_options(http_request)
    if http_request.headers.keys().isdisjoint(wire.LIFECYCLE):
        return options
    from mock_fal.web.wire_storage import with_object_lifecycle  # rarely used, so not imported at start

    return with_object_lifecycle(options, http_request)


async def fetch_files(emulator: Emulator, body: bytes) -> None:
    """Fetch the files on other hosts that an input names, if fetching is allowed."""
    if emulator.fetch is not None:
        for url in emulator.external_urls(body):
            emulator.add_fetched_file(url, await emulator.fetch(url))
