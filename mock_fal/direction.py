"""What a test asks for, brought to each call: everybody's rules, the account's own, and cues that come with it."""

from __future__ import annotations

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, BadCue, ScenarioError
from mock_fal.line import Entry
from mock_fal.scenario.cue import Cue, asked, parse_cue
from mock_fal.scenario.rules import Call, Choice, Cued, choose, cues_in, prompt_of
from mock_fal.store import Store, Tenant


class Direction:
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

    def cued(self, whose: Tenant, step: str, endpoint: EndpointId, document: JSON, header: str) -> Cued:
        """What is asked for a new request, at the step `submit`, `run` or `stream`; not counted yet.

        `document` is its input, `header` that of `X-Mock-Fal`. Raises BadCue, or Asked for an answer in its place.
        """
        try:
            cues = ([parse_cue(header)] if header else []) + cues_in(document)
            for cue in cues:
                self.common.check(cue)
        except ScenarioError as error:
            raise BadCue(str(error)) from None
        if any(cue.has_answer for cue in cues):
            self._store.expect_faults()
        prompt = prompt_of(document)
        choice = choose(Call(step, str(endpoint), whose.name, prompt), whose.scenario, self.common, cues)
        answer = choice.answer
        if answer is not None and answer.replaces:
            choice.count()
            raise asked(answer)
        return Cued(tuple(cues), prompt, choice)

    def later(self, step: str, *, key: str, endpoint: str = "", entry: Entry | None = None) -> Choice:
        """What is asked for the answer to a later step, about a request where there is one; not counted yet."""
        cued = entry.cued if entry else None
        if entry is not None:
            key, endpoint = entry.tenant, str(entry.endpoint)
        call = Call(step, endpoint, key, cued.prompt if cued else "")
        return choose(call, self._store.tenant(key).scenario, self.common, cued.cues if cued else ())


def _rules_of(path: str) -> list[Cue]:
    if not path:
        return []
    from mock_fal.scenario.rulebook import read_file  # few have one

    return read_file(path)
