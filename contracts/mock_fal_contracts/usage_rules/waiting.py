"""Rules about waiting for a request: how a program polls, and when it stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import QueuedRequest, Record, has_no_response, pauses_s
from mock_fal_contracts.usage_rules.rule import ERRORS, QUEUE_API, Finding, rule

# A busy loop: so many polls of one request, with half of the pauses shorter than this. The official clients wait
# 0.1 s (fal_client 1.0.3) and 0.5 s (@fal-ai/client 1.10.1); a slow machine makes pauses longer, never shorter.
BUSY_POLLS: Final = 20
BUSY_PAUSE_S: Final = 0.05

# The number of polls after COMPLETED, or without ever seeing it, that counts as a mistake.
USELESS_POLLS: Final = 5

# Clients with a timeout of their own, longer than a check should take: 120 s in fal_client, 300 s in Node's fetch,
# which the JavaScript clients use.
CLIENTS_WITH_TIMEOUT: Final = ("fal-client/", "@fal-ai/client/", "@fal-ai/serverless-client/")
NODES_FETCH: Final = "node"

_STILL_IN_PROGRESS: Final = "Request is still in progress"


@rule(
    "states",
    "waits for states that fal sends",
    "There are three states: IN_QUEUE, IN_PROGRESS, COMPLETED. A failed or cancelled request is COMPLETED as well; "
    "FAILED, ERROR and CANCELLED never come.",
    f"{QUEUE_API}; seen live",
    subject="request was seen as COMPLETED",
    select=lambda record: [request for request in record.requests if request.completed],
)
def states(record: Record, requests: Sequence[QueuedRequest]) -> Iterator[Finding]:
    for request in requests:
        completed = request.completed
        assert completed is not None
        later = [poll for poll in request.exchanges_of("status") if poll.received_at > completed.received_at]
        if len(later) >= USELESS_POLLS:
            yield Finding(
                f"the status was polled {len(later)} more times after COMPLETED, which is final: read the result, "
                "whose HTTP status shows success or failure.",
                (request.submission, completed, *later),
            )


@rule(
    "busy-polling",
    "pauses between polls",
    "A program pauses between two polls; fal's own clients wait 0.1 s and 0.5 s.",
    f"{QUEUE_API}; fal_client 1.0.3; @fal-ai/client 1.10.1",
    subject="request was polled more than once before it was completed",
    select=lambda record: [request for request in record.requests if len(_early_polls(request)) > 1],
    is_advice=True,
)
def busy_polling(record: Record, requests: Sequence[QueuedRequest]) -> Iterator[Finding]:
    for request in requests:
        polls = _early_polls(request)
        pauses = pauses_s(polls)
        if len(polls) < BUSY_POLLS or min(pauses) < 0:
            continue  # the pauses of overlapping polls are unknown
        if median(pauses) < BUSY_PAUSE_S:
            yield Finding(
                f"one request was polled {len(polls)} times with pauses of {median(pauses) * 1000:.0f} ms; wait at "
                "least 100 ms, or use status/stream or a webhook.",
                (request.submission, *polls),
            )


def _early_polls(request: QueuedRequest) -> list[Exchange]:
    """The polls of status and result before the request was completed."""
    polls = request.exchanges_of("status", "result")
    return [poll for poll in polls if poll.status == 202 or (poll.status == 400 and _is_early_result(poll))]


def _is_early_result(poll: Exchange) -> bool:
    return isinstance(poll.output, dict) and poll.output.get("detail") == _STILL_IN_PROGRESS


@rule(
    "early-result",
    "retries a result that is not ready",
    f'A result that is read too early is 400 with the detail "{_STILL_IN_PROGRESS}": not a failure, read it later.',
    "seen live, 2026-05",
    subject="result was read too early",
    select=lambda record: [
        request for request in record.requests if any(map(_is_early_result, request.exchanges_of("result")))
    ],
)
def early_result(record: Record, requests: Sequence[QueuedRequest]) -> Iterator[Finding]:
    for request in requests:
        is_last = _is_early_result(request.later[-1])
        if is_last and not request.has_webhook and record.killed_after_s is None:
            yield Finding(
                "the result was not ready (400), and the program did not read it again; poll the status until it is "
                "COMPLETED.",
                (request.submission, *request.later),
            )


@rule(
    "result-read",
    "reads the result before it reports success",
    "COMPLETED says that a request has ended, not that it succeeded: a model's error (422, 500) is only in the "
    "result.",
    f"{QUEUE_API}; {ERRORS}; seen live, 2026-07",
    subject="failed request was seen as COMPLETED",
    select=lambda record: [request for request in record.requests if request.completed and request.failed],
)
def result_read(record: Record, requests: Sequence[QueuedRequest]) -> Iterator[Finding]:
    for request in requests:
        assert request.completed is not None
        is_informed = b'"error"' in request.completed.response_body or request.has_webhook
        if not is_informed and not request.exchanges_of("result") and record.killed_after_s is None:
            yield Finding(
                "the request failed; the program saw COMPLETED but did not read the result, so it can't know. GET "
                "response_url, and check its HTTP status.",
                (request.submission, request.completed),
            )


@rule(
    "timeout",
    "has a timeout for every request",
    "Every HTTP request has a timeout, because a connection can be lost without an error.",
    "fal_client 1.0.3, whose timeout is 120 s",
    subject="request was left without a response (--stress silent does that)",
    select=lambda record: [
        exchange
        for exchange in record.exchanges
        if has_no_response(exchange) and not has_own_timeout(exchange)
    ],
)
def timeout(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if exchange.is_open and record.killed_after_s is not None:
            yield Finding(
                f"{exchange.method} {exchange.url} got no response, and the program was still waiting when it was "
                f"ended after {record.killed_after_s:.0f} s; set a timeout for every request.",
                (exchange,),
            )


@rule(
    "wait-limit",
    "waits for a request with a limit",
    "A request may take hours, or never end. A limit of its own (client_timeout of fal_client 1.0, timeout of "
    "fal.subscribe) lets a program cancel it, and report that.",
    "fal_client 1.0.3; @fal-ai/client 1.10.1",
    subject="queued request did not end (--stress endless does that)",
    select=lambda record: [
        request
        for request in record.requests
        if request.later and not request.has_ended and not has_no_response(request.later[-1])
    ],
    is_advice=True,  # a limit above that of the check looks the same
)
def wait_limit(record: Record, requests: Sequence[QueuedRequest]) -> Iterator[Finding]:
    limit_s = record.killed_after_s
    if limit_s is None:
        return
    first = min(exchange.received_at for exchange in record.exchanges)
    for request in requests:
        last = request.later[-1]
        # A server that is checked is ended too; it has stopped to ask for the request long before.
        if last.is_open or last.received_at - first >= limit_s / 2:
            yield Finding(
                f"request {request.submission.request_id} did not end, and the program was still waiting for it when "
                f"it was ended after {limit_s:g} s (--timeout); set a limit, and cancel the request when it is "
                "reached. If it has a longer one, check with a longer --timeout.",
                (request.submission, last),
            )


def has_own_timeout(exchange: Exchange) -> bool:
    """Whether a request came from a client that is known to have a timeout of its own."""
    agent = exchange.request_header("user-agent") or ""
    return agent == NODES_FETCH or agent.startswith(CLIENTS_WITH_TIMEOUT)


@rule(
    "double-submission",
    "resumes a submitted request instead of submitting it again",
    "An accepted submission is run and billed. After a timeout or a lost connection its request_id is still valid; a "
    "second submission is billed as well.",
    QUEUE_API,
    subject="request was abandoned",
    select=lambda record: [request for request in record.requests if _is_abandoned(request)],
)
def double_submission(record: Record, requests: Sequence[QueuedRequest]) -> Iterator[Finding]:
    for request in requests:
        first, last = request.submission, request.later[-1]
        for other in record.requests:
            second = other.submission
            is_same = (first.path, first.request_body) == (second.path, second.request_body)
            if is_same and second.received_at > last.received_at:
                yield Finding(
                    f"{first.endpoint} was submitted again with the same input although request {first.request_id} "
                    "was known: both are billed. Continue to poll the first one, or cancel it.",
                    (first, last, second),
                )
                break


def _is_abandoned(request: QueuedRequest) -> bool:
    """Whether the last poll failed, or many polls did not see an end. A cancelled request is not billed."""
    polls = request.exchanges_of("status", "status_stream", "result")
    if not polls or request.exchanges_of("cancel") or request.completed or polls[-1].status == 200:
        return False
    is_lost = "connection=" in polls[-1].directive or polls[-1].status >= 500
    return is_lost or len(polls) >= USELESS_POLLS
