"""What the server counts, in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

import mock_fal
from mock_fal.emulator import Emulator
from mock_fal.requests.state import State, state
from mock_fal.webhooks.outbox import DeliveryState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# The labels of a sample, and its value.
Samples = Mapping[tuple[tuple[str, str], ...], float]


def metrics(emulator: Emulator, uptime_s: float) -> str:
    """The page. Counters never go down, whatever is forgotten or reset; gauges tell what is remembered now."""
    store, now = emulator.store, emulator.clock.now()
    states = Counter(state(request, now) for request in store.requests.values())
    deliveries = Counter(delivery.state for delivery in emulator.deliveries)
    exchanges: Samples = {
        (("host", kind.host), ("operation", kind.operation), ("status", str(kind.status))): count
        for kind, count in store.exchanges.totals().items()
    }
    families = [
        _family("build_info", "gauge", "The version that runs.", {(("version", mock_fal.__version__),): 1}),
        _family("uptime_seconds", "gauge", "Real seconds since the start.", {(): uptime_s}),
        _family("clock_seconds", "gauge", "The emulated time, in Unix seconds.", {(): now}),
        _family("http_requests_total", "counter", "HTTP requests that were answered.", exchanges),
        _family("submissions_total", "counter", "Requests that were taken.", {(): store.submitted}),
        _family("requests", "gauge", "Requests that are remembered.", _by_state(State, states)),
        _family("deliveries", "gauge", "Webhooks that are remembered.", _by_state(DeliveryState, deliveries)),
        _family("upload_bytes", "gauge", "What uploaded files take.", {(): emulator.uploaded_bytes}),
        _family("result_files", "gauge", "Files of results.", {(): len(store.files)}),
        _family("journal_exchanges", "gauge", "Exchanges in the journal.", {(): len(store.exchanges)}),
        _family("journal_bytes", "gauge", "The bodies in the journal.", {(): store.exchanges.body_bytes}),
    ]
    return "".join(families)


def _by_state(states: Iterable[Enum], counts: Mapping[Any, int]) -> Samples:
    return {(("state", each.value),): counts.get(each, 0) for each in states}


def _family(name: str, kind: str, help: str, samples: Samples) -> str:
    lines = [f"# HELP mock_fal_{name} {help}", f"# TYPE mock_fal_{name} {kind}"]
    for labels, value in sorted(samples.items()):
        inside = ",".join(f'{label}="{text}"' for label, text in labels)
        lines.append(f"mock_fal_{name}{{{inside}}} {value!r}" if inside else f"mock_fal_{name} {value!r}")
    return "\n".join(lines) + "\n"
