"""Outputs that differ in prompt, seed and file names only: built once, and filled in for each further request.

Most outputs of pictures and videos are such. Building one walks the output schema and takes some five times as long.
Most of them are read by one client only, which needs their JSON: it is filled in as a text, without an output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from mock_fal.errors import JSON
from mock_fal.media.recipe import MediaRecipe, Video, description
from mock_fal.models.job import Job
from mock_fal.models.output import output
from mock_fal.models.values import Run
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile
from mock_fal.requests.queue import Write

if TYPE_CHECKING:
    from mock_fal.models.plan import Plan

AddFile = Callable[[MediaRecipe, bool], MediaFile]
# The path of a file, by its description and extension.
NameFile = Callable[[str, str], str]

# What a template is built with. No other text or number of an output is one of these; seeds are counted up from theirs.
PROMPT_MARK: Final = "the prompt of 7c1f0d5e"
_FILE: Final = "the file of 7c1f0d5e number "
_MEDIA: Final = "the media host of 7c1f0d5e"
# Of an output with several pictures; each has one more than that before it.
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
        self._marked = body
        self._body = _varying(body)
        self._recipes = recipes
        # False if the output can't be filled in as a text; None if nobody has tried.
        self._text: OutputText | Literal[False] | None = None

    def text(self, write: Write) -> OutputText | None:
        """The JSON of the output; None if it depends on prompt, seed or file names in a way that a text can't have."""
        if self._text is None:
            self._text = self._proven_text(write) or False
        return self._text or None

    def _proven_text(self, write: Write) -> OutputText | None:
        prompt, seed, media = 'another "prompt" {0}', 7, 'http://"host"'
        paths: list[str] = []

        def name_file(description: str, extension: str) -> str:
            paths.append(f"/{len(paths)}/{description.encode().hex()}.{extension}")
            return paths[-1]

        def add_file(recipe: MediaRecipe, inline: bool) -> MediaFile:
            return MediaFile(recipe, name_file(description(recipe), recipe.extension), inline)

        try:
            body = write(self.filled(prompt, seed, add_file), media), paths.copy()
            paths.clear()
            text = OutputText(self._marked, self._recipes, write)
            return text if text.filled(prompt, seed, media, name_file) == body else None
        except (LookupError, ValueError):  # a text of the input has a mark, or a number is infinite
            return None

    def filled(self, prompt: str, seed: int, add_file: AddFile) -> JSON:
        """The body of a response, with a MediaFile for each file."""
        files = [add_file(_with(recipe, prompt, seed), False) for recipe in self._recipes]
        made: JSON = self._body.filled(_Values(prompt, seed, files))
        return made


class OutputText:
    """The JSON of an output, with holes for what varies."""

    def __init__(self, marked: JSON, recipes: Sequence[Recipe | Video], write: Write) -> None:
        recipes = [_with(recipe, PROMPT_MARK, int(_SEED)) for recipe in recipes]
        texts = [write(marked, _MEDIA), *map(description, recipes)]
        seeds = [
            int(mark["seed"]) - _SEED for text in texts for mark in _MARKS.finditer(text) if mark["seed"]
        ]
        self._seeds = max(seeds, default=-1) + 1
        self._text, *described = [_holes(text, self._seeds, len(recipes)) for text in texts]
        self._files = [(text, recipe.extension) for text, recipe in zip(described, recipes, strict=True)]

    def filled(self, prompt: str, seed: int, media: str, name_file: NameFile) -> tuple[str, list[str]]:
        """The JSON, and the path of each file on the media host."""
        seeds = range(seed, seed + self._seeds)
        paths = [name_file(text.format("", prompt, *seeds), extension) for text, extension in self._files]
        names = [path.rpartition("/")[2] for path in paths]
        # The media host comes from the client, and may contain any character too.
        escaped = encode_basestring(media)[1:-1], encode_basestring(prompt)[1:-1]
        return self._text.format(*escaped, *seeds, *paths, *names), paths


_MARKS: Final = re.compile(
    rf"(?P<media>{_MEDIA})|(?P<prompt>{PROMPT_MARK})|(?P<slash>/?){_FILE}(?P<file>\d+)"
    rf"|(?<![\w.])(?P<seed>{'|'.join(str(_SEED + offset) for offset in range(_MAX_SEEDS))})(?![\w.])"
)


def _holes(text: str, seeds: int, files: int) -> str:
    """A text with marks as a format: of the media host, the prompt, the seeds, the paths of files, and their names."""

    def hole(mark: re.Match[str]) -> str:
        if mark["media"]:
            place = 0
        elif mark["prompt"]:
            place = 1
        elif mark["seed"]:
            place = 2 + int(mark["seed"]) - _SEED
        else:
            place = 2 + seeds + int(mark["file"]) + (0 if mark["slash"] else files)
        return f"{{{place}}}"

    return _MARKS.sub(hole, text.replace("{", "{{").replace("}", "}}"))


def output_template(plan: Plan, job: Job) -> OutputTemplate | None:
    """The template of a plan's output; None if the output depends on prompt or seed in another way."""
    try:
        body, recipes = _built(plan, job, PROMPT_MARK, _SEED)
        if not all(type(recipe) in (Recipe, Video) for recipe in recipes):
            return None
        template = OutputTemplate(body, [recipe for recipe in recipes if isinstance(recipe, Recipe | Video)])
        # The proof, with a prompt that is longer than any limit.
        prompt, seed, found = "another prompt " * 1000, 7, list[MediaRecipe]()
        filled = template.filled(prompt, seed, _adder(found))
        return template if (filled, found) == _built(plan, job, prompt, seed) else None
    except (_Derived, LookupError, ValueError):  # the last two: a text of the input has a mark
        return None


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
