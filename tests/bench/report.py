"""The report: tables for a terminal and for `docs/performance.md`, and a picture of the ratios."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from tests.bench.figures import Figure, Growth, Key, Loads, median

Row = Sequence[str]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def figure_row(figure: Figure) -> Row:
    goal = f"{figure.sign} {_number(figure.limit)}" if figure.sign else ""
    verdict = ("met" if figure.is_met else "**missed**") if figure.sign else ""
    return [figure.name, f"{_number(figure.value)} {figure.unit}", goal, verdict, figure.detail]


FIGURES_HEAD: Final = ("figure", "measured", "goal", "", "of")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


LOADS_HEAD: Final = ("connections", "server", "operation", "requests/s", "× bare app", "p50 ms", "p99 ms")


def load_rows(loads: Loads) -> Iterable[Row]:
    for key in sorted(loads, key=lambda key: key.connections):
        bare = median(loads, Key("bare", "hello", key.connections), lambda load: load.per_second)
        rate = median(loads, key, lambda load: load.per_second)
        p50 = median(loads, key, lambda load: load.p50_ms)
        p99 = median(loads, key, lambda load: load.p99_ms)
        yield [
            str(key.connections),
            key.server,
            key.operation,
            f"{rate:,.0f}",
            f"{rate / bare:.2f}",
            f"{p50:.2f}",
            f"{p99:.2f}",
        ]


GROWTH_HEAD: Final = ("requests", "status/s", "× bare app", "p50 ms", "p99 ms", "RSS MB")


def growth_rows(points: Iterable[Growth]) -> Iterable[Row]:
    for point in points:
        yield [
            f"{point.requests:,}",
            f"{point.status_per_second:,.0f}",
            f"{point.ratio:.2f}",
            f"{point.p50_ms:.2f}",
            f"{point.p99_ms:.2f}",
            f"{point.rss_mb:.0f}",
        ]


# -- the picture

_WIDTH, _BAR, _GAP, _LEFT, _TOP = 720, 16, 6, 190, 56
_COLOURS: Final = {"mock-fal": "#2f6f9f", "aimock": "#c58b3a", "bare": "#8a8f98", "nginx": "#c9ccd1"}


def bars(loads: Loads, connections: int) -> str:
    """An SVG of bars: the requests a second of each server and operation. A line marks the bare application."""
    keys = sorted(
        (key for key in loads if key.connections == connections),
        key=lambda key: (list(_COLOURS).index(key.server), list(loads).index(key)),
    )
    rates = {key: median(loads, key, lambda load: load.per_second) for key in keys}
    scale = (_WIDTH - _LEFT - 90) / max(rates.values())
    height = _TOP + len(keys) * (_BAR + _GAP) + 14
    bare_x = _LEFT + rates[Key("bare", "hello", connections)] * scale
    title = f"Requests a second, {connections} connections, one processor"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="15" font-weight="bold" fill="#222">{escape(title)}</text>',
        '<text x="16" y="44" fill="#666">The line is a bare Starlette application on uvicorn.</text>',
    ]
    for number, (key, rate) in enumerate(rates.items()):
        y = _TOP + number * (_BAR + _GAP)
        label = key.server if key.operation == "hello" else f"{key.server}, {key.operation}"
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end" fill="#222">{escape(label)}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{rate * scale:.1f}" height="{_BAR}" fill="{_COLOURS[key.server]}"/>',
            f'<text x="{_LEFT + rate * scale + 6:.1f}" y="{y + 12}" fill="#444">{rate:,.0f}</text>',
        ]
    parts += [
        f'<line x1="{bare_x:.1f}" y1="{_TOP - 4}" x2="{bare_x:.1f}" y2="{height - 12}" stroke="#444" '
        'stroke-dasharray="3 3"/>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
