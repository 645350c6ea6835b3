"""A user's own output in place of a model's: filled with files, and compared with the output schema of the model."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, NamedTuple

from mock_fal.errors import JSON
from mock_fal.media.probe import Probe
from mock_fal.media.recipe import Document, MediaRecipe, Model3D, OwnFile, Sound, Video
from mock_fal.models.catalog import Model
from mock_fal.models.engine import billable_units, is_openai, read, run
from mock_fal.models.input_schema import input_adapter
from mock_fal.models.job import Job, Media
from mock_fal.models.schema_types import UnusableSchema
from mock_fal.models.validation import Rejected, load, parse
from mock_fal.models.values import Run
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.requests.outcome import MediaFile, RunnerResponse, model_error
from mock_fal.scenario.output import FileSpec, Output, placeholder

# What stands for a file's URL when an output is compared with a schema.
_URL: Final = "https://v3b.fal.media/files/b/0a000000/file.bin"

# How many endpoints an output remembers to have been compared with, and the length of a warning in characters.
_MAX_CHECKED: Final = 10
_MAX_WARNING: Final = 500

# How many differences a warning names.
_MAX_ERRORS: Final = 3

AddFile = Callable[[MediaRecipe, bool], MediaFile]


class Stubbed(NamedTuple):
    """The response with a user's own output, and a warning about it; the warning may be empty."""

    response: RunnerResponse
    warning: str = ""


class _Stub(NamedTuple):
    """What the files of an output are made from."""

    output: Output
    endpoint: str
    prompt: str
    seed: int
    add_file: AddFile


def rejection(body: bytes) -> RunnerResponse | None:
    """The response to an input of an endpoint without a schema that is not JSON; None for other inputs."""
    try:
        parse(body)
    except Rejected as error:
        return error.response
    return None


def accepts(model: Model | None, body: bytes) -> bool:
    """Whether an input is valid for a model; without one, whether it is JSON."""
    if model is None:
        return rejection(body) is None
    try:
        load(body, input_adapter(model.input))
    except Rejected:
        return False
    return True


def checked(
    model: Model, body: bytes, run_duration: float, load_file: Callable[[str, Media], Source | Probe | None]
) -> tuple[RunnerResponse | None, int, float | None]:
    """How a known model takes an input: its error response or None, its steps, and the billable units."""

    def add_file(recipe: MediaRecipe, inline: bool) -> MediaFile:
        return MediaFile(recipe, "", inline)  # the output of the model is not used

    job = Job(body, lambda recipe: 0, add_file, run_duration, load_file=load_file)
    if is_openai(model):
        response, steps, _ = run(model, job)
        return (response if response.status >= 400 else None), steps, response.billable_units
    reading = read(model, job)
    if isinstance(reading, RunnerResponse):
        return reading, 0, reading.billable_units
    return None, reading.plan.steps, billable_units(Run(reading.plan, run_duration))


def stubbed(
    output: Output,
    endpoint: str,
    body: bytes,
    model: Model | None,
    *,
    units: float | None,
    derive_seed: Callable[[bytes], int],
    add_file: AddFile,
) -> Stubbed:
    """The response with a user's own output. `units` are the billable ones."""
    if output.error:
        # A callable has failed: an app of fal whose code raises responds in the same way.
        return Stubbed(model_error("internal_server_error"), f"{endpoint}: {output.error}"[:_MAX_WARNING])
    document = output.value
    if output.has_files:
        stub = _Stub(output, endpoint, _prompt_of(body), derive_seed(body), add_file)
        document = _filled(output.value, stub, 0)[0]
    return Stubbed(RunnerResponse(200, document, billable_units=units), _mismatch(output, document, model))


# -- files


def _filled(value: JSON, stub: _Stub, count: int) -> tuple[JSON, int]:
    """The output with its files, and the number of files so far."""
    found = placeholder(value)
    if found is not None:
        spec, as_url = found
        file = stub.add_file(_recipe(spec, stub, count), False)
        return (file if as_url else _file_object(file, spec)), count + 1
    if isinstance(value, dict):
        members: dict[str, JSON] = {}
        for name, part in value.items():
            members[name], count = _filled(part, stub, count)
        return members, count
    if isinstance(value, list):
        items: list[JSON] = []
        for part in value:
            item, count = _filled(part, stub, count)
            items.append(item)
        return items, count
    return value, count


def _file_object(file: MediaFile, spec: FileSpec) -> JSON:
    """fal's file object; pictures have their size too."""
    recipe = file.recipe
    # fal: `file_name` is set and `file_size` is null (live, flux-2).
    document: dict[str, JSON] = {
        "url": file,
        "content_type": recipe.content_type,
        "file_name": (spec.get("file_name") if spec.kind == "own" else "") or file.path.rpartition("/")[2],
        "file_size": len(recipe.data) if isinstance(recipe, OwnFile) else None,
    }
    if isinstance(recipe, Recipe):
        document |= {"width": recipe.width, "height": recipe.height}
    return document


def _recipe(spec: FileSpec, stub: _Stub, number: int) -> MediaRecipe:
    """The recipe of a file. Several files of one output differ by their number."""
    if spec.kind == "own":
        content = spec.get("content")
        known = stub.output.own_files.get(content)
        if known is None:
            known = stub.output.own_files[content] = _own_file(spec)
        return known
    text, format = spec.get("text") or stub.prompt, spec.get("format")
    match spec.kind:
        case "image":
            return Recipe(
                stub.endpoint, text, stub.seed, spec.get("width"), spec.get("height"), number, format
            )
        case "video":
            width, height = (side - side % 2 for side in (spec.get("width"), spec.get("height")))
            picture = Recipe(stub.endpoint, text, stub.seed, width, height, number)
            sound: Any = "melody" if spec.get("sound") else None
            return Video(picture, spec.get("duration_s"), spec.get("fps"), sound, format)
        case "audio" | "speech":
            style: Any = "speech" if spec.kind == "speech" else "melody"
            return Sound(text, spec.get("duration_s"), stub.seed + number, style, format)
        case "model":
            return Model3D(text, stub.seed + number, format)
        case _:
            return Document(
                format, text or stub.endpoint, stub.seed + number, spec.get("duration_s"), 512, 512
            )


def _own_file(spec: FileSpec) -> OwnFile:
    content, name = spec.get("content"), spec.get("file_name")
    data = b64decode(content)
    extension = name.rpartition(".")[2] if "." in name else "bin"
    if not (extension.isascii() and extension.isalnum()):
        extension = "bin"
    return OwnFile(data, sha256(data).hexdigest(), spec.get("content_type"), extension)


def _prompt_of(body: bytes) -> str:
    """The text of an input that captions its files."""
    document = parse(body)
    fields = document if isinstance(document, dict) else {}
    texts = (fields.get(name) for name in ("prompt", "text", "input"))
    return next((text for text in texts if isinstance(text, str)), "")


# -- the output schema


def _mismatch(output: Output, document: JSON, model: Model | None) -> str:
    """How an output differs from the schema of its model; empty if it does not, or if there is no schema."""
    if model is None or model.source == "guess" or not model.output:
        return ""
    known = output.checked.get(model.id)
    if known is None:
        if len(output.checked) >= _MAX_CHECKED:
            output.checked.clear()
        known = output.checked[model.id] = _compare(document, model)
    return known


def _compare(document: JSON, model: Model) -> str:
    from pydantic import ValidationError  # only if there is a stub

    plain = json.loads(json.dumps(document, default=lambda file: _URL)) if document is not None else None
    try:
        input_adapter(model.output).validate_python(plain)
    except UnusableSchema:
        return ""
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        shown = [
            f"{'.'.join(map(str, item['loc'])) or 'output'}: {item['msg']}" for item in errors[:_MAX_ERRORS]
        ]
        more = f" and {len(errors) - _MAX_ERRORS} more" if len(errors) > _MAX_ERRORS else ""
        text = (
            f"{model.id}: the output of your own does not match the model's schema: {'; '.join(shown)}{more}"
        )
        return text[:_MAX_WARNING]
    return ""
