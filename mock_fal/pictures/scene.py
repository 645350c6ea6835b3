"""The scene of a picture: flat shapes in tones with soft light over them, in six families of compositions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin, sqrt

from mock_fal.pictures.random_stream import RandomStream

# Tones increase from light to dark. The tones of shapes and light are added and must fit in a byte.
DARKEST = 164
DEEPEST_LIGHT = 90

GOLDEN_ANGLE = pi * (3 - sqrt(5))


Edge = list[float]  # the y of a curve at each x of `_across`


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon, in pixels from the upper left corner."""

    points: tuple[tuple[float, float], ...]
    tone: int


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in pixels; Pillow draws it several times faster than an Area of four points."""

    left: float
    top: float
    right: float
    bottom: float
    tone: int


@dataclass(frozen=True, slots=True)
class Disc:
    x: float
    y: float
    radius: float
    tone: int


Shape = Area | Box | Disc


@dataclass(frozen=True, slots=True)
class Glow:
    """A round light that fades outwards; `strength` is the number of tones by which it lightens its centre."""

    x: float
    y: float
    radius: float
    strength: int


@dataclass(frozen=True, slots=True)
class Light:
    """Shading over all shapes: a linear gradient from top to bottom, minus the glows."""

    top: int
    bottom: int
    glows: tuple[Glow, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """The background tone, the shapes from back to front, and the light."""

    ground: int
    shapes: tuple[Shape, ...]
    light: Light


def hills(random: RandomStream, width: float, height: float) -> Scene:
    """Ridges behind each other, each lighter at its foot, and a low sun."""
    span = min(width, height)
    x, y = width * random.uniform(0.2, 0.8), height * random.uniform(0.22, 0.4)
    sun = Disc(x, y, span * random.uniform(0.07, 0.14), 0)
    count = 5 + random.integer(2)
    rough = random.choice((0.0, 0.0, 0.5, 1.0))
    ridges, across = [], _across(width)
    for layer in range(count):
        t = layer / (count - 1)
        level, rise = height * (0.42 + 0.44 * t), span * (0.10 - 0.03 * t)
        ridges.append((_ridge(random, across, level, rise, rough * (1 - 0.6 * t)), _grade(34, t)))
    glow = Glow(x, y, hypot(width, height) * 0.55, 62)
    return Scene(18, (sun, *_stacked(ridges, across, height)), Light(DEEPEST_LIGHT, 0, (glow,)))


def waves(random: RandomStream, width: float, height: float) -> Scene:
    """Waves under a moon: rows of crests, each row nearer, larger and darker."""
    span = min(width, height)
    x, y = width * random.uniform(0.25, 0.75), height * random.uniform(0.16, 0.28)
    moon = [Disc(x, y, span * (0.24 - 0.045 * ring), 26 - 8 * ring) for ring in range(4)]
    rows = 7 + random.integer(4)
    length, lean = span * random.uniform(0.42, 0.75), random.uniform(-0.6, 0.6)
    crests, across = [], _across(width)
    for row in range(rows):
        t = row / (rows - 1)
        level, rise = height * (0.36 + 0.56 * t**1.15), span * (0.018 + 0.03 * t)
        turn, shift = 2 * pi / (length * (0.6 + 0.7 * t)), random.unit() * 2 * pi
        angles = [px * turn for px in across]
        crest = [level - rise * (1 - sin(angle + shift + lean * sin(angle))) for angle in angles]
        crests.append((crest, _grade(44, t)))
    return Scene(30, (*moon, *_stacked(crests, across, height)), Light(70, 10, (Glow(x, y, span * 0.9, 60),)))


def orbs(random: RandomStream, width: float, height: float) -> Scene:
    """Planets of several sizes, placed at golden-angle steps, all lit from the same side."""
    span = min(width, height)
    side, turn = random.choice((-1, 1)), random.unit() * 2 * pi
    shapes, glows = [], []
    for number in range(7):
        angle, t = turn + number * GOLDEN_ANGLE, sqrt((number + 0.35) / 7)
        x, y = width * (0.5 + 0.5 * t * cos(angle)), height * (0.42 + 0.42 * t * sin(angle))
        radius = span * random.uniform(0.06, 0.12) * (1 + 1.4 * random.unit())
        tone = 80 + random.integer(DARKEST - 80)
        shapes += [Disc(x, y, radius * 1.22, 34), Disc(x, y, radius, tone)]
        glows.append(Glow(x + side * radius * 0.4, y - radius * 0.4, radius * 1.15, 84))
    return Scene(20, tuple(shapes), Light(40, DEEPEST_LIGHT, tuple(glows)))


def ribbons(random: RandomStream, width: float, height: float) -> Scene:
    """Wavy bands side by side across the whole picture."""
    count = 9 + random.integer(4)
    lean, swell = random.uniform(-0.35, 0.35), random.uniform(0.08, 0.16)
    a, b = random.unit() * 2 * pi, random.unit() * 2 * pi
    crest = random.uniform(0.3, 0.7)
    edges, across = [], _across(width)
    parts = [x / width for x in across]
    columns = [(part * 4.4 + a, part * 8.1 + b, lean * (part - 0.5)) for part in parts]
    for band in range(count):
        t = band / count
        level, tilt, one, two = (t - 0.08) * 1.18, 1 - 0.6 * t, t * 2.2, t * 3.0
        edge = [
            height * (level + slope * tilt + swell * (sin(first + one) + 0.5 * sin(second - two)))
            for first, second, slope in columns
        ]
        edges.append((edge, round(DARKEST * min(1.0, 0.04 + abs(t - crest) * 1.7))))
    glow = Glow(width * random.uniform(0.2, 0.8), height * crest, hypot(width, height) * 0.6, 60)
    return Scene(round(DARKEST * crest), tuple(_stacked(edges, across, height)), Light(70, 80, (glow,)))


def mosaic(random: RandomStream, width: float, height: float) -> Scene:
    """Tiles of quarter discs, leaves, triangles and dots."""
    size = max(min(width, height) / (3 + random.integer(3)), sqrt(width * height / 140))
    columns, rows = max(1, round(width / size)), max(1, round(height / size))
    wide, high = width / columns, height / rows
    tones = (8, 44, 84, 124, 160)
    shapes = tuple(
        shape
        for row in range(rows)
        for column in range(columns)
        for shape in _tile(random, column * wide, row * high, wide, high, tones)
    )
    glow = Glow(width * random.unit(), height * random.unit() * 0.6, hypot(width, height) * 0.7, 50)
    return Scene(44, shapes, Light(20, 70, (glow,)))


def rays(random: RandomStream, width: float, height: float) -> Scene:
    """A sun of several rings, with beams across the whole sky."""
    reach = hypot(width, height)
    x, y = width * random.uniform(0.25, 0.75), height * random.uniform(0.45, 0.75)
    beams = 2 * (9 + random.integer(8))
    turn = random.unit()
    shapes: list[Shape] = []
    for beam in range(0, beams, 2):
        one, two = ((beam + turn + half) * 2 * pi / beams for half in (0.0, 1.0))
        far = ((x + reach * cos(one), y + reach * sin(one)), (x + reach * cos(two), y + reach * sin(two)))
        shapes.append(Area(((x, y), *far), 88))
    rings = 5 + random.integer(4)
    radius = min(width, height) * random.uniform(0.26, 0.38)
    for ring in range(rings):
        t = ring / (rings - 1)
        shapes.append(Disc(x, y, radius * (1 - 0.78 * t), round(140 * (1 - t) ** 1.2)))
    across = _across(width)
    ridge = _ridge(random, across, max(height * 0.8, y), min(width, height) * 0.05, 0)
    land = _stacked([(ridge, DARKEST)], across, height)
    return Scene(62, (*shapes, *land), Light(DEEPEST_LIGHT, 50, (Glow(x, y, reach * 0.75, 84),)))


FAMILIES: tuple[Callable[[RandomStream, float, float], Scene], ...] = (
    hills,
    orbs,
    waves,
    mosaic,
    ribbons,
    rays,
)

# Line segments per curve: at 1,024 pixels each is 21 wide and less than half a pixel off the curve.
STEPS = 48


def _across(width: float) -> list[float]:
    """The x of the points of a curve, from left to right."""
    return [width * step / STEPS for step in range(STEPS + 1)]


def _grade(first: int, t: float) -> int:
    return round(first + (DARKEST - first) * t)


def _ridge(random: RandomStream, across: list[float], level: float, rise: float, rough: float) -> Edge:
    """A ridge around `level`: two slow sine waves, plus jitter in proportion to `rough` (0 to 1)."""
    width = across[-1]
    one, two = random.uniform(3.0, 6.5) / width, random.uniform(7.0, 13.0) / width
    a, b = random.unit() * 2 * pi, random.unit() * 2 * pi
    smooth = [level + rise * (sin(x * one + a) + 0.45 * sin(x * two + b)) for x in across]
    return [y + rise * rough * random.uniform(-0.45, 0.45) for y in smooth] if rough else smooth


def _stacked(edges: Sequence[tuple[Edge, int]], across: list[float], height: float) -> Iterator[Area | Box]:
    """The area below each edge, down to where the next one covers it: drawing time grows with rows times points.

    For the same reason, the rows below the lowest point of an edge are a box.
    """
    left, right = across[0], across[-1]
    lowest = [max(edge) for edge, _ in edges]
    feet = [y + 1 for y in lowest[1:]] + [height]
    for (edge, tone), low, foot in zip(edges, lowest, feet, strict=True):
        has_box = low + 1 < foot
        bottom = low if has_box else foot
        yield Area(((left, bottom), *zip(across, edge, strict=True), (right, bottom)), tone)
        if has_box:
            yield Box(left, low + 1, right, foot, tone)


def _tile(
    random: RandomStream, x: float, y: float, wide: float, high: float, tones: tuple[int, ...]
) -> Iterator[Shape]:
    first = random.integer(len(tones))
    ground, ink = tones[first], tones[(first + 1 + random.integer(len(tones) - 1)) % len(tones)]
    yield Box(x, y, x + wide, y + high, ground)
    corners = ((x, y), (x + wide, y), (x + wide, y + high), (x, y + high))
    corner, kind = random.integer(4), random.integer(6)
    if kind < 3:  # a quarter disc; for kind 2 with a smaller one on it
        yield _quarter(corners[corner], corner, wide, high, ink)
        if kind == 2:
            yield _quarter(corners[corner], corner, wide / 2, high / 2, ground)
    elif kind == 3:
        yield Area(tuple(corners[(corner + turn) % 4] for turn in range(3)), ink)
    elif kind == 4:
        yield Disc(x + wide / 2, y + high / 2, min(wide, high) * 0.32, ink)
    else:  # two quarter discs that form a leaf
        yield _quarter(corners[corner], corner, wide / 2, high / 2, ink)
        yield _quarter(corners[(corner + 2) % 4], (corner + 2) % 4, wide / 2, high / 2, ink)


# The points of the four quarters of a circle.
_ARCS = [
    [(cos(angle), sin(angle)) for angle in ((corner + step / 12) * pi / 2 for step in range(13))]
    for corner in range(4)
]


def _quarter(at: tuple[float, float], corner: int, wide: float, high: float, tone: int) -> Area:
    x, y = at
    return Area((at, *[(x + wide * right, y + high * down) for right, down in _ARCS[corner]]), tone)
