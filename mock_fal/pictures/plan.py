"""What is to be drawn for a recipe: inks, scene and words."""

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
    """A picture as a painter needs it: nine inks from light to dark (RGB triples),
    what to draw in the tones between them, what to write, the picture that shows through, and the noise that
    covers it all."""

    palette: bytes
    scene: Scene
    caption: tuple[Line, ...]
    source: Source | None = None
    noise: Noise | None = None


def plan(recipe: Recipe) -> Plan:
    """The plan follows from the recipe alone: the same one on every machine, in every run.

    >>> a_cat = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=1024, height=768)
    >>> [line.text for line in plan(a_cat).caption]
    ['a cat', 'seed 7 · 1024 x 768 · fal-ai/flux/schnell']
    """
    # Neighbours in a request take neighbouring families, so that no two of them can be mistaken for each other.
    first = RandomStream(recipe.endpoint, recipe.prompt, recipe.seed).whole(len(FAMILIES))
    family = FAMILIES[(first + recipe.index) % len(FAMILIES)]
    chance = RandomStream(recipe.endpoint, recipe.prompt, recipe.seed, recipe.index)
    return Plan(
        palette=palette(chance),
        scene=family(chance, recipe.width, recipe.height),
        caption=caption(recipe.prompt, _facts(recipe), recipe.width, recipe.height),
        source=recipe.source,
        noise=noise(chance, recipe.noise, recipe.width, recipe.height) if recipe.noise else None,
    )


def _facts(recipe: Recipe) -> tuple[str, ...]:
    number = (f"no. {recipe.index + 1}",) if recipe.index else ()
    return (f"seed {recipe.seed}", f"{recipe.width} x {recipe.height}", *number, recipe.endpoint)
