"""A job: one run of a model, with its input and what the run may use; and the output of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from mock_fal.errors import JSON
from mock_fal.media.recipe import MediaRecipe
from mock_fal.requests.outcome import MediaFile, RunnerResponse

if TYPE_CHECKING:
    from mock_fal.media.probe import Probe
    from mock_fal.pictures.recipe import Source


# What a file that an input names is for, by the name of its field.
Media = Literal["image", "video", "audio", "other"]


class Job(NamedTuple):
    """The input of a run.

    `body` is the request body as received. `derive_seed(input)` returns the seed for an input without one.
    `add_file(recipe, inline)` adds a file to those of the result. `run_duration` is in seconds. `nsfw` means that the
    safety checker flags the result. `load_file(url, media)` reads a file that the input names: a Source for a picture,
    a Probe for other media, None for one on another host; it raises UnusableFile for one that can't be used.
    `streamed` requests partial results. `now` is the time of the submission.
    """

    body: bytes
    derive_seed: Callable[[bytes], int]
    add_file: Callable[[MediaRecipe, bool], MediaFile]
    run_duration: float
    nsfw: bool = False
    load_file: Callable[[str, Media], Source | Probe | None] = lambda url, media: None
    streamed: bool = False
    now: float = 0.0


class RunnerOutput(NamedTuple):
    """The output of a run: its response, the number of steps (0 if the input was rejected), and partial results.

    `partials` are the bodies of the events of a stream before the last one, evenly spaced in time.
    """

    response: RunnerResponse
    steps: int = 0
    partials: tuple[JSON, ...] = ()
