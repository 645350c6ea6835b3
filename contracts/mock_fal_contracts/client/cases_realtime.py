"""Cases of realtime: inputs and results over one WebSocket, which may close or break, and tokens that expire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from mock_fal_contracts.client.case import Check, ClientCase, case
from mock_fal_contracts.client.checks import either, fails, rejects, shown, succeeds
from mock_fal_contracts.client.jobs import BOTH, LIVE, realtime
from mock_fal_contracts.client.observation import Observation

_WEBSOCKETS: Final = "the WebSocket protocol (RFC 6455), 7"
_SEEDS: Final = (1, 2, 3)


def _inputs(*seeds: int) -> list[dict[str, Any]]:
    return [{"prompt": "a cat", "seed": seed, "image_size": {"width": 64, "height": 48}} for seed in seeds]


def _results(observation: Observation) -> Iterator[str]:
    """There is a result for each input, in the same order."""
    if not observation.ok:
        yield from succeeds(observation)
        return
    expected = [item["seed"] for item in observation.jobs[-1]["inputs"]]
    events = observation.answer.get("events") or []
    actual = [event.get("seed") if isinstance(event, dict) else None for event in events]
    if actual != expected:
        yield f"the results have the seeds {shown(actual)}, expected {shown(expected)}, one for each input, in order"


def _token_used(observation: Observation) -> Iterator[str]:
    sockets = observation.requests("realtime")
    if not sockets:
        yield "no input reached the server"
    if any(
        "fal_jwt_token=" not in each.query and not each.request_header("authorization") for each in sockets
    ):
        yield "the socket has neither a token nor a key; fetch a token (POST rest.fal.ai/tokens/)"


def _case(
    id: str,
    title: str,
    requirement: str,
    source: str,
    inputs: Iterable[Any],
    *checks: Check,
    rule: str = "",
    **options: Any,
) -> ClientCase:
    return case(
        f"realtime.{id}",
        title,
        requirement,
        source,
        [realtime(list(inputs), **options)],
        checks,
        rules=[rule] if rule else [],
        slow_s=options.get("pause_s", 0.0),
    )


CASES: Final = [
    _case(
        "results",
        "each input has its result",
        "Over one socket, results come in the order of the inputs.",
        BOTH,
        _inputs(*_SEEDS),
        _results,
        _token_used,
    ),
    _case(
        "invalid",
        "an invalid input",
        "An error is a message of type x-fal-error with a reason, and the socket is closed.",
        LIVE,
        [{"seed": 1}],
        fails(saying=("validation error",)),
    ),
    _case(
        "reset",
        "a socket that breaks in the middle",
        "Without a close frame the connection is lost, and the result will never come (1006).",
        _WEBSOCKETS,
        _inputs(*_SEEDS),
        either(_results, rejects("a broken connection")),
        rule="operation=realtime connection=reset nth=2",
    ),
    _case(
        "idle",
        "a socket that is closed because it was idle",
        "After about 30 seconds without an input the socket is closed. A client connects again, or reports an error.",
        LIVE,
        _inputs(1, 2),
        either(_results, rejects("a closed connection")),
        pause_s=3.5,  # by the clock of the mock 35 seconds
    ),
    _case(
        "token",
        "a token that has expired",
        "The socket is closed after a message with the error Unauthorized. A client fetches another token, or reports "
        "an error.",
        BOTH,
        _inputs(1),
        either(_results, rejects("a refused token")),
        rule="operation=handshake token=expired times=1",
    ),
    _case(
        "malformed",
        "a result that is not MessagePack",
        "A message that can't be decoded is an error.",
        BOTH,
        _inputs(1),
        rejects("a message that is not MessagePack"),
        rule="operation=realtime json=malformed",
    ),
    _case(
        "locked",
        "a locked account",
        "The handshake is rejected with 403.",
        LIVE,
        _inputs(1),
        rejects("a rejected handshake"),
        rule="operation=handshake account=locked",
    ),
]
