"""Rules about waiting for a request: how it is looked at, and when a program stops looking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import Record, Request, fell_silent, pauses_s
from mock_fal_contracts.usage_rules.rule import ERRORS, QUEUE_API, Finding, rule

# A busy loop: so many looks at one request, with half of the pauses shorter than this. The official clients wait
# 0.1 s (fal_client 1.0.3) and 0.5 s (@fal-ai/client 1.10.1); a slow machine makes pauses longer, never shorter.
BUSY_LOOKS: Final = 20
BUSY_PAUSE_S: Final = 0.05

# Looks at a request that is known to be over, or that never comes to an end, before it means something.
USELESS_LOOKS: Final = 5

# Clients that give up by themselves, later than anybody wants to wait in a check: 120 s in fal_client 1.0.3, 300 s in
# the fetch of Node that @fal-ai/client stands on.
PATIENT_CLIENTS: Final = ("fal-client/", "@fal-ai/client/")

_STILL: Final = "Request is still in progress"


@rule(
    "states",
    "waits for a state that fal sends",
    "There are three states: IN_QUEUE, IN_PROGRESS, COMPLETED. What failed or was cancelled is COMPLETED as well; "
    "FAILED, ERROR and CANCELLED never come.",
    f"{QUEUE_API}; seen live",
    about="request was seen as COMPLETED",
    of=lambda record: [each for each in record.requests if each.completed],
)
def states(record: Record, requests: Sequence[Request]) -> Iterator[Finding]:
    for each in requests:
        assert each.completed is not None
        polls = each.exchanges_of("status")
        after = [poll for poll in polls if poll.received_at > each.completed.received_at]
        if len(after) >= USELESS_LOOKS:
            yield Finding(
                f"the status was asked {len(after)} times more after it had been COMPLETED. It never changes again: "
                "read the result, whose HTTP status says how it came out.",
                (each.submission, each.completed, *after),
            )


@rule(
    "busy-polling",
    "pauses between two looks",
    "A program that polls waits between two looks; fal's own clients wait 0.1 s and 0.5 s.",
    f"{QUEUE_API}; fal_client 1.0.3; @fal-ai/client 1.10.1",
    about="request was looked at more than once before it was over",
    of=lambda record: [each for each in record.requests if len(_early_looks(each)) > 1],
)
def busy_polling(record: Record, requests: Sequence[Request]) -> Iterator[Finding]:
    for each in requests:
        polls = _early_looks(each)
        pauses = pauses_s(polls)
        if len(polls) < BUSY_LOOKS or min(pauses) < 0:
            continue  # side by side: nobody can say who waited how long
        if median(pauses) < BUSY_PAUSE_S:
            yield Finding(
                f"one request was looked at {len(polls)} times with pauses of {median(pauses) * 1000:.0f} ms; wait at "
                "least 100 ms, or ask for status/stream or a webhook.",
                (each.submission, *polls),
            )


def _early_looks(request: Request) -> list[Exchange]:
    """Those that were answered with not yet."""
    polls = request.exchanges_of("status", "result")
    return [poll for poll in polls if poll.status == 202 or (poll.status == 400 and _is_still(poll))]


def _is_still(poll: Exchange) -> bool:
    return isinstance(poll.output, dict) and poll.output.get("detail") == _STILL


@rule(
    "early-result",
    "understands that a result is not there yet",
    f'A result that is asked for too early is 400 with the detail "{_STILL}": no failure, ask again later.',
    "seen live, 2026-05",
    about="result was asked for too early",
    of=lambda record: [each for each in record.requests if any(map(_is_still, each.exchanges_of("result")))],
)
def early_result(record: Record, requests: Sequence[Request]) -> Iterator[Finding]:
    for each in requests:
        if _is_still(each.later[-1]) and not each.has_webhook and record.killed_after_s is None:
            yield Finding(
                "the result was not ready (400), and the program never came back for it; poll the status until it is "
                "COMPLETED.",
                (each.submission, *each.later),
            )


@rule(
    "result-read",
    "reads the result before it speaks of success",
    "COMPLETED only says that a request is over. How it came out is in the result: a model's error (422, 500) shows "
    "nowhere else.",
    f"{QUEUE_API}; {ERRORS}; seen live, 2026-07",
    about="request was seen as COMPLETED that had failed",
    of=lambda record: [each for each in record.requests if each.completed and each.failed],
)
def result_read(record: Record, requests: Sequence[Request]) -> Iterator[Finding]:
    for each in requests:
        assert each.completed is not None
        told = b'"error"' in each.completed.response_body or each.has_webhook
        if not told and not each.exchanges_of("result") and record.killed_after_s is None:
            yield Finding(
                "the request had failed; the program saw COMPLETED and never read the result, so it can't know. GET "
                "response_url, and look at its HTTP status.",
                (each.submission, each.completed),
            )


@rule(
    "timeout",
    "gives up on an answer that never comes",
    "Every question has a time limit: connections die without a word.",
    "fal_client 1.0.3, which gives each question 120 s",
    about="answer was withheld (--stress silent does that)",
    of=lambda record: [
        each for each in record.exchanges if fell_silent(each) and not gives_up_by_itself(each)
    ],
)
def timeout(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if each.is_open and record.killed_after_s is not None:
            yield Finding(
                f"{each.method} {each.url} got no answer, and the program still waited when it was ended after "
                f"{record.killed_after_s:.0f} s; give every question a time limit.",
                (each,),
            )


def gives_up_by_itself(exchange: Exchange) -> bool:
    """Whether it came from a client that is known to have a limit of its own."""
    return (exchange.request_header("user-agent") or "").startswith(PATIENT_CLIENTS)


@rule(
    "double-submission",
    "comes back to a request instead of submitting it again",
    "A submission that was taken runs and is billed. After a time-out or a lost connection its request_id still "
    "leads to it; a new submission is paid for twice.",
    QUEUE_API,
    about="request was given up on",
    of=lambda record: [each for each in record.requests if _given_up(each)],
)
def double_submission(record: Record, requests: Sequence[Request]) -> Iterator[Finding]:
    for each in requests:
        first, last = each.submission, each.later[-1]
        for again in record.requests:
            second = again.submission
            same = (first.path, first.request_body) == (second.path, second.request_body)
            if same and second.received_at > last.received_at:
                yield Finding(
                    f"{first.endpoint} was submitted again with the same input while request {first.request_id} was "
                    "still known: both are billed. Go on polling the first, or cancel it.",
                    (first, last, second),
                )
                break


def _given_up(request: Request) -> bool:
    """Whether the last look went wrong, or many didn't show an end; what was cancelled is no longer paid for."""
    polls = request.exchanges_of("status", "status_stream", "result")
    if not polls or request.exchanges_of("cancel") or request.completed or polls[-1].status == 200:
        return False
    lost = "connection=" in polls[-1].directive or polls[-1].status >= 500
    return lost or len(polls) >= USELESS_LOOKS
