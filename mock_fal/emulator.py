"""The operations of fal: submit, run, poll, result, cancel. Synchronous Python without sockets or frameworks."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from mock_fal.accounts.acl import NO_PREFERENCE, ObjectLifecycle
from mock_fal.accounts.keys import Keys
from mock_fal.clock import Clock
from mock_fal.endpoint import EndpointId
from mock_fal.errors import (
    JSON,
    AlreadyCompleted,
    ApplicationNotFound,
    ConcurrencyReached,
    FalError,
    QueueFull,
    RequestNotFound,
    StillInProgress,
    UnusableFile,
)
from mock_fal.journal.exchanges import Exchange, hide_keys
from mock_fal.journal.memory import give_back
from mock_fal.models.deferred import DeferredRuns
from mock_fal.models.runner import NO_OPTIONS, OutcomeOptions, RunResult, run_model
from mock_fal.pictures.recipe import Source
from mock_fal.requests import progress
from mock_fal.requests.lifecycle import (
    REJECTION_S,
    FailedRun,
    Queued,
    Submission,
    next_stage,
    part_sent_at,
    status,
)
from mock_fal.requests.outcome import Outcome, RunnerResponse
from mock_fal.requests.queue import AppQueue, FailedAttempt, ModelRequest
from mock_fal.requests.view import View, ahead_of, next_change_at, view
from mock_fal.settings import Settings
from mock_fal.store import Store
from mock_fal.terminal import logger

if TYPE_CHECKING:
    from mock_fal.accounts.tokens import Tokens
    from mock_fal.billing.usage import Charge
    from mock_fal.files.inputs import Content, Contents, InputFiles
    from mock_fal.files.storage import Storage
    from mock_fal.ids import Ids
    from mock_fal.media.recipe import MediaRecipe
    from mock_fal.models.catalog import Catalog, Model
    from mock_fal.models.input_schema import FileReference
    from mock_fal.models.job import Media
    from mock_fal.requests.retries import Attempt
    from mock_fal.requests.upload_policy import UploadPolicy
    from mock_fal.scenario.output import Output
    from mock_fal.scenario.rules import RequestDirectives, Scenario
    from mock_fal.scenario_engine import ScenarioEngine
    from mock_fal.webhooks.outbox import Delivery, Outbox
    from mock_fal.webhooks.payload import Changes, Webhook
    from mock_fal.webhooks.signature import Signer

NO_CONTENTS: Final[Contents] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """Options of a submission beside its input. `directive` is the header `X-Mock-Fal`."""

    low_priority: bool = False
    start_timeout_s: float = math.inf
    max_queue_length: int | None = None
    webhook: Webhook | None = None
    directive: str = ""
    # Whether the client asked for no automatic retries.
    no_retry: bool = False
    # How often the owner of an app wants it to be tried again, by the condition of the failure.
    retry_config: Mapping[str, int] = field(default_factory=dict)
    object_lifecycle: ObjectLifecycle = NO_PREFERENCE
    # Where the files of the result go instead of fal's media host; a text says why the policy is invalid.
    upload_policy: UploadPolicy | str | None = None
    # What users' callables have returned for inputs; see `AnswerNeeded`.
    answers: Mapping[tuple[Output, bytes], Output] = field(default_factory=dict)

    @property
    def kept_bytes(self) -> int:
        """The bytes of what is kept of them with the request, beside the webhook."""
        policy = self.upload_policy
        return 0 if policy is None or isinstance(policy, str) else policy.kept_bytes


class AnswerNeeded(Exception):
    """A submission needs the answer of a user's callable, which may take long: `output.called(body)`, in a thread.

    The submission is repeated with the answer in its options.
    """

    def __init__(self, output: Output, body: bytes) -> None:
        super().__init__(str(output))
        self.output = output
        self.body = body


# How many pictures of its own a workflow reads, at most: that takes some 5 ms each, on the event loop.
MAX_SHOWN: Final = 4

# How many different warnings are logged.
_MAX_WARNINGS: Final = 1000


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
            # A guessed endpoint may have any id.
            endpoints=lambda: () if settings.guess_models else self.catalog.ids(),
        )
        if settings.models:
            _ = self.catalog  # fails now if a file has no valid endpoints
        if settings.scenario:
            _ = self.scenario_engine  # fails now if the file has no valid rules
        self._warnings: set[str] = set()
        # What follows from a submission is worked out when somebody looks.
        self.runs = DeferredRuns(
            lambda endpoint: self.catalog.find(endpoint),
            self.store.tenant,
            lambda url, media, tenant: self._content(url, media, tenant, NO_CONTENTS),
            self.store.built,
        )
        # How often the state of a tenant, or of all, was removed.
        self.resets = 0
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
    def catalog(self) -> Catalog:
        """The endpoints that the emulator knows. Raises SettingsError for a file of --models."""
        from mock_fal.models.catalog import Catalog

        return Catalog(self.settings.models, guess=self.settings.guess_models)

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
        from mock_fal.files.inputs import InputFiles  # only for inputs that name a file

        return InputFiles(self.storage)

    def submit(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions = SubmitOptions(),
        contents: Contents = NO_CONTENTS,
    ) -> ModelRequest:
        """Add a request to the queue. An invalid input is accepted here; the runner rejects it.

        `contents` are those of files of the input that were read before; others are read now.
        """
        if options.webhook is None:
            # A submission writes down facts. What follows from them is worked out at the first look, unless something
            # else depends on it now.
            at_once = contents or options.directive or options.upload_policy is not None
            if not (at_once or self._depends_on_outcome(endpoint, body, tenant)):
                return self._accept_unread(endpoint, body, tenant, options)
            return self._accept(endpoint, body, tenant, options, self.settings.queue_duration, contents)
        self.outbox.make_room()
        request = self._accept(endpoint, body, tenant, options, self.settings.queue_duration, contents)
        self.outbox.add(request, options.webhook, self._webhook_changes(request))
        return request

    def _depends_on_outcome(self, endpoint: EndpointId, body: bytes, tenant: str) -> bool:
        """Whether something else than a look at a request depends on its outcome.

        These are rules and directives, files of the input, which may change, workflows, whose nodes are requests too,
        and other requests that wait until this one ends.
        """
        return (
            self.store.is_limited
            or endpoint.is_workflow
            or mentions_directive(body)
            or may_name_files(body)
            or self._has_global_rules
            or self.store.tenant(tenant).has_rules
        )

    def _accept_unread(
        self, endpoint: EndpointId, body: bytes, tenant: str, options: SubmitOptions
    ) -> ModelRequest:
        """Add a request to the queue without reading its input."""
        model = self.catalog.find(endpoint)
        if model is None and not self.catalog.has_app(endpoint.app_id):
            raise ApplicationNotFound(endpoint.app)
        now, kind = self.clock.now(), model.kind if model else "image"
        self._check_length(endpoint, tenant, options.max_queue_length, now)
        submission = Submission(
            self.store.next_number(),
            now,
            self.settings.queue_duration,
            progress.duration(kind, self.settings.run_duration),
            options.low_priority,
            options.start_timeout_s,
        )
        request = ModelRequest(
            self.store.tenant(tenant).ids.request_id(now),
            endpoint,
            tenant,
            submission,
            object_lifecycle=self._lifecycle(options, tenant),
            kind=kind,
            body=body,
            work=self.runs,
        )
        self.store.add(request, now, input_bytes=len(body))
        self.runs.add(request)
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
        options: SubmitOptions = SubmitOptions(),
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
        return self._accept(endpoint, body, tenant, options, 0.0, contents, operation=operation)

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
        """The result of a request. Raises StillInProgress before it is completed; that counts as a poll too."""
        now = self.clock.now()
        if now < request.schedule.ends_at:
            self.clock.polled(next_stage(request.schedule, now))
            raise StillInProgress
        if request.payloads_deleted:
            # assumption: the response for a result whose payloads were deleted.
            raise RequestNotFound
        return request.result

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
        if self._has_storage:
            self.storage.file_store.clear(tenant)
        if self._has_outbox:
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

    def _accept(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions,
        queue_duration: float,
        contents: Contents,
        *,
        operation: str = "submit",
    ) -> ModelRequest:
        prepared = self._prepared(endpoint, body, tenant, options, queue_duration, contents, operation)
        now = self.clock.now()
        for request, input_bytes in prepared:
            if request.warning:
                self._warn(request.warning)
            self.store.add(request, now, input_bytes=input_bytes)
        if request.directives:
            request.directives.count_attempts()
        if self.store.is_limited and self._has_outbox:
            self.outbox.refresh()  # the new request may have rescheduled others
        return request

    def _prepared(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions,
        queue_duration: float,
        contents: Contents,
        operation: str,
    ) -> list[tuple[ModelRequest, int]]:
        """The requests of a submission and the sizes of their inputs: those of the nodes of a workflow, then itself."""
        now = self.clock.now()
        account = self.store.tenant(tenant)
        if account.undrawn:
            self.runs.draw_all(account)
        directives: RequestDirectives | None = None
        if options.directive or mentions_directive(body) or account.has_rules or self._has_global_rules:
            directives = self.scenario_engine.directives(
                account, operation, endpoint, document_of(body), options.directive
            )
            if operation == "submit" and not options.no_retry:
                max_attempts = self.settings.request_attempts
                # fal: `X-Fal-Retry-Config` counts for the owner of the app only (documentation of retries, 2026).
                config = options.retry_config if endpoint.owner == tenant else {}
                directives = self.scenario_engine.retried(account, directives, max_attempts, config)
        directive: OutcomeOptions = directives.last.outcome if directives else NO_OPTIONS
        first: OutcomeOptions = directives.choice.outcome if directives else NO_OPTIONS
        output, model = directive.output, self.catalog.find(endpoint)
        if output is None and model is None and not self.catalog.has_app(endpoint.app_id):
            raise ApplicationNotFound(endpoint.app)
        self._check_length(endpoint, tenant, options.max_queue_length, now)
        if output is not None:
            directive = _with_answer(directive, output, model, body, options.answers)
        kind = model.kind if model else "image"
        run_duration = (
            progress.duration(kind, self.settings.run_duration) if directive.run is None else directive.run
        )
        failed: tuple[FailedRun, ...] = ()
        if directives is not None and directives.retries:
            failed = _failed_runs(directives, kind, self.settings)
        nodes: list[tuple[ModelRequest, int]] = []
        if endpoint.is_workflow and output is None and not directive.error:
            begins_at = now + (queue_duration if first.queue is None else first.queue)
            begins_at += sum(run.duration + run.gap for run in failed)
            run, ends_at = self._run_nodes(endpoint, body, tenant, options, contents, begins_at, nodes)
            kind = "json"
            run_duration = ends_at - begins_at if directive.run is None else directive.run
        else:
            run = run_model(
                endpoint,
                body,
                directive,
                account.ids,
                run_duration,
                lambda url, media: self._content(url, media, tenant, contents),
                streamed=operation == "stream",
                model=model,
                now=now,
            )
        if options.upload_policy is not None and model is not None:
            from mock_fal.models.own_storage import stored  # rarely used

            run = stored(run, options.upload_policy, allow_egress=self.settings.allow_egress)
        rejected = isinstance(run.outcome, RunnerResponse) and not run.steps and directive.run is None
        steps = progress.lines(kind, run.steps) if directive.logs is None else directive.logs
        request_id = account.ids.request_id(now)
        earlier: tuple[FailedAttempt, ...] = ()
        last_id = ""
        if directives is not None and directives.retries:
            last_id, earlier, steps = _attempts(directives, request_id, account.ids, now, steps)
        submission = Submission(
            number=self.store.next_number(),
            queued_at=now,
            queue_duration=queue_duration if first.queue is None else first.queue,
            run_duration=min(run_duration, REJECTION_S) if rejected else run_duration,
            low_priority=options.low_priority,
            start_timeout_s=options.start_timeout_s,
            honours_cancel=first.cancel == "honoured",
            position=first.position or 0,
            failed=failed,
        )
        request = ModelRequest(
            request_id,
            endpoint,
            tenant,
            submission,
            run.outcome,
            steps,
            files=run.files,
            object_lifecycle=self._lifecycle(options, tenant),
            partials=run.partials,
            directives=directives,
            warning=run.warning,
            kind=kind,
            earlier=earlier,
            last_id=last_id,
        )
        return [*nodes, (request, len(body) + options.kept_bytes)]

    def _lifecycle(self, options: SubmitOptions, tenant: str) -> ObjectLifecycle:
        """The lifetime and access list of the files of a request: as the client asks, or as the workspace says."""
        if options.object_lifecycle is NO_PREFERENCE and not self.store.workspaces:
            return NO_PREFERENCE
        return self.storage.effective(options.object_lifecycle, tenant)

    def _run_nodes(
        self,
        endpoint: EndpointId,
        body: bytes,
        tenant: str,
        options: SubmitOptions,
        contents: Contents,
        begins_at: float,
        nodes: list[tuple[ModelRequest, int]],
    ) -> tuple[RunResult, float]:
        """The result of a workflow that begins at a moment, and when it ends. Its requests are added to `nodes`."""
        from mock_fal.models import workflow_run
        from mock_fal.models.workflow import Node, standard

        fields, rejection = workflow_run.read_input(body)
        if rejection:
            return RunResult(rejection, 0, (), []), begins_at
        workflow = self.catalog.workflow(endpoint) or standard(fields)
        # assumption: files of all nodes have the lifetime and the access list that the workflow was sent with.
        node_options = SubmitOptions(object_lifecycle=options.object_lifecycle, answers=options.answers)

        shown: list[Source] = []

        def run(node: Node, given: JSON, at: float) -> workflow_run.NodeRun:
            node_body, files = workflow_run.node_input(given, self.catalog.find(node.app))
            known = {**contents, **self._node_contents(node.app, node_body, files, shown)}
            wait_s = at - self.clock.now()
            try:
                (prepared,) = self._prepared(
                    node.app, node_body, tenant, node_options, wait_s, known, "submit"
                )
            except FalError as error:
                return workflow_run.NodeRun("", error.status, {"detail": error.detail}, at, at)
            nodes.append(prepared)
            if prepared[0].directives:
                prepared[0].directives.count_attempts()  # now, since the next node may be the same app
            return workflow_run.node_run(prepared[0], at)

        done = workflow_run.execute(workflow, fields, begins_at, run)
        return RunResult(done.response, len(workflow.nodes), done.events, []), done.ends_at

    def _node_contents(
        self, app: EndpointId, body: bytes, files: Mapping[str, MediaRecipe], shown: list[Source]
    ) -> Contents:
        """What is in the files of earlier nodes that the input of a node names. `shown` are pictures read so far."""
        known: dict[tuple[str, Media], Content | UnusableFile | None] = {}
        for reference in self.named_files(app, document_of(body)) if files else ():
            if reference.url not in files:
                continue
            # deviation: later nodes of a long workflow show the picture of an earlier one in theirs.
            like = shown[-1] if len(shown) >= MAX_SHOWN else None
            try:
                content = self.input_files.of_result(files[reference.url], reference.media, like)
            except UnusableFile as error:
                known[reference.url, reference.media] = error
                continue
            known[reference.url, reference.media] = content
            if isinstance(content, Source) and like is None:
                shown.append(content)
        return known

    def named_files(self, endpoint: EndpointId, document: JSON) -> Iterable[FileReference]:
        """The files that an input names, in the order in which a runner reads them."""
        from mock_fal.models.engine import named_files

        if endpoint.is_workflow:
            from mock_fal.models import workflow_run

            workflow = self.catalog.workflow(endpoint)
            return workflow_run.named_files(workflow, document, self.catalog.find) if workflow else ()
        model = self.catalog.find(endpoint)
        return named_files(model, document) if model else ()

    def _content(self, url: str, media: Media, tenant: str, contents: Contents) -> Content | None:
        """What is in a file that an input names. Raises UnusableFile."""
        if (url, media) not in contents:
            return self.input_files.content(url, tenant, media)
        content = contents[url, media]
        if isinstance(content, UnusableFile):
            raise content
        return content

    def is_stubbed(self, endpoint: EndpointId | str, tenant: str) -> bool:
        """Whether a rule gives an output of the user's own for an endpoint."""
        account = self.store.tenant(tenant)
        return (account.has_rules and account.scenario.has_output(str(endpoint))) or (
            self._has_global_rules and self.scenario.has_output(str(endpoint))
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
        self._warn(f"not emulated: {hint}; {WAYS_ON}")
        return hint

    def _warn(self, warning: str) -> None:
        """Log a warning, once."""
        if warning not in self._warnings and len(self._warnings) < _MAX_WARNINGS:
            self._warnings.add(warning)
            logger.warning("mock-fal: %s", warning)

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


def _failed_runs(directives: RequestDirectives, kind: str, settings: Settings) -> tuple[FailedRun, ...]:
    """The runs before the last one of a request with several attempts."""
    from mock_fal.models.runner import failure
    from mock_fal.requests.retries import gap

    runs = []
    for number, choice in enumerate(directives.failed, 1):
        directive = choice.outcome
        duration = directive.run
        if duration is None:
            duration = progress.duration(kind, settings.run_duration)
            if isinstance(failure(directive), RunnerResponse):
                duration = min(duration, REJECTION_S)
        runs.append(FailedRun(duration, gap(number, settings.queue_duration)))
    return tuple(runs)


def _attempts(
    directives: RequestDirectives, first_id: str, new_ids: Ids, now: float, steps: int
) -> tuple[str, tuple[FailedAttempt, ...], int]:
    """The id of the last attempt, the attempts before it, and the number of steps that the last one logs.

    An attempt that fails in a run logs as much of it as the last one.
    """
    from mock_fal.models.runner import failure
    from mock_fal.requests.retries import NOT_BEGUN
    from mock_fal.scenario.options import MAX_LOGS

    ids = [first_id, *(new_ids.request_id(now) for _ in directives.retries)]
    most = MAX_LOGS // len(ids)  # each poll with logs returns the lines of all attempts
    logged = [0 if choice.outcome.error in NOT_BEGUN else steps for choice in directives.failed]
    outcomes = [choice.outcome for choice in directives.failed]
    numbers = [
        number if outcome.logs is None else outcome.logs
        for number, outcome in zip(logged, outcomes, strict=True)
    ]
    earlier = [
        FailedAttempt(id, failure(outcome), min(number, most))
        for id, outcome, number in zip(ids, outcomes, numbers, strict=False)
    ]
    return ids[-1], tuple(earlier), min(steps, most)


def _with_answer(
    directive: Any,
    output: Output,
    model: Model | None,
    body: bytes,
    answers: Mapping[tuple[Output, bytes], Output],
) -> Any:
    """The directive with what its callable has returned. Raises AnswerNeeded before it was called."""
    if output.function is None or directive.error:
        return directive
    if (output, body) in answers:
        return directive._replace(output=answers[output, body])
    from mock_fal.models.stubs import accepts

    if not accepts(model, body):
        return directive  # the model rejects the input, so that nothing is called
    raise AnswerNeeded(output, body)


def document_of(body: bytes) -> JSON:
    """An input as JSON; None if it is none: it then holds no directive, and the runner rejects it."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def may_name_files(body: bytes) -> bool:
    """Whether an input may hold a URL. JSON may escape any letter of it as \\u00xx."""
    # A regular expression for all of them holds the event loop for 50 ms a megabyte.
    lower = body.lower()
    return b"http:" in lower or b"https:" in lower or b"data:" in lower or rb"\u00" in body


def mentions_directive(body: bytes) -> bool:
    """Whether a body may hold a directive. Saves parsing every input."""
    # JSON may escape any letter of `[mock:` as \u00xx.
    return b"mock" in body or rb"\u00" in body or b"Mock" in body or b"MOCK" in body
