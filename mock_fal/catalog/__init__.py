"""The endpoints that answer: which there are, and where their family is written down."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Final, NamedTuple, Protocol

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.outcome import Answer, Picture
from mock_fal.recipe import Recipe, Source

# Endpoint id -> the module of its family. A family needs pydantic, which costs more than all the rest of
# the start: it is imported with the first request.
FAMILIES: Final = {
    "fal-ai/flux/schnell": "flux",
    "fal-ai/flux/dev": "flux",
    "fal-ai/flux-1/schnell": "flux",
    "fal-ai/flux-1/dev": "flux",
    "fal-ai/flux/dev/image-to-image": "flux_edit",
    "fal-ai/flux/schnell/redux": "flux_edit",
    "fal-ai/flux-pro/kontext": "flux_edit",
    "fal-ai/flux-pro/kontext/max": "flux_edit",
    "fal-ai/flux-2/edit": "flux_edit",
    "fal-ai/fast-sdxl/image-to-image": "flux_edit",
}

# fal: the models that publish a path `/stream` (fal's streaming documentation and model pages, 2026).
STREAMING: Final = frozenset({"fal-ai/flux/schnell", "fal-ai/flux/dev"})

_APPS: Final = frozenset(EndpointId.parse(endpoint).app_id for endpoint in FAMILIES)


class Job(NamedTuple):
    """What a runner is given: the body as it came, and the few things it can't know by itself.

    `draw_seed(input)` makes the seed where the input names none; `store(recipe)` names a file of the
    result; `run_s` is how long the work takes; `unsafe` is the verdict of the safety checker; `open(url)`
    looks at a picture that the input names: None when it lies elsewhere, UnusableFile when it can't be used;
    `streamed` asks for what there is to see on the way.
    """

    body: bytes
    draw_seed: Callable[[bytes], int]
    store: Callable[[Recipe, bool], Picture]
    run_s: float
    unsafe: bool = False
    open: Callable[[str], Source | None] = lambda url: None
    streamed: bool = False


class Work(NamedTuple):
    """What a runner makes of a job: its answer, in how many steps (0: it never began), and what it shows before.

    `partials` are the bodies of the events that a stream shows, evenly spaced, before the answer's own.
    """

    answer: Answer
    steps: int = 0
    partials: tuple[JSON, ...] = ()


class Runner(Protocol):
    """One endpoint at work."""

    def __call__(self, job: Job) -> Work: ...


def knows(endpoint: EndpointId) -> bool:
    """Whether there is such an app; the path inside it is the runner's business."""
    return endpoint.app_id in _APPS


@lru_cache(maxsize=256)
def runner(endpoint: EndpointId) -> Runner:
    """The runner of an endpoint. One for a path that its app does not have says so, as fal's runners do."""
    family = FAMILIES.get(str(endpoint))
    if family is None:
        return lambda job: Work(_path_not_found(endpoint))
    runners: dict[str, Runner] = import_module(f"mock_fal.catalog.{family}").RUNNERS
    return runners[str(endpoint)]


def _path_not_found(endpoint: EndpointId) -> Answer:
    # fal: the runner answers with this text and bills nothing (fal SDK).
    path = f"/{endpoint.path}"
    return Answer(404, {"detail": f"Path {path} not found"}, billable_units=0)
