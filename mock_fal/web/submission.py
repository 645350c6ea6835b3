"""What a submission asks for beside its input: of the queue, and of the files that come out."""

from __future__ import annotations

from mock_fal.emulator import Wishes
from mock_fal.web import wire
from mock_fal.web.question import Question


def wishes(question: Question) -> Wishes:
    """All of it. Raises BadQuery or BadUpload."""
    asked = wire.wishes(question)
    if question.headers.keys().isdisjoint(wire.LIFECYCLE):
        return asked
    from mock_fal.web.wire_storage import with_terms  # what few ask for need not be loaded at the start

    return with_terms(asked, question)
