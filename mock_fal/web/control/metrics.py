"""Metrics in the Prometheus text format, version 0.0.4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

import mock_fal
from mock_fal.emulation.emulator import Emulator
from mock_fal.journal.exchanges import kind_of
from mock_fal.requests.state import State, state
from mock_fal.web.control.wire import slices
from mock_fal.web.unbuilt import build_all
from mock_fal.webhooks.outbox import DeliveryState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# The requests or exchanges that are counted between two looks at the time.
_SLICE: Final = 50

# Labels -> value.
Samples = Mapping[tuple[tuple[str, str], ...], float]


async def metrics(emulator: Emulator, uptime_s: float) -> str:
    """All metrics, counted in slices, so that other requests don't wait.

    Counters never decrease, not even after a reset; gauges have the current values.
    """
    store, now = emulator.store, emulator.clock.now()
    await build_all(store)
    removed, stored = store.exchanges.removed, list(store.exchanges)  # both of the same moment
    states = Counter([state(request, now) async for request in slices(list(store.requests.values()), _SLICE)])
    deliveries = Counter([delivery.state async for delivery in slices(emulator.deliveries, _SLICE)])
    totals = removed + Counter([kind_of(exchange) async for exchange in slices(stored, _SLICE)])
    exchanges: Samples = {
        (("host", kind.host), ("operation", kind.operation), ("status", str(kind.status))): count
        for kind, count in totals.items()
    }
    families = [
        _family("build_info", "gauge", "The version of mock-fal.", {(("version", mock_fal.__version__),): 1}),
        _family("uptime_seconds", "gauge", "Real seconds since the start.", {(): uptime_s}),
        _family("clock_seconds", "gauge", "The emulated time, in Unix seconds.", {(): now}),
        _family("http_requests_total", "counter", "HTTP requests with a response.", exchanges),
        _family("submissions_total", "counter", "Accepted requests to models.", {(): store.submitted}),
        _family("requests", "gauge", "Requests to models in the store, by state.", _by_state(State, states)),
        _family(
            "deliveries",
            "gauge",
            "Webhook deliveries in the outbox, by state.",
            _by_state(DeliveryState, deliveries),
        ),
        _family("upload_bytes", "gauge", "Size of uploaded files.", {(): emulator.uploaded_bytes}),
        _family("result_files", "gauge", "Result files in the store.", {(): len(store.files)}),
        _family("journal_exchanges", "gauge", "HTTP exchanges in the journal.", {(): len(store.exchanges)}),
        _family(
            "journal_bytes", "gauge", "Size of all bodies in the journal.", {(): store.exchanges.body_bytes}
        ),
    ]
    return "".join(families)


def _by_state(states: Iterable[Enum], counts: Mapping[Any, int]) -> Samples:
    return {(("state", state.value),): counts.get(state, 0) for state in states}


def _family(name: str, kind: str, help: str, samples: Samples) -> str:
    lines = [f"# HELP mock_fal_{name} {help}", f"# TYPE mock_fal_{name} {kind}"]
    for labels, value in sorted(samples.items()):
        label_text = ",".join(f'{label}="{text}"' for label, text in labels)
        lines.append(
            f"mock_fal_{name}{{{label_text}}} {value!r}" if label_text else f"mock_fal_{name} {value!r}"
        )
    return "\n".join(lines) + "\n"
