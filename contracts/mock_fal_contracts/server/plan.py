"""What is tried, in which order, and which laws each trial is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

import httpx

from mock_fal_contracts.results import Case, Result, failed, passed, skipped
from mock_fal_contracts.server import file_invariants as file_invariants
from mock_fal_contracts.server import http_invariants as http_invariants
from mock_fal_contracts.server import invariants as invariants
from mock_fal_contracts.server import queue_invariants as queue_invariants
from mock_fal_contracts.server import webhook_invariants as webhook_invariants
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import NotNow, Violation
from mock_fal_contracts.server.http_client import shown

_WATCHED = (
    invariants.SUBMIT,
    invariants.LINKS,
    invariants.STATUS,
    invariants.SHAPE,
    invariants.NEVER_BACK,
    invariants.POSITION,
    invariants.REQUEST_ID,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """`run` tries `cases`. `clock` is the clock that a mock of our own has for it; some are not for a live service."""

    run: Callable[[Context], None]
    cases: tuple[Case, ...]
    clock: str = "auto-advance"
    live: bool = True


# Those that cost nothing come first.
TRIALS: tuple[Trial, ...] = (
    Trial(http_invariants.without_key, (invariants.NO_KEY,)),
    Trial(http_invariants.unknown_requests, (invariants.UNKNOWN,)),
    Trial(http_invariants.unknown_app, (invariants.UNKNOWN_APP,)),
    Trial(http_invariants.wrong_methods, (invariants.METHODS,)),
    Trial(http_invariants.token, (invariants.TOKEN,)),
    Trial(http_invariants.public_keys, (invariants.KEYS,)),
    Trial(http_invariants.platform, (invariants.PRICES, invariants.MODELS)),
    Trial(file_invariants.uploads, (invariants.UPLOAD,)),
    Trial(file_invariants.reading, (invariants.UPLOAD, invariants.RANGE, invariants.ETAG)),
    Trial(queue_invariants.cancelled_at_once, (*_WATCHED, invariants.CANCEL, invariants.CANCELLED)),
    Trial(queue_invariants.wrong_input, (*_WATCHED, invariants.RESULT, invariants.INPUT, invariants.BILLED)),
    Trial(
        queue_invariants.whole_story,
        (
            *_WATCHED,
            invariants.LOGS,
            invariants.RESULT,
            invariants.STABLE,
            invariants.CANCEL,
            invariants.BILLED,
        ),
        clock="manual",
    ),
    Trial(queue_invariants.streamed, (*_WATCHED, invariants.LOGS, invariants.STREAM, invariants.RESULT)),
    Trial(
        queue_invariants.one_behind_the_other,
        (*_WATCHED, invariants.LOGS, invariants.CANCEL, invariants.RESULT),
        clock="manual",
    ),
    Trial(file_invariants.same_seed, (*_WATCHED, invariants.RESULT, invariants.SEED, invariants.PICTURE)),
    Trial(webhook_invariants.delivered, (invariants.ASKED, invariants.SIGNATURE, invariants.PAYLOAD)),
    Trial(
        queue_invariants.any_order,
        (
            *_WATCHED,
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
class Outcome:
    """What became of some trials: how long each took, and why some could not be tried."""

    seconds: dict[Case, float]
    reasons: dict[Case, str]


def try_all(trials: Iterable[Trial], context: Context, outcome: Outcome) -> Outcome:
    """Run trials one after the other; what they find stands in the context."""
    for trial in trials:
        started = perf_counter()
        reason = _tried(trial, context)
        for case in trial.cases:
            outcome.seconds[case] = outcome.seconds.get(case, 0.0) + perf_counter() - started
            if reason:
                outcome.reasons.setdefault(case, reason)
    return outcome


def _tried(trial: Trial, context: Context) -> str:
    """Why a trial could not be run whole; a broken law is left out, and the trial run again for the others."""
    for _ in trial.cases:
        try:
            trial.run(context)
            return ""
        except Violation as violation:
            known = violation.case in context.findings.broken
            context.findings.broken.setdefault(violation.case, violation)
            if known or context.budget.is_counted:
                return f"broke off, since {violation.case.id} does not hold"
        except NotNow as reason:
            return str(reason)
        except httpx.HTTPError as error:
            case = trial.cases[0]
            context.findings.broken.setdefault(
                case, Violation(case, f"no answer: {type(error).__name__}: {error}")
            )
            return f"broke off: {error}"
    return ""


def results(cases: Sequence[Case], context: Context, outcome: Outcome) -> list[Result]:
    """One result for each case."""
    target, drift = context.target, "drift: " if context.budget.is_counted else ""
    found = []
    for case in cases:
        seconds = outcome.seconds.get(case, 0.0)
        violation = context.findings.broken.get(case)
        if violation is not None:
            evidence = shown(violation.exchanges, target)
            found.append(failed(case, target.name, drift + violation.message, evidence, seconds))
        elif case in context.findings.tried:
            found.append(passed(case, target.name, seconds))
        else:
            found.append(skipped(case, target.name, outcome.reasons.get(case, "nothing came to it")))
    return found
