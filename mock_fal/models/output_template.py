"""Outputs that differ in prompt, seed and file names only: built once, and filled in for each further request.

Most outputs of pictures and videos are such. Building one walks the output schema and takes some five times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mock_fal.errors import JSON
from mock_fal.media.recipe import MediaRecipe, Video
from mock_fal.models.job import Job
from mock_fal.models.output import output
from mock_fal.models.values import Run
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile

if TYPE_CHECKING:
    from mock_fal.models.plan import Plan

AddFile = Callable[[MediaRecipe, bool], MediaFile]

# What a template is built with. No other text or number of an output is one of these; seeds are counted up from theirs.
PROMPT_MARK: Final = "the prompt of 7c1f0d5e"
_FILE: Final = "the file of 7c1f0d5e number "
_MAX_SEEDS: Final = 64


class _Derived(Exception):
    """A value is derived from the seed in a way that a template can't repeat."""


class _Seed(int):
    """A seed from which no text can be made, such as the key of a random number."""

    def __format__(self, spec: str) -> str:
        raise _Derived


_SEED: Final = _Seed(0x7C1F0D5E)


class _Values(NamedTuple):
    prompt: str
    seed: int
    files: list[MediaFile]


@dataclass(frozen=True, slots=True)
class _File:
    number: int

    def filled(self, values: _Values) -> JSON:
        return values.files[self.number]


@dataclass(frozen=True, slots=True)
class _FileName:
    number: int

    def filled(self, values: _Values) -> JSON:
        return values.files[self.number].path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _PromptHere:
    def filled(self, values: _Values) -> JSON:
        return values.prompt


@dataclass(frozen=True, slots=True)
class _SeedHere:
    offset: int

    def filled(self, values: _Values) -> JSON:
        return values.seed + self.offset


@dataclass(frozen=True, slots=True)
class _Parts:
    """A list or an object in which some parts vary; the others are shared by all outputs."""

    base: Any
    varying: list[tuple[Any, Any]]

    def filled(self, values: _Values) -> JSON:
        made = self.base.copy()
        for key, part in self.varying:
            made[key] = part.filled(values)
        return made


class OutputTemplate:
    """The output for one plan, with any prompt and seed."""

    def __init__(self, body: JSON, recipes: list[Recipe | Video]) -> None:
        self._body = _varying(body)
        self._recipes = recipes

    def filled(self, prompt: str, seed: int, add_file: AddFile) -> JSON:
        """The body of a response, with a MediaFile for each file."""
        files = [add_file(_with(recipe, prompt, seed), False) for recipe in self._recipes]
        made: JSON = self._body.filled(_Values(prompt, seed, files))
        return made


def output_template(plan: Plan, job: Job) -> OutputTemplate | None:
    """The template of a plan's output; None if the output depends on prompt or seed in another way."""
    try:
        body, recipes = _built(plan, job, PROMPT_MARK, _SEED)
    except _Derived:
        return None
    if not all(type(recipe) in (Recipe, Video) for recipe in recipes):
        return None
    template = OutputTemplate(body, [recipe for recipe in recipes if isinstance(recipe, Recipe | Video)])
    # The proof, with a prompt that is longer than any limit.
    prompt, seed, found = "another prompt " * 1000, 7, list[MediaRecipe]()
    filled = template.filled(prompt, seed, _adder(found))
    return template if (filled, found) == _built(plan, job, prompt, seed) else None


def _built(plan: Plan, job: Job, prompt: str, seed: int) -> tuple[JSON, list[MediaRecipe]]:
    recipes: list[MediaRecipe] = []
    marked = plan.with_prompt(prompt, seed)
    body, needs_rendering = output(Run(marked, job.run_duration), job._replace(add_file=_adder(recipes)))
    if needs_rendering:
        raise _Derived
    return body, recipes


def _adder(recipes: list[MediaRecipe]) -> AddFile:
    """Notes files, with names that only a template knows."""

    def add_file(recipe: MediaRecipe, inline: bool) -> MediaFile:
        recipes.append(recipe)
        return MediaFile(recipe, f"/{_FILE}{len(recipes) - 1}", inline)

    return add_file


def _varying(node: JSON) -> Any:
    """What fills in a part of an output; a part that never varies stays as it is."""
    if isinstance(node, MediaFile):
        return _File(int(node.path[1:].removeprefix(_FILE)))
    if isinstance(node, str) and node.startswith(_FILE):
        return _FileName(int(node.removeprefix(_FILE)))
    if node == PROMPT_MARK:
        return _PromptHere()
    if type(node) in (int, _Seed) and 0 <= node - _SEED < _MAX_SEEDS:
        return _SeedHere(node - _SEED)
    if not isinstance(node, dict | list):
        return node
    parts = [
        (key, _varying(part)) for key, part in (node.items() if isinstance(node, dict) else enumerate(node))
    ]
    varying = [(key, part) for key, part in parts if type(part) in _HOLES]
    return _Parts(node, varying) if varying else node


_HOLES: Final = (_File, _FileName, _PromptHere, _SeedHere, _Parts)


def _with(recipe: Recipe | Video, prompt: str, seed: int) -> Recipe | Video:
    if isinstance(recipe, Video):
        return replace(recipe, picture=_picture_with(recipe.picture, prompt, seed))
    return _picture_with(recipe, prompt, seed)


def _picture_with(recipe: Recipe, prompt: str, seed: int) -> Recipe:
    # Not `replace`, which takes three times as long.
    return Recipe(
        recipe.endpoint,
        recipe.prompt.replace(PROMPT_MARK, prompt),
        recipe.seed - _SEED + seed,
        recipe.width,
        recipe.height,
        recipe.index,
        recipe.format,
        recipe.blank,
        recipe.source,
        recipe.noise,
    )
