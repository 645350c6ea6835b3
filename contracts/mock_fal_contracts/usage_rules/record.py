"""The record of one run of a program: the exchanges and webhook deliveries of the journal, grouped for the rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mock_fal_contracts.exchanges import Exchange

QUEUE_HOSTS: Final = ("queue.fal.run", "queue.falrun.com")
MODEL_HOSTS: Final = (*QUEUE_HOSTS, "fal.run", "falrun.com")
CALLS: Final = ("submit", "run", "stream")

# What stands before owner and app in some ids.
NAMESPACES: Final = ("workflows", "comfy")

# Two requests with the same key are the same request sent twice: method, host, path, query and body.
RequestKey = tuple[str, str, str, str, bytes]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver a webhook; `at` is on the same clock as Exchange.at."""

    at: float
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The webhook of one request. `is_forged`: an injected fault made its signature invalid."""

    request_id: str
    url: str
    attempts: tuple[Attempt, ...]
    body: Any = None
    is_forged: bool = False

    @property
    def accepted(self) -> list[Attempt]:
        """The attempts that the receiver answered with a 2xx."""
        return [
            attempt for attempt in self.attempts if attempt.status is not None and 200 <= attempt.status < 300
        ]


@dataclass(frozen=True)
class QueuedRequest:
    """One queued request: its submission, and the later exchanges about it."""

    submission: Exchange
    later: tuple[Exchange, ...]

    def exchanges_of(self, *operations: str) -> list[Exchange]:
        """The later exchanges with one of these operations."""
        return [exchange for exchange in self.later if exchange.operation in operations]

    @property
    def url(self) -> str:
        """The URL of the request, with fal's own host; those of its status and of its cancellation are below it."""
        submission, parts = self.submission, self.submission.endpoint.split("/")
        app = "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])
        return f"https://{submission.host}/{app}/requests/{submission.request_id}"

    @property
    def has_webhook(self) -> bool:
        """Whether the submission requested a webhook."""
        return any(name == "fal_webhook" for name, _ in self.submission.params)

    @cached_property
    def completed(self) -> Exchange | None:
        """The first poll that returned COMPLETED."""
        polls = self.exchanges_of("status", "status_stream")
        return next((poll for poll in polls if _is_completed(poll)), None)

    @property
    def has_ended(self) -> bool:
        """Whether it was cancelled, or seen as ended."""
        ended = any(exchange.status == 200 for exchange in self.exchanges_of("result"))
        return ended or self.completed is not None or bool(self.exchanges_of("cancel"))

    @property
    def failed(self) -> bool:
        """Whether the request ended with an error."""
        return "failed" in [self.submission.state, *(exchange.state for exchange in self.later)]


@dataclass(frozen=True)
class Record:
    """One run of a program. `fields` maps each called endpoint to the known fields of its input.

    `closest` maps each called endpoint that is not in the catalogue to the ids that are most like it, best first.
    `killed_after_s` is the time limit when the run exceeded it. `known_repeats` are requests that the program sends
    several times even without faults: when they are sent again in this run, they may not be retries.
    """

    exchanges: Sequence[Exchange]
    deliveries: Sequence[Delivery] = ()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    closest: Mapping[str, Sequence[str]] = field(default_factory=dict)
    killed_after_s: float | None = None
    known_repeats: frozenset[RequestKey] = frozenset()

    def exchanges_of(self, *operations: str) -> list[Exchange]:
        """The exchanges with one of these operations, in order."""
        return [exchange for exchange in self.exchanges if exchange.operation in operations]

    @property
    def calls(self) -> list[Exchange]:
        """The calls of models, with any outcome."""
        return self.exchanges_of(*CALLS)

    @cached_property
    def repeats(self) -> frozenset[RequestKey]:
        """The known repeats, and the calls that succeeded more than once: a client does not retry after a success."""
        succeeded = [call for call in self.calls if call.status == 200 and call.state != "failed"]
        counts = Counter(map(request_key, succeeded))
        return self.known_repeats | {key for key, count in counts.items() if count > 1}

    @cached_property
    def retry_candidates(self) -> list[Exchange]:
        """The exchanges whose repetitions are retries."""
        return [exchange for exchange in self.exchanges if request_key(exchange) not in self.repeats]

    @cached_property
    def request_exchanges(self) -> list[Exchange]:
        """The exchanges on the queue about a request, known or unknown."""
        return [
            exchange
            for exchange in self.exchanges
            if exchange.host in QUEUE_HOSTS and "/requests/" in exchange.path
        ]

    @cached_property
    def requests(self) -> list[QueuedRequest]:
        """The requests that the queue accepted, in the order of their submission."""
        exchanges_by_id: dict[str, list[Exchange]] = {}
        for exchange in self.request_exchanges:
            # The id in the URL: a response that a rule of the scenario replaced has no request id.
            exchanges_by_id.setdefault(exchange.requested_id, []).append(exchange)
        return [
            QueuedRequest(submission, tuple(exchanges_by_id.get(submission.request_id, ())))
            for submission in self.exchanges_of("submit")
            if submission.request_id and submission.status == 200
        ]


def answered_at(exchange: Exchange) -> float:
    """The real time at which the response was complete."""
    return exchange.received_at + exchange.duration_s


def pauses_s(exchanges: Sequence[Exchange]) -> list[float]:
    """The real seconds from each response to the next request; negative where two requests overlap."""
    return [
        following.received_at - answered_at(exchange)
        for exchange, following in zip(exchanges, exchanges[1:], strict=False)
    ]


def request_key(exchange: Exchange) -> RequestKey:
    """The identity of a request, independent of its time."""
    return exchange.method, exchange.host, exchange.path, exchange.query, exchange.request_body


def runs(exchanges: Iterable[Exchange]) -> Iterator[list[Exchange]]:
    """Split exchanges into runs: the same request several times in a row. Overlapping requests are separate runs."""
    run: list[Exchange] = []
    for exchange in exchanges:
        if run and (
            request_key(exchange) != request_key(run[-1]) or exchange.received_at < answered_at(run[-1])
        ):
            yield run
            run = []
        run.append(exchange)
    if run:
        yield run


def has_no_response(exchange: Exchange) -> bool:
    """Whether an injected fault kept the connection open without a response."""
    return "connection=hang" in exchange.directive


def _is_completed(poll: Exchange) -> bool:
    if poll.operation == "status_stream":
        return b'"COMPLETED"' in poll.response_body
    return isinstance(poll.output, dict) and poll.output.get("status") == "COMPLETED"
