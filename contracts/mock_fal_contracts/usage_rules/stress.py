"""What can go wrong while a program runs: one run for each trial, with rules of the scenario that make it happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mock_fal_contracts.target import CheckError
from mock_fal_contracts.usage_rules.record import CALLS, Record


def _always(baseline: Record) -> bool:
    return bool(baseline.calls)


def _with_webhook(baseline: Record) -> bool:
    return bool(baseline.deliveries)


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of trouble. `rules` are what the mock is told; `fits` says of the calm run whether it makes sense.

    `says` goes on after "when".
    """

    name: str
    says: str
    rules: Sequence[Mapping[str, Any]]
    fits: Callable[[Record], bool] = _always

    @property
    def is_silent(self) -> bool:
        """Whether some answers never come."""
        return any(rule.get("connection") == "hang" for rule in self.rules)


BASELINE: Final = Trial("calm", "nothing goes wrong", [])

TRIALS: Final = (
    Trial("refused", "every input is refused with 422", [{"error": "content_policy_violation"}]),
    Trial(
        "broken", "every runner fails: COMPLETED with an error, and 500", [{"error": "runner_server_error"}]
    ),
    Trial(
        "unknown-key", "the key is refused with 401", [{"account": "unknown", "at": step} for step in CALLS]
    ),
    Trial("gone", "results have expired: 404", [{"result": "expired"}]),
    Trial(
        "busy",
        "the first three calls are refused: 429, Retry-After: 2",
        [{"status": 429, "retry_after": 2, "times": 3}],
    ),
    Trial(
        "silent",
        "status and result are never answered, nor the first direct call",
        [
            {"connection": "hang", "operation": "status"},
            {"connection": "hang", "operation": "result"},
            {"connection": "hang", "operation": "run", "times": 1},
            {"connection": "hang", "operation": "stream", "times": 1},
        ],
    ),
    Trial("duplicate", "webhooks come twice", [{"webhook": "duplicate"}], _with_webhook),
    Trial("forged", "webhooks have a bad signature", [{"webhook": "bad_signature"}], _with_webhook),
)


def chosen(names: str) -> Sequence[Trial]:
    """The trials of `--stress`: `all`, or names with commas between them; nothing for none. Raises CheckError."""
    if not names:
        return ()
    known = {each.name: each for each in TRIALS}
    wanted = list(known) if names == "all" else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise CheckError(f"--stress {name!r}: expected {', '.join(known)}, or nothing for all of them")
    return [known[name] for name in wanted]
