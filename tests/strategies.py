"""Hypothesis strategies. Durations are multiples of a quarter of a second, so that their sums are exact."""

from __future__ import annotations

import json
import math
from typing import cast

from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.endpoint import NAMESPACES, EndpointId
from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError
from mock_fal.requests.lifecycle import FailedRun, Schedule, Submission, schedule
from mock_fal.scenario.directive import Directive, parse_directive
from mock_fal.scenario.options import NAMED_OPTIONS, OPERATIONS, OPTIONS
from mock_fal.scenario.syntax import format_option


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
        cancelled_at=st.just(math.inf),
        honours_cancel=st.booleans(),
        position=st.just(0),
        client_disconnected=st.just(False),
        failed=st.lists(st.builds(FailedRun, spans(), spans()), max_size=3).map(tuple),
    )


def queues(soonest_s: float = 0.0) -> st.SearchStrategy[list[Submission]]:
    """Submissions of one queue at the same moment, in order."""
    waits = spans().map(lambda span: span + soonest_s)
    options = st.tuples(waits, spans(), st.booleans(), deadlines())
    return st.lists(options, max_size=12).map(
        lambda all_options: [
            Submission(number, EPOCH, queue_duration, run_duration, low, deadline)
            for number, (queue_duration, run_duration, low, deadline) in enumerate(all_options, 1)
        ]
    )


def schedules() -> st.SearchStrategy[Schedule]:
    """Schedules with every ending: responded, timed out, cancelled, stopped."""

    def planned(submission: Submission) -> st.SearchStrategy[Schedule]:
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
            failed=submission.failed,
        ),
        submissions(),
        spans(20),
    )
    return (submissions() | cancelled).flatmap(planned)


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
    """Any JSON value, and those that only Python writes as JSON: NaN, Infinity, unpaired surrogates."""
    numbers = st.integers() | st.floats()
    leaves = st.none() | st.booleans() | numbers | st.text(st.characters(codec=None))
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=10,
    )


def inputs() -> st.SearchStrategy[JSON]:
    """Valid and invalid inputs of flux: in each field a likely value, any document, or nothing."""
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
    """Request bodies: random bytes, truncated JSON, JSON, and inputs."""
    written = (documents() | inputs()).map(lambda document: json.dumps(document).encode())
    truncated = st.builds(lambda body, at: body[:at], written, st.integers(0, 40))
    return st.binary(max_size=40) | truncated | written


def spellings(text: str) -> st.SearchStrategy[str]:
    """The spellings of an ASCII text in a JSON string: each letter plain or escaped."""
    letters = [st.sampled_from([letter, f"\\u{ord(letter):04x}", f"\\u{ord(letter):04X}"]) for letter in text]
    return st.tuples(*letters).map("".join)


def directives() -> st.SearchStrategy[Directive]:
    """Valid directives with any options."""
    values: dict[str, st.SearchStrategy[str]] = {
        "SECONDS": st.integers(0, 100).map(str),
        "N": st.integers(1, 100).map(str),
        "UNITS": st.sampled_from(["0", "3", "2.5"]),
        "CODE": st.integers(200, 599).map(str),
        "BYTES_PER_SECOND": st.integers(1, 10_000).map(str),
        "TYPE": error_types(),
        "OPERATION": st.sampled_from(OPERATIONS),
        "JSON": st.sampled_from(['{"a":[1,"]"]}', '{"a":{"b":null}}']),
        "REGEX": st.sampled_from(["^a", "cat|dog's", r"\d+ \]"]),
        "GLOB": st.sampled_from(["fal-ai/*", "*dev", "fal-ai/flux/dev"]),
        "VALUE": st.sampled_from(["5", "a b", "it's", '{"a": 1}', ""]),
        "a.b": st.sampled_from(["body.prompt", "images.0"]),
    }

    def option(name: str) -> st.SearchStrategy[str]:
        kind = OPTIONS[name]
        if kind.is_flag:
            return st.just(name)
        choices = kind.value_format.split("|")
        texts = st.text(st.characters(codec="utf-8"), max_size=8).filter(bool)
        fallback = texts if kind.value_format.isupper() else st.sampled_from(choices)
        value = values.get(kind.value_format, fallback)
        inner = ".a" if name in NAMED_OPTIONS else ""
        return value.map(lambda text: format_option(name + inner, text))

    def parsed(options: list[str]) -> Directive | None:
        try:
            return parse_directive(" ".join(options))
        except ScenarioError:
            return None  # the options exclude each other

    option_lists = st.lists(st.sampled_from(list(OPTIONS)).flatmap(option), max_size=4)
    return (
        option_lists.map(parsed)
        .filter(lambda directive: directive is not None)
        .map(lambda directive: cast(Directive, directive))
    )
