from __future__ import annotations

import pytest

from mock_fal.billing.prices import PRICES, Price, price, units, video_tokens
from mock_fal.models.catalog import Catalog

# Priced endpoints without a known schema: they have a price if a user adds them with `--models`.
WITHOUT_SCHEMA = {"fal-ai/flux-pro", "fal-ai/kling-video/v1.5/standard", "mirelo-ai/sfx2.0/text-to-audio"}


def test_the_prices_are_of_known_endpoints() -> None:
    assert set(PRICES) - set(Catalog().ids()) <= WITHOUT_SCHEMA


@pytest.mark.parametrize("rate", PRICES.values(), ids=PRICES)
def test_a_price_is_above_zero_and_below_a_dollar(rate: Price) -> None:
    for value in (rate.unit_price, *rate.variants.values()):
        assert 0 < value < 1
        assert rate._replace(unit_price=value).nano_usd(1) > 1000


@pytest.mark.parametrize("endpoint", ["me/my-app", "fal-ai/whisper", "openrouter/routers"])
def test_a_price_that_is_not_known_is_none(endpoint: str) -> None:
    assert price(endpoint) is None
    assert units(price(endpoint), images=4, run_duration=8) is None


MADE = {
    "images": 3,
    "width": 1001,
    "height": 1000,
    "seconds": 5.5,
    "characters": 40,
    "tokens": 108_000,
    "run_duration": 8.0,
    "dollars": 0.0005,
}


@pytest.mark.parametrize(
    ("endpoint", "expected", "nano_usd"),
    [
        ("fal-ai/nano-banana", 3, 117_000_000),
        ("fal-ai/clarity-upscaler", 6, 180_000_000),
        ("fal-ai/veo3", 5.5, 2_200_000_000),
        ("fal-ai/elevenlabs/tts/multilingual-v2", 40, 7_200_000),
        ("bytedance/seedance-2.0/text-to-video", 108_000, 1_512_000_000),
        ("fal-ai/mochi-v1", 1, 400_000_000),
        ("fal-ai/fast-sdxl", 8.0, 8_880_000),
        ("openrouter/router/vision", 0.0005, 500_000),
    ],
)
def test_units_follow_what_was_made(endpoint: str, expected: float, nano_usd: int) -> None:
    rate = price(endpoint)
    assert rate is not None
    assert units(rate, **MADE) == expected  # type: ignore[arg-type]
    assert rate.nano_usd(expected) == nano_usd


@pytest.mark.parametrize(
    ("endpoint", "fields", "nano_usd"),
    [
        ("fal-ai/nano-banana-2", {"resolution": "4K"}, 160_000_000),
        ("fal-ai/nano-banana-2", {"resolution": "0.5K"}, 60_000_000),
        ("fal-ai/nano-banana-2", {"resolution": "8K"}, 80_000_000),
        ("fal-ai/nano-banana-2", {}, 80_000_000),
        ("fal-ai/trellis-2", {"resolution": 1536}, 350_000_000),
        ("luma/agent/ray/v3.2/text-to-video", {"resolution": "1080p"}, 400_000_000),
        ("fal-ai/any-llm", {"model": "openai/gpt-4o"}, 10_000_000),
        ("fal-ai/any-llm", {"model": "openai/gpt-4o-mini"}, 1_000_000),
    ],
)
def test_a_variant_costs_more_or_less(endpoint: str, fields: dict[str, object], nano_usd: int) -> None:
    rate = price(endpoint)
    assert rate is not None
    amount = units(rate, seconds=1.0, fields=fields)
    assert amount is not None
    assert rate.nano_usd(amount) == pytest.approx(nano_usd, abs=2)


def test_a_video_is_billed_by_its_pixels_and_frames() -> None:
    assert video_tokens(1280, 720, 24, 5) == 108_000
