"""Drawing a plan with Pillow, and encoding the pixels. Imports Pillow, so import this module late."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

from PIL import Image, ImageChops, ImageDraw, ImageFont, ImagePath, features

from mock_fal.pictures.caption import WIDTHS, measure
from mock_fal.pictures.encode import jpeg, png
from mock_fal.pictures.noise import CELL, Noise
from mock_fal.pictures.plan import Plan, plan
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.pictures.scene import Area, Box, Disc, Glow, Light, Scene, Shape

# A picture with more pixels than this is drawn and encoded in bands, so that the largest that fal's schema allows
# (14,142 x 14,142, 600 MB of raw pixels) takes as much memory as one of this size.
WHOLE_PIXELS = 3_000_000
# A band's height is a multiple of 8 MCU rows of 16 pixels; see `encode.jpeg`.
BAND_ROWS = 128

# Antialiasing: four sample points in a pixel, all in different rows and columns. The scene is drawn once for each
# point, into a plane with a quarter of the tone, and the planes are added. This is many times faster than drawing at
# twice the size and downscaling.
SAMPLES = ((0.125, 0.625), (0.375, 0.125), (0.625, 0.875), (0.875, 0.375))

# The longer side of the light layer before it is scaled up; its steps differ by one or two tones and are invisible.
LIGHT_SIDE = 160

# The value of Pillow's radial gradient at its edges; it is 0 in the centre and 255 in the corners.
RADIAL_RIM = 178

# glibc returns the memory of each picture to the system and faults it in again for the next one, which takes a third
# of the drawing time. After a block of this size has been freed, it keeps twice as much (mallopt(3), "dynamic mmap
# threshold"). On other systems this has no effect; the block is never touched.
bytearray(8 * 1024 * 1024)

# The pixels of a shade behind a caption that is kept: that of 1024 x 1024 has some 200,000.
MAX_CACHED_SHADE = 500_000

# The opacity of the scene over a source picture, and the darkest tone of that picture.
SCENE_SHARE = 0.2
DARKEST_SOURCE = 220

# fal: its Python toolkit saves JPEG with quality 95 and PNG with compression level 1 (encode.PNG_LEVEL).
JPEG_QUALITY = 95
WEBP_QUALITY = 95
# AVIF at its default speed takes a second for 1024 x 1024.
AVIF_QUALITY = 80
AVIF_SPEED = 10
GIF_COLOURS = 256


Mode = Literal["RGB", "RGBX"]


def paint(recipe: Recipe, *, whole_pixels: int = WHOLE_PIXELS) -> bytes:
    """The file of a picture, of exactly the size in its recipe.

    The pixels before encoding are the same on every machine; the bytes of the file are not, because libjpeg and zlib
    differ between platforms. Coordinates are truncated to integers and tones are integers. Letters are drawn at four
    times their size and thresholded to black and white, which removes the differences between FreeType versions.
    Verified on x86-64 Linux with Pillow 11.2.1, 11.3, 12.0 and 13.0; up to 11.1, Pillow filled polygons differently,
    in a few dozen pixels of some pictures.
    """
    if recipe.format in ("webp", "avif", "gif"):  # not encoded in bands: the largest takes 600 MB
        return _whole(next(pictures(recipe, whole_pixels=recipe.width * recipe.height)), recipe.format)
    if recipe.format == "png":
        return png(recipe.width, recipe.height, _png_rows(pictures(recipe, whole_pixels=whole_pixels)))
    # Pillow makes RGBX, with a byte that isn't used, in three quarters of the time of RGB, and writes the same JPEG.
    bands = pictures(recipe, whole_pixels=whole_pixels, mode="RGBX")
    if recipe.width * recipe.height <= whole_pixels:
        return _jpeg(next(bands))
    return jpeg(recipe.height, (_jpeg(band, restart_rows=1) for band in bands))


def pictures(
    recipe: Recipe, *, whole_pixels: int = WHOLE_PIXELS, mode: Mode = "RGB"
) -> Iterator[Image.Image]:
    """The picture in bands from top to bottom; most pictures have one band."""
    rows = recipe.height
    if recipe.width * recipe.height > whole_pixels:
        rows = max(BAND_ROWS, whole_pixels // recipe.width // BAND_ROWS * BAND_ROWS)
    canvas = None if recipe.blank else Canvas(plan(recipe), recipe.width, recipe.height)
    for top in range(0, recipe.height, rows):
        bottom = min(top + rows, recipe.height)
        yield canvas.band(top, bottom, mode) if canvas else Image.new(mode, (recipe.width, bottom - top))


class Canvas:
    """A plan at a size in pixels; draws any band of it."""

    def __init__(self, plan: Plan, width: int, height: int) -> None:
        self.plan, self.width, self.height = plan, width, height
        self._light = _light(plan.scene.light, width, height)
        self._colours = _colours(plan.palette)
        self._source = _source_tones(plan.source) if plan.source else None

    def band(self, top: int, bottom: int, mode: Mode = "RGB") -> Image.Image:
        tones = _shapes(self.plan.scene, self._light_band(top, bottom), top)
        if self._source:
            tones = Image.blend(self._source_band(self._source, top, bottom), tones, SCENE_SHARE)
        if self.plan.caption:
            self._draw_caption(tones, top, bottom)
        if self.plan.noise:
            tones = Image.blend(
                tones, _noise_band(self.plan.noise, tones.width, top, bottom), self.plan.noise.percent / 100
            )
        tones.putpalette(self._colours)
        return tones.convert(mode)

    def _light_band(self, top: int, bottom: int) -> Image.Image:
        """The light, scaled up: columns by Pillow, rows by repeating bytes, which takes half the time."""
        width, height, steps = self.width, self.height, self._light.height
        light = self._light.resize((width, steps), Image.Resampling.NEAREST).tobytes()
        lines = [light[start : start + width] for start in range(0, len(light), width)]
        rows = [lines[((y + 1) * steps - 1) // height] for y in range(top, bottom)]
        # Without a copy of the pixels; nothing draws on it.
        return Image.frombuffer("L", (width, bottom - top), b"".join(rows), "raw", "L", 0, 1)

    def _source_band(self, source: Image.Image, top: int, bottom: int) -> Image.Image:
        """The source picture, scaled to fill the canvas and cropped around its centre."""
        scale = min(source.width / self.width, source.height / self.height)
        # Rounding may put an edge some 1e-13 pixels outside of the source, which Pillow rejects.
        x = max(0.0, (source.width - self.width * scale) / 2)
        y = max(0.0, (source.height - self.height * scale) / 2)
        right, low = min(x + self.width * scale, source.width), min(y + bottom * scale, source.height)
        box = (x, y + top * scale, right, low)
        return source.resize((self.width, bottom - top), Image.Resampling.BILINEAR, box=box)

    def _draw_caption(self, tones: Image.Image, top: int, bottom: int) -> None:
        """Darken the bottom of the picture and draw the caption on it in light tones."""
        lines = self.plan.caption
        fade = 5 * lines[0].size
        start = lines[0].y - lines[0].size - fade * 2 // 3
        first = max(start, top)
        if first >= bottom:
            return
        shaded = _shade if (bottom - first) * self.width <= MAX_CACHED_SHADE else _shade.__wrapped__
        shade = shaded(fade, first - start, bottom - start, self.width)
        tones.paste(238, (0, tones.height - shade.height, self.width, tones.height), shade)
        draw = ImageDraw.Draw(tones)
        for line in lines:
            if line.y - 2 * line.size < bottom and line.y + line.size > top:
                text = text_mask if line.size <= MAX_CACHED_FONT else _text
                mask = text(line.text, line.size)
                draw.bitmap((line.x - line.size // 4, line.y - line.size - top), mask, fill=line.tone)


@lru_cache(maxsize=8)
def _shade(fade: int, first: int, last: int, width: int) -> Image.Image:
    """The opacity of the dark behind a caption, from row `first` to `last`: it grows over `fade` rows."""
    steps = [min(1.0, row / fade) for row in range(first, last)]
    column = Image.frombytes("L", (1, len(steps)), bytes(int(226 * t * t * (3 - 2 * t)) for t in steps))
    return column.resize((width, len(steps)), Image.Resampling.NEAREST)


def _noise_band(noise: Noise, width: int, top: int, bottom: int) -> Image.Image:
    """The noise over the rows of a band."""
    first, last = top // CELL, -(-bottom // CELL)
    cells = noise.cells[first * noise.columns : last * noise.columns]
    tones = Image.frombytes("L", (noise.columns, last - first), cells)
    whole = tones.resize((noise.columns * CELL, (last - first) * CELL), Image.Resampling.NEAREST)
    return whole.crop((0, top - first * CELL, width, bottom - first * CELL))


def _colours(palette: bytes) -> bytes:
    """256 colours interpolated from the palette. The box excludes the outer halves of the first and last colour."""
    count = len(palette) // 3
    row = Image.frombytes("RGB", (count, 1), palette)
    return row.resize((256, 1), Image.Resampling.BILINEAR, box=(0.5, 0, count - 0.5, 1)).tobytes()


def _source_tones(source: Source) -> Image.Image:
    """The source picture in the scene's range of tones: greater is darker."""
    greyscale = Image.open(io.BytesIO(source.tones))
    return greyscale.point([(255 - light) * DARKEST_SOURCE // 255 for light in range(256)])


def _shapes(scene: Scene, light: Image.Image, top: int) -> Image.Image:
    """The light plus a plane that is drawn four times, each at another sample point of the pixel."""
    plane = Image.new("L", light.size)
    draw = ImageDraw.Draw(plane)
    fill = {Area: draw.polygon, Box: draw.rectangle, Disc: draw.ellipse}
    shapes = [(fill[type(shape)], _outline(shape), shape.tone) for shape in scene.shapes]
    total, x, y = light, 0.0, 0.0
    for part, (dx, dy) in enumerate(SAMPLES):
        draw.rectangle((0, 0, *plane.size), _quarter(scene.ground, part))
        step = (1, 0, dx - x, 0, 1, dy - y)
        for fill_shape, outline, tone in shapes:
            outline.transform(step)
            fill_shape(_shifted_up(outline, top) if top else outline, _quarter(tone, part))
        total, x, y = ImageChops.add_modulo(total, plane), dx, dy
    return total


def _shifted_up(outline: ImagePath.Path, top: int) -> ImagePath.Path:
    """An outline moved up by `top` pixels, for the band that starts there.

    Coordinates are truncated before the shift, as Pillow truncates them; otherwise edges break between bands.
    """
    shifted = ImagePath.Path(outline)
    shifted.map(lambda x, y: (int(x), int(y) - top))
    return shifted


def _quarter(tone: int, part: int) -> int:
    """One of the four integer parts that add up to a tone."""
    return (tone + part) // len(SAMPLES)


def _outline(shape: Shape) -> ImagePath.Path:
    """The points of an area, or the corners of the box around another shape."""
    if isinstance(shape, Area):
        return ImagePath.Path(shape.points)
    if isinstance(shape, Box):
        return ImagePath.Path((shape.left, shape.top, shape.right, shape.bottom))
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
    return shade


def _glow(glow: Glow, scale: float, wide: int, high: int) -> Image.Image:
    side = max(1, round(2 * glow.radius * scale))
    disc = _radial_fade(glow.strength).resize((side, side), Image.Resampling.NEAREST)
    left, top = side // 2 - round(glow.x * scale), side // 2 - round(glow.y * scale)
    return disc.crop((left, top, left + wide, top + high))


@lru_cache(maxsize=16)
def _radial_fade(strength: int) -> Image.Image:
    fade = [round(strength * max(0.0, 1 - distance / RADIAL_RIM) ** 1.6) for distance in range(256)]
    return Image.radial_gradient("L").point(fade)


LETTER_SCALE = 4
MAX_CACHED_FONT = 64  # larger letters are rare and take much memory


def _text(text: str, size: int) -> Image.Image:
    """The coverage mask of a line, with letters spaced by `WIDTHS`; the text begins `size // 4` from the left."""
    mask = Image.new("L", (round(measure(text, size)) + size, size + size // 3))
    draw = ImageDraw.Draw(mask)
    letter = _cached_letter if size <= MAX_CACHED_FONT else _letter
    advance = 0
    for character in text:
        x, phase = divmod(advance // 1000, LETTER_SCALE)
        draw.bitmap((x, 0), letter(character, size, phase), fill=255)
        advance += WIDTHS[character] * size * LETTER_SCALE
    return mask


def _letter(character: str, size: int, phase: int) -> Image.Image:
    """The coverage mask of a letter, `phase` quarters of a pixel to the right; its baseline is `size` below the top."""
    scale = LETTER_SCALE
    wide = size // 4 + WIDTHS[character] * size // 1000 + size // 8 + 2
    large = Image.new("L", (wide * scale, (size + size // 3) * scale))
    origin = (size // 4 * scale + phase, size * scale)
    ImageDraw.Draw(large).text(origin, character, fill=255, font=_font(size * scale), anchor="ls")
    return large.point([0] * 128 + [255] * 128).reduce(scale)


# Each cache takes at most some 6 MB, at the largest cached font. Lines are cached because tests repeat prompts.
_cached_letter = lru_cache(maxsize=1024)(_letter)
text_mask = lru_cache(maxsize=32)(_text)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # BASIC: not every build of Pillow includes Raqm, which would lay out the same text differently.
    bundled = ImageFont.load_default(size)
    assert isinstance(bundled, ImageFont.FreeTypeFont)
    return ImageFont.truetype(io.BytesIO(bundled.font_bytes), size, layout_engine=ImageFont.Layout.BASIC)


def _jpeg(band: Image.Image, *, restart_rows: int = 0) -> bytes:
    file = io.BytesIO()
    band.save(file, "JPEG", quality=JPEG_QUALITY, restart_marker_rows=restart_rows)
    return file.getvalue()


def _whole(picture: Image.Image, format: str) -> bytes:
    """A file whose encoder wants the whole picture."""
    file = io.BytesIO()
    if format == "webp":
        picture.save(file, "WEBP", quality=WEBP_QUALITY)
    elif format == "avif" and not features.check("avif"):
        # deviation: a Pillow that was built without AVIF writes JPEG in its place. The wheels of PyPI have AVIF.
        return _jpeg(picture)
    elif format == "avif":
        # One thread: with more, the bytes depend on the number of processors.
        picture.save(file, "AVIF", quality=AVIF_QUALITY, speed=AVIF_SPEED, max_threads=1)
    else:
        picture.quantize(GIF_COLOURS, dither=Image.Dither.NONE).save(file, "GIF")
    return file.getvalue()


def _png_rows(bands: Iterator[Image.Image]) -> Iterator[bytes]:
    """Rows filtered with PNG's "Up": each row minus the one above, which compresses well."""
    above: Image.Image | None = None
    for band in bands:
        shifted = Image.new("RGB", band.size)
        shifted.paste(band, (0, 1))
        if above:
            shifted.paste(above, (0, 0))
        above = band.crop((0, band.height - 1, band.width, band.height))
        yield ImageChops.subtract_modulo(band, shifted).tobytes()
