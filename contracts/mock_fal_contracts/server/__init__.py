"""Checks a server: its OpenAPI documents with generated questions, and the laws that a schema can't say.

asking    one HTTP client       findings  what is broken        budget → context    where laws are tried
planes → spec_laws              the documents, with Schemathesis
laws → watcher → queue_laws, http_laws, file_laws, webhook_laws → trials
work      what is done for a mock, or any address; in processes of their own
live      what is done for fal.ai itself, within a budget
"""

from __future__ import annotations

import argparse
import sys

from mock_fal_contracts.results import Result, Tell
from mock_fal_contracts.target import CheckError


def check_server(options: argparse.Namespace, tell: Tell) -> list[Result]:
    """Check the target that the options name; `tell` is called with each result. Raises CheckError."""
    _need_libraries()
    from mock_fal_contracts.server import live
    from mock_fal_contracts.server import workers as work

    if options.list:
        for case in work.all_cases(with_control=options.target == "mock"):
            if work.is_wanted(case, options.only):
                sys.stdout.write(f"{case.id:<40} {case.title}\n")
        return []
    results = live.check(options, tell) if options.target == "live" else work.check(options, tell)
    if not results and options.only:
        raise CheckError(f"no case has an id like {' or '.join(options.only)}; --list tells them")
    return results


def _need_libraries() -> None:
    try:
        import httpx  # noqa: F401
        import hypothesis  # noqa: F401
        import schemathesis  # noqa: F401
    except ImportError as error:
        raise CheckError(f"checking a server needs {error.name}: pip install 'mock-fal[check]'") from None
