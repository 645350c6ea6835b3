"""The generated tables of docs/reference. `python -m tests.generated_docs` (or `make docs`) rewrites them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

from mock_fal.billing.prices import price
from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.models.catalog import FAMILIES, REALTIME, STREAMING, schema
from mock_fal_contracts.cli import main

REFERENCE: Final = Path(__file__).parent.parent / "docs/reference"


def errors() -> str:
    """Every error type of `error=TYPE`, with its HTTP status."""
    kinds = [
        *((name, "model", kind.status) for name, kind in MODEL_ERRORS.items()),
        *((name, "request", kind.status) for name, kind in REQUEST_ERRORS.items()),
    ]
    return _table(("type", "kind", "status"), ((f"`{name}`", kind, status) for name, kind, status in kinds))


def endpoints() -> str:
    """Every endpoint, with its required inputs, its price, and whether it streams or is realtime."""
    return _table(("endpoint", "required input", "price", "also"), map(_endpoint, FAMILIES))


def _endpoint(endpoint: str) -> tuple[str, str, str, str]:
    inputs = schema(endpoint).input.model_fields.items()
    required = ", ".join(f"`{field.alias or name}`" for name, field in inputs if field.is_required())
    rate = price(endpoint)
    also = [
        *(["`/stream`"] if endpoint in STREAMING else []),
        *(["`/realtime`"] if endpoint.removesuffix("/realtime") in REALTIME else []),
    ]
    unit = {"megapixels": "megapixel", "images": "image", "requests": "request"}.get(
        rate.unit, "second of compute"
    )
    return f"`{endpoint}`", required, f"{rate.unit_price:g} per {unit}", ", ".join(also)


def rules() -> str:
    """Every usage rule."""
    return _cases("a correct program …", listed((), ["CMD"]))


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
    "rules": ("usage-rules.md", rules),
    "invariants": ("cases.md", invariants),
    "operations": ("cases.md", operations),
    "clients": ("cases.md", clients),
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
