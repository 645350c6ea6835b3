"""The operations of fal: submit, run, poll, result, cancel. Synchronous Python without sockets or frameworks."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mock_fal.accounts.acl import ObjectLifecycle
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
    UnusableFile,
)
from mock_fal.journal.exchanges import Exchange, hide_keys
from mock_fal.journal.memory import give_back
from mock_fal.models import catalog
from mock_fal.models.runner import NO_OPTIONS, run_model
from mock_fal.requests.lifecycle import Submission, next_stage, part_sent_at
from mock_fal.requests.outcome import Outcome, RunnerResponse
from mock_fal.requests.queue import AppQueue, ModelRequest
from mock_fal.requests.view import View, next_change_at, view
from mock_fal.settings import Settings
from mock_fal.store import Store

if TYPE_CHECKING:
    from mock_fal.accounts.tokens import Tokens
    from mock_fal.billing.usage import Charge
    from mock_fal.files.inputs import InputFiles, Sources
    from mock_fal.files.storage import Storage
    from mock_fal.pictures.recipe import Source
    from mock_fal.scenario.rules import RequestDirectives, Scenario
    from mock_fal.scenario_engine import ScenarioEngine
    from mock_fal.webhooks.outbox import Delivery, Outbox
    from mock_fal.webhooks.payload import Webhook
    from mock_fal.webhooks.signature import Signer

NO_SOURCES: Final[Sources] = {}

# Seconds until a runner rejects an input. fal: such a request has an inference_time too (live, 2026-07).
REJECTION_S: Final = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """Options of a submission beside its input. `directive` is the header `X-Mock-Fal`."""

    low_priority: bool = False
    start_timeout_s: float = math.inf
    max_queue_length: int | None = None
    webhook: Webhook | None = None
    directive: str = ""
    object_lifecycle: ObjectLifecycle = ObjectLifecycle()


class Cancellation(Enum):
    """The result of a cancellation."""

    REMOVED = "the request was removed from the queue"
    REQUESTED = "the runner was notified"


class Emulator:
    """The operations of fal on one store. Every response is a function of the earlier calls and of the clock."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.store = Store(
            retention=settings.retention,
            seed=settings.seed,
            runners=settings.runners,
            concurrency=settings.concurrency,
            max_memory=settings.max_memory,
        )
        if settings.scenario:
            _ = self.scenario_engine  # fails now if the file has no valid rules
        # Fetches a file of another host; set only with --allow-egress. `web/submit_options.py` calls it.
        self.fetch: Callable[[str], Awaitable[bytes | None]] | None = None
        # Called when a webhook may be due earlier than before.
        self.notify: Callable[[], None] = lambda: None
        if settings.signing_key:
            _ = self.signer  # fails now if the file has no valid key
        self.keys = Keys(settings.key)

    def program_key(self, key: str | None = None) -> str:
        """The key that programs get for `key`, by default for that of the settings.

        While recording, its secret is the random one of this run, because the live key replaces it.
        """
        key = self.settings.own_key if key is None else key
        key_id, _, secret = key.partition(":")
        return f"{key_id}:{self.keys.run_secret}" if self.settings.record and key_id and secret else key

    # The parts below are created, and their modules imported, at first use; most runs need none of them.

    @cached_property
    def scenario_engine(self) -> ScenarioEngine:
        """The global rules, and the evaluation of all rules. Raises ScenarioError or SettingsError for --scenario."""
        from mock_fal.scenario_engine import ScenarioEngine

        return ScenarioEngine(self.store, self.settings.scenario)

    @property
    def _has_global_rules(self) -> bool:
        return "scenario_engine" in self.__dict__ and bool(self.scenario_engine.global_rules)

    @property
    def scenario(self) -> Scenario:
        """The global rules."""
        return self.scenario_engine.global_rules

    @cached_property
    def signer(self) -> Signer:
        """The signer of webhooks. Raises SettingsError when the signing key can't be used."""
        from mock_fal.webhooks.signature import Signer

        return Signer(self.settings.seed, self.settings.signing_key)

    @cached_property
    def outbox(self) -> Outbox:
        """The webhooks to deliver."""
        from mock_fal.webhooks.outbox import Outbox
        from mock_fal.webhooks.retry_policy import POLICIES

        policy, retention = POLICIES[self.settings.webhook_retries], self.settings.retention
        outbox = Outbox(policy=policy, retention=retention, notify=lambda: self.notify())
        outbox.on_finished, outbox.on_growth = self.store.delivered, self.store.grow
        self.store.outbox = outbox
        return outbox

    @property
    def deliveries(self) -> list[Delivery]:
        """All stored webhook deliveries, oldest first."""
        return self.outbox.deliveries if self._has_outbox else []

    @property
    def _has_outbox(self) -> bool:
        return "outbox" in self.__dict__

    @cached_property
    def storage(self) -> Storage:
        """Uploaded files and access to files."""
        from mock_fal.files.storage import Storage

        return Storage(self.settings, self.clock, self.store)

    @property
    def _has_storage(self) -> bool:
        return "storage" in self.__dict__

    @cached_property
    def tokens(self) -> Tokens:
        """Short-lived tokens that give access to some apps without a key."""
        from mock_fal.accounts.tokens import Tokens

        return Tokens(self.settings.seed)

    @property
    def uploaded_bytes(self) -> int:
        """The size of all uploaded files on disk."""
        return self.storage.file_store.used_bytes if self._has_storage else 0

    def close(self) -> None:
        """Delete the uploaded files from disk."""
        if self._has_storage:
            self.storage.file_store.close()

    @cached_property
    def input_files(self) -> InputFiles:
        """The files that inputs refer to."""
        from mock_fal.files.inputs import InputFiles  # only for endpoints that take a picture

        return InputFiles(self.storage)

    def submit(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions = SubmitOptions(),
        sources: Sources = NO_SOURCES,
    ) -> ModelRequest:
        """Add a request to the queue. An invalid input is accepted here; the runner rejects it.

        `sources` are pictures of the input that were read before; others are read now.
        """
        if options.webhook is None:
            return self._accept(endpoint, body, tenant, options, self.settings.queue_duration, sources)
        self.outbox.make_room()
        request = self._accept(endpoint, body, tenant, options, self.settings.queue_duration, sources)
        self.outbox.add(request, options.webhook)
        return request

    def run(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions = SubmitOptions(),
        sources: Sources = NO_SOURCES,
        *,
        streamed: bool = False,
    ) -> ModelRequest:
        """Start a direct request; its response is due at `schedule.ends_at`.

        `streamed` requests partial results too. Raises ConcurrencyReached.
        """
        # fal: running requests count; above the account's limit, queued requests wait and direct ones are rejected
        # (fal's documentation of concurrency, 2026). With a limit on runners, a direct request waits for one.
        if self.settings.concurrency:
            queue = self.store.queue(tenant, endpoint.app_id)
            if queue.running(self.clock.now()) >= self.settings.concurrency:
                raise ConcurrencyReached
        operation = "stream" if streamed else "run"
        return self._accept(endpoint, body, tenant, options, 0.0, sources, operation=operation)

    def is_streaming(self, request: ModelRequest) -> bool:
        """Whether a stream is open: a runner has started, and the request will succeed."""
        succeeds = isinstance(request.outcome, RunnerResponse) and request.outcome.status < 400
        return succeeds and request.schedule.starts_at <= self.clock.now()

    def partials(self, request: ModelRequest) -> Iterator[tuple[float, JSON]]:
        """The stream events before the result: moment, and body with a `MediaFile` for each file."""
        events = len(request.partials) + 1
        for number, partial in enumerate(request.partials, 1):
            yield part_sent_at(request.schedule, number, events), partial

    def abandon(self, request: ModelRequest) -> None:
        """End a direct request whose client disconnected. Does nothing if the request is completed."""
        # fal: closing the connection cancels a direct request (fal's documentation of errors, 2026).
        now = self.clock.now()
        if now < request.schedule.ends_at:
            self._queue(request).abandon(request, now)
            self._rescheduled()

    def find(self, app_id: str, request_id: str, tenant: str | None) -> ModelRequest:
        """The request with that id. Raises RequestNotFound, also for one of another tenant or app."""
        request = self.store.requests.get(request_id)
        # fal: reading by id needs no key on public models (fal's Queue API documentation, 2026).
        # assumption: an id requested at another app looks unknown.
        if request is None or request.app_id != app_id or tenant not in (None, request.tenant):
            raise RequestNotFound
        return request

    def poll(self, request: ModelRequest, *, with_logs: bool = True) -> View:
        """The state of a request. Each poll moves an auto-advance clock to the next stage of the request."""
        polled = self.read(request, with_logs=with_logs)
        if not polled.is_completed:
            self.clock.polled(next_stage(request.schedule, self.clock.now()))
        return polled

    def read(self, request: ModelRequest, *, with_logs: bool = True) -> View:
        """The state of a request, without moving an auto-advance clock."""
        return view(request, self._queue(request), self.clock.now(), with_logs=with_logs)

    def next_change_at(self, request: ModelRequest) -> float:
        """When the state of a request may change next: a stage, a log line or a queue position."""
        return next_change_at(request, self._queue(request), self.clock.now())

    def result(self, request: ModelRequest) -> Outcome:
        """The result of a request. Raises StillInProgress before it is completed; that counts as a poll too."""
        now = self.clock.now()
        if now < request.schedule.ends_at:
            self.clock.polled(next_stage(request.schedule, now))
            raise StillInProgress
        if request.payloads_deleted:
            # assumption: the response for a result whose payloads were deleted.
            raise RequestNotFound
        return request.result

    def is_done(self, request: ModelRequest) -> bool:
        """Whether the request is completed."""
        return self.clock.now() >= request.schedule.ends_at

    def new_request_id(self, tenant: str) -> str:
        """An id for a response that belongs to no stored request."""
        return self.store.tenant(tenant).ids.request_id(self.clock.now())

    def cancel(self, request: ModelRequest) -> Cancellation:
        """Cancel a request. Raises AlreadyCompleted."""
        now = self.clock.now()
        if now >= request.schedule.ends_at:
            raise AlreadyCompleted
        waited = now < request.schedule.leaves_queue_at
        self._queue(request).cancel(request, now)
        self._rescheduled()
        return Cancellation.REMOVED if waited else Cancellation.REQUESTED

    def delete_payloads(self, request: ModelRequest) -> list[str]:
        """Delete the output of a request. Returns the paths of the deleted files.

        Raises StillInProgress.
        """
        if not self.is_done(request):
            raise StillInProgress
        # deviation: the input stays in the journal, which belongs to the test and not to the account.
        return self.store.delete_payloads(request)

    def charges(self, tenant: str | None = None) -> list[Charge]:
        """The charges of all completed requests, of one key or of all keys, in no particular order."""
        from mock_fal.billing.usage import charge

        now = self.clock.now()
        stored = [charge(request, now) for request in list(self.store.requests.values())]
        charges = [item for item in [*stored, *self.store.ledger] if item is not None]
        return [item for item in charges if tenant in (None, item.tenant)]

    def reset(self, tenant: str | None = None) -> None:
        """Remove the state of one tenant; without one, of all tenants and the global rules."""
        used_bytes = self.store.memory.used
        self.store.clear(tenant)
        if self._has_storage:
            self.storage.file_store.clear(tenant)
        if self._has_outbox:
            self.outbox.clear(tenant)
        if tenant is None and "scenario_engine" in self.__dict__:
            self.scenario_engine.reset()
        give_back(used_bytes - self.store.memory.used)
        self.clock.wake()

    def due_deliveries(self) -> list[Delivery]:
        """The webhooks to send now. Each is returned once, until `outbox.record` reports its result."""
        return self.outbox.due(self.clock.now())

    def record(self, exchange: Exchange) -> None:
        """Add an exchange to the journal."""
        self.store.exchanges.append(exchange)

    def shown(self, exchange: Exchange) -> Exchange:
        """An exchange of the journal without the secrets of keys. Whatever leaves the process is read through this."""
        return hide_keys(exchange, self.keys.secrets)

    def _accept(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions,
        queue_duration: float,
        sources: Sources,
        *,
        operation: str = "submit",
    ) -> ModelRequest:
        if not catalog.has_app(endpoint.app_id):
            raise ApplicationNotFound(endpoint.app)
        now = self.clock.now()
        self._check_length(endpoint, tenant, options.max_queue_length, now)
        account = self.store.tenant(tenant)
        directives: RequestDirectives | None = None
        if options.directive or mentions_directive(body) or account.has_rules or self._has_global_rules:
            directives = self.scenario_engine.directives(
                account, operation, endpoint, _document(body), options.directive
            )
        directive = directives.choice.outcome if directives else NO_OPTIONS
        run_duration = self.settings.run_duration if directive.run is None else directive.run
        run = run_model(
            endpoint,
            body,
            directive,
            account.ids,
            run_duration,
            lambda url: self._picture(url, tenant, sources),
            streamed=operation == "stream",
        )
        rejected = isinstance(run.outcome, RunnerResponse) and not run.steps and directive.run is None
        submission = Submission(
            number=self.store.next_number(),
            queued_at=now,
            queue_duration=queue_duration if directive.queue is None else directive.queue,
            run_duration=min(run_duration, REJECTION_S) if rejected else run_duration,
            low_priority=options.low_priority,
            start_timeout_s=options.start_timeout_s,
            honours_cancel=directive.cancel == "honoured",
            position=directive.position or 0,
        )
        request = ModelRequest(
            account.ids.request_id(now),
            endpoint,
            tenant,
            submission,
            run.outcome,
            run.steps if directive.logs is None else directive.logs,
            files=run.files,
            object_lifecycle=self.storage.without_unknown_users(options.object_lifecycle)
            if options.object_lifecycle.acl.rules
            else options.object_lifecycle,
            partials=run.partials,
            directives=directives,
        )
        self.store.add(request, now, input_bytes=len(body))
        if directives:
            directives.choice.count()
        if self.store.is_limited and self._has_outbox:
            self.outbox.refresh()  # the new request may have rescheduled others
        return request

    def _picture(self, url: str, tenant: str, sources: Sources) -> Source | None:
        """The picture at a URL in an input. Raises UnusableFile."""
        if url not in sources:
            return self.input_files.picture(url, tenant)
        source = sources[url]
        if isinstance(source, UnusableFile):
            raise source
        return source

    def _queue(self, request: ModelRequest) -> AppQueue:
        return self.store.queue(request.tenant, request.app_id)

    def _rescheduled(self) -> None:
        """Update deliveries and wake waiters, because schedules have changed."""
        self.store.rescheduled()
        if self._has_outbox:
            self.outbox.refresh()
        self.clock.wake()

    def _check_length(self, endpoint: EndpointId, tenant: str, limit: int | None, now: float) -> None:
        if limit is not None and self.store.queue(tenant, endpoint.app_id).waiting(now) > limit:
            raise QueueFull


def _document(body: bytes) -> JSON:
    """The input; None if it is not JSON: it then holds no directive, and the runner rejects it."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def mentions_directive(body: bytes) -> bool:
    """Whether a body may hold a directive. Saves parsing every input."""
    # JSON may escape any letter of `[mock:` as \u00xx.
    return b"mock" in body or rb"\u00" in body or b"Mock" in body or b"MOCK" in body
