"""What was read of inputs, kept so that an equal input, or one with another prompt, need not be read again.

Load tests send one input many times, often with a number in its prompt. The plan of a picture or a video depends on the
prompt only by its text, so it is read once for all inputs that are equal beside it.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mock_fal.requests.outcome import RunnerResponse

if TYPE_CHECKING:
    from mock_fal.models.catalog import Model
    from mock_fal.models.engine import Reading
    from mock_fal.models.job import Job
    from mock_fal.models.output_template import NameFile, OutputTemplate
    from mock_fal.requests.queue import Write

# The inputs whose reading is kept, and the bytes of one without its prompt.
MAX_READINGS: Final = 256
MAX_READ_BYTES: Final = 1024
# Longer inputs are read: looking for their prompt would take as long.
MAX_SEARCHED_BYTES: Final = 16 << 10

# The first prompt of a document, without escapes of Unicode: half a surrogate pair is no text.
_PROMPT: Final = re.compile(rb'"prompt"\s?:\s?"((?:[^"\\\x00-\x1f]|\\["\\/bfnrt])+)"')
# Stands for the prompt. No JSON document contains this byte.
_HOLE: Final = b"\0"

# What the schema of a prompt may say, so that its length alone decides whether it is valid.
_TEXT_KEYWORDS: Final = frozenset(
    {"type", "minLength", "maxLength", "title", "description", "examples", "example", "default", "deprecated"}
)
_NO_LIMIT: Final = 1 << 62


class PromptHole(NamedTuple):
    """What depends on the prompt: its limits in characters, what stands around it in `Reading.seed_of`, the output."""

    shortest: int
    longest: int
    seed_of: tuple[bytes, bytes] | None
    output: OutputTemplate | None


class Known(NamedTuple):
    """What is known of an input: what it asks for, the number of its files, and the response without its body.

    `prompt` is that of the input, and `hole` is set if the rest is true for any prompt.
    """

    model: Model
    reading: Reading
    files: int
    response: RunnerResponse
    prompt: str = ""
    hole: PromptHole | None = None

    @property
    def seed_of(self) -> bytes | None:
        """What the seed is derived from; None if the input names one."""
        if self.hole is None or self.hole.seed_of is None:
            return self.reading.seed_of
        before, after = self.hole.seed_of
        return before + repr(self.prompt).encode() + after

    def seed(self, derive_seed: Callable[[bytes], int]) -> int:
        """The seed of one run."""
        seed_of = self.seed_of
        return self.reading.plan.seed if seed_of is None else derive_seed(seed_of)

    def written(
        self, derive_seed: Callable[[bytes], int], media: str, write: Write, name_file: NameFile
    ) -> tuple[str, list[str]] | None:
        """The output of one run as JSON, and the paths of its files; None if it has to be built for that."""
        output = self.hole.output if self.hole is not None else None
        text = output.text(write) if output is not None else None
        return None if text is None else text.filled(self.prompt, self.seed(derive_seed), media, name_file)

    def response_with(self, derive_seed: Callable[[bytes], int], job: Job) -> RunnerResponse:
        """The response with the output of one run."""
        planned, seed = self.reading.plan, self.seed(derive_seed)
        if self.hole is not None and self.hole.output is not None:
            body = self.hole.output.filled(self.prompt, seed, job.add_file)
            return RunnerResponse(self.response.status, body, self.response.billable_units)
        from mock_fal.models.engine import build  # imports pydantic

        own = planned._replace(seed=seed) if self.hole is None else planned.with_prompt(self.prompt, seed)
        return build(own, job).response


class Readings:
    """The latest readings, by model, duration of the run and input."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, float, bytes], Known] = OrderedDict()

    def find(self, model: Model, run_duration: float, body: bytes) -> Known | None:
        """What is known of an input; None if it has to be read."""
        if len(body) > MAX_SEARCHED_BYTES:
            return None
        found = _PROMPT.search(body)
        if found is not None:
            known = self._get(model, run_duration, _with_prompt(body, found, _HOLE))
            if known is not None and known.hole is not None:
                prompt = _text(found[1])
                if prompt is not None and known.hole.shortest <= len(prompt) <= known.hole.longest:
                    # Not `_replace`, which takes five times as long.
                    return Known(known.model, known.reading, known.files, known.response, prompt, known.hole)
        return self._get(model, run_duration, body)

    def add(self, job: Job, known: Known) -> None:
        """Keep what was read of the input of a job, for all prompts where that is possible."""
        body = job.body
        if len(body) > MAX_READ_BYTES:
            return
        found = _PROMPT.search(body)
        hole = _hole(known, job, found) if found else None
        if found and hole:
            body, known = _with_prompt(body, found, _HOLE), known._replace(hole=hole)
        self._known[id(known.model), job.run_duration, body] = known
        if len(self._known) > MAX_READINGS:
            self._known.popitem(last=False)

    def _get(self, model: Model, run_duration: float, body: bytes) -> Known | None:
        key = id(model), run_duration, body
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known


def _with_prompt(body: bytes, found: re.Match[bytes], prompt: bytes) -> bytes:
    """An input with something else in place of its prompt."""
    return body[: found.start(1)] + prompt + body[found.end(1) :]


def _text(literal: bytes) -> str | None:
    """The text of a JSON string without its quotes; None if it is no UTF-8."""
    try:
        return json.loads(b'"%b"' % literal) if b"\\" in literal else literal.decode()
    except ValueError:
        return None


def _hole(known: Known, job: Job, found: re.Match[bytes]) -> PromptHole | None:
    """How a run depends on the prompt at this place; None if it may depend on it in another way."""
    from mock_fal.billing.prices import price
    from mock_fal.models.engine import seed_of  # imports pydantic
    from mock_fal.models.output_template import PROMPT_MARK, output_template

    model, plan = known.model, known.reading.plan
    rate = price(model.id)
    if model.kind not in ("image", "video") or (rate and rate.unit in ("characters", "dollars")):
        return None
    limits = _limits(model.input.get("properties", {}).get("prompt"))
    marked = _with_prompt(job.body, found, PROMPT_MARK.encode())
    document = json.loads(job.body)
    text = document.get("prompt")
    # The place is that of the prompt, and not of a text inside another one.
    if limits is None or json.loads(marked) != {**document, "prompt": PROMPT_MARK} or text != plan.prompt:
        return None
    if plan.fields.get("prompt") != text:
        return None
    template = output_template(plan, job)
    if known.reading.seed_of is None:
        return PromptHole(*limits, None, template)
    before, _, after = seed_of(plan.with_prompt(PROMPT_MARK, plan.seed).fields, plan.files).partition(
        repr(PROMPT_MARK).encode()
    )
    return PromptHole(*limits, (before, after), template)


def _limits(schema: Any) -> tuple[int, int] | None:
    """The limits of a text in characters; None if its schema demands more than a length."""
    if not isinstance(schema, dict):
        return None
    if "anyOf" in schema:
        texts = [part for part in schema["anyOf"] if part != {"type": "null"}]
        return _limits(texts[0]) if len(texts) == 1 and schema.keys() - _TEXT_KEYWORDS == {"anyOf"} else None
    if schema.get("type") != "string" or any(
        name not in _TEXT_KEYWORDS and not name.startswith("x-") for name in schema
    ):
        return None
    return schema.get("minLength", 0), schema.get("maxLength", _NO_LIMIT)
