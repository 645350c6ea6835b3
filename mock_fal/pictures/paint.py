"""The door to Pillow: a plan becomes pixels, and pixels a file. Import it late, it brings Pillow along."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImagePath

from mock_fal.pictures.caption import WIDTHS, measure
from mock_fal.pictures.encode import jpeg, png
from mock_fal.pictures.noise import CELL, Noise
from mock_fal.pictures.plan import Plan, plan
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.pictures.scene import DEEPEST_LIGHT, Area, Disc, Glow, Light, Scene

# A picture of more pixels than this is painted and encoded band by band, so that the largest that fal's schema allows
# (14,142 x 14,142, 600 MB of plain pixels) costs as much memory as one of this size.
WHOLE_PIXELS = 3_000_000
# A band's height is a multiple of 8 MCU rows of 16 pixels; encode.jpeg says why.
BAND_ROWS = 128

# Where in a pixel a shape is asked for its tone: four places, all in different rows and columns. Each place is one
# plane with a quarter of the tone, and their sum is an even edge. Adding planes is many times cheaper than
# painting twice as large and shrinking.
SAMPLES = ((0.125, 0.625), (0.375, 0.125), (0.625, 0.875), (0.875, 0.375))

LIGHT_SIDE = (
    160  # longer side of the light before it is stretched; its steps are of a tone or two and not seen
)

RADIAL_RIM = 178  # what Pillow's radial gradient, 0 in the middle and 255 in the corners, has at its edges

# glibc hands the memory of one picture back to the system and faults it in for the next, at a third of the time that
# a picture takes. Having seen a block of this size freed it keeps twice as much (mallopt(3), "dynamic mmap
# threshold"). Elsewhere this does nothing; the block is never touched.
bytearray(8 * 1024 * 1024)

# How much of the scene is left where a picture shows through, and that picture's darkest tone.
SCENE_SHARE = 0.2
DEEPEST_PHOTO = 220

# fal: its Python toolkit saves JPEG with quality 95 and PNG with compression level 1 (encode.PNG_LEVEL).
JPEG_QUALITY = 95
WEBP_QUALITY = 95


def paint(recipe: Recipe, *, whole_pixels: int = WHOLE_PIXELS) -> bytes:
    """The file of a picture, of exactly the size its recipe asks for.

    What is promised is pixels before encoding, not bytes of the file: libjpeg and zlib differ between platforms.
    The pixels are the same on every machine: coordinates are cut to whole numbers, tones are whole numbers from
    the start, and letters are taken at four times their size and cut to black and white, so that what one FreeType
    does differently from another is lost. Seen equal, on x86-64 Linux, with Pillow 11.2.1, 11.3, 12.0 and 13.0; up to
    11.1 Pillow filled polygons otherwise, in a few dozen pixels of some pictures.
    """
    if recipe.format == "webp":  # which has no bands: the largest takes 600 MB
        return _webp(next(pictures(recipe, whole_pixels=recipe.width * recipe.height)))
    bands = pictures(recipe, whole_pixels=whole_pixels)
    if recipe.format == "png":
        return png(recipe.width, recipe.height, _png_rows(bands))
    if recipe.width * recipe.height <= whole_pixels:
        return _jpeg(next(bands))
    return jpeg(recipe.height, (_jpeg(band, restart_rows=1) for band in bands))


def pictures(recipe: Recipe, *, whole_pixels: int = WHOLE_PIXELS) -> Iterator[Image.Image]:
    """The picture in RGB, cut into bands from the top to the bottom; most have one."""
    rows = recipe.height
    if recipe.width * recipe.height > whole_pixels:
        rows = max(BAND_ROWS, whole_pixels // recipe.width // BAND_ROWS * BAND_ROWS)
    canvas = None if recipe.blank else Canvas(plan(recipe), recipe.width, recipe.height)
    for top in range(0, recipe.height, rows):
        bottom = min(top + rows, recipe.height)
        yield canvas.band(top, bottom) if canvas else Image.new("RGB", (recipe.width, bottom - top))


class Canvas:
    """One plan at one size; gives any band of itself."""

    def __init__(self, plan: Plan, width: int, height: int) -> None:
        self.plan, self.width, self.height = plan, width, height
        self._light = _light(plan.scene.light, width, height)
        self._inks = _inks(plan.palette)
        self._photo = _photo(plan.source) if plan.source else None

    def band(self, top: int, bottom: int) -> Image.Image:
        tones = _shapes(self.plan.scene, self._light_on(top, bottom), top)
        if self._photo:
            tones = Image.blend(self._photo_on(self._photo, top, bottom), tones, SCENE_SHARE)
        if self.plan.caption:
            self._write(tones, top, bottom)
        if self.plan.noise:
            tones = Image.blend(
                tones, _noise(self.plan.noise, tones.width, top, bottom), self.plan.noise.percent / 100
            )
        tones.putpalette(self._inks)
        return tones.convert("RGB")

    def _light_on(self, top: int, bottom: int) -> Image.Image:
        """The light, stretched: pixels side by side by Pillow, rows by repetition, which takes half the time."""
        light = self._light.resize((self.width, self._light.height), Image.Resampling.NEAREST).tobytes()
        edges = [self.height * row // self._light.height for row in range(self._light.height + 1)]
        rows = (
            light[row * self.width : (row + 1) * self.width] * (min(end, bottom) - max(start, top))
            for row, (start, end) in enumerate(pairwise(edges))
        )
        return Image.frombytes("L", (self.width, bottom - top), b"".join(rows))

    def _photo_on(self, photo: Image.Image, top: int, bottom: int) -> Image.Image:
        """What is seen of a photo that fills the canvas: the middle of it, where the shapes differ."""
        scale = min(photo.width / self.width, photo.height / self.height)
        x, y = (photo.width - self.width * scale) / 2, (photo.height - self.height * scale) / 2
        box = (x, y + top * scale, x + self.width * scale, min(y + bottom * scale, photo.height))
        return photo.resize((self.width, bottom - top), Image.Resampling.BILINEAR, box=box)

    def _write(self, tones: Image.Image, top: int, bottom: int) -> None:
        """Darken the foot of the picture and set the caption on it in the lightest ink."""
        lines = self.plan.caption
        fade = 5 * lines[0].size
        start = lines[0].y - lines[0].size - fade * 2 // 3
        ways = [min(1.0, (y - start) / fade) for y in range(max(start, top), bottom)]
        if not ways:
            return
        shade = Image.frombytes(
            "L", (1, len(ways)), bytes(int(226 * way * way * (3 - 2 * way)) for way in ways)
        )
        shade = shade.resize((self.width, len(ways)), Image.Resampling.NEAREST)
        tones.paste(238, (0, tones.height - len(ways), self.width, tones.height), shade)
        pen = ImageDraw.Draw(tones)
        for line in lines:
            if line.y - 2 * line.size < bottom and line.y + line.size > top:
                text = _kept_text if line.size <= LARGEST_KEPT_FONT else _text
                mask = text(line.text, line.size)
                pen.bitmap((line.x - line.size // 4, line.y - line.size - top), mask, fill=line.tone)


def _noise(noise: Noise, width: int, top: int, bottom: int) -> Image.Image:
    """The noise on the rows of a band."""
    first, last = top // CELL, -(-bottom // CELL)
    cells = noise.cells[first * noise.columns : last * noise.columns]
    tones = Image.frombytes("L", (noise.columns, last - first), cells)
    whole = tones.resize((noise.columns * CELL, (last - first) * CELL), Image.Resampling.NEAREST)
    return whole.crop((0, top - first * CELL, width, bottom - first * CELL))


def _inks(palette: bytes) -> bytes:
    """256 inks: the palette's, and those between them. The box leaves out the outer halves of the first and last."""
    count = len(palette) // 3
    row = Image.frombytes("RGB", (count, 1), palette)
    return row.resize((256, 1), Image.Resampling.BILINEAR, box=(0.5, 0, count - 0.5, 1)).tobytes()


def _photo(source: Source) -> Image.Image:
    """A picture in our tones, which are the darker the greater; in this they are as many as the scene's."""
    grey = Image.open(io.BytesIO(source.tones))
    return grey.point([(255 - light) * DEEPEST_PHOTO // 255 for light in range(256)])


def _shapes(scene: Scene, light: Image.Image, top: int) -> Image.Image:
    """The light, and four planes added to it, each drawn at another place within the pixel."""
    outlines = [_outline(shape) for shape in scene.shapes]
    total, x, y = light, 0.0, 0.0
    for part, (dx, dy) in enumerate(SAMPLES):
        plane = Image.new("L", total.size, _quarter(scene.ground, part))
        pen = ImageDraw.Draw(plane)
        for shape, outline in zip(scene.shapes, outlines, strict=True):
            outline.transform((1, 0, dx - x, 0, 1, dy - y))
            draw = pen.polygon if isinstance(shape, Area) else pen.ellipse
            draw(_from(top, outline) if top else outline, fill=_quarter(shape.tone, part))
        total, x, y = ImageChops.add_modulo(total, plane), dx, dy
    return total


def _from(top: int, outline: ImagePath.Path) -> ImagePath.Path:
    """An outline as a lower band sees it, cut to whole numbers first, as Pillow does; else edges break at its top."""
    seen = ImagePath.Path(outline)
    seen.map(lambda x, y: (int(x), int(y) - top))
    return seen


def _quarter(tone: int, part: int) -> int:
    """The four parts of a tone, as whole numbers that add up to it."""
    return (tone + part) // len(SAMPLES)


def _outline(shape: Area | Disc) -> ImagePath.Path:
    if isinstance(shape, Area):
        return ImagePath.Path(shape.points)
    x, y, r = shape.x, shape.y, shape.radius
    return ImagePath.Path((x - r, y - r, x + r, y + r))


def _light(light: Light, width: int, height: int) -> Image.Image:
    scale = min(1.0, LIGHT_SIDE / max(width, height))
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    last = max(1, high - 1)
    column = bytes(light.top + (light.bottom - light.top) * y // last for y in range(high))
    shade = Image.frombytes("L", (1, high), column).resize((wide, high), Image.Resampling.NEAREST)
    for glow in light.glows:
        shade = ImageChops.subtract(shade, _glow(glow, scale, wide, high))
    return shade.point([min(tone, DEEPEST_LIGHT) for tone in range(256)])


def _glow(glow: Glow, scale: float, wide: int, high: int) -> Image.Image:
    side = max(1, round(2 * glow.radius * scale))
    disc = _lamp(glow.strength).resize((side, side), Image.Resampling.NEAREST)
    layer = Image.new("L", (wide, high))
    layer.paste(disc, (round(glow.x * scale) - side // 2, round(glow.y * scale) - side // 2))
    return layer


@lru_cache(maxsize=16)
def _lamp(strength: int) -> Image.Image:
    fade = [round(strength * max(0.0, 1 - distance / RADIAL_RIM) ** 1.6) for distance in range(256)]
    return Image.radial_gradient("L").point(fade)


LETTER_SCALE = 4
LARGEST_KEPT_FONT = 64  # larger letters are seldom and would fill the memory


def _text(text: str, size: int) -> Image.Image:
    """A line's coverage, its letters set by our own widths; it begins `size // 4` from the left."""
    mask = Image.new("L", (round(measure(text, size)) + size, size + size // 3))
    pen = ImageDraw.Draw(mask)
    letter = _kept_letter if size <= LARGEST_KEPT_FONT else _letter
    way = 0
    for character in text:
        place, phase = divmod(way // 1000, LETTER_SCALE)
        pen.bitmap((place, 0), letter(character, size, phase), fill=255)
        way += WIDTHS[character] * size * LETTER_SCALE
    return mask


def _letter(character: str, size: int, phase: int) -> Image.Image:
    """A letter's coverage, `phase` quarters of a pixel to the right; its baseline is `size` below the top."""
    scale = LETTER_SCALE
    wide = size // 4 + WIDTHS[character] * size // 1000 + size // 8 + 2
    large = Image.new("L", (wide * scale, (size + size // 3) * scale))
    at = (size // 4 * scale + phase, size * scale)
    ImageDraw.Draw(large).text(at, character, fill=255, font=_font(size * scale), anchor="ls")
    return large.point([0] * 128 + [255] * 128).reduce(scale)


# Some 6 MB at most for either, at the largest kept font. Lines, because tests ask for the same prompt again and again.
_kept_letter = lru_cache(maxsize=1024)(_letter)
_kept_text = lru_cache(maxsize=32)(_text)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # BASIC: Raqm is not in every build of Pillow and would set the same text otherwise.
    brought = ImageFont.load_default(size)
    assert isinstance(brought, ImageFont.FreeTypeFont)
    return ImageFont.truetype(io.BytesIO(brought.font_bytes), size, layout_engine=ImageFont.Layout.BASIC)


def _jpeg(band: Image.Image, *, restart_rows: int = 0) -> bytes:
    file = io.BytesIO()
    band.save(file, "JPEG", quality=JPEG_QUALITY, restart_marker_rows=restart_rows)
    return file.getvalue()


def _webp(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=WEBP_QUALITY)
    return file.getvalue()


def _png_rows(bands: Iterator[Image.Image]) -> Iterator[bytes]:
    """Rows as PNG's filter "Up" has them: each less the one above, which leaves little to compress."""
    above: Image.Image | None = None
    for band in bands:
        shifted = Image.new("RGB", band.size)
        shifted.paste(band, (0, 1))
        if above:
            shifted.paste(above, (0, 0))
        above = band.crop((0, band.height - 1, band.width, band.height))
        yield ImageChops.subtract_modulo(band, shifted).tobytes()
