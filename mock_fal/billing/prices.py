"""What fal asks for the work of each endpoint: so much a megapixel, a picture, a request or a second of a GPU."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

CURRENCY: Final = "USD"

Unit = Literal["megapixels", "images", "requests", "compute seconds"]

NANO: Final = 1_000_000_000


class Price(NamedTuple):
    """US dollars for each unit."""

    unit_price: float
    unit: Unit

    def nano_usd(self, units: float) -> int:
        """What so many units cost, in billionths of a dollar: sums of these are exact."""
        return round(units * round(self.unit_price * NANO))


# fal: 0.003 and 0.025 a megapixel, as `GET /v1/models/pricing` answered (2026-01), and billed so (2026-09).
_SCHNELL: Final = Price(0.003, "megapixels")
_DEV: Final = Price(0.025, "megapixels")
# assumption: the rate and the name of the unit of the models that pay for a GPU's time.
_GPU: Final = Price(0.00111, "compute seconds")

PRICES: Final[dict[str, Price]] = {
    "fal-ai/flux/schnell": _SCHNELL,
    "fal-ai/flux/dev": _DEV,
    "fal-ai/flux-1/schnell": _SCHNELL,
    "fal-ai/flux-1/dev": _DEV,
    # assumption: the prices of image-to-image and redux; a price list of others has 0.025 and 0.003 (2026).
    "fal-ai/flux/dev/image-to-image": Price(0.03, "megapixels"),
    "fal-ai/flux/schnell/redux": _SCHNELL,
    # assumption: the price of flux-lora.
    "fal-ai/flux-lora": Price(0.035, "megapixels"),
    # fal: 0.04 a megapixel, from the same call (2026-01); 0.06 a picture in several public price lists (2026).
    "fal-ai/flux-pro/v1.1": Price(0.04, "megapixels"),
    "fal-ai/flux-pro/v1.1-ultra": Price(0.06, "images"),
    # fal: 0.04 and 0.08 a picture, in several public price lists (2026).
    "fal-ai/flux-pro/kontext": Price(0.04, "images"),
    "fal-ai/flux-pro/kontext/max": Price(0.08, "images"),
    # fal: 0.012 a megapixel (a public cost tracker, 2026).
    # assumption: that pictures which are passed in cost nothing.
    "fal-ai/flux-2": Price(0.012, "megapixels"),
    "fal-ai/flux-2/edit": Price(0.012, "megapixels"),
    # fal: 0.03 for the first megapixel and 0.015 for each further one (a public cost tracker, 2026).
    # deviation: all megapixels of flux-2-pro cost the same.
    "fal-ai/flux-2-pro": Price(0.03, "megapixels"),
    "fal-ai/fast-sdxl": _GPU,
    "fal-ai/fast-sdxl/image-to-image": _GPU,
    "fal-ai/fast-lcm-diffusion": _GPU,
    # assumption: the price of a request, which differs from one language model to another.
    "fal-ai/any-llm": Price(0.001, "requests"),
}


def price(endpoint: str) -> Price:
    """The price of an endpoint."""
    # fal: what has no price of its own pays for the time of a GPU (fal's pricing documentation, 2026).
    return PRICES.get(endpoint, _GPU)
