"""The estimated cost of requests."""

from __future__ import annotations

import pytest

from mock_fal.billing.prices import Price
from mock_fal.billing.usage import Charge, Ledger, Usage, UsageItem, usage
from mock_fal.clock import ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import InvalidDirective
from mock_fal.requests.queue import ModelRequest
from mock_fal.settings import Settings

SCHNELL = "fal-ai/flux/schnell"


class World:
    """An emulator with a manual clock, and helpers to submit and complete requests."""

    def __init__(self, **settings: object) -> None:
        self.clock = ManualClock()
        self.emulator = Emulator(Settings(queue_duration=2, run_duration=8, **settings), self.clock)  # type: ignore[arg-type]

    def submit(
        self, body: bytes = b'{"prompt": "a cat"}', endpoint: str = SCHNELL, key: str = "ana"
    ) -> ModelRequest:
        return self.emulator.submit(EndpointId.parse(endpoint), body, key)

    def complete(self, *bodies: bytes, endpoint: str = SCHNELL, key: str = "ana") -> None:
        for body in bodies or (b'{"prompt": "a cat"}',):
            self.submit(body, endpoint, key)
        self.clock.advance(10)

    def usage(self, key: str | None = None) -> Usage:
        return usage(self.emulator.charges(key))


def test_an_image_of_up_to_a_megapixel_costs_one_unit() -> None:
    world = World()
    world.complete()
    [item] = world.usage().items
    assert item == UsageItem(SCHNELL, 1, 1, "megapixels", 0.003, 0.003)
    assert world.usage().cost == 0.003


def test_the_cost_follows_the_number_and_size_of_images() -> None:
    world = World()
    world.complete(b'{"prompt": "a", "num_images": 3, "image_size": {"width": 2000, "height": 1000}}')
    assert world.usage().cost == 0.018


def test_some_models_are_billed_by_image() -> None:
    world = World()
    body = b'{"prompt": "a", "image_url": "https://a.example/a.png", "num_images": 2, "aspect_ratio": "21:9"}'
    world.complete(body, endpoint="fal-ai/flux-pro/kontext")
    assert world.usage().items == (("fal-ai/flux-pro/kontext", 1, 2, "images", 0.04, 0.08),)


def test_some_models_are_billed_by_second() -> None:
    world = World()
    world.complete(
        b'{"prompt": "a", "image_url": "https://a.example/a.png"}', endpoint="fal-ai/fast-sdxl/image-to-image"
    )
    assert world.usage().items == (
        ("fal-ai/fast-sdxl/image-to-image", 1, 8, "compute seconds", 0.00111, 0.00888),
    )


def test_a_request_is_not_billed_before_it_is_completed() -> None:
    world = World()
    world.submit()
    world.clock.advance(9.9)
    assert world.usage() == Usage(0, ())
    world.clock.advance(0.1)
    assert world.usage().cost == 0.003


@pytest.mark.parametrize(
    "body",
    [
        b'{"prompt": "a", "num_images": 9}',
        b'{"prompt": "a [mock: error=content_policy_violation]"}',
        b'{"prompt": "a [mock: error=runner_disconnected]"}',
    ],
)
def test_a_failed_request_costs_nothing(body: bytes) -> None:
    world = World()
    world.complete(body)
    assert world.usage().cost == 0


def test_a_cancelled_request_costs_nothing() -> None:
    world = World()
    waiting = world.submit()
    world.emulator.cancel(waiting)
    stopped = world.submit(b'{"prompt": "a [mock: cancel=honoured]"}')
    world.clock.advance(5)
    world.emulator.cancel(stopped)
    world.clock.advance(5)
    assert world.usage().cost == 0


def test_the_most_expensive_endpoint_is_first() -> None:
    world = World()
    world.complete(b'{"prompt": "a"}', b'{"prompt": "b"}')
    world.complete(endpoint="fal-ai/flux/dev")
    assert [(item.endpoint, item.requests) for item in world.usage().items] == [
        ("fal-ai/flux/dev", 1),
        (SCHNELL, 2),
    ]
    assert world.usage().cost == 0.031


def test_each_key_has_its_own_charges() -> None:
    world = World()
    world.complete(key="ana")
    world.complete(key="bob", endpoint="fal-ai/flux/dev")
    assert (world.usage("ana").cost, world.usage("bob").cost, world.usage("eve").cost) == (0.003, 0.025, 0)


def test_a_removed_request_keeps_its_charge() -> None:
    world = World(retention=2)
    for _ in range(7):
        world.complete()
    assert len(world.emulator.store.requests) == 2
    assert world.usage().items == ((SCHNELL, 7, 7, "megapixels", 0.003, 0.021),)


def test_a_removed_failed_request_has_no_charge() -> None:
    world = World(retention=1)
    for _ in range(3):
        world.complete(b"{}")
    assert world.usage().items == ()


def test_a_reset_removes_the_charges() -> None:
    world = World(retention=1)
    for key in ("ana", "bob", "bob"):
        world.complete(key=key)
    world.emulator.reset("ana")
    assert (world.usage("ana").cost, world.usage("bob").cost) == (0, 0.006)
    world.emulator.reset()
    assert world.usage().cost == 0


@pytest.mark.parametrize("key", ["ana", None])
def test_a_reset_removes_charges_that_were_not_counted_yet(key: str | None) -> None:
    world = World(retention=1)
    for _ in range(3):
        world.complete()
    world.emulator.reset(key)
    world.complete(key="bob")
    world.complete(key="bob")
    assert (world.usage("ana").cost, world.usage("bob").cost) == (0, 0.006)


def test_removed_requests_are_charged_however_many_there_are() -> None:
    world = World(retention=1)
    for _ in range(100):
        world.complete()
    assert world.usage().cost == 0.3


def test_sums_are_exact() -> None:
    charges = [Charge("ana", SCHNELL, 0.0, 1, 1)] * 1000
    assert usage(charges).cost == 3.0


def test_the_ledger_counts_by_the_minute() -> None:
    ledger = Ledger()
    for at in (0.0, 59.9, 60.0):
        ledger.add(Charge("ana", SCHNELL, at, 1, 2))
    assert list(ledger) == [("ana", SCHNELL, 0.0, 2, 4), ("ana", SCHNELL, 60.0, 1, 2)]


def test_a_full_ledger_counts_by_day_and_keeps_the_sum() -> None:
    ledger = Ledger(max_counters=3)
    for minute in range(10):
        ledger.add(Charge("ana", SCHNELL, 60.0 * minute, 1, 1))
    assert len(list(ledger)) <= 4
    assert sum(charge.requests for charge in ledger) == 10


def test_a_ledger_keeps_the_charges_of_many_keys() -> None:
    ledger = Ledger(max_counters=3)
    for number in range(10):
        ledger.add(Charge(f"key {number}", SCHNELL, 0.0, 1, 1))
    assert len(list(ledger)) == 10


def test_requests_whose_price_is_not_known_are_counted_apart() -> None:
    charges = [
        Charge("ana", "me/my-app", 0.0, 3, 0),
        Charge("ana", SCHNELL, 0.0, 1, 1),
        Charge("ana", "a/b", 0.0, 1, 0),
    ]
    total = usage(charges)
    assert (total.cost, total.unpriced) == (0.003, 4)
    assert total.items[1:] == (("a/b", 1, 0, None, None, None), ("me/my-app", 3, 0, None, None, None))


def test_a_removed_request_without_a_price_stays_counted() -> None:
    ledger = Ledger()
    ledger.add(Charge("ana", "me/my-app", 0.0, 1, 0))
    ledger.add(Charge("ana", "me/my-app", 1.0, 1, 0))
    assert usage(ledger).unpriced == 2


def test_a_cost_in_billionths_is_an_integer() -> None:
    assert Price(0.00111, "compute seconds").nano_usd(0.8) == 888_000


def test_a_model_error_is_billed_if_a_directive_says_so() -> None:
    world = World()
    world.complete(
        b'{"prompt": "[mock: error=content_policy_violation]"}',
        b'{"prompt": "[mock: error=content_policy_violation billed=2]"}',
    )
    assert world.usage().items == ((SCHNELL, 1, 2, "megapixels", 0.003, 0.006),)


@pytest.mark.parametrize("error_type", ["internal_server_error", "generation_timeout", "runner_disconnected"])
def test_a_failure_of_fal_can_not_be_billed(error_type: str) -> None:
    with pytest.raises(InvalidDirective, match=f"billed: {error_type} is HTTP 50"):
        World().submit(b'{"prompt": "[mock: error=%s billed=1]"}' % error_type.encode())
