"""The price of each endpoint, by megapixel, image, request or second of compute."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

CURRENCY: Final = "USD"

Unit = Literal["megapixels", "images", "requests", "compute seconds"]

NANO: Final = 1_000_000_000


class Price(NamedTuple):
    """A price in US dollars per unit."""

    unit_price: float
    unit: Unit

    def nano_usd(self, units: float) -> int:
        """The cost of `units` in billionths of a dollar, as an integer so that sums are exact."""
        return round(units * round(self.unit_price * NANO))


# fal: 0.003 and 0.025 per megapixel, from `GET /v1/models/pricing` (2026-01) and a bill (2026-09).
_SCHNELL: Final = Price(0.003, "megapixels")
_DEV: Final = Price(0.025, "megapixels")
# assumption: rate and unit name of models that are billed by compute time.
_GPU: Final = Price(0.00111, "compute seconds")

PRICES: Final[dict[str, Price]] = {
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
    # assumption: one price per request for all language models; the live price depends on the model.
    "fal-ai/any-llm": Price(0.001, "requests"),
}


def price(endpoint: str) -> Price:
    """The price of an endpoint."""
    # fal: an endpoint without a price is billed by compute time (pricing documentation, 2026).
    return PRICES.get(endpoint, _GPU)
