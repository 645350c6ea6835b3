"""The outbox: webhooks that are owed, and what became of those that were sent. Bounded; none is lost in silence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any, Final

from mock_fal.errors import QueueFull
from mock_fal.requests.lifecycle import Ending
from mock_fal.requests.queue import ModelRequest
from mock_fal.webhooks.retry_policy import Policy, Verdict, attempts, verdict
from mock_fal.webhooks.webhook import Webhook

# How long a webhook is held back at most that is to come behind another: real seconds at fal's own pace.
HELD_S: Final = 60.0

# The body of a delivery that is over is kept for whoever looks, up to this size.
KEPT_BYTES: Final = 64 * 1024


class DeliveryState(Enum):
    """What became of a webhook."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `at` is a moment of the emulated clock, `duration_s` real time; without an answer, `error` says why.

    `final`: nothing will be tried again, for the target is one that we don't send to.
    """

    at: float
    duration_s: float
    status: int | None = None
    error: str = ""
    final: bool = False


@dataclass(slots=True, eq=False)
class Delivery:
    """A webhook that a request asked for: where it goes, what it says, and how often it was tried.

    `fault` is what a test asks for: duplicate, reorder (it comes behind a later one), withhold, bad_signature.
    """

    request: ModelRequest
    webhook: Webhook
    policy: Policy
    body: bytes = b""
    attempts: list[Attempt] = field(default_factory=list)
    fault: str = ""
    # When a later one had gone out.
    overtaken_at: float = math.inf

    @property
    def request_id(self) -> str:
        return self.request.id

    @property
    def tenant(self) -> str:
        return self.request.tenant

    @property
    def url(self) -> str:
        return self.webhook.url

    @property
    def json(self) -> Any:
        """What it says; None as long as there is nothing to say."""
        return json.loads(self.body) if self.body else None

    @property
    def state(self) -> DeliveryState:
        """Waiting, delivered or failed. A delivery that is over stays as it is."""
        last = self.attempts[-1] if self.attempts else None
        if last is not None and last.status is not None and verdict(last.status) is not Verdict.AGAIN:
            taken = verdict(last.status) is Verdict.DELIVERED
            if not (taken and self._is_owed_again):
                return DeliveryState.DELIVERED if taken else DeliveryState.FAILED
        return DeliveryState.WAITING if self.next_at < math.inf else DeliveryState.FAILED

    @property
    def next_at(self) -> float:
        """When it is due, unless it was taken: with the end of its request, and then as the timetable says."""
        if self.fault == "drop" or (self.attempts and self.attempts[-1].final):
            return math.inf
        if self._is_owed_again:
            return self.attempts[-1].at
        first = self.request.schedule.ends_at
        if self.fault == "out_of_order":
            first = max(first, min(self.overtaken_at, first + HELD_S / self.policy.pace))
        timetable = attempts(first, self.policy, len(self.body))
        return next(islice(timetable, len(self.attempts), None), math.inf)

    @property
    def _is_owed_again(self) -> bool:
        """Whether it was taken, and is to come a second time."""
        if self.fault != "duplicate":
            return False
        taken = [
            each.status is not None and verdict(each.status) is Verdict.DELIVERED for each in self.attempts
        ]
        return taken[-1:] == [True] and taken.count(True) == 1


class Outbox:
    """The deliveries of all tenants, in the order of their requests.

    Whoever delivers takes what is `due` and answers each with `record`. `bell` is called when something may be
    due sooner than `next_at` said before.
    """

    def __init__(self, *, policy: Policy, retention: int, notify: Callable[[], None] = lambda: None) -> None:
        self._policy = policy
        self._retention = retention
        self._all: dict[str, Delivery] = {}
        # When each that nobody has taken is due, as far as known: schedules change.
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._number = 0
        self._held: list[Delivery] = []
        self.notify = notify

    @property
    def deliveries(self) -> list[Delivery]:
        """All that are remembered, oldest first."""
        return list(self._all.values())

    def make_room(self) -> None:
        """Forget an old delivery if there are too many. Raises QueueFull when all of them are still owed."""
        if len(self._all) < self._retention:
            return
        over = (id for id, each in self._all.items() if each.state is not DeliveryState.WAITING)
        oldest = next(over, None)
        if oldest is None:
            raise QueueFull
        del self._all[oldest]

    def add(self, request: ModelRequest, webhook: Webhook) -> None:
        """Owe a delivery for an entry that has its schedule."""
        delivery = Delivery(request, webhook, self._policy)
        if request.directives is not None:
            delivery.fault = request.directives.choice.outcome.webhook
        if delivery.fault == "out_of_order":
            self._held.append(delivery)
        self._all[request.id] = delivery
        self._push(delivery)
        self.notify()

    def refresh(self) -> None:
        """Schedules have changed: look at all of them again, and forget those of cancelled requests."""
        # assumption: that a cancelled request sends no webhook.
        waiting = [each for _, _, each in self._waiting]
        self._waiting = []
        for delivery in waiting:
            if delivery.request.schedule.ending in (Ending.CANCELLED, Ending.STOPPED):
                self._all.pop(delivery.request_id, None)
            else:
                self._number += 1
                self._waiting.append((delivery.next_at, self._number, delivery))
        heapify(self._waiting)
        if waiting:
            self.notify()

    def next_at(self) -> float:
        """When to look again; infinite when nothing is owed, or all of it is under way."""
        return self._waiting[0][0] if self._waiting else math.inf

    def due(self, now: float) -> list[Delivery]:
        """The deliveries whose moment has come. Each is handed out once, until its attempt is recorded."""
        found: list[Delivery] = []
        while self._waiting and self._waiting[0][0] <= now:
            _, _, delivery = heappop(self._waiting)
            if delivery.next_at <= now:
                found.append(delivery)
            else:
                self._push(delivery)
        return found

    def record(self, delivery: Delivery, attempt: Attempt) -> None:
        """Write down what an attempt came to; if the delivery is still owed, it will be due again."""
        delivery.attempts.append(attempt)
        if self._held:
            self._let_go(delivery, attempt.at)
        if delivery.state is not DeliveryState.WAITING:
            if len(delivery.body) > KEPT_BYTES:
                delivery.body = b""
        else:
            self.hand_back(delivery)

    def hand_back(self, delivery: Delivery) -> None:
        """It was handed out and not tried: it is due again, unless it was forgotten meanwhile."""
        if self._all.get(delivery.request_id) is delivery:
            self._push(delivery)
            self.notify()

    def clear(self, tenant: str | None = None) -> None:
        """Forget all that belongs to one tenant, or everything."""
        gone = {id for id, each in list(self._all.items()) if tenant in (None, each.tenant)}
        self._waiting = [item for item in self._waiting if item[2].request_id not in gone]
        heapify(self._waiting)
        for id in gone:
            self._all.pop(id, None)
        self._held = [each for each in self._held if each.request_id not in gone]

    def _let_go(self, sent: Delivery, at: float) -> None:
        """Those that were held back for one that went out behind their time are due now."""
        for held in self._held:
            later = sent is not held and sent.request.schedule.ends_at >= held.request.schedule.ends_at
            if later and sent.tenant == held.tenant:
                held.overtaken_at = min(held.overtaken_at, at)
        self._held = [each for each in self._held if each.overtaken_at == math.inf and each is not sent]
        self.refresh()

    def _push(self, delivery: Delivery) -> None:
        self._number += 1
        heappush(self._waiting, (delivery.next_at, self._number, delivery))
