"""What the properties draw from. Spans are whole quarters of a second, so that sums of them are exact."""

from __future__ import annotations

import json
import math
from typing import cast

from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.endpoint import NAMESPACES, EndpointId
from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError
from mock_fal.requests.lifecycle import Schedule, Submission, schedule
from mock_fal.scenario.directive import Directive, parse_directive
from mock_fal.scenario.options import FAMILIES, OPERATIONS, OPTIONS
from mock_fal.scenario.syntax import written


def spans(longest_s: float = 10.0) -> st.SearchStrategy[float]:
    return st.integers(0, int(longest_s * 4)).map(lambda quarters: quarters / 4)


def moments() -> st.SearchStrategy[float]:
    return spans(60).map(lambda span: EPOCH + span)


def deadlines() -> st.SearchStrategy[float]:
    return spans() | st.just(math.inf)


def submissions(number: int = 1) -> st.SearchStrategy[Submission]:
    return st.builds(
        Submission,
        number=st.just(number),
        queued_at=moments(),
        queue_duration=spans(),
        run_duration=spans(),
        low_priority=st.booleans(),
        start_timeout_s=deadlines(),
        honours_cancel=st.booleans(),
    )


def queues_of_tickets(soonest_s: float = 0.0) -> st.SearchStrategy[list[Submission]]:
    """Tickets in the order of their submission, as they join one line at the same moment."""
    waits = spans().map(lambda span: span + soonest_s)
    options = st.tuples(waits, spans(), st.booleans(), deadlines())
    return st.lists(options, max_size=12).map(
        lambda all_options: [
            Submission(number, EPOCH, queue_duration, run_duration, low, deadline)
            for number, (queue_duration, run_duration, low, deadline) in enumerate(all_options, 1)
        ]
    )


def schedules() -> st.SearchStrategy[Schedule]:
    """Every kind of life: answered, timed out, cancelled, stopped."""

    def lives(submission: Submission) -> st.SearchStrategy[Schedule]:
        starts = spans().map(lambda span: submission.ready_at + span)
        return st.builds(schedule, st.just(submission), starts)

    cancelled = st.builds(
        lambda submission, at: Submission(
            submission.number,
            submission.queued_at,
            submission.queue_duration,
            submission.run_duration,
            start_timeout_s=submission.start_timeout_s,
            cancelled_at=submission.queued_at + at,
            honours_cancel=submission.honours_cancel,
        ),
        submissions(),
        spans(20),
    )
    return (submissions() | cancelled).flatmap(lives)


def names() -> st.SearchStrategy[str]:
    return st.text("abcdefghijklmnopqrstuvwxyz0123456789-._", min_size=1, max_size=12).filter(
        lambda name: name not in NAMESPACES
    )


def endpoint_ids() -> st.SearchStrategy[EndpointId]:
    return st.builds(
        EndpointId,
        owner=names(),
        app=names(),
        path=st.lists(names(), max_size=3).map("/".join),
        namespace=st.sampled_from(["", *sorted(NAMESPACES)]),
    )


def error_types() -> st.SearchStrategy[str]:
    return st.sampled_from([*MODEL_ERRORS, *REQUEST_ERRORS])


def documents() -> st.SearchStrategy[JSON]:
    """Anything that JSON can say, and what Python says in JSON although it can't: NaN, Infinity, half a surrogate."""
    numbers = st.integers() | st.floats()
    leaves = st.none() | st.booleans() | numbers | st.text(st.characters(codec=None))
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=10,
    )


def inputs() -> st.SearchStrategy[JSON]:
    """Inputs of flux, right and wrong: a document or a likely value in each field, or the field left out."""
    fields: dict[str, st.SearchStrategy[JSON]] = {
        "prompt": st.text(st.characters(codec=None)),
        "num_inference_steps": st.integers(-2, 60),
        "image_size": st.sampled_from(["square", "huge"])
        | st.fixed_dictionaries({}, optional={"width": st.integers(), "height": st.integers(1, 2000)}),
        "seed": st.integers(),
        "guidance_scale": st.floats(),
        "sync_mode": st.booleans(),
        "num_images": st.integers(0, 6),
        "output_format": st.sampled_from(["jpeg", "png", "webp"]),
        "acceleration": st.sampled_from(["none", "regular", "high", "highest"]),
    }
    return st.fixed_dictionaries({}, optional={name: likely | documents() for name, likely in fields.items()})


def bodies() -> st.SearchStrategy[bytes]:
    """Bytes that somebody may send: noise, text that is nearly JSON, JSON, and inputs."""
    written = (documents() | inputs()).map(lambda document: json.dumps(document).encode())
    cut = st.builds(lambda body, at: body[:at], written, st.integers(0, 40))
    return st.binary(max_size=40) | cut | written


def spellings(text: str) -> st.SearchStrategy[str]:
    """The ways in which a JSON string can write a text of ASCII: each letter as it is, or escaped."""
    letters = [st.sampled_from([letter, f"\\u{ord(letter):04x}", f"\\u{ord(letter):04X}"]) for letter in text]
    return st.tuples(*letters).map("".join)


def directives() -> st.SearchStrategy[Directive]:
    """Directives that can be asked for, with any of the words of the grammar."""
    values: dict[str, st.SearchStrategy[str]] = {
        "SECONDS": st.integers(0, 100).map(str),
        "N": st.integers(1, 100).map(str),
        "CODE": st.integers(200, 599).map(str),
        "BYTES_PER_SECOND": st.integers(1, 10_000).map(str),
        "TYPE": error_types(),
        "STEP": st.sampled_from(OPERATIONS),
        "JSON": st.sampled_from(['{"a":[1,"]"]}', '{"a":{"b":null}}']),
        "REGEX": st.sampled_from(["^a", "cat|dog's", r"\d+ \]"]),
        "GLOB": st.sampled_from(["fal-ai/*", "*dev", "fal-ai/flux/dev"]),
        "VALUE": st.sampled_from(["5", "a b", "it's", '{"a": 1}', ""]),
        "a.b": st.sampled_from(["body.prompt", "images.0"]),
    }

    def word(name: str) -> st.SearchStrategy[str]:
        kind = OPTIONS[name]
        if kind.is_alone:
            return st.just(name)
        choices = kind.form.split("|")
        texts = st.text(st.characters(codec="utf-8"), max_size=8).filter(bool)
        fallback = texts if kind.form.isupper() else st.sampled_from(choices)
        value = values.get(kind.form, fallback)
        inner = ".a" if name in FAMILIES else ""
        return value.map(lambda text: written(name + inner, text))

    def read(words: list[str]) -> Directive | None:
        try:
            return parse_directive(" ".join(words))
        except ScenarioError:
            return None  # words that don't go together

    some = st.lists(st.sampled_from(list(OPTIONS)).flatmap(word), max_size=4)
    return (
        some.map(read)
        .filter(lambda directive: directive is not None)
        .map(lambda directive: cast(Directive, directive))
    )
