"""Submits, looks, collects and cancels, and holds every answer against what is known of the request so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server import invariants as invariants
from mock_fal_contracts.server.budget import ENDPOINT
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import Violation
from mock_fal_contracts.server.http_client import HttpClient

QUEUE = "queue.fal.run"
STATES = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")
STILL = "Request is still in progress"

# What a cancellation is answered with, by the state that it meets.
_CANCELS = (
    (200, {"status": "OK"}),
    (202, {"status": "CANCELLATION_REQUESTED"}),
    (400, {"status": "ALREADY_COMPLETED"}),
)

GOOD_INPUT = {"prompt": "a lighthouse at dusk", "image_size": "square", "seed": 7}


@dataclass(eq=False)
class Seen:
    """What is known of one request. `rank` counts STATES: it is in this one or a later one.

    `epoch` is when that was seen: as long as nothing happened since, it is in exactly this one.
    """

    id: str
    app: str
    good: bool
    rank: int = 0
    epoch: int = 0
    position: int | None = None
    logs: list[Any] = field(default_factory=list)
    result: Exchange | None = None
    removed: bool = False
    history: list[Exchange] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/{self.app}/requests/{self.id}"


class RequestTracker:
    """Any number of clients may act; the laws hold for what they see together."""

    def __init__(self, context: Context) -> None:
        self._bench = context
        self._findings = context.findings
        self._epoch = 0
        self.requests: list[Seen] = []

    def submit(
        self, client: HttpClient, document: Any, *, good: bool = True, query: dict[str, str] | None = None
    ) -> Seen:
        """Submit an input; what it costs has been reserved."""
        self._epoch += 1
        answer = client.ask("POST", QUEUE, f"/{ENDPOINT}", json=document, query=query)
        body = answer.output
        message = (
            f"status {answer.status}, {_of(body)}; expected 200 with a new request_id and the status IN_QUEUE"
        )
        usable = isinstance(body, dict) and isinstance(body.get("request_id"), str)
        if not usable or body.get("status") not in STATES[:2]:
            # Without an id there is nothing to go on with, even where the law is known to be broken.
            raise Violation(invariants.SUBMIT, message, [answer])
        new = body["request_id"] not in [each.id for each in self.requests]
        self._findings.expect(invariants.SUBMIT, answer.status == 200 and new, message, answer)
        request = Seen(body["request_id"], "/".join(ENDPOINT.split("/")[:2]), good, epoch=self._epoch)
        self.requests.append(request)
        request.history.append(answer)
        self._moved(request, STATES.index(body["status"]), answer)
        self._shape(request, answer, with_logs=False)
        self._about(request, answer)
        return request

    def poll(self, client: HttpClient, request: Seen, *, logs: bool = False) -> str:
        """Poll the status, and return it."""
        answer = self._ask(client, "GET", request, "/status", {"logs": "1"} if logs else None)
        body = answer.output
        state = body.get("status") if isinstance(body, dict) else None
        its = self._findings
        its.expect(
            invariants.STATUS,
            state in STATES and answer.status == (200 if state == "COMPLETED" else 202),
            f"HTTP status {answer.status} with the state {state!r}; expected 202 with IN_QUEUE or IN_PROGRESS, "
            "200 with COMPLETED",
            *request.history[-2:],
        )
        if state not in STATES:
            return ""
        self._moved(request, STATES.index(state), answer)
        self._shape(request, answer, with_logs=logs)
        self._about(request, answer)
        if logs:
            self.grown(request, body.get("logs") or [], answer)
        return str(state)

    def collect(self, client: HttpClient, request: Seen) -> Exchange:
        """Fetch the result."""
        exact = self._is_exact(request)
        answer = self._ask(client, "GET", request, "")
        body = answer.output
        still = answer.status == 400 and isinstance(body, dict) and body.get("detail") == STILL
        if request.rank == 2 or not exact:
            expected = still or answer.status != 400 if request.rank < 2 else not still
        else:
            expected = still
        self._findings.expect(
            invariants.RESULT,
            expected,
            f"{answer.status} {_of(body)} for a request that is {STATES[request.rank]}; expected "
            + (f"400 with the detail {STILL!r}" if request.rank < 2 else "the model's own answer"),
            *request.history[-3:],
        )
        if not still:
            self._moved(request, 2, answer)
            self._ended(request, answer)
        self._about(request, answer, links=still)
        return answer

    def cancel(self, client: HttpClient, request: Seen) -> int:
        """Cancel, and return the HTTP status."""
        exact = self._is_exact(request)
        answer = self._ask(client, "PUT", request, "/cancel")
        seen = (answer.status, answer.output)
        allowed = _CANCELS[request.rank : request.rank + 1] if exact else _CANCELS[request.rank :]
        self._findings.expect(
            invariants.CANCEL,
            seen in allowed,
            f"{answer.status} {_of(answer.output)} for a request that is {STATES[request.rank]}; expected "
            + " or ".join(f"{status} {document}" for status, document in allowed),
            *request.history[-3:],
        )
        if seen in _CANCELS:
            met = _CANCELS.index(seen)
            request.removed = request.removed or met == 0
            self._moved(request, 2 if met == 0 else met, answer)
        self._epoch += 1
        self._about(request, answer)
        return answer.status

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self._epoch += 1
        self._bench.pass_time(seconds)

    def finish(self, client: HttpClient, request: Seen, *, logs: bool = False) -> None:
        """Look until it is completed."""
        for _ in self._bench.polls():
            self._epoch += 1
            if self.poll(client, request, logs=logs) == "COMPLETED":
                return
        self._findings.expect(
            invariants.NEVER_BACK, False, "it never became COMPLETED", *request.history[-3:]
        )

    def grown(self, request: Seen, logs: list[Any], answer: Exchange) -> None:
        """Hold a list of logs against the last."""
        before = request.logs
        self._findings.expect(
            invariants.LOGS,
            logs[: len(before)] == before,
            f"there were {len(before)} lines, now there are {len(logs)}, and they don't begin as those did",
            *request.history[-2:],
        )
        request.logs = logs if len(logs) >= len(before) else before

    def _ask(
        self, client: HttpClient, method: str, request: Seen, tail: str, query: dict[str, str] | None = None
    ) -> Exchange:
        answer = client.ask(method, QUEUE, request.path + tail, query=query)
        request.history.append(answer)
        return answer

    def _is_exact(self, request: Seen) -> bool:
        return request.rank == 2 or (self._bench.is_frozen and request.epoch == self._epoch)

    def _moved(self, request: Seen, rank: int, answer: Exchange) -> None:
        removed = request.removed and request.rank == 2 and rank < 2
        invariant = invariants.CANCELLED if removed else invariants.NEVER_BACK
        self._findings.tried.add(invariants.NEVER_BACK)
        self._findings.expect(
            invariant,
            rank >= request.rank,
            f"it was {STATES[request.rank]}{' by a cancellation' if removed else ''}, and now it is {STATES[rank]}",
            *request.history[-3:],
        )
        request.rank, request.epoch = max(rank, request.rank), self._epoch

    def _shape(self, request: Seen, answer: Exchange, *, with_logs: bool) -> None:
        body: dict[str, Any] = answer.output
        state, its = body["status"], self._findings
        position, metrics = body.get("queue_position"), body.get("metrics")
        rules = [
            (
                (position is not None) == (state == "IN_QUEUE"),
                f"queue_position is {position!r} while {state}; expected it if and only if IN_QUEUE",
            ),
            ("logs" in body, "there is no logs; expected null or a list"),
            (with_logs or body.get("logs") is None, "there are logs that nobody asked for"),
            (
                state != "COMPLETED"
                or "error" in body
                or isinstance((metrics or {}).get("inference_time"), (int, float)),
                f"metrics is {metrics!r} at the end; expected an inference_time in seconds",
            ),
        ]
        for holds, message in rules:
            its.expect(invariants.SHAPE, holds, message, *request.history[-1:])
        if isinstance(position, int) and state == "IN_QUEUE":
            its.expect(
                invariants.POSITION,
                position >= 0 and (request.position is None or position <= request.position),
                f"queue_position was {request.position}, now it is {position}",
                *request.history[-2:],
            )
            request.position = position

    def _about(self, request: Seen, answer: Exchange, *, links: bool = True) -> None:
        self._findings.same(
            invariants.REQUEST_ID,
            answer.response_header("x-fal-request-id"),
            request.id,
            "x-fal-request-id",
            answer,
        )
        body = answer.output
        if not links or not isinstance(body, dict) or "response_url" not in body:
            return
        for name, tail in (("response_url", ""), ("status_url", "/status"), ("cancel_url", "/cancel")):
            path = urlsplit(str(body.get(name))).path
            self._findings.expect(
                invariants.LINKS,
                path.endswith(f"{QUEUE if self._bench.target.base else ''}{request.path}{tail}")
                and (bool(self._bench.target.base) or path == request.path + tail),
                f"{name} is {body.get(name)!r}, expected a path of {request.path}{tail}",
                answer,
            )

    def _ended(self, request: Seen, answer: Exchange) -> None:
        its, body = self._findings, answer.output
        if request.result is not None:
            its.same(
                invariants.STABLE, answer.response_body, request.result.response_body, "the result", answer
            )
        request.result = answer
        if request.removed:
            its.expect(
                invariants.CANCELLED,
                answer.status >= 400,
                f"the result of what was cancelled while queued is {answer.status}, expected an error",
                *request.history[-3:],
            )
        elif not request.good:
            its.expect(
                invariants.INPUT,
                answer.status == 422 and _lists_places(body),
                f"{answer.status} {_of(body)}; expected 422 with a list of items, each with loc (from body on), "
                "msg and type",
                answer,
            )
            its.same(invariants.BILLED, _number(answer), 0.0, "x-fal-billable-units of a 422", answer)
        elif answer.status == 200:
            units = _number(answer)
            its.expect(
                invariants.BILLED,
                units is not None and units > 0,
                f"x-fal-billable-units is {answer.response_header('x-fal-billable-units')!r}, expected a number above 0",
                answer,
            )


def _lists_places(body: Any) -> bool:
    items = body.get("detail") if isinstance(body, dict) else None
    return (
        isinstance(items, list)
        and bool(items)
        and all(
            isinstance(item, dict)
            and isinstance(item.get("loc"), list)
            and item["loc"][:1] == ["body"]
            and isinstance(item.get("msg"), str)
            and isinstance(item.get("type"), str)
            for item in items
        )
    )


def _number(answer: Exchange) -> float | None:
    try:
        return float(answer.response_header("x-fal-billable-units") or "")
    except ValueError:
        return None


def _of(body: Any) -> str:
    text = repr(body)
    return text if len(text) <= 200 else f"{text[:200]}…"
