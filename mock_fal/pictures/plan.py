"""The drawing plan of a recipe: palette, scene, caption, source picture and noise."""

from __future__ import annotations

from dataclasses import dataclass

from mock_fal.pictures.caption import Line, caption
from mock_fal.pictures.noise import Noise, noise
from mock_fal.pictures.palette import palette
from mock_fal.pictures.random_stream import RandomStream
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.pictures.scene import FAMILIES, Scene


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `paint` draws.

    `palette` is nine colours from light to dark (RGB triples), `scene` the shapes in tones of the palette, `source`
    the picture that shows through, and `noise` covers everything.
    """

    palette: bytes
    scene: Scene
    caption: tuple[Line, ...]
    source: Source | None = None
    noise: Noise | None = None


def plan(recipe: Recipe) -> Plan:
    """The plan of a recipe: the same on every machine, in every run.

    >>> a_cat = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=1024, height=768)
    >>> [line.text for line in plan(a_cat).caption]
    ['a cat', 'seed 7 · 1024 x 768 · fal-ai/flux/schnell']
    """
    # The pictures of one request get different families, so that they are easy to tell apart.
    first = RandomStream(recipe.endpoint, recipe.prompt, recipe.seed).integer(len(FAMILIES))
    family = FAMILIES[(first + recipe.index) % len(FAMILIES)]
    random = RandomStream(recipe.endpoint, recipe.prompt, recipe.seed, recipe.index)
    return Plan(
        palette=palette(random),
        scene=family(random, recipe.width, recipe.height),
        caption=caption(recipe.prompt, _facts(recipe), recipe.width, recipe.height),
        source=recipe.source,
        noise=noise(random, recipe.noise, recipe.width, recipe.height) if recipe.noise else None,
    )


def _facts(recipe: Recipe) -> tuple[str, ...]:
    number = (f"no. {recipe.index + 1}",) if recipe.index else ()
    return (f"seed {recipe.seed}", f"{recipe.width} x {recipe.height}", *number, recipe.endpoint)
