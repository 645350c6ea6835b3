"""The palette of a picture: one colour ramp from light to dark, so that any two of its tones match."""

from __future__ import annotations

from math import cos, pi, sin

from mock_fal.pictures.random_stream import RandomStream

LIGHT, DARK = 0.97, 0.17  # OKLab lightness of the first and the last colour
STEPS = 8

# Hue ranges: (hue of the light end, hue of the dark end) in degrees of OKLCH.
HUE_RANGES = (
    (85, -75),  # cream, peach, rose, plum, indigo
    (75, -10),  # sand, apricot, brick, wine
    (110, 265),  # lime, green, teal, navy
    (95, 200),  # straw, sage, pine
    (200, 300),  # ice, azure, ultramarine, violet
    (60, -100),  # shell, coral, magenta, midnight
    (170, 285),  # mint, lagoon, ink
    (330, 265),  # blush, lilac, violet, navy
    (95, 20),  # butter, amber, rust, oxblood
    (15, -95),  # petal, orchid, deep blue
)


def palette(random: RandomStream) -> bytes:
    """Nine colours as RGB triples, in equal steps from light to dark; hue and chroma change along the ramp."""
    start, end = random.choice(HUE_RANGES)
    shift, strength = random.uniform(-14, 14), random.uniform(0.85, 1.2)
    return bytes(
        channel
        for step in range(STEPS + 1)
        for channel in _stop(step / STEPS, start + shift, end + shift, strength)
    )


def _stop(t: float, start: float, end: float, strength: float) -> tuple[int, int, int]:
    lightness = LIGHT + (DARK - LIGHT) * t
    # Light and dark colours have a smaller gamut than those between; a parabola keeps most of the ramp within sRGB.
    chroma = strength * (0.022 + 0.075 * t**2 * (1 - t) + 0.5 * t * (1 - t) ** 1.3 * 0.75 + 0.05 * t)
    return _rgb(lightness, min(chroma, 0.17), (start + (end - start) * t) * pi / 180)


def _rgb(lightness: float, chroma: float, hue: float) -> tuple[int, int, int]:
    """OKLCH to sRGB (0 to 255), clipped (matrices: Björn Ottosson, "A perceptual color space", 2020)."""
    a, b = chroma * cos(hue), chroma * sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _gamma(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _gamma(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _gamma(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _gamma(linear: float) -> int:
    linear = min(max(linear, 0.0), 1.0)
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))
