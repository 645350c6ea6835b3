"""The catalogue: the endpoints that the emulator serves, and the modules that implement them.

A family of endpoints is a module with two tables, each with a row for every endpoint of the family: `RUNNERS`, the
functions that run a job, and `SCHEMAS`, the pydantic models of input and output. The OpenAPI document of an endpoint
is generated from its `Schema` (models/openapi.py). Output models that families share are in models/output_schemas.py,
names and descriptions of endpoints in models/descriptions.py, descriptions of fields in
models/field_descriptions.py, and prices in billing/prices.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.requests.outcome import MediaFile, RunnerResponse

if TYPE_CHECKING:
    from pydantic import BaseModel

# Endpoint id -> the module of its family. Families import pydantic, which takes longer than the rest of the startup,
# so they are imported with the first request.
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

# fal: the names of the events of a stream; those of language models have one, others have none (live captures).
EVENT_NAMES: Final = {"fal-ai/any-llm": "event"}

# fal: the models that publish a path `/realtime` (their model pages, 2026); klein has no other path.
REALTIME: Final = frozenset(
    {"fal-ai/fast-lcm-diffusion", "fal-ai/fast-turbo-diffusion", "fal-ai/flux-2/klein"}
)

_APPS: Final = frozenset(EndpointId.parse(endpoint).app_id for endpoint in FAMILIES)


class Job(NamedTuple):
    """The input of a runner.

    `body` is the request body as received. `derive_seed(input)` returns the seed for an input without one.
    `add_picture(recipe, inline)` adds a picture to the files of the result. `run_duration` is in seconds. `nsfw` means
    that the safety checker flags the pictures. `load_picture(url)` reads a picture that the input refers to: None for
    one on another host, UnusableFile for one that can't be used. `streamed` requests partial results.
    """

    body: bytes
    derive_seed: Callable[[bytes], int]
    add_picture: Callable[[Recipe, bool], MediaFile]
    run_duration: float
    nsfw: bool = False
    load_picture: Callable[[str], Source | None] = lambda url: None
    streamed: bool = False


class RunnerOutput(NamedTuple):
    """The output of a runner: its response, the number of steps (0 if the job was rejected), and partial results.

    `partials` are the bodies of the events of a stream before the last one, evenly spaced in time.
    """

    response: RunnerResponse
    steps: int = 0
    partials: tuple[JSON, ...] = ()


class Runner(Protocol):
    """Runs a job of one endpoint."""

    def __call__(self, job: Job) -> RunnerOutput: ...


class Schema(NamedTuple):
    """The models of an endpoint's input and of its output with status 200."""

    input: type[BaseModel]
    output: type[BaseModel]


def has_app(app_id: str) -> bool:
    """Whether an app exists, such as `fal-ai/flux`. Paths inside an app are checked by its runner."""
    return app_id in _APPS


def has_path(endpoint: EndpointId) -> bool:
    """Whether the app of an endpoint has its path."""
    return str(endpoint) in FAMILIES or streaming_model(endpoint) is not None


def streaming_model(endpoint: EndpointId) -> EndpointId | None:
    """The model of a streaming path: `fal-ai/flux/dev` for `fal-ai/flux/dev/stream`; None for other paths."""
    # assumption: the queue doesn't accept streaming paths; the runner reports them as not found.
    model, _, last = str(endpoint).rpartition("/")
    return EndpointId.parse(model) if last == "stream" and model in STREAMING else None


def realtime_model(endpoint: EndpointId) -> EndpointId | None:
    """The endpoint behind a realtime path: the path itself if it is in FAMILIES, else the model; None for others."""
    model, _, last = str(endpoint).rpartition("/")
    if last != "realtime" or model not in REALTIME:
        return None
    return endpoint if str(endpoint) in FAMILIES else EndpointId.parse(model)


@lru_cache(maxsize=256)
def runner(endpoint: EndpointId) -> Runner:
    """The runner of an endpoint; for a path that the app does not have, a runner that responds with 404."""
    family = FAMILIES.get(str(endpoint))
    if family is None:
        return lambda job: RunnerOutput(_path_not_found(endpoint))
    runners: dict[str, Runner] = import_module(f"mock_fal.models.{family}").RUNNERS
    return runners[str(endpoint)]


def schema(endpoint: str) -> Schema:
    """The schema of an endpoint of FAMILIES."""
    schemas: dict[str, Schema] = import_module(f"mock_fal.models.{FAMILIES[endpoint]}").SCHEMAS
    return schemas[endpoint]


def _path_not_found(endpoint: EndpointId) -> RunnerResponse:
    # fal: the runner responds with this text and bills nothing (fal SDK).
    path = f"/{endpoint.path}"
    return RunnerResponse(404, {"detail": f"Path {path} not found"}, billable_units=0)
