"""Taking a submission: what its options, rules, files and nodes make of it, and when that is worked out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mock_fal.accounts.acl import NO_PREFERENCE, ObjectLifecycle
from mock_fal.emulation.options import NO_FILES, SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.errors import (
    JSON,
    ApplicationNotFound,
    FalError,
    QueueFull,
    UnusableFile,
)
from mock_fal.models.runner import NO_OPTIONS, OutcomeOptions, RunResult, failure, run_model
from mock_fal.pictures.recipe import Source
from mock_fal.requests import progress
from mock_fal.requests.lifecycle import (
    REJECTION_S,
    FailedRun,
    Submission,
)
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import FailedAttempt, ModelRequest
from mock_fal.settings import Settings

if TYPE_CHECKING:
    from mock_fal.emulation.parts import Parts
    from mock_fal.files.inputs import Content, Contents
    from mock_fal.ids import Ids
    from mock_fal.media.recipe import MediaRecipe
    from mock_fal.models.catalog import Catalog, Model
    from mock_fal.models.input_schema import FileReference
    from mock_fal.models.job import Media
    from mock_fal.scenario.output import Output
    from mock_fal.scenario.rules import RequestDirectives
    from mock_fal.store import Tenant


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


class Submissions:
    """Turns submissions and direct requests into requests of the store."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._settings, self._clock = parts.settings, parts.clock
        self._store, self._runs = parts.store, parts.runs

    def queued(
        self, endpoint: EndpointId, body: bytes, tenant: str, options: SubmitOptions, contents: Contents
    ) -> ModelRequest:
        """Add a request without a webhook to the queue, and read its input if something depends on it now.

        That is so for an input that names files, which may change, and for the reasons in `_depends_on_outcome`. Else
        a submission writes down facts, and what follows from them is worked out at the first look.
        """
        model, account = self._parts.catalog.find(endpoint), self._store.tenant(tenant)
        if (
            model is None
            or (contents is not NO_FILES and (contents or may_name_files(body)))
            or options.upload_policy is not None
            or self._depends_on_outcome(endpoint, body, account, options)
        ):
            return self.read(endpoint, body, tenant, options, self._settings.queue_duration, contents)
        return self._unread(endpoint, model, body, account, options)

    def _depends_on_outcome(
        self, endpoint: EndpointId, body: bytes, account: Tenant, options: SubmitOptions
    ) -> bool:
        """Whether something else than a look at a request depends on its outcome.

        These are rules and directives, workflows, whose nodes are requests too, and other requests that wait until this
        one ends.
        """
        return (
            self._store.is_limited
            or endpoint.is_workflow
            or self._may_have_directives(account, body, options)
        )

    def _may_have_directives(self, account: Tenant, body: bytes, options: SubmitOptions) -> bool:
        """Whether rules or directives may act on a submission."""
        return (
            options.directive != ""
            or mentions_directive(body)
            or account.has_rules
            or self._parts.has_global_rules
        )

    def _unread(
        self, endpoint: EndpointId, model: Model, body: bytes, account: Tenant, options: SubmitOptions
    ) -> ModelRequest:
        """Add a request to the queue without reading its input."""
        now, tenant = self._clock.now(), account.name
        self._check_length(endpoint, tenant, options.max_queue_length, now)
        submission = Submission(
            self._store.next_number(),
            now,
            self._settings.queue_duration,
            progress.duration(model.kind, self._settings.run_duration),
            options.low_priority,
            options.start_timeout_s,
        )
        request = ModelRequest(
            account.ids.request_id(now),
            endpoint,
            tenant,
            submission,
            object_lifecycle=self._lifecycle(options, tenant),
            kind=model.kind,
            body=body,
            work=self._runs,
        )
        self._store.add(request, now, input_bytes=len(body))
        self._runs.add(request, account)
        return request

    def read(
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
        """Add a request, queued or direct, whose input is read and whose output is built now."""
        prepared = self._prepared(endpoint, body, tenant, options, queue_duration, contents, operation)
        now = self._clock.now()
        for request, input_bytes in prepared:
            if request.warning:
                self._parts.warn(request.warning)
            self._store.add(request, now, input_bytes=input_bytes)
        if request.directives:
            request.directives.count_attempts()
        if self._store.is_limited and self._parts.has_outbox:
            self._parts.outbox.refresh()  # the new request may have rescheduled others
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
        now = self._clock.now()
        account = self._store.tenant(tenant)
        if account.undrawn:
            self._runs.draw_all(account)
        directives: RequestDirectives | None = None
        if self._may_have_directives(account, body, options):
            directives = self._parts.scenario_engine.directives(
                account, operation, endpoint, document_of(body), options.directive
            )
            if operation == "submit" and not options.no_retry:
                max_attempts = self._settings.request_attempts
                # fal: `X-Fal-Retry-Config` counts for the owner of the app only (documentation of retries, 2026).
                config = options.retry_config if endpoint.owner == tenant else {}
                directives = self._parts.scenario_engine.retried(account, directives, max_attempts, config)
        directive: OutcomeOptions = directives.last.outcome if directives else NO_OPTIONS
        first: OutcomeOptions = directives.choice.outcome if directives else NO_OPTIONS
        output, model = directive.output, self._parts.catalog.find(endpoint)
        if output is None:
            self._check_app(endpoint, model)
        self._check_length(endpoint, tenant, options.max_queue_length, now)
        if output is not None:
            directive = _with_answer(directive, output, model, body, options.answers)
        kind = model.kind if model else "image"
        run_duration = (
            progress.duration(kind, self._settings.run_duration) if directive.run is None else directive.run
        )
        failed: tuple[FailedRun, ...] = ()
        if directives is not None and directives.retries:
            failed = _failed_runs(directives, kind, self._settings)
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

            run = stored(run, options.upload_policy, allow_egress=self._settings.allow_egress)
        rejected = isinstance(run.outcome, RunnerResponse) and not run.steps and directive.run is None
        steps = progress.lines(kind, run.steps) if directive.logs is None else directive.logs
        request_id = account.ids.request_id(now)
        earlier: tuple[FailedAttempt, ...] = ()
        last_id = ""
        if directives is not None and directives.retries:
            last_id, earlier, steps = _attempts(directives, request_id, account.ids, now, steps)
        submission = Submission(
            number=self._store.next_number(),
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
        if options.object_lifecycle is NO_PREFERENCE and not self._store.workspaces:
            return NO_PREFERENCE
        return self._parts.storage.effective(options.object_lifecycle, tenant)

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
        workflow = self._parts.catalog.workflow(endpoint) or standard(fields)
        # assumption: files of all nodes have the lifetime and the access list that the workflow was sent with.
        node_options = SubmitOptions(object_lifecycle=options.object_lifecycle, answers=options.answers)

        shown: list[Source] = []

        def run(node: Node, given: JSON, at: float) -> workflow_run.NodeRun:
            node_body, files = workflow_run.node_input(given, self._parts.catalog.find(node.app))
            known = {**contents, **self._node_contents(node.app, node_body, files, shown)}
            wait_s = at - self._clock.now()
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
        for reference in named_files(self._parts.catalog, app, document_of(body)) if files else ():
            if reference.url not in files:
                continue
            # deviation: later nodes of a long workflow show the picture of an earlier one in theirs.
            like = shown[-1] if len(shown) >= MAX_SHOWN else None
            try:
                content = self._parts.input_files.of_result(files[reference.url], reference.media, like)
            except UnusableFile as error:
                known[reference.url, reference.media] = error
                continue
            known[reference.url, reference.media] = content
            if isinstance(content, Source) and like is None:
                shown.append(content)
        return known

    def _content(self, url: str, media: Media, tenant: str, contents: Contents) -> Content | None:
        """What is in a file that an input names. Raises UnusableFile."""
        if (url, media) not in contents:
            return self._parts.input_files.content(url, tenant, media)
        content = contents[url, media]
        if isinstance(content, UnusableFile):
            raise content
        return content

    def _check_app(self, endpoint: EndpointId, model: Model | None) -> None:
        if model is None and not self._parts.catalog.has_app(endpoint.app_id):
            raise ApplicationNotFound(endpoint.app)

    def _check_length(self, endpoint: EndpointId, tenant: str, limit: int | None, now: float) -> None:
        if limit is not None and self._store.queue(tenant, endpoint.app_id).waiting(now) > limit:
            raise QueueFull


def named_files(catalog: Catalog, endpoint: EndpointId, document: JSON) -> Iterable[FileReference]:
    """The files that an input names, in the order in which a runner reads them."""
    from mock_fal.models.engine import named_files

    if endpoint.is_workflow:
        from mock_fal.models import workflow_run

        workflow = catalog.workflow(endpoint)
        return workflow_run.named_files(workflow, document, catalog.find) if workflow else ()
    model = catalog.find(endpoint)
    return named_files(model, document) if model else ()


def _failed_runs(directives: RequestDirectives, kind: str, settings: Settings) -> tuple[FailedRun, ...]:
    """The runs before the last one of a request with several attempts."""
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
