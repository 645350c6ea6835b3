"""The endpoints that answer: which there are, and where their family is written down.

A family is a module with two tables, each of which has a row for every endpoint of the family: `RUNNERS`, what
answers a job, and `SCHEMAS`, what goes in and comes out, as pydantic models. The published OpenAPI document of an
endpoint is made of its `Schema` (catalog/openapi.py); the shapes of output that families share are in
catalog/outputs.py. `catalog/models.py` says what an endpoint is called and what it is for, `catalog/fields.py`
what each field is for, and `price.py` what it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.requests.outcome import Picture, RunnerResponse

if TYPE_CHECKING:
    from pydantic import BaseModel

# Endpoint id -> the module of its family. A family needs pydantic, which costs more than all the rest of
# the start: it is imported with the first request.
FAMILIES: Final = {
    "fal-ai/flux/schnell": "flux",
    "fal-ai/flux/dev": "flux",
    "fal-ai/flux-1/schnell": "flux",
    "fal-ai/flux-1/dev": "flux",
    "fal-ai/flux/dev/image-to-image": "flux_edit",
    "fal-ai/flux/schnell/redux": "flux_edit",
    "fal-ai/flux-lora": "flux_lora",
    "fal-ai/flux-pro/v1.1": "flux_pro",
    "fal-ai/flux-pro/v1.1-ultra": "flux_pro",
    "fal-ai/flux-pro/kontext": "flux_pro",
    "fal-ai/flux-pro/kontext/max": "flux_pro",
    "fal-ai/flux-2": "flux2",
    "fal-ai/flux-2/edit": "flux2",
    "fal-ai/flux-2/klein/realtime": "flux2",
    "fal-ai/flux-2-pro": "flux2",
    "fal-ai/fast-sdxl": "sdxl",
    "fal-ai/fast-sdxl/image-to-image": "sdxl",
    "fal-ai/fast-lcm-diffusion": "sdxl",
    "fal-ai/fast-turbo-diffusion": "sdxl",
    "fal-ai/any-llm": "any_llm",
}

# fal: the models that publish a path `/stream` (fal's streaming documentation and model pages, 2026).
STREAMING: Final = frozenset({"fal-ai/flux/schnell", "fal-ai/flux/dev", "fal-ai/any-llm"})

# fal: what each event of a stream is called, where it has a name: those of language models do (live captures).
EVENT_NAMES: Final = {"fal-ai/any-llm": "event"}

# fal: the models that publish a path `/realtime` (their model pages, 2026); klein publishes nothing else.
REALTIME: Final = frozenset(
    {"fal-ai/fast-lcm-diffusion", "fal-ai/fast-turbo-diffusion", "fal-ai/flux-2/klein"}
)

_APPS: Final = frozenset(EndpointId.parse(endpoint).app_id for endpoint in FAMILIES)


class Job(NamedTuple):
    """What a runner is given: the body as it came, and the few things it can't know by itself.

    `draw_seed(input)` makes the seed where the input names none; `store(recipe)` names a file of the
    result; `run_duration` is how long the work takes; `unsafe` is the verdict of the safety checker; `open(url)`
    looks at a picture that the input names: None when it lies elsewhere, UnusableFile when it can't be used;
    `streamed` asks for what there is to see on the way.
    """

    body: bytes
    draw_seed: Callable[[bytes], int]
    store: Callable[[Recipe, bool], Picture]
    run_duration: float
    unsafe: bool = False
    open: Callable[[str], Source | None] = lambda url: None
    streamed: bool = False


class RunnerOutput(NamedTuple):
    """What a runner makes of a job: its answer, in how many steps (0: it never began), and what it shows before.

    `partials` are the bodies of the events that a stream shows, evenly spaced, before the answer's own.
    """

    response: RunnerResponse
    steps: int = 0
    partials: tuple[JSON, ...] = ()


class Runner(Protocol):
    """One endpoint at work."""

    def __call__(self, job: Job) -> RunnerOutput: ...


class Schema(NamedTuple):
    """What an endpoint accepts and what it answers with 200."""

    input: type[BaseModel]
    output: type[BaseModel]


def knows(endpoint: EndpointId) -> bool:
    """Whether there is such an app; the path inside it is the runner's business."""
    return endpoint.app_id in _APPS


def has_app(app_id: str) -> bool:
    """Whether there is an app of that name, as `fal-ai/flux`."""
    return app_id in _APPS


def has_path(endpoint: EndpointId) -> bool:
    """Whether its app has something at the path of an id."""
    return str(endpoint) in FAMILIES or streamed(endpoint) is not None


def streamed(endpoint: EndpointId) -> EndpointId | None:
    """The model whose stream an id names, as `fal-ai/flux/dev/stream` does that of `fal-ai/flux/dev`."""
    # assumption: that the queue takes no streams: such a path is unknown to the runner there.
    model, _, last = str(endpoint).rpartition("/")
    return EndpointId.parse(model) if last == "stream" and model in STREAMING else None


def realtime(endpoint: EndpointId) -> EndpointId | None:
    """The model whose socket an id names, as `fal-ai/fast-lcm-diffusion/realtime` does that of the id before."""
    model, _, last = str(endpoint).rpartition("/")
    if last != "realtime" or model not in REALTIME:
        return None
    return endpoint if str(endpoint) in FAMILIES else EndpointId.parse(model)


@lru_cache(maxsize=256)
def runner(endpoint: EndpointId) -> Runner:
    """The runner of an endpoint. One for a path that its app does not have says so, as fal's runners do."""
    family = FAMILIES.get(str(endpoint))
    if family is None:
        return lambda job: RunnerOutput(_path_not_found(endpoint))
    runners: dict[str, Runner] = import_module(f"mock_fal.models.{family}").RUNNERS
    return runners[str(endpoint)]


def schema(endpoint: str) -> Schema:
    """What goes into an endpoint of FAMILIES and comes out of it."""
    schemas: dict[str, Schema] = import_module(f"mock_fal.models.{FAMILIES[endpoint]}").SCHEMAS
    return schemas[endpoint]


def _path_not_found(endpoint: EndpointId) -> RunnerResponse:
    # fal: the runner answers with this text and bills nothing (fal SDK).
    path = f"/{endpoint.path}"
    return RunnerResponse(404, {"detail": f"Path {path} not found"}, billable_units=0)
