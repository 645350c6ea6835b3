"""Measures everything and prints one table: `python -m tests.bench [--quick] [--write]`. A missed goal: exit code 1.

`--write` puts the tables and a picture into docs/performance.md and docs/performance.svg. `make bench` does so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Final

from tests.bench import figures, report
from tests.bench.figures import FULL, QUICK, Figure, Grown
from tests.bench.programs import FOLDER

DOCS: Final = Path(__file__).parents[2] / "docs"

_TOOLS: Final = ("wrk", "nginx", "node", "taskset")

_PAGE: Final = """\
# Performance

Written by `make bench` on {day}: {machine}, Python {python}.
The load average was {busy:.1f} at the start. Above 2, other programs were at work, and only the ratios count.

`make bench-quick` measures the most important figures in a minute.

Each figure is measured beside its reference in the same run, in alternating blocks; a ratio is the median of the ratios
of the blocks. The server has one processor, the load, `wrk`, another one. mock-fal runs with `--queue-duration 0
--run-duration 0`, so that a lifecycle is a submission, a status and a result. The references:

- *bare*: a Starlette application on uvicorn that answers every request with the same JSON;
- *aimock*: [aimock](https://aimock.copilotkit.dev), a mock server for Node that knows fal's queue;
- *nginx*, with a fixed answer: the limit.

## Goals

{goals}

## Requests a second

![Requests a second](performance.svg)

{loads}

## Growth

Requests that are completed and remembered (`--retention 2000000`); a status poll on one connection.

{remembered}

Requests in flight (`--runners 1`): all but one wait in the queue, and the poll asks for the position of one.

{in_flight}
"""


def main() -> int:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the most important figures, in a minute")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its picture")
    options = parser.parse_args()
    # As on a user's machine: else each start compiles all modules.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing or not (FOLDER / "node" / "node_modules").is_dir():
        raise SystemExit(f"missing: {', '.join(missing) or 'aimock'}; `make bench` installs it")
    effort, busy = QUICK if options.quick else FULL, os.getloadavg()[0]
    loads = figures.throughput(effort, _say)
    found = [
        *figures.throughput_figures(loads),
        *figures.start_figures(effort, _say),
        *figures.picture_figures(effort),
    ]
    remembered = figures.growth(effort.remembered, effort, _say)
    in_flight = figures.growth(effort.in_flight, effort, _say, "--runners", "1", "--run-duration", "1000000")
    found += [
        *figures.growth_figures(remembered, in_flight),
        *figures.event_loop_figures(effort, _say),
    ]
    page = _page(busy, found, loads, remembered, in_flight)
    sys.stdout.write(
        page.partition("## Goals\n\n")[2].replace("![Requests a second](performance.svg)\n\n", "")
    )
    if options.write:
        (DOCS / "performance.md").write_text(page, encoding="utf-8")
        (DOCS / "performance.svg").write_text(report.bars(loads, 16), encoding="utf-8")
    return 0 if all(figure.is_met for figure in found) else 1


def _page(busy: float, found: list[Figure], loads: figures.Loads, remembered: Grown, in_flight: Grown) -> str:
    return _PAGE.format(
        busy=busy,
        day=date.today().isoformat(),
        machine=figures.machine(),
        python=sys.version.split()[0],
        goals=report.table(report.FIGURES_HEAD, map(report.figure_row, found)),
        loads=report.table(report.LOADS_HEAD, report.load_rows(loads)),
        remembered=_grown(remembered),
        in_flight=_grown(in_flight),
    )


def _grown(grown: Grown) -> str:
    rows = report.table(report.GROWTH_HEAD, report.growth_rows(grown.points))
    return f"{rows}\n\n{grown.note[:1].upper()}{grown.note[1:]}." if grown.note else rows


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
