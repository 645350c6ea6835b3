"""The price of each endpoint: by picture, megapixel, second of video or sound, token, request or second of compute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

CURRENCY: Final = "USD"

# "seconds" are those of the output, "compute seconds" those of the run; "dollars" are the cost that an output states.
Unit = Literal[
    "megapixels", "images", "seconds", "tokens", "characters", "requests", "compute seconds", "dollars"
]

NANO: Final = 1_000_000_000

# fal: a price for each megapixel, in whole megapixels, rounded up (measured on flux/dev, 2026-09).
# assumption: a megapixel is 1,000,000 pixels and not 1024 x 1024; this determines the price of a `square_hd`.
MEGAPIXEL: Final = 1_000_000

# Other prices of an endpoint, by the value of one of these fields in lower case.
Variants = Mapping[str, float]
_NO_VARIANTS: Final[Variants] = MappingProxyType({})
_NO_FIELDS: Final[Mapping[str, object]] = MappingProxyType({})
_VARIANT_FIELDS: Final = ("resolution", "model")


class Price(NamedTuple):
    """A price in US dollars per unit. `variants` are the prices of resolutions and models that cost more or less."""

    unit_price: float
    unit: Unit
    variants: Variants = _NO_VARIANTS

    def nano_usd(self, units: float) -> int:
        """The cost of `units` in billionths of a dollar, as an integer so that sums are exact."""
        return round(units * round(self.unit_price * NANO))


# fal: 0.003 and 0.025 per megapixel, from `GET /v1/models/pricing` (2026-01) and a bill (2026-09).
_SCHNELL: Final = Price(0.003, "megapixels")
_DEV: Final = Price(0.025, "megapixels")
# assumption: rate and unit name of models that are billed by compute time.
_GPU: Final = Price(0.00111, "compute seconds")

# fal: the language models that cost ten times as much as others (JavaScript client's types, 1.7.2).
_PREMIUM: Final = (
    "anthropic/claude-3.7-sonnet",
    "google/gemini-2.5-pro",
    "anthropic/claude-3-5-haiku",
    "openai/gpt-4o",
    "google/gemini-pro-1.5",
    "anthropic/claude-3.5-sonnet",
    "openai/gpt-4.1",
    "openai/gpt-5-chat",
    "openai/o3",
)

_MEASURED: Final[dict[str, Price]] = {
    "fal-ai/flux/schnell": _SCHNELL,
    "fal-ai/flux/dev": _DEV,
    "fal-ai/flux-1/schnell": _SCHNELL,
    "fal-ai/flux-1/dev": _DEV,
    # assumption: the prices of image-to-image and redux; a third-party price list has 0.025 and 0.003 (2026).
    "fal-ai/flux/dev/image-to-image": Price(0.03, "megapixels"),
    "fal-ai/flux/schnell/redux": _SCHNELL,
    # assumption: the price of flux-lora.
    "fal-ai/flux-lora": Price(0.035, "megapixels"),
    # fal: 0.04 per megapixel, from the same request (2026-01); 0.06 per image in several public price lists (2026).
    "fal-ai/flux-pro/v1.1": Price(0.04, "megapixels"),
    "fal-ai/flux-pro/v1.1-ultra": Price(0.06, "images"),
    # fal: 0.04 and 0.08 per image in several public price lists (2026).
    "fal-ai/flux-pro/kontext": Price(0.04, "images"),
    "fal-ai/flux-pro/kontext/max": Price(0.08, "images"),
    # fal: 0.012 per megapixel (a public cost tracker, 2026).
    # assumption: input images are not billed.
    "fal-ai/flux-2": Price(0.012, "megapixels"),
    "fal-ai/flux-2/edit": Price(0.012, "megapixels"),
    # fal: 0.03 for the first megapixel and 0.015 for each further one (a public cost tracker, 2026).
    # deviation: every megapixel of flux-2-pro has the price of the first.
    "fal-ai/flux-2-pro": Price(0.03, "megapixels"),
    "fal-ai/fast-sdxl": _GPU,
    "fal-ai/fast-sdxl/image-to-image": _GPU,
    "fal-ai/fast-lcm-diffusion": _GPU,
    "fal-ai/fast-turbo-diffusion": _GPU,
    "fal-ai/flux-2/klein/realtime": _GPU,
    # assumption: two prices per request, for all language models; the live price depends on the model.
    "fal-ai/any-llm": Price(0.001, "requests", dict.fromkeys(_PREMIUM, 0.01)),
}

# fal: prices that public packages have collected from fal's model pages: falaw 0.0.79 above, litellm 1.110.2 below
# (2026-08 to 2026-11). Where both have one, that of falaw. A row has the endpoint, its price, the unit, and the prices
# of other resolutions.
# assumption: prices by the token of elevenlabs are by the character, as on its own price list.
_COLLECTED: Final = """
bytedance/seedance-2.0/fast/image-to-video               0.0000112   tokens
bytedance/seedance-2.0/fast/reference-to-video           0.0000112   tokens
bytedance/seedance-2.0/fast/text-to-video                0.0000112   tokens
bytedance/seedance-2.0/image-to-video                    0.000014    tokens
bytedance/seedance-2.0/reference-to-video                0.000014    tokens
bytedance/seedance-2.0/text-to-video                     0.000014    tokens
fal-ai/ai-avatar                                         0.2         seconds
fal-ai/ai-avatar/multi                                   0.2         seconds
fal-ai/any-llm/vision                                    0.01        requests
fal-ai/birefnet/v2                                       0.005       images
fal-ai/bytedance/omnihuman/v1.5                          0.1         seconds
fal-ai/bytedance/seedance/v1.5/pro/image-to-video        0.0000024   tokens
fal-ai/bytedance/seedance/v1.5/pro/text-to-video         0.0000024   tokens
fal-ai/bytedance/seedance/v1/pro/image-to-video          0.0000025   tokens
fal-ai/bytedance/seedance/v1/pro/text-to-video           0.0000025   tokens
fal-ai/bytedance/seededit/v3/edit-image                  0.03        images
fal-ai/bytedance/seedream/v4.5/edit                      0.04        images
fal-ai/bytedance/seedream/v4.5/text-to-image             0.04        images
fal-ai/clarity-upscaler                                  0.03        megapixels
fal-ai/diffrhythm                                        0.001       seconds
fal-ai/elevenlabs/audio-isolation                        0.001666667 seconds
fal-ai/elevenlabs/sound-effects/v2                       0.002       seconds
fal-ai/elevenlabs/tts/multilingual-v2                    0.00018     characters
fal-ai/flux-kontext/dev                                  0.04        images
fal-ai/flux-pro                                          0.05        megapixels
fal-ai/hidream-i1-fast                                   0.01        megapixels
fal-ai/ideogram/v3                                       0.03        images
fal-ai/ideogram/v3/reframe                               0.03        images
fal-ai/kling-video/v1.5/pro/image-to-video               0.1         seconds
fal-ai/kling-video/v1.5/pro/text-to-video                0.1         seconds
fal-ai/kling-video/v1.5/standard                         0.045       seconds
fal-ai/kling-video/v2.1/master/image-to-video            0.28        seconds
fal-ai/ltx-video                                         0.02        requests
fal-ai/ltx-video/image-to-video                          0.02        requests
fal-ai/lyria2                                            0.003333333 seconds
fal-ai/minimax/hailuo-02/pro/image-to-video              0.08        seconds
fal-ai/mmaudio-v2/text-to-audio                          0.001       seconds
fal-ai/mochi-v1                                          0.4         requests
fal-ai/nano-banana-pro                                   0.15        images
fal-ai/omnigen-v2                                        0.15        megapixels
fal-ai/recraft/v3/text-to-image                          0.04        images
fal-ai/sana/sprint                                       0.0025      megapixels
fal-ai/stable-audio-3/medium/text-to-audio               0.0376      requests
fal-ai/stable-audio-3/small/sfx/text-to-audio            0.0206      requests
fal-ai/sync-lipsync/v2                                   0.05        seconds
fal-ai/veo3                                              0.4         seconds
mirelo-ai/sfx2.0/text-to-audio                           0.01        seconds
sonilo/v1.1/text-to-sound-effects                        0.0018      seconds

bria/text-to-image/3.2                                   0.0398      images
fal-ai/bytedance/dreamina/v3.1/text-to-image             0.03        images
fal-ai/bytedance/seedream/v3/text-to-image               0.03        images
fal-ai/flux-lora-depth                                   0.035       images
fal-ai/gemini-25-flash-image                             0.039       images
fal-ai/imagen4/preview                                   0.0398      images
fal-ai/imagen4/preview/fast                              0.02        images
fal-ai/imagen4/preview/ultra                             0.06        images
fal-ai/nano-banana                                       0.039       images
fal-ai/nano-banana-2                                     0.08        images  0.5k=0.06 1k=0.08 2k=0.12 4k=0.16
fal-ai/stable-diffusion-v35-medium                       0.0398      images
fal-ai/trellis                                           0.02        images
fal-ai/trellis-2                                         0.3         images  512=0.25 1024=0.3 1536=0.35
luma/agent/ray/v3.2/image-to-video                       0.03        seconds  1080p=0.24 720p=0.06
luma/agent/ray/v3.2/reframe                              0.06        seconds  1080p=0.36 720p=0.12
luma/agent/ray/v3.2/text-to-video                        0.1         seconds  1080p=0.4 720p=0.2
luma/agent/ray/v3.2/video-to-video                       0.144       seconds  1080p=0.432 720p=0.216
minimax/h3/reference-to-video                            0.13        seconds  480p=0.05 768p=0.06 2k=0.13 4k=0.16
minimax/h3/text-to-video                                 0.13        seconds  480p=0.05 768p=0.06 2k=0.13 4k=0.16
openai/gpt-image-2                                       0.145       images
openai/gpt-image-2/edit                                  0.151       images
"""


def _row(line: str) -> tuple[str, Price]:
    endpoint, unit_price, *words = line.split()
    variants = dict(word.split("=") for word in words if "=" in word)
    unit = next(unit for unit in get_args(Unit) if unit == words[0])
    return endpoint, Price(float(unit_price), unit, {name: float(value) for name, value in variants.items()})


PRICES: Final[dict[str, Price]] = dict(map(_row, filter(None, _COLLECTED.splitlines()))) | _MEASURED

# fal: language models of OpenRouter are billed by their tokens; the output states the cost.
# assumption: the unit of that price.
_OPENROUTER: Final = Price(1.0, "dollars")


def price(endpoint: str) -> Price | None:
    """The price of an endpoint; None if it is not known."""
    if endpoint == "openrouter/router" or endpoint.startswith("openrouter/router/"):
        return _OPENROUTER
    return PRICES.get(endpoint)


def units(
    price: Price | None,
    *,
    images: int = 1,
    width: int = 0,
    height: int = 0,
    seconds: float = 0.0,
    characters: int = 0,
    tokens: int = 0,
    run_duration: float = 0.0,
    dollars: float = 0.0,
    fields: Mapping[str, object] = _NO_FIELDS,
) -> int | float | None:
    """The billable units of a result, in the unit of its price; None if the price is not known.

    `images` of `width` x `height` pixels, or `seconds` of video or sound, were made, from `characters` of text. For
    `tokens`, see `video_tokens`. `run_duration` is in seconds, and `dollars` is the cost that the output states.
    `fields` is the input, which selects one of the price's variants.

    >>> units(Price(0.08, "images", {"4k": 0.16}), images=3, fields={"resolution": "4K"})
    6
    """
    if price is None:
        return None
    made: dict[Unit, int | float] = {
        "megapixels": images * math.ceil(width * height / MEGAPIXEL),
        "images": images,
        "seconds": int(seconds) if seconds == int(seconds) else seconds,
        "tokens": tokens,
        "characters": characters,
        "requests": 1,
        "compute seconds": run_duration,
        "dollars": dollars,
    }
    amount = made[price.unit]
    for name in _VARIANT_FIELDS:
        value = str(fields.get(name, "")).lower()
        if value in price.variants:
            # assumption: a variant with another price counts as more or fewer units, as fal's price has one rate only.
            amount = round(amount * price.variants[value] / price.unit_price, 9)
            return int(amount) if amount == int(amount) else amount
    return amount


def video_tokens(width: int, height: int, fps: float, seconds: float) -> int:
    """The tokens of a video, by which Seedance is billed.

    >>> video_tokens(1920, 1080, 24, 5)
    243000
    """
    # fal: width x height x frames a second x seconds / 1024 (model page of Seedance, 2026).
    return math.ceil(width * height * fps * seconds / 1024)
