from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from mock_fal.pictures.paint import Canvas, paint, pictures
from mock_fal.pictures.plan import Plan, plan
from mock_fal.pictures.random_stream import RandomStream
from mock_fal.pictures.recipe import Format, Recipe
from mock_fal.pictures.scene import Area, Box, Light, Scene, Shape, hills, rays, ribbons, waves

CAT = Recipe("fal-ai/flux/schnell", "a cat", seed=7, width=320, height=240)

# Digests of pixels before encoding, which are the same on every platform; libjpeg and zlib may differ.
DIGESTS = [
    (Recipe("fal-ai/flux/schnell", "a cat", 7, 1024, 768), "5afbb08d1f05a4ee"),
    (Recipe("fal-ai/flux/schnell", "a cat", 7, 1024, 768, 1), "ac3e9a2526bf6001"),
    (Recipe("fal-ai/flux/schnell", "a cat", 7, 1024, 768, 2), "1d8a1ba58bcba8ee"),
    (Recipe("fal-ai/flux/schnell", "a cat", 7, 1024, 768, 3), "839351e1183ea10d"),
    (Recipe("fal-ai/flux/schnell", "a cat", 7, 1024, 768, 4), "ee3c12bb13bd454f"),
    (Recipe("fal-ai/flux/schnell", "a cat", 7, 1024, 768, 5), "b8f2a48706e29b3e"),
    (
        Recipe("fal-ai/flux/dev", "\u4e00\u53ea\u732b \U0001f431 \u041a\u043e\u0442", 0, 576, 1024),
        "78fa4fbb99e1eada",
    ),
    (
        Recipe(
            "fal-ai/flux/dev",
            "a lighthouse on a cliff at dusk, oil painting. " * 9,
            9223372036854775808,
            512,
            512,
        ),
        "4a3cd34e7a0de6ec",
    ),
    (Recipe("fal-ai/flux-pro", "", 1, 1296, 2304), "805acfef6d2fd6e5"),
    (Recipe("x/y", "\ud83d\n\x00", -1, 300, 200), "cc8930fb8b4c9381"),
    (Recipe("fal-ai/flux/dev", "a cat", 3, 64, 64), "fbb1dd62e73a33e6"),
    (Recipe("fal-ai/flux/dev", "a cat", 3, 16, 16), "274454d73565d71b"),
    (Recipe("fal-ai/flux/dev", "a cat", 3, 5000, 10), "81ff81d51350bd33"),
]


def decode(file: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(file))
    picture.load()
    return picture


def joined(recipe: Recipe, whole_pixels: int) -> Image.Image:
    picture, top = Image.new("RGB", (recipe.width, recipe.height)), 0
    for band in pictures(recipe, whole_pixels=whole_pixels):
        picture.paste(band, (0, top))
        top += band.height
    assert top == recipe.height
    return picture


def drawn(*shapes: Shape, size: tuple[int, int] = (64, 48)) -> bytes:
    """The pixels of shapes without light and caption."""
    colours = plan(CAT).palette
    return Canvas(Plan(colours, Scene(0, shapes, Light(0, 0)), ()), *size).band(0, size[1]).tobytes()


@pytest.mark.parametrize(("recipe", "digest"), DIGESTS, ids=[f"{n}" for n in range(len(DIGESTS))])
def test_the_pixels_have_not_changed(recipe: Recipe, digest: str) -> None:
    """With Pillow 11.2.1 or later. A failure means that pictures stored by users change: put it in the changelog."""
    (picture,) = pictures(recipe)
    assert sha256(picture.tobytes()).hexdigest()[:16] == digest


@given(
    st.text(st.characters(), max_size=200),
    st.integers(0, 2**63),
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from(["jpeg", "png"]),
)
@settings(deadline=None)
def test_any_request_gives_a_picture_of_its_size(
    prompt: str, seed: int, width: int, height: int, form: Format
) -> None:
    picture = decode(paint(Recipe("fal-ai/flux/dev", prompt, seed, width, height, format=form)))
    assert (picture.size, picture.mode, picture.format) == ((width, height), "RGB", form.upper())


@pytest.mark.parametrize("form", ["jpeg", "png"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (5000, 10), (10, 5000), (64, 64)])
def test_a_picture_can_have_any_size(width: int, height: int, form: Format) -> None:
    assert decode(paint(replace(CAT, width=width, height=height, format=form))).size == (width, height)


def test_the_same_recipe_gives_the_same_bytes() -> None:
    assert paint(CAT) == paint(replace(CAT))


def test_a_png_holds_exactly_the_painted_pixels() -> None:
    (picture,) = pictures(CAT)
    assert decode(paint(replace(CAT, format="png"))).tobytes() == picture.tobytes()


def test_a_jpeg_has_quality_95() -> None:
    expected = io.BytesIO()
    next(pictures(CAT)).save(expected, "JPEG", quality=95)
    assert paint(CAT) == expected.getvalue()


def test_pictures_differ_visibly_by_seed_prompt_endpoint_and_index() -> None:
    recipes = [
        *(replace(CAT, index=index) for index in range(4)),
        replace(CAT, seed=8),
        replace(CAT, prompt="a dog"),
        replace(CAT, endpoint="fal-ai/flux/dev"),
    ]
    drawn = [next(pictures(recipe)) for recipe in recipes]
    differences = [
        sum(ImageStat.Stat(ImageChops.difference(one, two)).mean) for one, two in combinations(drawn, 2)
    ]
    assert min(differences) > 20


def test_the_caption_contrasts_with_its_background() -> None:
    """Letters are light and the area around them is dark in every scene."""
    recipe = replace(CAT, width=1024, height=768, prompt="M" * 40)
    line = plan(recipe).caption[0]
    area = next(pictures(recipe)).convert("L").crop((line.x, line.y - line.size // 2, 500, line.y))
    shades = area.tobytes()
    assert max(shades) > 225
    assert min(shades) < 70


coordinates = st.floats(-20, 80)


@given(coordinates, coordinates, coordinates, coordinates)
def test_a_box_covers_the_same_pixels_as_the_area_with_its_corners(
    x1: float, x2: float, y1: float, y2: float
) -> None:
    left, right, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
    area = Area(((left, top), (right, top), (right, bottom), (left, bottom)), 160)
    assert drawn(area) == drawn(Box(left, top, right, bottom, 160))


@given(
    st.sampled_from([hills, waves, ribbons, rays]), st.integers(), st.integers(1, 300), st.integers(1, 300)
)
@settings(deadline=None)
def test_a_box_below_an_edge_continues_its_area(
    family: Callable[[RandomStream, float, float], Scene], seed: int, width: int, height: int
) -> None:
    scene = family(RandomStream(seed), width, height)
    for area, box in pairwise(scene.shapes):
        if isinstance(area, Area) and isinstance(box, Box):
            (left, _), *edge, (right, _) = area.points
            whole = Area(((left, box.bottom), *edge, (right, box.bottom)), area.tone)
            assert drawn(area, box, size=(width, height)) == drawn(whole, size=(width, height))


def test_a_blank_picture_is_black() -> None:
    assert next(pictures(replace(CAT, blank=True))).getcolors() == [(320 * 240, (0, 0, 0))]
    assert decode(paint(replace(CAT, blank=True))).getcolors() == [(320 * 240, (0, 0, 0))]


def test_less_noise_shows_more_of_the_picture() -> None:
    steps = [next(pictures(replace(CAT, noise=percent))) for percent in (100, 75, 50, 25, 0)]
    differences = [sum(ImageStat.Stat(ImageChops.difference(step, steps[-1])).mean) for step in steps]
    assert differences == sorted(differences, reverse=True)
    assert differences[0] > 100


def test_noise_is_constant_in_cells_of_eight_pixels() -> None:
    noise = next(pictures(replace(CAT, noise=100)))
    small = noise.resize((40, 30), Image.Resampling.NEAREST)
    assert small.resize(noise.size, Image.Resampling.NEAREST).tobytes() == noise.tobytes()
    assert len(small.getcolors() or ()) > 100


@pytest.mark.parametrize("index", range(6))
def test_noise_drawn_in_bands_equals_noise_drawn_at_once(index: int) -> None:
    recipe = replace(CAT, width=700, height=650, index=index, noise=50)
    assert joined(recipe, 100_000).tobytes() == next(pictures(recipe)).tobytes()


@pytest.mark.parametrize("index", range(6))
def test_a_picture_drawn_in_bands_equals_one_drawn_at_once(index: int) -> None:
    recipe = replace(CAT, width=700, height=650, index=index)
    assert joined(recipe, 100_000).tobytes() == next(pictures(recipe)).tobytes()


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_a_file_encoded_in_bands_decodes_to_the_same_pixels(form: Format) -> None:
    recipe = replace(CAT, width=700, height=650, format=form)
    assert decode(paint(recipe, whole_pixels=100_000)).tobytes() == decode(paint(recipe)).tobytes()


def test_letters_too_large_for_the_cache_are_drawn() -> None:
    recipe = replace(CAT, width=2600, height=2600)
    assert plan(recipe).caption[0].size > 64
    assert joined(recipe, 3_000_000).getpixel((2, 2)) != (0, 0, 0)


# ru_maxrss is in kilobytes on Linux and in bytes on a Mac; Windows has none.
MEASURE = """
import io, resource, sys
from PIL import Image
from mock_fal.pictures.recipe import Recipe
from mock_fal.pictures.render import render
render(Recipe("a", "b", 1, 64, 64, format=sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
file = render(Recipe("fal-ai/flux/dev", "a lighthouse", 2, 14142, 14142, format=sys.argv[1]))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> (20 if sys.platform == "darwin" else 10)
Image.MAX_IMAGE_PIXELS = None
print(grown, *Image.open(io.BytesIO(file)).size)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_the_largest_picture_takes_little_memory(form: Format) -> None:
    """Its raw pixels take 600 MB; 30 MB (JPEG) and 45 MB (PNG) were measured."""
    run = subprocess.run([sys.executable, "-c", MEASURE, form], capture_output=True, text=True, check=True)
    grown, width, height = map(int, run.stdout.split())
    assert (width, height) == (14142, 14142)
    assert grown < 150


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif", "gif"])
@pytest.mark.parametrize("size", [(320, 200), (33, 17)])
def test_a_picture_has_its_format_and_size(format: Format, size: tuple[int, int]) -> None:
    recipe = Recipe("fal-ai/flux/dev", "a cat", 7, *size, format=format)
    data = paint(recipe)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert (image.format or "").lower() == format
        assert image.size == size
    assert paint(recipe) == data
    assert recipe.content_type == f"image/{format}"


def test_a_pillow_without_avif_writes_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: False)
    assert paint(Recipe("fal-ai/flux/dev", "a cat", 7, 64, 48, format="avif")).startswith(b"\xff\xd8")
