"""What a submission asks for beside its input: of the queue, and of the files that go in and come out."""

from __future__ import annotations

from mock_fal.emulator import Emulator, SubmitOptions
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest


def submit_options(http_request: HttpRequest, *, queued: bool = True) -> SubmitOptions:
    """All of it; what is about waiting in line only when it is `queued`. Raises BadQuery or BadUpload."""
    asked = wire.submit_options(http_request) if queued else wire.direct_submit_options(http_request)
    if http_request.headers.keys().isdisjoint(wire.LIFECYCLE):
        return asked
    from mock_fal.web.wire_storage import with_terms  # what few ask for need not be loaded at the start

    return with_terms(asked, http_request)


async def fetch_files(emulator: Emulator, body: bytes) -> None:
    """Bring the files of other hosts that an input names, where that is allowed at all."""
    if emulator.fetch is not None:
        for url in emulator.foreign_files(body):
            emulator.learn_file(url, await emulator.fetch(url))
