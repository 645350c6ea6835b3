"""What a test asks for, brought to each call: everybody's rules, the account's own, and directives that come with it."""

from __future__ import annotations

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, InvalidDirective, ScenarioError
from mock_fal.requests.queue import ModelRequest
from mock_fal.scenario.directive import Directive, injected_fault, parse_directive
from mock_fal.scenario.rules import Call, Choice, RequestDirectives, choose, directives_in, prompt_of
from mock_fal.store import Store, Tenant


class ScenarioEngine:
    """The rules for everybody, and what holds for a call. The rules of the file `path` come back with each reset.

    Raises ScenarioError or SettingsError for a file that can't be read.
    """

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self.common = store.new_scenario()
        self._given = _rules_of(path)
        self.reset()

    def reset(self) -> None:
        """Forget all rules for everybody but those of the file."""
        self.common.clear()
        self.common.replace(self._given)

    def directives(
        self, whose: Tenant, operation: str, endpoint: EndpointId, document: JSON, header: str
    ) -> RequestDirectives:
        """What is asked for a new request, at the step `submit`, `run` or `stream`; not counted yet.

        `document` is its input, `header` that of `X-Mock-Fal`. Raises InvalidDirective, or Asked for an answer in its place.
        """
        try:
            directives = ([parse_directive(header)] if header else []) + directives_in(document)
            for directive in directives:
                self.common.check(directive)
        except ScenarioError as error:
            raise InvalidDirective(str(error)) from None
        if any(directive.has_response for directive in directives):
            self._store.expect_faults()
        prompt = prompt_of(document)
        choice = choose(
            Call(operation, str(endpoint), whose.name, prompt), whose.scenario, self.common, directives
        )
        response = choice.response
        if response is not None and response.replaces:
            choice.count()
            raise injected_fault(response)
        return RequestDirectives(tuple(directives), prompt, choice)

    def later(
        self, operation: str, *, key: str, endpoint: str = "", request: ModelRequest | None = None
    ) -> Choice:
        """What is asked for the answer to a later step, about a request where there is one; not counted yet."""
        directives = request.directives if request else None
        if request is not None:
            key, endpoint = request.tenant, str(request.endpoint)
        call = Call(operation, endpoint, key, directives.prompt if directives else "")
        return choose(
            call, self._store.tenant(key).scenario, self.common, directives.directives if directives else ()
        )


def _rules_of(path: str) -> list[Directive]:
    if not path:
        return []
    from mock_fal.scenario.rule_file import read_file  # few have one

    return read_file(path)
