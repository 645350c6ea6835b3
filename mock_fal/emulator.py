"""What fal would do: submit, status, result, cancel, run. Plain synchronous Python; no sockets, no framework."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from mock_fal.accounts.acl import Terms
from mock_fal.accounts.keys import Keys
from mock_fal.clock import Clock
from mock_fal.endpoint import EndpointId
from mock_fal.errors import (
    JSON,
    AlreadyCompleted,
    ApplicationNotFound,
    ConcurrencyReached,
    QueueFull,
    RequestNotFound,
    StillInProgress,
)
from mock_fal.journal.exchanges import Exchange
from mock_fal.models import catalog
from mock_fal.models.runner import NOTHING, work
from mock_fal.requests.lifecycle import (
    Completed,
    LogLine,
    Status,
    Submission,
    logs,
    next_change,
    next_stage,
    next_step,
    part_due,
    position_offset,
    status,
)
from mock_fal.requests.outcome import Outcome, RequestFailure, RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.settings import Settings
from mock_fal.store import Store

if TYPE_CHECKING:
    from mock_fal.accounts.tokens import Tokens
    from mock_fal.billing.usage import Charge
    from mock_fal.files.inputs import Inputs
    from mock_fal.files.storage import Storage
    from mock_fal.scenario.rules import RequestDirectives, Scenario
    from mock_fal.scenario_engine import ScenarioEngine
    from mock_fal.webhooks.outbox import Delivery, Outbox
    from mock_fal.webhooks.webhook import Signer, Webhook

# How long a runner takes to refuse an input. fal: such a request has an inference_time too (live, 2026-07).
REJECTION_S: Final = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """What a caller asks of the queue beside the input. `directive` is the header `X-Mock-Fal`."""

    low_priority: bool = False
    start_timeout_s: float = math.inf
    max_queue_length: int | None = None
    webhook: Webhook | None = None
    directive: str = ""
    terms: Terms = Terms()


class Cancellation(Enum):
    """What a cancellation came to."""

    REMOVED = "it waited and is gone"
    REQUESTED = "it runs, and the runner was told"


class View(NamedTuple):
    """One look at a request: its state, and all that it has logged."""

    request: ModelRequest
    status: Status
    logs: list[LogLine]
    failure: RequestFailure | None = None


class Emulator:
    """The use cases. Everything it answers is a function of what was asked and of the clock."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.store = Store(
            retention=settings.retention,
            seed=settings.seed,
            runners=settings.runners,
            concurrency=settings.concurrency,
        )
        if settings.scenario:
            _ = self.scenario_engine  # a file that holds no rules is told at once
        # Reads a file of another host, where --allow-egress lets us; `web/submission.py` calls it.
        self.fetch: Callable[[str], Awaitable[bytes | None]] | None = None
        # Called when a webhook may be due sooner than it was.
        self.notify: Callable[[], None] = lambda: None
        if settings.signing_key:
            _ = self.signer  # a file that holds no key is told at once
        self.keys = Keys(settings.key)

    # What a test asks for likewise: most requests are asked nothing about.

    @cached_property
    def scenario_engine(self) -> ScenarioEngine:
        """Everybody's rules, and what holds for a call. Raises ScenarioError or SettingsError for --scenario."""
        from mock_fal.scenario_engine import ScenarioEngine

        return ScenarioEngine(self.store, self.settings.scenario)

    @property
    def _has_rules(self) -> bool:
        return "scenario_engine" in self.__dict__ and bool(self.scenario_engine.common)

    @property
    def scenario(self) -> Scenario:
        """The rules for everybody."""
        return self.scenario_engine.common

    # Webhooks: made, and loaded, when the first is asked for. Most runs never send one.

    @cached_property
    def signer(self) -> Signer:
        """What signs webhooks. Raises SettingsError when the signing key can't be used."""
        from mock_fal.webhooks.webhook import Signer

        return Signer(self.settings.seed, self.settings.signing_key)

    @cached_property
    def outbox(self) -> Outbox:
        """The webhooks that are owed."""
        from mock_fal.webhooks.outbox import Outbox
        from mock_fal.webhooks.retry_policy import POLICIES

        policy, retention = POLICIES[self.settings.webhook_retries], self.settings.retention
        return Outbox(policy=policy, retention=retention, notify=lambda: self.notify())

    @property
    def deliveries(self) -> list[Delivery]:
        """All webhooks that are remembered, oldest first."""
        return self.outbox.deliveries if self._has_outbox else []

    @property
    def _has_outbox(self) -> bool:
        return "outbox" in self.__dict__

    # Files likewise: loaded with the first that is uploaded, read or named.

    @cached_property
    def storage(self) -> Storage:
        """The files that are uploaded, and who may read which."""
        from mock_fal.files.storage import Storage

        return Storage(self.settings, self.clock, self.store)

    @property
    def _has_storage(self) -> bool:
        return "storage" in self.__dict__

    @cached_property
    def tokens(self) -> Tokens:
        """What lets others than the holder of a key ask some apps for a while."""
        from mock_fal.accounts.tokens import Tokens

        return Tokens(self.settings.seed)

    @property
    def uploaded_bytes(self) -> int:
        """What uploaded files take on the disk."""
        return self.storage.file_store.used if self._has_storage else 0

    def close(self) -> None:
        """Remove what lies on the disk."""
        if self._has_storage:
            self.storage.file_store.close()

    @cached_property
    def _inputs(self) -> Inputs:
        from mock_fal.files.inputs import Inputs  # for the endpoints that take a picture

        return Inputs(self.storage)

    def foreign_files(self, body: bytes) -> list[str]:
        """The addresses in an input that a runner would fetch from other hosts."""
        return self._inputs.foreign(_document(body))

    def learn_file(self, url: str, data: bytes | None) -> None:
        """Take note of what was found at such an address; None where nothing was."""
        self._inputs.learn(url, data)

    def submit(
        self, endpoint: EndpointId, body: bytes, tenant: str, options: SubmitOptions = SubmitOptions()
    ) -> ModelRequest:
        """Take a request into the queue. The input is not looked at: that is the runner's work."""
        if options.webhook is None:
            return self._accept(endpoint, body, tenant, options, self.settings.queue_duration)
        self.outbox.make_room()
        request = self._accept(endpoint, body, tenant, options, self.settings.queue_duration)
        self.outbox.add(request, options.webhook)
        return request

    def run(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions = SubmitOptions(),
        *,
        streamed: bool = False,
    ) -> ModelRequest:
        """Start a direct request; its answer is due at `entry.schedule.ends_at`.

        `streamed` asks for what it shows on the way. Raises ConcurrencyReached.
        """
        # fal: what is in progress counts; over the account's limit queued requests wait, and direct ones are refused
        # (fal's documentation of concurrency, 2026). A runner that is busy is waited for.
        if self.settings.concurrency:
            line = self.store.line(tenant, endpoint.app_id)
            if line.running(self.clock.now()) >= self.settings.concurrency:
                raise ConcurrencyReached
        step = "stream" if streamed else "run"
        return self._accept(endpoint, body, tenant, options, 0.0, step=step)

    def is_streaming(self, request: ModelRequest) -> bool:
        """Whether a stream goes out: a runner has started, and there will be a result."""
        good = isinstance(request.outcome, RunnerResponse) and request.outcome.status < 400
        return good and request.schedule.starts_at <= self.clock.now()

    def partials(self, request: ModelRequest) -> Iterator[tuple[float, JSON]]:
        """What a stream shows before the result: the moment of each, and its body with a `Picture` for each file."""
        events = len(request.partials) + 1
        for number, partial in enumerate(request.partials, 1):
            yield part_due(request.schedule, number, events), partial

    def abandon(self, request: ModelRequest) -> None:
        """Take note that the caller of a direct request hung up: fal ends it then. Nothing, when it is over."""
        # fal: dropping the connection cancels a direct request (fal's documentation of errors, 2026).
        now = self.clock.now()
        if now < request.schedule.ends_at:
            self.store.line(request.tenant, request.app_id).abandon(request, now)
            self._replanned()

    def find(self, app_id: str, request_id: str, tenant: str | None) -> ModelRequest:
        """The request of that id. Raises RequestNotFound, also for another's and under another app's name."""
        request = self.store.requests.get(request_id)
        # fal: reading by id needs no key on public models (fal's Queue API documentation, 2026).
        # assumption: an id asked for under the name of another app is assumed to look unknown.
        if request is None or request.app_id != app_id or tenant not in (None, request.tenant):
            raise RequestNotFound
        return request

    def look(self, request: ModelRequest, *, with_logs: bool = True) -> View:
        """The state of a request. Each look moves a auto-advance clock to the request's next stage."""
        now = self.clock.now()
        view = self._view(request, now, with_logs)
        if now < request.schedule.ends_at:
            self.clock.polled(next_stage(request.schedule, now))
        return view

    def peek(self, request: ModelRequest, *, with_logs: bool = True) -> View:
        """The state of a request, without moving any clock."""
        return self._view(request, self.clock.now(), with_logs)

    def next_change_at(self, request: ModelRequest) -> float:
        """When a look at the request may show something new: a stage, a log line, or a place further in front."""
        now = self.clock.now()
        news = next_change(request.schedule, request.steps, now)
        if now < request.schedule.leaves_queue_at:
            news = min(news, self.store.line(request.tenant, request.app_id).next_departure(now))
            news = min(news, next_step(request.submission, now))
        return news

    def result(self, request: ModelRequest) -> Outcome:
        """What came out. Raises StillInProgress before the end; that too counts as a look."""
        now = self.clock.now()
        if now < request.schedule.ends_at:
            self.clock.polled(next_stage(request.schedule, now))
            raise StillInProgress
        if request.payloads_deleted:
            # assumption: what is answered for a result whose payloads somebody deleted.
            raise RequestNotFound
        return request.result

    def is_done(self, request: ModelRequest) -> bool:
        """Whether the result is there."""
        return self.clock.now() >= request.schedule.ends_at

    def new_request_id(self, tenant: str) -> str:
        """An id for an answer that is about no request."""
        return self.store.tenant(tenant).ids.request_id(self.clock.now())

    def cancel(self, request: ModelRequest) -> Cancellation:
        """Cancel a request. Raises AlreadyCompleted when it is over."""
        now = self.clock.now()
        its = request.schedule
        if now >= its.ends_at:
            raise AlreadyCompleted
        waited = now < its.leaves_queue_at
        self.store.line(request.tenant, request.app_id).cancel(request, now)
        self._replanned()
        return Cancellation.REMOVED if waited else Cancellation.REQUESTED

    def delete_payloads(self, request: ModelRequest) -> list[str]:
        """Forget what came out of a request, and the paths of the files that are gone with it.

        Raises StillInProgress before the end.
        """
        if not self.is_done(request):
            raise StillInProgress
        # deviation: the input stays in the journal, which is the test's and not the account's.
        return self.store.delete_payloads(request)

    def charges(self, tenant: str | None = None) -> list[Charge]:
        """What has been completed and is to be paid for, of one key or of all, in no order."""
        from mock_fal.billing.usage import charge

        now = self.clock.now()
        paid = [charge(request, now) for request in list(self.store.requests.values())]
        known = [each for each in [*paid, *self.store.ledger] if each is not None]
        return [each for each in known if tenant in (None, each.tenant)]

    def reset(self, tenant: str | None = None) -> None:
        """Forget one tenant, or all of them and the rules for everybody."""
        self.store.clear(tenant)
        if self._has_storage:
            self.storage.file_store.clear(tenant)
        if self._has_outbox:
            self.outbox.clear(tenant)
        if tenant is None and "scenario_engine" in self.__dict__:
            self.scenario_engine.reset()
        self.clock.wake()

    def due_deliveries(self) -> list[Delivery]:
        """The webhooks to send now. Each is handed out once, until `outbox.record` tells what came of it."""
        return self.outbox.due(self.clock.now())

    def record(self, exchange: Exchange) -> None:
        """Write an exchange into the journal."""
        self.store.exchanges.append(exchange)

    def _accept(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions,
        queue_duration: float,
        *,
        step: str = "submit",
    ) -> ModelRequest:
        if not catalog.knows(endpoint):
            raise ApplicationNotFound(endpoint.app)
        now = self.clock.now()
        self._check_length(endpoint, tenant, options.max_queue_length, now)
        whose = self.store.tenant(tenant)
        directives: RequestDirectives | None = None
        if options.directive or mentions_directive(body) or whose.has_rules or self._has_rules:
            directives = self.scenario_engine.directives(
                whose, step, endpoint, _document(body), options.directive
            )
        directive = directives.choice.outcome if directives else NOTHING
        run_duration = self.settings.run_duration if directive.run is None else directive.run
        done = work(
            endpoint,
            body,
            directive,
            whose.ids,
            run_duration,
            lambda url: self._inputs.picture(url, tenant),
            streamed=step == "stream",
        )
        refused = isinstance(done.outcome, RunnerResponse) and not done.steps and directive.run is None
        submission = Submission(
            number=self.store.next_number(),
            queued_at=now,
            queue_duration=queue_duration if directive.queue is None else directive.queue,
            run_duration=min(run_duration, REJECTION_S) if refused else run_duration,
            low_priority=options.low_priority,
            start_timeout_s=options.start_timeout_s,
            honours_cancel=directive.cancel == "honoured",
            position=directive.position or 0,
        )
        request = ModelRequest(
            whose.ids.request_id(now),
            endpoint,
            tenant,
            submission,
            done.outcome,
            done.steps if directive.logs is None else directive.logs,
            files=done.files,
            terms=self.storage.known(options.terms) if options.terms.acl.rules else options.terms,
            partials=done.partials,
            directives=directives,
        )
        self.store.add(request, now)
        if directives:
            directives.choice.count()
        if self.store.is_limited and self._has_outbox:
            self.outbox.refresh()  # who comes may have changed when others go
        return request

    def _replanned(self) -> None:
        """A request ends otherwise than was planned: whoever waits for that looks again."""
        if self._has_outbox:
            self.outbox.refresh()
        self.clock.wake()

    def _view(self, request: ModelRequest, now: float, with_logs: bool) -> View:
        its = request.schedule
        ahead = 0
        if now < its.leaves_queue_at:
            ahead = self.store.line(request.tenant, request.app_id).ahead(request, now)
            if request.submission.position:
                ahead += position_offset(request.submission, now)
        return View(
            request,
            status(its, now, ahead),
            logs(its, request.steps, now) if with_logs else [],
            request.failure if now >= its.ends_at else None,
        )

    def _check_length(self, endpoint: EndpointId, tenant: str, limit: int | None, now: float) -> None:
        if limit is not None and self.store.line(tenant, endpoint.app_id).waiting(now) > limit:
            raise QueueFull


def _document(body: bytes) -> JSON:
    """The input, as far as it can be read: what is no JSON holds no directive and is for the runner to refuse."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def mentions_directive(body: bytes) -> bool:
    """Whether a body could hold a directive: saves a look at every string of every input."""
    # JSON may write any letter of the mark as \u00xx.
    return b"mock" in body or rb"\u00" in body or b"Mock" in body or b"MOCK" in body


def is_over(view: View) -> bool:
    """Whether there is nothing more to tell."""
    return isinstance(view.status, Completed)
