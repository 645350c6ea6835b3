"""The operations of fal: submit, run, poll, result, cancel. Synchronous Python without sockets or frameworks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from mock_fal.emulation.options import DEFAULT_OPTIONS, NO_CONTENTS, SubmitOptions
from mock_fal.emulation.parts import Parts
from mock_fal.endpoint import EndpointId
from mock_fal.errors import (
    JSON,
    AlreadyCompleted,
    ConcurrencyReached,
    RequestNotFound,
    StillInProgress,
)
from mock_fal.journal.exchanges import Exchange, hide_keys
from mock_fal.journal.memory import give_back
from mock_fal.requests.lifecycle import (
    Queued,
    Submission,
    next_stage,
    part_sent_at,
    status,
)
from mock_fal.requests.outcome import Outcome, RunnerResponse
from mock_fal.requests.queue import AppQueue, ModelRequest
from mock_fal.requests.view import View, ahead_of, next_change_at, view

if TYPE_CHECKING:
    from mock_fal.billing.usage import Charge
    from mock_fal.emulation.submissions import Submissions
    from mock_fal.files.inputs import Contents
    from mock_fal.models.input_schema import FileReference
    from mock_fal.requests.retries import Attempt
    from mock_fal.webhooks.outbox import Delivery
    from mock_fal.webhooks.payload import Changes, Webhook


class Cancellation(Enum):
    """The result of a cancellation."""

    REMOVED = "the request was removed from the queue"
    REQUESTED = "the runner was notified"


class Emulator(Parts):
    """The operations of fal on one store. Every response is a function of the earlier calls and of the clock."""

    @cached_property
    def _submissions(self) -> Submissions:
        from mock_fal.emulation.submissions import Submissions

        return Submissions(self)

    def submit(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions = DEFAULT_OPTIONS,
        contents: Contents = NO_CONTENTS,
    ) -> ModelRequest:
        """Add a request to the queue. An invalid input is accepted here; the runner rejects it.

        `contents` are those of files of the input that were read before; others are read now.
        """
        if options.webhook is None:
            return self._submissions.queued(endpoint, body, tenant, options, contents)
        self.outbox.make_room()
        request = self._submissions.read(
            endpoint, body, tenant, options, self.settings.queue_duration, contents
        )
        self.outbox.add(request, options.webhook, self._webhook_changes(request))
        return request

    def _webhook_changes(self, request: ModelRequest) -> Changes:
        """What rules and directives say about the webhook of a request."""
        from mock_fal.webhooks.payload import NO_CHANGES, Changes

        if request.directives is None:
            return NO_CHANGES
        choice = self.scenario_engine.choice_for("webhook", key=request.tenant, request=request)
        choice.count()
        directive = choice.response
        return (
            NO_CHANGES
            if directive is None
            else Changes(directive.status, directive.payload, directive.late or 0.0)
        )

    def resend_webhook(self, request_id: str, body: bytes = b"") -> Delivery:
        """Send the webhook of a request again, or with a body of the user's own. Raises WebhookWaiting."""
        from mock_fal.webhooks.outbox import WebhookWaiting

        delivery = self.outbox.find(request_id)
        if delivery is None:
            raise WebhookWaiting(f"no stored webhook of the request {request_id!r}")
        self.outbox.resend(delivery, self.clock.now(), body)
        return delivery

    def send_webhook(
        self, endpoint: EndpointId, webhook: Webhook, tenant: str, output: JSON = None, error: str = ""
    ) -> Delivery:
        """Send a webhook that no request was submitted for: with an output, or with an error of fal.

        Without both, it has the output of the model for a prompt. Raises ScenarioError, ApplicationNotFound
        or QueueFull.
        """
        from mock_fal.models.runner import failure
        from mock_fal.scenario.directive import parse_directive

        if output is None and not error:
            options = SubmitOptions(webhook=webhook, directive="queue=0 run=0")
            return self._sent(self.submit(endpoint, b'{"prompt":"a cat"}', tenant, options))
        outcome = failure(parse_directive(f"error={error}")) if error else RunnerResponse(200, output)
        now, ids = self.clock.now(), self.store.tenant(tenant).ids
        self.outbox.make_room()
        submission = Submission(self.store.next_number(), now, 0.0, 0.0)
        request = ModelRequest(ids.request_id(now), endpoint, tenant, submission, outcome, 0)
        self.store.add(request, now)
        self.outbox.add(request, webhook)
        return self._sent(request)

    def _sent(self, request: ModelRequest) -> Delivery:
        delivery = self.outbox.find(request.id)
        assert delivery is not None
        return delivery

    def run(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions = DEFAULT_OPTIONS,
        contents: Contents = NO_CONTENTS,
        *,
        operation: Literal["run", "stream", "realtime"] = "run",
    ) -> ModelRequest:
        """Start a direct request; its response is due at `schedule.ends_at`.

        A `stream` requests partial results too. Raises ConcurrencyReached.
        """
        # fal: running requests count; above the account's limit, queued requests wait and direct ones are rejected
        # (fal's documentation of concurrency, 2026). With a limit on runners, a direct request waits for one.
        if self.settings.concurrency:
            queue = self.store.queue(tenant, endpoint.app_id)
            if queue.running(self.clock.now()) >= self.settings.concurrency:
                raise ConcurrencyReached
        return self._submissions.read(endpoint, body, tenant, options, 0.0, contents, operation=operation)

    def is_streaming(self, request: ModelRequest) -> bool:
        """Whether a stream is open: a runner has started, and the request will succeed."""
        succeeds = isinstance(request.outcome, RunnerResponse) and request.outcome.status < 400
        # The events of a workflow report the failure of a node.
        succeeds = succeeds or bool(request.partials)
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
        return view(request, self._queue, self.clock.now(), with_logs=with_logs)

    def submitted(self, request: ModelRequest) -> View:
        """The state of a request as its submission is answered."""
        planned, now = request.planned, request.submission.queued_at
        # fal: the answer to a submission is never COMPLETED (fal's Queue API documentation, 2026); clients that read
        # it would not poll, nor fetch the result. assumption: one that ends at once is answered as IN_QUEUE.
        if now >= planned.ends_at:
            return View(request, Queued(0), [])
        ahead = 0 if now >= planned.starts_at else ahead_of(request, self._queue(request), now)
        return View(request, status(planned, now, ahead), [])

    def next_change_at(self, request: ModelRequest) -> float:
        """When the state of a request may change next: a stage, a log line or a queue position."""
        return next_change_at(request, self._queue(request), self.clock.now())

    def result(self, request: ModelRequest) -> Outcome:
        """The result of a request. Raises as `check_completed`."""
        self.check_completed(request)
        return request.result

    def check_completed(self, request: ModelRequest) -> None:
        """Raises StillInProgress before a request is completed, which counts as a poll; RequestNotFound if deleted."""
        now = self.clock.now()
        if now < request.schedule.ends_at:
            self.clock.polled(next_stage(request.schedule, now))
            raise StillInProgress
        if request.payloads_deleted:
            # assumption: the response for a result whose payloads were deleted.
            raise RequestNotFound

    def attempts(self, exchange: Exchange) -> list[Attempt]:
        """The attempts at the request that an exchange is about, so far; none if it is no longer stored."""
        from mock_fal.requests.retries import attempts

        request = self.store.requests.get(exchange.request_id or "")
        return [] if request is None else attempts(request, self.clock.now())

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
        self.resets += 1
        self.store.clear(tenant)
        if self.has_storage:
            self.storage.file_store.clear(tenant)
        if self.has_outbox:
            self.outbox.clear(tenant)
        self.keys.clear(tenant)
        if "catalog" in self.__dict__:
            self.catalog.saved_workflows.clear(tenant)
        if tenant is None and "scenario_engine" in self.__dict__:
            self.scenario_engine.reset()
        give_back(used_bytes - self.store.memory.used)
        self.clock.wake()

    def due_deliveries(self) -> list[Delivery]:
        """The webhooks to send now. Each is returned once, until `outbox.record` reports its result."""
        return self.outbox.due(self.clock.now())

    def record(self, exchange: Exchange, authorization: str | None = None) -> None:
        """Add an exchange to the journal, without the secret in its Authorization header."""
        self.store.exchanges.append(exchange, authorization)

    def shown(self, exchange: Exchange) -> Exchange:
        """An exchange of the journal without the secrets of keys. Whatever leaves the process is read through this."""
        return hide_keys(exchange, self.keys.secrets)

    def named_files(self, endpoint: EndpointId, document: JSON) -> Iterable[FileReference]:
        """The files that an input names, in the order in which a runner reads them."""
        from mock_fal.emulation.submissions import named_files

        return named_files(self.catalog, endpoint, document)

    def is_stubbed(self, endpoint: EndpointId | str, tenant: str) -> bool:
        """Whether a rule gives an output of the user's own for an endpoint."""
        account = self.store.tenant(tenant)
        return (account.has_rules and account.scenario.has_output(str(endpoint))) or (
            self.has_global_rules and self.scenario.has_output(str(endpoint))
        )

    def stubbed_model(self, endpoint: EndpointId, last: str, tenant: str) -> EndpointId | None:
        """The endpoint behind a path that ends in `/stream` or `/realtime`, if rules give an output for it.

        An endpoint of the catalogue has only the paths that are listed there.
        """
        model, _, word = str(endpoint).rpartition("/")
        if word != last:
            return None
        behind = EndpointId.parse(model) if "/" in model else None
        for candidate in (behind, endpoint):
            if candidate is None or not self.is_stubbed(candidate, tenant):
                continue
            known = self.catalog.find(candidate)
            if known is None or known.source == "guess":
                return candidate
        return None

    def unknown_endpoint(self, endpoint: EndpointId | None) -> str:
        """An endpoint that is not known, and what may have been meant; empty for a known one.

        It is logged once: fal's own 404 does not say that it is mock-fal that does not know the endpoint.
        """
        if endpoint is None:
            return "a URL without an endpoint"
        if self.catalog.find(endpoint) is not None:
            return ""
        from mock_fal.models.catalog import WAYS_ON

        hint = self.catalog.hint(str(endpoint))
        self.warn(f"not emulated: {hint}; {WAYS_ON}")
        return hint

    def _queue(self, request: ModelRequest) -> AppQueue:
        return self.store.queue(request.tenant, request.app_id)

    def _rescheduled(self) -> None:
        """Update deliveries and wake waiters, because schedules have changed."""
        self.store.rescheduled()
        if self.has_outbox:
            self.outbox.refresh()
        self.clock.wake()
