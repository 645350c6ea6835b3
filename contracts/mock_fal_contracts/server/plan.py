"""The checks of the invariants: their order, and which invariants each check tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import httpx

from mock_fal_contracts.results import Case, Result, failed, passed, skipped
from mock_fal_contracts.server import (
    file_invariants,
    http_invariants,
    invariants,
    queue_invariants,
    webhook_invariants,
)
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import NotTestable, Violation
from mock_fal_contracts.server.http_client import evidence

# Tested by every check that follows a queued request with a RequestTracker.
_TRACKED = (
    invariants.SUBMIT,
    invariants.LINKS,
    invariants.STATUS,
    invariants.SHAPE,
    invariants.NEVER_BACK,
    invariants.POSITION,
    invariants.REQUEST_ID,
)


@dataclass(frozen=True, slots=True)
class Check:
    """A function that tests some cases. `clock` is the clock of a mock that is started for it.

    `live` is False for a check that must not run against fal.ai.
    """

    run: Callable[[Context], None]
    cases: tuple[Case, ...]
    clock: str = "auto-advance"
    live: bool = True


# Checks without cost come first.
CHECKS: tuple[Check, ...] = (
    Check(http_invariants.without_key, (invariants.NO_KEY,)),
    Check(http_invariants.unknown_requests, (invariants.UNKNOWN,)),
    Check(http_invariants.unknown_app, (invariants.UNKNOWN_APP,)),
    Check(http_invariants.wrong_methods, (invariants.METHODS,)),
    Check(http_invariants.token, (invariants.TOKEN,)),
    Check(http_invariants.public_keys, (invariants.KEYS,)),
    Check(http_invariants.platform, (invariants.PRICES, invariants.MODELS)),
    Check(file_invariants.uploads, (invariants.UPLOAD,)),
    Check(file_invariants.downloads, (invariants.UPLOAD, invariants.RANGE, invariants.ETAG)),
    Check(queue_invariants.cancelled_in_queue, (*_TRACKED, invariants.CANCEL, invariants.CANCELLED)),
    Check(
        queue_invariants.invalid_input, (*_TRACKED, invariants.RESULT, invariants.INPUT, invariants.BILLED)
    ),
    Check(
        queue_invariants.full_lifecycle,
        (
            *_TRACKED,
            invariants.LOGS,
            invariants.RESULT,
            invariants.STABLE,
            invariants.CANCEL,
            invariants.BILLED,
        ),
        clock="manual",
    ),
    Check(queue_invariants.status_stream, (*_TRACKED, invariants.LOGS, invariants.STREAM, invariants.RESULT)),
    Check(
        queue_invariants.queue_order,
        (*_TRACKED, invariants.LOGS, invariants.CANCEL, invariants.RESULT),
        clock="manual",
    ),
    Check(file_invariants.same_seed, (*_TRACKED, invariants.RESULT, invariants.SEED, invariants.PICTURE)),
    Check(webhook_invariants.deliveries, (invariants.REQUESTED, invariants.SIGNATURE, invariants.PAYLOAD)),
    Check(
        queue_invariants.any_order,
        (
            *_TRACKED,
            invariants.LOGS,
            invariants.RESULT,
            invariants.STABLE,
            invariants.CANCEL,
            invariants.CANCELLED,
            invariants.INPUT,
            invariants.BILLED,
        ),
        clock="manual",
        live=False,
    ),
)


@dataclass
class CheckLog:
    """The duration of each case in seconds, and the reason why a case could not be tested."""

    durations: dict[Case, float] = field(default_factory=dict)
    skip_reasons: dict[Case, str] = field(default_factory=dict)


def run_checks(checks: Iterable[Check], context: Context, log: CheckLog) -> None:
    """Run checks in order. Violations go into the context's findings, durations and skip reasons into the log."""
    for check in checks:
        started = perf_counter()
        reason = _run(check, context)
        duration = perf_counter() - started
        for case in check.cases:
            log.durations[case] = log.durations.get(case, 0.0) + duration
            if reason:
                log.skip_reasons.setdefault(case, reason)


def _run(check: Check, context: Context) -> str:
    """Run a check; return the reason when it stopped early, else an empty string.

    After a violation the check is run again, without the violated invariant, so that its other cases are tested.
    """
    for _ in check.cases:
        try:
            check.run(context)
            return ""
        except Violation as violation:
            is_repeated = violation.case in context.findings.violations
            context.findings.violations.setdefault(violation.case, violation)
            if is_repeated or context.budget.is_limited:
                return f"stopped early: {violation.case.id} does not hold"
        except NotTestable as reason:
            return str(reason)
        except httpx.HTTPError as error:
            case = check.cases[0]
            no_response = Violation(case, f"no response: {type(error).__name__}: {error}")
            context.findings.violations.setdefault(case, no_response)
            return f"stopped early: {error}"
    return ""


def results(cases: Sequence[Case], context: Context, log: CheckLog) -> list[Result]:
    """One result for each case."""
    return [_result(case, context, log) for case in cases]


def _result(case: Case, context: Context, log: CheckLog) -> Result:
    target = context.target
    duration = log.durations.get(case, 0.0)
    violation = context.findings.violations.get(case)
    if violation is not None:
        message = f"drift: {violation.message}" if context.budget.is_limited else violation.message
        return failed(case, target.name, message, evidence(violation.exchanges, target), duration)
    if case in context.findings.tested:
        return passed(case, target.name, duration)
    return skipped(case, target.name, log.skip_reasons.get(case, "no check tested it"))
