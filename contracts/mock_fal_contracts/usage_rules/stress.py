"""The fault injections of `--stress`: the program is run once more for each, under rules of the scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mock_fal_contracts.target import CheckError
from mock_fal_contracts.usage_rules.record import CALLS, Record


def _calls_models(first_run: Record) -> bool:
    return bool(first_run.calls)


def _uses_queue(first_run: Record) -> bool:
    return bool(first_run.requests)


def _receives_webhooks(first_run: Record) -> bool:
    return bool(first_run.deliveries)


@dataclass(frozen=True, slots=True)
class FaultInjection:
    """One kind of injected fault. `rules` are the rules of the scenario that inject it.

    `description` completes "when …". `applies_to` takes the record of the first run, without injected faults.
    """

    name: str
    description: str
    rules: Sequence[Mapping[str, Any]]
    applies_to: Callable[[Record], bool] = _calls_models

    @property
    def leaves_requests_open(self) -> bool:
        """Whether some requests never get a response."""
        return any(rule.get("connection") == "hang" for rule in self.rules)


# The first run of every program.
NO_FAULTS: Final = FaultInjection("none", "no fault is injected", [])

FAULT_INJECTIONS: Final = (
    FaultInjection("refused", "every input is rejected with 422", [{"error": "content_policy_violation"}]),
    FaultInjection(
        "broken",
        "every run fails: COMPLETED with an error, and the result is 500",
        [{"error": "runner_server_error"}],
    ),
    FaultInjection(
        "unknown-key",
        "the key is rejected with 401",
        [{"account": "unknown", "operation": operation} for operation in CALLS],
    ),
    FaultInjection("gone", "results have expired: 404", [{"result": "expired"}]),
    FaultInjection(
        "busy",
        "the first three calls are rejected with 429 and Retry-After: 2",
        [{"status": 429, "retry_after": 2, "times": 3}],
    ),
    FaultInjection(
        "silent",
        "status, result and the first direct call get no response",
        [
            {"connection": "hang", "operation": "status"},
            {"connection": "hang", "operation": "result"},
            {"connection": "hang", "operation": "run", "times": 1},
            {"connection": "hang", "operation": "stream", "times": 1},
        ],
    ),
    FaultInjection(
        "endless",
        "queued requests never end: IN_PROGRESS for ever",
        [{"operation": "submit", "queue": 0, "run": 100_000, "cancel": "honoured"}],
        _uses_queue,
    ),
    FaultInjection(
        "duplicate", "webhooks are delivered twice", [{"webhook": "duplicate"}], _receives_webhooks
    ),
    FaultInjection(
        "forged", "webhooks have an invalid signature", [{"webhook": "bad_signature"}], _receives_webhooks
    ),
)


def selected(names: str) -> Sequence[FaultInjection]:
    """The fault injections of `--stress`: `all`, or names separated by commas; none for "". Raises CheckError."""
    if not names:
        return ()
    known = {injection.name: injection for injection in FAULT_INJECTIONS}
    chosen = list(known) if names == "all" else [name.strip() for name in names.split(",")]
    for name in chosen:
        if name not in known:
            raise CheckError(f"--stress {name!r}: expected {', '.join(known)}; without a value, all of them")
    return [known[name] for name in chosen]
