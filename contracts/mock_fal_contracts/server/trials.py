"""What is tried, in which order, and which laws each trial is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

import httpx

from mock_fal_contracts.results import Case, Result, failed, passed, skipped
from mock_fal_contracts.server import file_laws, http_laws, laws, queue_laws, webhook_laws
from mock_fal_contracts.server.asking import shown
from mock_fal_contracts.server.bench import Bench
from mock_fal_contracts.server.findings import NotNow, Violation

_WATCHED = (
    laws.SUBMIT,
    laws.LINKS,
    laws.STATUS,
    laws.SHAPE,
    laws.NEVER_BACK,
    laws.POSITION,
    laws.REQUEST_ID,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """`run` tries `cases`. `clock` is the clock that a mock of our own has for it; some are not for a live service."""

    run: Callable[[Bench], None]
    cases: tuple[Case, ...]
    clock: str = "stepping"
    live: bool = True


# Those that cost nothing come first.
TRIALS: tuple[Trial, ...] = (
    Trial(http_laws.without_key, (laws.NO_KEY,)),
    Trial(http_laws.unknown_requests, (laws.UNKNOWN,)),
    Trial(http_laws.unknown_app, (laws.UNKNOWN_APP,)),
    Trial(http_laws.wrong_methods, (laws.METHODS,)),
    Trial(http_laws.token, (laws.TOKEN,)),
    Trial(http_laws.public_keys, (laws.KEYS,)),
    Trial(http_laws.platform, (laws.PRICES, laws.MODELS)),
    Trial(file_laws.uploads, (laws.UPLOAD,)),
    Trial(file_laws.reading, (laws.UPLOAD, laws.RANGE, laws.ETAG)),
    Trial(queue_laws.cancelled_at_once, (*_WATCHED, laws.CANCEL, laws.CANCELLED)),
    Trial(queue_laws.wrong_input, (*_WATCHED, laws.RESULT, laws.INPUT, laws.BILLED)),
    Trial(
        queue_laws.whole_story,
        (*_WATCHED, laws.LOGS, laws.RESULT, laws.STABLE, laws.CANCEL, laws.BILLED),
        clock="manual",
    ),
    Trial(queue_laws.streamed, (*_WATCHED, laws.LOGS, laws.STREAM, laws.RESULT)),
    Trial(queue_laws.one_behind_the_other, (*_WATCHED, laws.LOGS, laws.CANCEL, laws.RESULT), clock="manual"),
    Trial(file_laws.same_seed, (*_WATCHED, laws.RESULT, laws.SEED, laws.PICTURE)),
    Trial(webhook_laws.delivered, (laws.ASKED, laws.SIGNATURE, laws.PAYLOAD)),
    Trial(
        queue_laws.any_order,
        (
            *_WATCHED,
            laws.LOGS,
            laws.RESULT,
            laws.STABLE,
            laws.CANCEL,
            laws.CANCELLED,
            laws.INPUT,
            laws.BILLED,
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


def try_all(trials: Iterable[Trial], bench: Bench, outcome: Outcome) -> Outcome:
    """Run trials one after the other; what they find stands in the bench."""
    for trial in trials:
        started = perf_counter()
        reason = _tried(trial, bench)
        for case in trial.cases:
            outcome.seconds[case] = outcome.seconds.get(case, 0.0) + perf_counter() - started
            if reason:
                outcome.reasons.setdefault(case, reason)
    return outcome


def _tried(trial: Trial, bench: Bench) -> str:
    """Why a trial could not be run whole; a broken law is left out, and the trial run again for the others."""
    for _ in trial.cases:
        try:
            trial.run(bench)
            return ""
        except Violation as violation:
            known = violation.case in bench.findings.broken
            bench.findings.broken.setdefault(violation.case, violation)
            if known or bench.budget.is_counted:
                return f"broke off, since {violation.case.id} does not hold"
        except NotNow as reason:
            return str(reason)
        except httpx.HTTPError as error:
            case = trial.cases[0]
            bench.findings.broken.setdefault(
                case, Violation(case, f"no answer: {type(error).__name__}: {error}")
            )
            return f"broke off: {error}"
    return ""


def results(cases: Sequence[Case], bench: Bench, outcome: Outcome) -> list[Result]:
    """One result for each case."""
    target, drift = bench.target, "drift: " if bench.budget.is_counted else ""
    found = []
    for case in cases:
        seconds = outcome.seconds.get(case, 0.0)
        violation = bench.findings.broken.get(case)
        if violation is not None:
            evidence = shown(violation.exchanges, target)
            found.append(failed(case, target.name, drift + violation.message, evidence, seconds))
        elif case in bench.findings.tried:
            found.append(passed(case, target.name, seconds))
        else:
            found.append(skipped(case, target.name, outcome.reasons.get(case, "nothing came to it")))
    return found
