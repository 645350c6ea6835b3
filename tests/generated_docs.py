"""The generated tables of docs/reference, and the types of the npm package. `make docs` rewrites them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

from mock_fal.billing.prices import PRICES, Price
from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.models.catalog import Catalog
from mock_fal.models.guide import price_text
from mock_fal.models.rows import Entry
from mock_fal_contracts.cli import main
from tests.licences import packages
from tests.node_package.control_types import FILE as TYPES
from tests.node_package.control_types import control_types

REFERENCE: Final = Path(__file__).parent.parent / "docs/reference"


def errors() -> str:
    """Every error type of `error=TYPE`, with its HTTP status."""
    kinds = [
        *((name, "model", kind.status) for name, kind in MODEL_ERRORS.items()),
        *((name, "request", kind.status) for name, kind in REQUEST_ERRORS.items()),
    ]
    return _table(("type", "kind", "status"), ((f"`{name}`", kind, status) for name, kind, status in kinds))


def endpoints() -> str:
    """The number of endpoints of each category, and of those that stream or are realtime."""
    entries: dict[str, list[Entry]] = {}
    for entry in Catalog().entries():
        entries.setdefault(entry.category or "unknown", []).append(entry)
    rows = (
        (
            f"`{category}`",
            len(group),
            sum(entry.stream for entry in group) or "",
            sum(entry.realtime for entry in group) or "",
        )
        for category, group in sorted(entries.items(), key=lambda item: -len(item[1]))
    )
    return _table(("category", "endpoints", "with `/stream`", "with `/realtime`"), rows)


def also() -> str:
    """The endpoints with a path `/stream` or `/realtime`."""
    rows = (
        (f"`{entry.id}`", ", ".join(["`/stream`"] * entry.stream + ["`/realtime`"] * entry.realtime))
        for entry in Catalog().entries()
        if entry.stream or entry.realtime
    )
    return _table(("endpoint", "also"), rows)


def prices() -> str:
    """Every endpoint whose price is known."""
    rows = ((f"`{endpoint}`", _priced(rate)) for endpoint, rate in sorted(PRICES.items()))
    return _table(("endpoint", "price"), rows)


def _priced(rate: Price) -> str:
    """A price in words, and in brackets the prices of other resolutions, or only those of other models."""
    others = {name: value for name, value in rate.variants.items() if value != rate.unit_price}
    if len(set(others.values())) < len(others):
        texts = [f"${value:g}" for value in sorted(set(others.values()))]
    else:
        texts = [f"{name} ${value:g}" for name, value in others.items()]
    return price_text(rate) + (f" ({', '.join(texts)})" if texts else "")


def rules() -> str:
    """Every usage rule, with the level of its findings."""
    rows = ((f"`{id}`", *text.split(maxsplit=1)) for id, text in listed((), ["CMD"]))
    return _table(("id", "level", "a correct program …"), rows)


def invariants() -> str:
    """Every invariant of a server."""
    return _cases("invariant", listed(("--only", "invariant.*")))


def operations() -> str:
    """Every operation of `openapi/`, by API surface."""
    surfaces: dict[str, list[str]] = {}
    for id, _ in listed(("--only", "spec.*")):
        _, surface, operation = id.split(".")
        surfaces.setdefault(surface, []).append(f"`{operation}`")
    rows = ((f"`spec.{name}`", ", ".join(names)) for name, names in surfaces.items())
    return _table(("surface", "operations"), rows)


def clients() -> str:
    """Every case for a client."""
    return _cases("case", listed(("--client", "CMD")))


def licences() -> str:
    """Every package that is needed at run time, with its licence."""
    rows = ((f"`{package.name}`", package.licence, package.needed_by) for package in packages())
    return _table(("package", "licence", "needed by"), rows)


def listed(flags: Iterable[str], command: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The ids and titles that `mock-fal check --list` prints."""
    output = io.StringIO()
    with redirect_stdout(output):
        assert main(["--list", *flags], command) == 0
    rows = (line.partition(" ") for line in output.getvalue().splitlines())
    return [(id, title.strip()) for id, _, title in rows]


def _cases(title: str, cases: Iterable[tuple[str, str]]) -> str:
    return _table(("id", title), ((f"`{id}`", text) for id, text in cases))


def _table(titles: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


TABLES: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "errors": ("directives.md", errors),
    "endpoints": ("endpoints.md", endpoints),
    "also": ("endpoints.md", also),
    "prices": ("prices.md", prices),
    "rules": ("usage-rules.md", rules),
    "invariants": ("cases.md", invariants),
    "operations": ("cases.md", operations),
    "clients": ("cases.md", clients),
    "licences": ("licences.md", licences),
}


def generated(name: str) -> str:
    """The document of a table, as it should be."""
    file, table = TABLES[name]
    text = (REFERENCE / file).read_text("utf-8")
    begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    assert pattern.search(text), f"{file} has no place for the table {name}"
    return pattern.sub(lambda _: begin + table() + end, text)


if __name__ == "__main__":
    for name, (file, _) in TABLES.items():
        (REFERENCE / file).write_text(generated(name), "utf-8")
    TYPES.write_text(control_types(), "utf-8")
