"""Sends requests about queued requests and checks every response against the state known so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server import invariants
from mock_fal_contracts.server.budget import ENDPOINT
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import Violation
from mock_fal_contracts.server.http_client import HttpClient

QUEUE = "queue.fal.run"
STATES = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")
STILL_IN_PROGRESS = "Request is still in progress"

VALID_INPUT = {"prompt": "a lighthouse at dusk", "image_size": "square", "seed": 7}

_COMPLETED = STATES.index("COMPLETED")

# The response to a cancellation, by the request's state (an index into STATES).
_CANCEL_RESPONSES = (
    (200, {"status": "OK"}),
    (202, {"status": "CANCELLATION_REQUESTED"}),
    (400, {"status": "ALREADY_COMPLETED"}),
)

_MAX_BODY_LENGTH = 200


@dataclass(eq=False)
class TrackedRequest:
    """What is known of one request. `state` is an index into STATES: the request is in this state or a later one.

    `epoch` is the tracker's epoch when the state was seen. As long as the epoch is the same, nothing has happened that
    could change the state.
    """

    id: str
    app: str
    is_valid: bool
    state: int = 0
    epoch: int = 0
    position: int | None = None
    logs: list[Any] = field(default_factory=list)
    result: Exchange | None = None
    is_removed: bool = False
    history: list[Exchange] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/{self.app}/requests/{self.id}"

    @property
    def state_name(self) -> str:
        return STATES[self.state]


class RequestTracker:
    """Tracks the requests of any number of clients. The invariants hold for all responses together."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._findings = context.findings
        self._epoch = 0
        self.requests: list[TrackedRequest] = []

    def submit(
        self, client: HttpClient, document: Any, *, valid: bool = True, query: dict[str, str] | None = None
    ) -> TrackedRequest:
        """Submit an input. The caller has reserved its cost."""
        self._epoch += 1
        response = client.send("POST", QUEUE, f"/{ENDPOINT}", json=document, query=query)
        body = response.output
        message = (
            f"status {response.status}, {_short(body)}; "
            "expected 200 with a new request_id and the status IN_QUEUE"
        )
        has_id = isinstance(body, dict) and isinstance(body.get("request_id"), str)
        if not has_id or body.get("status") not in STATES[:2]:
            # Raised even where the violation is known already: without an id the check can't continue.
            raise Violation(invariants.SUBMIT, message, [response])
        is_new = body["request_id"] not in [request.id for request in self.requests]
        self._findings.expect(invariants.SUBMIT, response.status == 200 and is_new, message, response)
        app = "/".join(ENDPOINT.split("/")[:2])
        request = TrackedRequest(body["request_id"], app, valid, epoch=self._epoch)
        self.requests.append(request)
        request.history.append(response)
        self._check_transition(request, STATES.index(body["status"]))
        self._check_status_body(request, response, with_logs=False)
        self._check_id_and_links(request, response)
        return request

    def poll(self, client: HttpClient, request: TrackedRequest, *, logs: bool = False) -> str:
        """Poll the status and return it; an empty string for an unknown status."""
        response = self._send(client, "GET", request, "/status", {"logs": "1"} if logs else None)
        body = response.output
        status = body.get("status") if isinstance(body, dict) else None
        self._findings.expect(
            invariants.STATUS,
            status in STATES and response.status == (200 if status == "COMPLETED" else 202),
            f"HTTP status {response.status} with the status {status!r}; "
            "expected 202 with IN_QUEUE or IN_PROGRESS, 200 with COMPLETED",
            *request.history[-2:],
        )
        if status not in STATES:
            return ""
        self._check_transition(request, STATES.index(status))
        self._check_status_body(request, response, with_logs=logs)
        self._check_id_and_links(request, response)
        if logs:
            self._check_logs(request, body.get("logs") or [])
        return str(status)

    def collect(self, client: HttpClient, request: TrackedRequest) -> Exchange:
        """Fetch the result."""
        is_exact = self._is_state_exact(request)
        response = self._send(client, "GET", request, "")
        body = response.output
        is_early = (
            response.status == 400 and isinstance(body, dict) and body.get("detail") == STILL_IN_PROGRESS
        )
        if request.state == _COMPLETED:
            holds = not is_early
        elif is_exact:
            holds = is_early
        else:
            holds = is_early or response.status != 400
        expected = (
            "the model's own response"
            if request.state == _COMPLETED
            else f"400 with the detail {STILL_IN_PROGRESS!r}"
        )
        self._findings.expect(
            invariants.RESULT,
            holds,
            f"{response.status} {_short(body)} for a request that is {request.state_name}; expected {expected}",
            *request.history[-3:],
        )
        if not is_early:
            self._check_transition(request, _COMPLETED)
            self._check_result(request, response)
        self._check_id_and_links(request, response, links=is_early)
        return response

    def cancel(self, client: HttpClient, request: TrackedRequest) -> int:
        """Cancel, and return the HTTP status."""
        is_exact = self._is_state_exact(request)
        response = self._send(client, "PUT", request, "/cancel")
        actual = (response.status, response.output)
        allowed = _CANCEL_RESPONSES[request.state : request.state + 1 if is_exact else None]
        self._findings.expect(
            invariants.CANCEL,
            actual in allowed,
            f"{response.status} {_short(response.output)} for a request that is {request.state_name}; expected "
            + " or ".join(f"{status} {document}" for status, document in allowed),
            *request.history[-3:],
        )
        if actual in _CANCEL_RESPONSES:
            state = _CANCEL_RESPONSES.index(actual)
            is_removed = state == STATES.index("IN_QUEUE")
            request.is_removed = request.is_removed or is_removed
            self._check_transition(request, _COMPLETED if is_removed else state)
        self._epoch += 1
        self._check_id_and_links(request, response)
        return response.status

    def advance_time(self, seconds: float) -> None:
        """Advance the clock, or wait."""
        self._epoch += 1
        self._context.advance_time(seconds)

    def finish(self, client: HttpClient, request: TrackedRequest, *, logs: bool = False) -> None:
        """Poll until the request is completed."""
        for _ in self._context.polls():
            self._epoch += 1
            if self.poll(client, request, logs=logs) == "COMPLETED":
                return
        self._findings.expect(
            invariants.NEVER_BACK, False, "the request never became COMPLETED", *request.history[-3:]
        )

    def _send(
        self,
        client: HttpClient,
        method: str,
        request: TrackedRequest,
        suffix: str,
        query: dict[str, str] | None = None,
    ) -> Exchange:
        response = client.send(method, QUEUE, request.path + suffix, query=query)
        request.history.append(response)
        return response

    def _is_state_exact(self, request: TrackedRequest) -> bool:
        return request.state == _COMPLETED or (
            self._context.has_manual_clock and request.epoch == self._epoch
        )

    def _check_transition(self, request: TrackedRequest, state: int) -> None:
        is_revived = request.is_removed and request.state == _COMPLETED and state < _COMPLETED
        self._findings.tested.add(invariants.NEVER_BACK)
        self._findings.expect(
            invariants.CANCELLED if is_revived else invariants.NEVER_BACK,
            state >= request.state,
            f"the request was {request.state_name}{' by a cancellation' if is_revived else ''}, "
            f"and now it is {STATES[state]}",
            *request.history[-3:],
        )
        request.state, request.epoch = max(state, request.state), self._epoch

    def _check_status_body(self, request: TrackedRequest, response: Exchange, *, with_logs: bool) -> None:
        body: dict[str, Any] = response.output
        status, position, metrics = body["status"], body.get("queue_position"), body.get("metrics")
        conditions = [
            (
                (position is not None) == (status == "IN_QUEUE"),
                f"queue_position is {position!r} while {status}; expected it if and only if IN_QUEUE",
            ),
            ("logs" in body, "logs is missing; expected null or a list"),
            (with_logs or body.get("logs") is None, "logs is not null, although they were not requested"),
            (
                status != "COMPLETED"
                or "error" in body
                or isinstance((metrics or {}).get("inference_time"), (int, float)),
                f"metrics is {metrics!r} when COMPLETED; expected an inference_time in seconds",
            ),
        ]
        for holds, message in conditions:
            self._findings.expect(invariants.SHAPE, holds, message, *request.history[-1:])
        if isinstance(position, int) and status == "IN_QUEUE":
            self._findings.expect(
                invariants.POSITION,
                position >= 0 and (request.position is None or position <= request.position),
                f"queue_position was {request.position}, now it is {position}",
                *request.history[-2:],
            )
            request.position = position

    def _check_logs(self, request: TrackedRequest, logs: list[Any]) -> None:
        previous = request.logs
        self._findings.expect(
            invariants.LOGS,
            logs[: len(previous)] == previous,
            f"there were {len(previous)} lines; now there are {len(logs)}, and they don't begin with the earlier ones",
            *request.history[-2:],
        )
        request.logs = logs if len(logs) >= len(previous) else previous

    def _check_id_and_links(self, request: TrackedRequest, response: Exchange, *, links: bool = True) -> None:
        self._findings.expect_equal(
            invariants.REQUEST_ID,
            response.response_header("x-fal-request-id"),
            request.id,
            "x-fal-request-id",
            response,
        )
        body = response.output
        if not links or not isinstance(body, dict) or "response_url" not in body:
            return
        base = self._context.target.base
        for name, suffix in (("response_url", ""), ("status_url", "/status"), ("cancel_url", "/cancel")):
            path = urlsplit(str(body.get(name))).path
            expected = request.path + suffix
            self._findings.expect(
                invariants.LINKS,
                path.endswith(f"{QUEUE}{expected}") if base else path == expected,
                f"{name} is {body.get(name)!r}, expected a path of {expected}",
                response,
            )

    def _check_result(self, request: TrackedRequest, response: Exchange) -> None:
        findings, body = self._findings, response.output
        if request.result is not None:
            findings.expect_equal(
                invariants.STABLE,
                response.response_body,
                request.result.response_body,
                "the result",
                response,
            )
        request.result = response
        if request.is_removed:
            findings.expect(
                invariants.CANCELLED,
                response.status >= 400,
                f"the result of a request that was cancelled in the queue is {response.status}, expected an error",
                *request.history[-3:],
            )
        elif not request.is_valid:
            findings.expect(
                invariants.INPUT,
                response.status == 422 and _is_validation_error(body),
                f"{response.status} {_short(body)}; "
                'expected 422 with a list of items, each with loc (starting with "body"), msg and type',
                response,
            )
            subject = "x-fal-billable-units of a 422"
            findings.expect_equal(invariants.BILLED, _billable_units(response), 0.0, subject, response)
        elif response.status == 200:
            units = _billable_units(response)
            findings.expect(
                invariants.BILLED,
                units is not None and units > 0,
                f"x-fal-billable-units is {response.response_header('x-fal-billable-units')!r}, "
                "expected a number above 0",
                response,
            )


def _is_validation_error(body: Any) -> bool:
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


def _billable_units(response: Exchange) -> float | None:
    try:
        return float(response.response_header("x-fal-billable-units") or "")
    except ValueError:
        return None


def _short(body: Any) -> str:
    text = repr(body)
    return text if len(text) <= _MAX_BODY_LENGTH else f"{text[:_MAX_BODY_LENGTH]}…"
