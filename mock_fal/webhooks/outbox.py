"""The outbox: webhook deliveries, their attempts and when the next one is due. Bounded."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any, Final

from mock_fal.errors import MockFalError, QueueFull
from mock_fal.journal.memory import DELIVERY_BYTES
from mock_fal.requests.lifecycle import Ending
from mock_fal.requests.queue import ModelRequest
from mock_fal.webhooks.payload import NO_CHANGES, Changes, Webhook
from mock_fal.webhooks.retry_policy import AttemptResult, RetryPolicy, attempt_times, classify
from mock_fal.webhooks.signature import Signed

# How long an out-of-order webhook waits for a later one at most, in seconds at fal's own pace.
MAX_HOLD_S: Final = 60.0

# The body of a finished delivery is kept for inspection, up to this size.
MAX_KEPT_BODY_BYTES: Final = 64 * 1024

# Deliveries whose latest change is remembered.
MAX_CHANGED: Final = 1000

# How much of a URL the repr of a delivery shows.
_MAX_SHOWN_URL: Final = 60


class DeliveryState(Enum):
    """The state of a webhook delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery attempt. `at` is emulated time, `duration_s` real time; `error` is set if there was no response.

    After a `final` attempt nothing is retried, because the target is not allowed.
    """

    at: float
    duration_s: float
    status: int | None = None
    error: str = ""
    final: bool = False
    # What was signed; None if nothing was sent.
    signed: Signed | None = None


@dataclass(slots=True, eq=False, repr=False)
class Delivery:
    """The delivery of a request's webhook: its target, its body and its attempts.

    `fault` is the injected fault: `duplicate`, `out_of_order` (sent after a later one), `drop` or `bad_signature`.
    """

    request: ModelRequest
    webhook: Webhook
    policy: RetryPolicy
    body: bytes = b""
    attempts: list[Attempt] = field(default_factory=list)
    fault: str = ""
    # When a later webhook was sent before this one.
    overtaken_at: float = math.inf
    # What a directive with `operation=webhook` says.
    changes: Changes = NO_CHANGES
    # When it is sent again, because the user asked for it.
    resend_at: float = math.inf
    # The bytes of its body that are counted in the memory budget.
    counted_bytes: int = 0

    def __repr__(self) -> str:
        url = self.url if len(self.url) <= _MAX_SHOWN_URL else self.url[: _MAX_SHOWN_URL - 1] + "…"
        count = len(self.attempts)
        attempts = "1 attempt" if count == 1 else f"{count} attempts"
        return f"<Delivery {self.request_id} to {url}: {self.state.value}, {attempts}>"

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
        """The body as JSON; None before the first attempt."""
        return json.loads(self.body) if self.body else None

    @property
    def state(self) -> DeliveryState:
        """Waiting, delivered or failed. A finished delivery changes its state only if it is sent again."""
        if self.resend_at < math.inf:
            return DeliveryState.WAITING
        last = self.attempts[-1] if self.attempts else None
        if last is not None and last.status is not None:
            result = classify(last.status)
            if result is AttemptResult.FAILED:
                return DeliveryState.FAILED
            if result is AttemptResult.DELIVERED and not self._needs_duplicate:
                return DeliveryState.DELIVERED
        return DeliveryState.WAITING if self.next_at < math.inf else DeliveryState.FAILED

    @property
    def next_at(self) -> float:
        """When the next attempt is due if none was successful: at the request's end, then by the retry policy."""
        if self.resend_at < math.inf:
            return self.resend_at
        if self.fault == "drop" or (self.attempts and self.attempts[-1].final):
            return math.inf
        if self._needs_duplicate:
            return self.attempts[-1].at
        first = self.request.schedule.ends_at + self.changes.late_s
        if self.fault == "out_of_order":
            first = max(first, min(self.overtaken_at, first + MAX_HOLD_S / self.policy.pace))
        times = attempt_times(first, self.policy, len(self.body))
        return next(islice(times, len(self.attempts), None), math.inf)

    @property
    def _needs_duplicate(self) -> bool:
        """Whether it was delivered once and has to be sent a second time."""
        if self.fault != "duplicate":
            return False
        delivered = [
            attempt.status is not None and classify(attempt.status) is AttemptResult.DELIVERED
            for attempt in self.attempts
        ]
        return delivered[-1:] == [True] and delivered.count(True) == 1


class WebhookWaiting(MockFalError):
    """A webhook that can't be sent again yet, or no longer."""


class Outbox:
    """The deliveries of all tenants, in the order of their requests.

    The sender takes the deliveries that are `due` and reports each attempt with `record`. `notify` is called when a
    delivery may be due sooner than the last `next_at`.
    """

    def __init__(
        self, *, policy: RetryPolicy, retention: int, notify: Callable[[], None] = lambda: None
    ) -> None:
        self._policy = policy
        self._retention = retention
        self._all: dict[str, Delivery] = {}
        # A heap of the due times as last computed; schedules may have changed since.
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._number = 0
        self._held: list[Delivery] = []
        # How often an attempt was recorded or a resend was asked for, and the requests of the latest of these.
        self.changes = 0
        self.changed: deque[str] = deque(maxlen=MAX_CHANGED)
        self.notify = notify
        # Called when a request's delivery is finished, and when it takes more or fewer bytes of memory.
        self.on_finished: Callable[[ModelRequest], None] = lambda request: None
        self.on_growth: Callable[[ModelRequest, int], None] = lambda request, size: None

    @property
    def deliveries(self) -> list[Delivery]:
        """All deliveries in memory, oldest first."""
        return list(self._all.values())

    def make_room(self) -> None:
        """Remove an old finished delivery if there are too many. Raises QueueFull if none is finished."""
        if len(self._all) < self._retention:
            return
        finished = (id for id, delivery in self._all.items() if delivery.state is not DeliveryState.WAITING)
        oldest = next(finished, None)
        if oldest is None:
            raise QueueFull
        del self._all[oldest]

    def is_waiting(self, request_id: str) -> bool:
        """Whether a request has a delivery that is not finished."""
        delivery = self._all.get(request_id)
        return delivery is not None and delivery.state is DeliveryState.WAITING

    def forget(self, request_id: str) -> None:
        """Remove the delivery of a request that is no longer stored."""
        self._all.pop(request_id, None)

    def resend(self, delivery: Delivery, now: float, body: bytes = b"") -> None:
        """Send a finished delivery again, or with a body of the user's own, and retry it like a new one.

        Raises WebhookWaiting for one that is not finished.
        """
        if delivery.state is DeliveryState.WAITING or self._all.get(delivery.request_id) is not delivery:
            raise WebhookWaiting(f"the webhook of {delivery.request_id} is not finished, or no longer stored")
        delivery.body = body or delivery.body
        delivery.resend_at = now
        self._note(delivery)
        self.requeue(delivery)

    def find(self, request_id: str) -> Delivery | None:
        """The delivery of a request; None if there is none."""
        return self._all.get(request_id)

    def add(self, request: ModelRequest, webhook: Webhook, changes: Changes = NO_CHANGES) -> None:
        """Add a delivery for a request that has its schedule."""
        delivery = Delivery(request, webhook, self._policy, changes=changes)
        if request.directives is not None:
            delivery.fault = request.directives.choice.outcome.webhook
        if delivery.fault == "out_of_order":
            self._held.append(delivery)
        self._all[request.id] = delivery
        self.on_growth(request, DELIVERY_BYTES + len(webhook.url))
        self._push(delivery)
        self.notify()

    def refresh(self) -> None:
        """Recompute all due times after a change of schedules, and remove deliveries of cancelled requests."""
        # assumption: that a cancelled request sends no webhook.
        waiting = [delivery for _, _, delivery in self._waiting]
        self._waiting = []
        for delivery in waiting:
            if delivery.request.schedule.ending in (Ending.CANCELLED, Ending.STOPPED):
                self._all.pop(delivery.request_id, None)
                self.on_finished(delivery.request)
            else:
                self._number += 1
                self._waiting.append((delivery.next_at, self._number, delivery))
        heapify(self._waiting)
        if waiting:
            self.notify()

    def next_at(self) -> float:
        """When the next delivery is due; infinite if none is waiting."""
        return self._waiting[0][0] if self._waiting else math.inf

    def due(self, now: float) -> list[Delivery]:
        """Take the deliveries that are due. A delivery is not returned again before its attempt is recorded."""
        deliveries: list[Delivery] = []
        while self._waiting and self._waiting[0][0] <= now:
            _, _, delivery = heappop(self._waiting)
            if delivery.next_at <= now:
                deliveries.append(delivery)
            else:
                self._push(delivery)
        return deliveries

    def record(self, delivery: Delivery, attempt: Attempt) -> None:
        """Record an attempt; unless the delivery is finished, it becomes due again."""
        delivery.attempts.append(attempt)
        delivery.resend_at = math.inf
        self._note(delivery)
        if self._held:
            self._release(delivery, attempt.at)
        if delivery.state is not DeliveryState.WAITING:
            if len(delivery.body) > MAX_KEPT_BODY_BYTES:
                delivery.body = b""
            self._count(delivery)
            self.on_finished(delivery.request)
        else:
            self._count(delivery)
            self.requeue(delivery)

    def requeue(self, delivery: Delivery) -> None:
        """Make a taken delivery due again, unless it was removed meanwhile."""
        if self._all.get(delivery.request_id) is delivery:
            self._push(delivery)
            self.notify()

    def clear(self, tenant: str | None = None) -> None:
        """Remove the deliveries of one tenant, or all."""
        removed = {id for id, delivery in list(self._all.items()) if tenant in (None, delivery.tenant)}
        self._waiting = [item for item in self._waiting if item[2].request_id not in removed]
        heapify(self._waiting)
        for id in removed:
            self._all.pop(id, None)
        self._held = [delivery for delivery in self._held if delivery.request_id not in removed]

    def _release(self, sent: Delivery, at: float) -> None:
        """Make held deliveries due that `sent`, a later one of their tenant, has overtaken."""
        for held in self._held:
            later = sent is not held and sent.request.schedule.ends_at >= held.request.schedule.ends_at
            if later and sent.tenant == held.tenant:
                held.overtaken_at = min(held.overtaken_at, at)
        self._held = [
            delivery for delivery in self._held if delivery.overtaken_at == math.inf and delivery is not sent
        ]
        self.refresh()

    def _note(self, delivery: Delivery) -> None:
        self.changes += 1
        self.changed.append(delivery.request_id)

    def _count(self, delivery: Delivery) -> None:
        size = len(delivery.body)
        self.on_growth(delivery.request, size - delivery.counted_bytes)
        delivery.counted_bytes = size

    def _push(self, delivery: Delivery) -> None:
        if delivery.next_at == math.inf:
            return  # it is dropped, and would stay in the heap for ever
        self._number += 1
        heappush(self._waiting, (delivery.next_at, self._number, delivery))
