"""The whole catalogue of cases, in reading order."""

from __future__ import annotations

from typing import Final

from mock_fal_contracts.client import (
    cases_abort,
    cases_errors,
    cases_etiquette,
    cases_files,
    cases_queue,
    cases_realtime,
    cases_stream,
    cases_webhooks,
)
from mock_fal_contracts.client.case import ClientCase

CASES: Final[list[ClientCase]] = [
    case
    for module in (
        cases_queue,
        cases_errors,
        cases_stream,
        cases_realtime,
        cases_files,
        cases_webhooks,
        cases_etiquette,
        cases_abort,
    )
    for case in module.CASES
]
