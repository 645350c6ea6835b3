"""What a program asked in one run, as the journal tells it, sorted for the rules."""

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

# What makes two questions the same: method, host, path, query and body.
RequestKey = tuple[str, str, str, str, bytes]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver a webhook; `at` is on the same clock as an exchange's."""

    at: float
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that a request asked for. `is_forged` says that its signature was spoilt on purpose."""

    request_id: str
    url: str
    attempts: tuple[Attempt, ...]
    body: Any = None
    is_forged: bool = False

    @property
    def taken(self) -> list[Attempt]:
        """The attempts that the receiver answered with a 2xx."""
        return [each for each in self.attempts if each.status is not None and 200 <= each.status < 300]


@dataclass(frozen=True)
class Request:
    """One request of the queue: how it was submitted, and all that was asked about it afterwards."""

    submission: Exchange
    later: tuple[Exchange, ...]

    def exchanges_of(self, *operations: str) -> list[Exchange]:
        """What was asked about it, of these operations."""
        return [each for each in self.later if each.operation in operations]

    @property
    def has_webhook(self) -> bool:
        """Whether its result is delivered."""
        return any(name == "fal_webhook" for name, _ in self.submission.params)

    @cached_property
    def completed(self) -> Exchange | None:
        """The first look that showed COMPLETED."""
        polls = self.exchanges_of("status", "status_stream")
        return next((each for each in polls if _says_completed(each)), None)

    @property
    def failed(self) -> bool:
        """Whether it came to an error."""
        return "failed" in [self.submission.state, *(each.state for each in self.later)]


@dataclass(frozen=True)
class Record:
    """One run of a program. `fields` are the known fields of each endpoint that was asked.

    `killed_after_s` is how long the run was waited for, when it did not end by itself. `habits` are questions that the
    program asks more than once when all goes well: asked again in this run, they may not be repetitions.
    """

    exchanges: Sequence[Exchange]
    deliveries: Sequence[Delivery] = ()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    killed_after_s: float | None = None
    habits: frozenset[RequestKey] = frozenset()

    def exchanges_of(self, *operations: str) -> list[Exchange]:
        """The exchanges of these operations, in the order in which they were asked."""
        return [each for each in self.exchanges if each.operation in operations]

    @property
    def calls(self) -> list[Exchange]:
        """The calls of models, whatever came of them."""
        return self.exchanges_of(*CALLS)

    @cached_property
    def usual(self) -> frozenset[RequestKey]:
        """The habits, and what went well more than once: who has an answer does not try again."""
        well = [each for each in self.calls if each.status == 200 and each.state != "failed"]
        counts = Counter(map(request_key, well))
        return self.habits | {each for each, count in counts.items() if count > 1}

    @cached_property
    def tries(self) -> list[Exchange]:
        """The exchanges whose repetitions are somebody's who tries again."""
        return [each for each in self.exchanges if request_key(each) not in self.usual]

    @cached_property
    def about_requests(self) -> list[Exchange]:
        """What was asked on the queue about some request, known or not."""
        return [each for each in self.exchanges if each.host in QUEUE_HOSTS and "/requests/" in each.path]

    @cached_property
    def requests(self) -> list[Request]:
        """The requests that the queue took, in the order of their submission."""
        about: dict[str, list[Exchange]] = {}
        for each in self.about_requests:
            # By its address: an answer that a rule put in the place of the real one names no request.
            about.setdefault(each.requested_id, []).append(each)
        return [
            Request(each, tuple(about.get(each.request_id, ())))
            for each in self.exchanges_of("submit")
            if each.request_id and each.status == 200
        ]


def sent_at(exchange: Exchange) -> float:
    """When the answer was there, in real time."""
    return exchange.received_at + exchange.duration_s


def pauses_s(exchanges: Sequence[Exchange]) -> list[float]:
    """The real seconds from each answer to the next question; negative where two were under way at a time."""
    return [b.received_at - sent_at(a) for a, b in zip(exchanges, exchanges[1:], strict=False)]


def request_key(exchange: Exchange) -> RequestKey:
    """What was asked, whenever that was."""
    return exchange.method, exchange.host, exchange.path, exchange.query, exchange.request_body


def runs(exchanges: Iterable[Exchange]) -> Iterator[list[Exchange]]:
    """The same question, several times with no other in between; those that were asked side by side are apart."""
    run: list[Exchange] = []
    for each in exchanges:
        if run and (request_key(each) != request_key(run[-1]) or each.received_at < sent_at(run[-1])):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def fell_silent(exchange: Exchange) -> bool:
    """Whether a rule let the caller wait for an answer that never comes."""
    return "connection=hang" in exchange.directive


def _says_completed(poll: Exchange) -> bool:
    if poll.operation == "status_stream":
        return b'"COMPLETED"' in poll.response_body
    return isinstance(poll.output, dict) and poll.output.get("status") == "COMPLETED"
