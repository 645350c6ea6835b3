"""The scenario engine: which rules and directives apply to a call."""

from __future__ import annotations

from collections import Counter

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, InvalidDirective, ScenarioError
from mock_fal.models.runner import failure
from mock_fal.requests.queue import ModelRequest
from mock_fal.requests.retries import NO_RETRY_CONFIG, RetryConfig, condition, is_retried
from mock_fal.scenario.directive import Directive, injected_fault, parse_directive
from mock_fal.scenario.rules import (
    Call,
    Choice,
    RequestDirectives,
    check_expressions,
    choose,
    directives_in,
    prompt_of,
)
from mock_fal.store import Store, Tenant


class ScenarioEngine:
    """The global rules, and the evaluation of all rules. A reset restores the rules of the file `path`.

    Raises ScenarioError or SettingsError for a file that can't be read.
    """

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self.global_rules = store.new_scenario()
        self._file_rules = _read_rules(path)
        self.reset()

    def reset(self) -> None:
        """Remove all global rules except those of the file."""
        self.global_rules.clear()
        self.global_rules.replace(self._file_rules)

    def directives(
        self, tenant: Tenant, operation: str, endpoint: EndpointId, document: JSON, header: str
    ) -> RequestDirectives:
        """The rules and directives for a new request; not counted yet. `operation` is one of SUBMIT_OPERATIONS.

        `document` is the input, `header` the value of `X-Mock-Fal`. Raises InvalidDirective; raises InjectedFault
        for a response in place of the request's.
        """
        try:
            directives = ([parse_directive(header)] if header else []) + directives_in(document)
            check_expressions(directives)
            for directive in directives:
                if not (tenant.has_rules and tenant.scenario.is_about_stub(directive.endpoint)):
                    self.global_rules.check(directive)
        except ScenarioError as error:
            raise InvalidDirective(str(error)) from None
        if any(directive.affects_response for directive in directives):
            self._store.expect_faults()
        prompt = prompt_of(document)
        choice = choose(
            Call(operation, str(endpoint), tenant.name, prompt),
            tenant.scenario,
            self.global_rules,
            directives,
        )
        response = choice.response
        if response is not None and response.replaces_response:
            choice.count()
            raise injected_fault(response)
        return RequestDirectives(tuple(directives), prompt, choice)

    def retried(
        self,
        tenant: Tenant,
        directives: RequestDirectives,
        max_attempts: int,
        config: RetryConfig = NO_RETRY_CONFIG,
    ) -> RequestDirectives:
        """The directives of a queued request with those of each further attempt, until one is not tried again."""
        retries: Counter[str] = Counter()
        while len(directives.retries) + 1 < max_attempts:
            last = directives.last
            outcome = last.outcome
            if not outcome.error or not is_retried(failure(outcome), outcome.retry):
                break
            kind = condition(failure(outcome))
            if retries[kind] >= config.get(kind, max_attempts):
                break
            retries[kind] += 1
            choice = choose(last.call, tenant.scenario, self.global_rules, directives.directives, last)
            directives = directives._replace(retries=(*directives.retries, choice))
        return directives

    def choice_for(
        self, operation: str, *, key: str, endpoint: str = "", request: ModelRequest | None = None
    ) -> Choice:
        """The rules and directives for a later operation, on a request if there is one; not counted yet."""
        directives = request.directives if request else None
        if request is not None:
            key, endpoint = request.tenant, str(request.endpoint)
        call = Call(operation, endpoint, key, directives.prompt if directives else "")
        return choose(
            call,
            self._store.tenant(key).scenario,
            self.global_rules,
            directives.directives if directives else (),
        )


def _read_rules(path: str) -> list[Directive]:
    if not path:
        return []
    from mock_fal.scenario.rule_file import read_file

    return read_file(path)
