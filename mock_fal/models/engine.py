"""Running a model of the catalogue: validate the input, read the files that it names, build the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from mock_fal.billing.prices import price, units, video_tokens
from mock_fal.errors import JSON, UnusableFile
from mock_fal.media.probe import Probe
from mock_fal.models.catalog import Model
from mock_fal.models.input_schema import (
    FileReference,
    as_plain,
    default_texts,
    input_adapter,
    input_files,
)
from mock_fal.models.job import Job, RunnerOutput
from mock_fal.models.output import output
from mock_fal.models.plan import InputFile, Plan, plan
from mock_fal.models.validation import Rejected, load
from mock_fal.models.values import Run
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.requests.outcome import MediaFile, RunnerResponse, media_files, model_error

# The maximum number of characters of a URL that an error repeats: a data URI may have any length.
# assumption: the live service may repeat all of it.
MAX_REPEATED_URL: Final = 1000

# The maximum number of previews in a stream, and the length of their longer side in pixels.
MAX_PREVIEWS: Final = 4
PREVIEW_SIDE: Final = 1024

# The endpoints with requests and responses in OpenAI's form, which fal's documents leave open.
OPENAI: Final = "openrouter/router/openai/v1/"

# What the media of a file field is called by default, for each kind of model.
_MEDIA: Final[dict[str, Any]] = {"video": "video", "audio": "audio", "speech": "audio", "transcript": "audio"}


class Reading(NamedTuple):
    """What an input asks for. `seed_of` is what its seed is derived from; None if the input names one."""

    plan: Plan
    seed_of: bytes | None

    def with_seed(self, derive_seed: Callable[[bytes], int]) -> Plan:
        """The plan of one run."""
        return self.plan if self.seed_of is None else self.plan._replace(seed=derive_seed(self.seed_of))


def is_openai(model: Model) -> bool:
    """Whether the endpoint has requests and responses in OpenAI's form."""
    return model.id.startswith(OPENAI)


def run(model: Model, job: Job) -> RunnerOutput:
    """The output of one run."""
    if is_openai(model):
        from mock_fal.models.openai import plane  # rarely used

        return plane.run(model.id.removeprefix(OPENAI), job)
    found = read(model, job)
    return (
        RunnerOutput(found)
        if isinstance(found, RunnerResponse)
        else build(found.with_seed(job.derive_seed), job)
    )


def build(planned: Plan, job: Job) -> RunnerOutput:
    """The output of a run whose input was read."""
    this_run = Run(planned, job.run_duration)
    body, inline = output(this_run, job)
    response = RunnerResponse(200, body, billable_units=billable_units(this_run), inline=inline)
    return RunnerOutput(response, planned.steps, _partials(this_run, body) if job.streamed else ())


def read(model: Model, job: Job) -> Reading | RunnerResponse:
    """What the input of a job asks for, or the response that rejects it. Reads the files that the input names."""
    try:
        fields = as_plain(load(job.body, input_adapter(model.input)))
    except Rejected as rejection:
        return rejection.response
    files = []
    for reference in named_files(model, fields):
        try:
            is_default = reference.url in default_texts(model.input)
            content = None if is_default else job.load_file(reference.url, reference.media)
        except UnusableFile as error:
            seen, loc = reference.url[:MAX_REPEATED_URL], ("body", *reference.loc)
            return model_error(error.error_type, seen, loc=loc, ctx=error.ctx)
        files.append(InputFile(reference.loc, reference.media, content))
    seed = fields.get("seed")
    is_given = isinstance(seed, int) and not isinstance(seed, bool)
    planned = plan(model, fields, files, seed if is_given else 0, nsfw=job.nsfw)
    return Reading(planned, None if is_given else seed_of(fields, files))


def named_files(model: Model, document: JSON) -> Iterator[FileReference]:
    """The files that an input names, in the order in which they are read."""
    if is_openai(model):
        from mock_fal.models.openai import plane  # rarely used

        return plane.named_files(model.id.removeprefix(OPENAI), document)
    return input_files(model.input, document, _MEDIA.get(model.kind, "image"))


def seed_of(fields: Mapping[str, Any], files: Sequence[InputFile]) -> bytes:
    """What the seed of an input without one is derived from."""
    # The seed depends on the content of the input files, since each upload of a file has another URL. The
    # JavaScript client sends a new request_id with each realtime frame; the result must not depend on it.
    named = {file.loc[0] for file in files if isinstance(file.content, Source | Probe)}
    others = {name: value for name, value in fields.items() if name not in named and name != "request_id"}
    contents = [file.content for file in files]
    return repr((others, contents)).encode("utf-8", "surrogatepass")


def billable_units(run: Run) -> int | float | None:
    """The billable units, in the unit of the endpoint's price; None if that is not known."""
    planned = run.plan
    rate = price(planned.model.id)
    (width, height), seconds = planned.size, planned.quantity * planned.duration_s
    is_stated = rate is not None and rate.unit == "dollars"
    return units(
        rate,
        images=planned.quantity,
        width=width,
        height=height,
        seconds=seconds,
        characters=len(planned.prompt),
        tokens=video_tokens(width, height, planned.fps, seconds),
        run_duration=run.run_duration,
        dollars=run.reply.usage.cost if is_stated else 0.0,
        fields=planned.fields,
    )


# -- partial results


def _partials(run: Run, body: JSON) -> tuple[JSON, ...]:
    """The partial results of a stream: growing texts, or pictures with less noise in each event."""
    planned = run.plan
    if not isinstance(body, dict):
        return ()
    if isinstance(body.get("output"), str) and planned.model.kind == "text":
        # fal: each event contains the text so far; `partial` is true in all events but the last (live).
        # assumption: the usage is in the last event only.
        known = {"partial": True, "usage": None}
        known = {name: value for name, value in known.items() if name in body}
        return tuple({**body, "output": text, **known} for text in run.reply.growing())
    if planned.model.kind == "image" and isinstance(body.get("images"), list):
        return _previews(planned, body)
    return ()


def _previews(planned: Plan, body: dict[str, JSON]) -> tuple[JSON, ...]:
    # assumption: each event is a complete output with pictures of at most 1,024 pixels, and there are at most four.
    count = min(planned.steps - 1, MAX_PREVIEWS)
    return tuple(
        {**body, "images": [_preview(image, 100 - 100 * number // (count + 1)) for image in body["images"]]}
        | ({"timings": {}} if "timings" in body else {})
        for number in range(1, count + 1)
    )


def _preview(image: JSON, noise: int) -> JSON:
    """An image of the output with a picture that has noise over it, as a data URI."""
    file = next(media_files(image), None)
    if file is None or not isinstance(file.recipe, Recipe):
        return image
    recipe = file.recipe
    longest = max(recipe.width, recipe.height, PREVIEW_SIDE)
    width, height = (max(1, side * PREVIEW_SIDE // longest) for side in (recipe.width, recipe.height))
    preview = MediaFile(replace(recipe, width=width, height=height, noise=noise), "", inline=True)
    sizes = {"width": width, "height": height}
    return {
        key: preview if isinstance(value, MediaFile) else sizes.get(key, value) if value is not None else None
        for key, value in image.items()
    }
