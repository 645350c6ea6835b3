"""The OpenAI-shaped plane: what runs at `openrouter/router/openai/v1/…`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from mock_fal.errors import JSON, MODEL_ERRORS, UnusableFile
from mock_fal.models.input_schema import FileReference
from mock_fal.models.job import Job, RunnerOutput
from mock_fal.models.openai import chat, embeddings, responses
from mock_fal.models.openai.answer import Conversation
from mock_fal.models.openai.fields import Fields, parse
from mock_fal.models.openai.problem import Problem
from mock_fal.models.text import Usage
from mock_fal.requests.outcome import RunnerResponse

# The paths of the plane.
ROUTES: Final = ("chat/completions", "responses", "embeddings")


def run(path: str, job: Job) -> RunnerOutput:
    """The output of a job at a path of ROUTES, such as `chat/completions`.

    Errors of the input have OpenAI's form. With `job.streamed` the partials are all events of the stream.
    """
    try:
        return _RUNNERS[path](parse(job.body), job)
    except Problem as problem:
        return RunnerOutput(RunnerResponse(problem.status, problem.body, billable_units=0))


def wants_stream(path: str, body: bytes) -> bool:
    """Whether a request to a path of ROUTES asks for a stream of events."""
    try:
        return path != "embeddings" and parse(body).flag("stream")
    except Problem:
        return False  # the runner reports it


def named_files(path: str, document: JSON) -> Iterator[FileReference]:
    """The files that the messages of a request to a path of ROUTES name, in order."""
    read = {"chat/completions": chat.conversation, "responses": responses.conversation}.get(path)
    if read is None or not isinstance(document, dict):
        return
    try:
        files = read(Fields(document)).files
    except Problem:
        return  # the runner reports it
    for url, media, place in files:
        yield FileReference(("body", place), url, media)


def _chat(request: Fields, job: Job) -> RunnerOutput:
    asked, count = chat.conversation(request), chat.choices(request)
    shows_usage = chat.wants_usage(request)
    request.flag("stream")
    _check_files(asked, job)
    body, chunks, usage = chat.completion(asked, count, _id(job), int(job.now))
    return _output(body, chunks if shows_usage else chunks[:-1], usage, job)


def _responses(request: Fields, job: Job) -> RunnerOutput:
    asked = responses.conversation(request)
    request.flag("stream")
    _check_files(asked, job)
    body, events, usage = responses.response(request, asked, _id(job), int(job.now))
    return _output(body, events, usage, job)


def _embeddings(request: Fields, job: Job) -> RunnerOutput:
    body, usage = embeddings.embeddings(request)
    output = _output(body, [], usage, job)
    return output._replace(response=output.response._replace(inline=True))


_RUNNERS: Final[Mapping[str, Callable[[Fields, Job], RunnerOutput]]] = {
    "chat/completions": _chat,
    "responses": _responses,
    "embeddings": _embeddings,
}


def _output(body: JSON, events: list[JSON], usage: Usage, job: Job) -> RunnerOutput:
    response = RunnerResponse(200, body, billable_units=usage.cost)
    return RunnerOutput(response, 1, tuple(events) if job.streamed else ())


def _check_files(asked: Conversation, job: Job) -> None:
    """Raises Problem for a file that can't be used."""
    for url, media, path in asked.files:
        try:
            job.load_file(url, media)
        except UnusableFile as error:
            # assumption: status, text and code of a file that can't be used.
            reason = MODEL_ERRORS[error.error_type].msg
            raise Problem(f"Invalid file at '{path}': {reason}", param=path, code=error.error_type) from None


def _id(job: Job) -> str:
    # assumption: OpenRouter's ids begin with `gen-`.
    return f"gen-{job.derive_seed(job.body):08x}"
