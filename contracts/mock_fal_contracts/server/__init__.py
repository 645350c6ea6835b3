"""Checks a server against the OpenAPI documents, with generated requests, and against invariants no schema expresses.

http_client      one HTTP client            findings       invariants tested and violated     budget → context
surfaces → spec_cases                       the OpenAPI documents, with Schemathesis
invariants → request_tracker → queue_invariants, http_invariants, file_invariants, webhook_invariants → plan
workers          the check of a mock or of any URL, in worker processes
live             the check of fal.ai itself, within a budget
"""

from __future__ import annotations

import argparse
import sys

from mock_fal_contracts.results import OnResult, Result
from mock_fal_contracts.target import CheckError


def check_server(options: argparse.Namespace, on_result: OnResult) -> list[Result]:
    """Check the target that the options name; `on_result` is called with each result. Raises CheckError."""
    _require_libraries()
    from mock_fal_contracts.server import live, workers

    if options.list:
        for case in workers.all_cases(with_control=options.target == "mock"):
            if workers.is_selected(case, options.only):
                sys.stdout.write(f"{case.id:<40} {case.title}\n")
        return []
    results = (
        live.check(options, on_result) if options.target == "live" else workers.check(options, on_result)
    )
    if not results and options.only:
        raise CheckError(f"no case has an id like {' or '.join(options.only)}; --list shows all ids")
    return results


def _require_libraries() -> None:
    try:
        import httpx  # noqa: F401
        import hypothesis  # noqa: F401
        import schemathesis  # noqa: F401
    except ImportError as error:
        raise CheckError(f"checking a server needs {error.name}: pip install 'mock-fal[check]'") from None
