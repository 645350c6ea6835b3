from __future__ import annotations

import io
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from mock_fal.errors import UnusableFile
from mock_fal.pictures import source
from mock_fal.pictures.paint import WHOLE_PIXELS, paint, pictures
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.pictures.source import COPY_SIDE, read_source


def photo(
    width: int = 64, height: int = 48, mode: str = "RGB", form: str = "PNG", **options: object
) -> bytes:
    """A picture file, white on the left and black on the right."""
    picture = Image.new("RGB", (width, height), "white")
    picture.paste("black", (width // 2, 0, width, height))
    file = io.BytesIO()
    picture.convert(mode).save(file, form, **options)
    return file.getvalue()


def tones(source: Source) -> Image.Image:
    return Image.open(io.BytesIO(source.tones))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "MPO"])
def test_every_supported_format_is_read(form: str) -> None:
    data = photo(form=form)
    source = read_source(data)
    assert (source.width, source.height, source.digest) == (64, 48, sha256(data).hexdigest())
    assert (tones(source).mode, tones(source).size) == ("L", (64, 48))
    assert tones(source).getpixel((5, 5)) > 250 > 5 > tones(source).getpixel((60, 5))  # type: ignore[operator]  # "L"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_colour_mode_is_read(mode: str) -> None:
    assert read_source(photo(mode=mode)).width == 64


def test_transparent_pixels_count_as_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (8, 8)).save(file, "PNG")
    assert tones(read_source(file.getvalue())).getextrema() == (255, 255)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_the_copy_of_a_large_picture_is_small(form: str) -> None:
    source = read_source(photo(3000, 1000, form=form))
    assert (source.width, source.height, max(tones(source).size)) == (3000, 1000, COPY_SIDE)
    assert len(source.tones) < 20_000


def test_a_picture_is_rotated_as_its_exif_orientation_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = read_source(photo(form="JPEG", exif=exif))
    assert (source.width, source.height, tones(source).size) == (48, 64, (48, 64))


BROKEN = {
    "empty": b"",
    "text": b"no picture",
    "half a PNG": photo()[:-60],
    "half a JPEG": photo(512, 512, form="JPEG")[:700],
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_picture_is_an_image_load_error(name: str) -> None:
    with pytest.raises(UnusableFile, match="image_load_error"):
        read_source(BROKEN[name])


def test_a_decompression_bomb_is_an_image_load_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_SOURCE_PIXELS", 100)
    with pytest.raises(UnusableFile, match="image_load_error"):
        read_source(photo(16, 12))


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_not_supported(form: str) -> None:
    with pytest.raises(UnusableFile, match="unsupported_image_format"):
        read_source(photo(form=form))


# -- the source in a rendered picture

RECIPE = Recipe("fal-ai/flux/dev/image-to-image", "a cat", 7, 200, 100, source=read_source(photo()))


@given(st.integers(1, 400), st.integers(1, 400))
@example(192, 273)  # the part of the source ends beyond its edge, by 1e-13 pixels
def test_a_source_is_cut_to_any_proportions(width: int, height: int) -> None:
    assert drawn(replace(RECIPE, width=width, height=height)).size == (width, height)


def drawn(recipe: Recipe, whole_pixels: int = WHOLE_PIXELS) -> Image.Image:
    """The picture, assembled from its bands."""
    whole, top = Image.new("RGB", (recipe.width, recipe.height)), 0
    for band in pictures(recipe, whole_pixels=whole_pixels):
        whole.paste(band, (0, top))
        top += band.height
    return whole


def brightness(picture: Image.Image, x: int) -> float:
    """The mean brightness of the upper part of a column."""
    column = picture.convert("L").crop((x, 5, x + 1, 30)).tobytes()
    return sum(column) / len(column)


@pytest.mark.parametrize("seed", range(5))
def test_the_source_shows_through(seed: int) -> None:
    picture = drawn(replace(RECIPE, seed=seed))
    assert brightness(picture, 20) > brightness(picture, 180) + 50


def test_seed_prompt_and_source_change_the_picture() -> None:
    others = [replace(RECIPE, seed=8), replace(RECIPE, prompt="a dog"), replace(RECIPE, source=None)]
    assert len({drawn(recipe).tobytes() for recipe in [RECIPE, RECIPE, *others]}) == 4


def test_bands_show_the_source_as_one_picture_does() -> None:
    """At the border of two bands the source's pixels may differ by rounding."""
    recipe = replace(RECIPE, width=300, height=300)
    whole, in_bands = drawn(recipe), drawn(recipe, whole_pixels=1)
    differences = [abs(a - b) for a, b in zip(whole.tobytes(), in_bands.tobytes(), strict=True)]
    assert max(differences) < 24


def test_reading_a_picture_twice_gives_equal_recipes() -> None:
    again = replace(RECIPE, source=read_source(photo()))
    assert (again, hash(again), repr(again)) == (RECIPE, hash(RECIPE), repr(RECIPE))


def test_a_picture_can_be_encoded_as_webp() -> None:
    with Image.open(io.BytesIO(paint(replace(RECIPE, format="webp")))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (200, 100))
