"""Files with endpoints, for `--models`: OpenAPI documents of fal, pages of its listing, and imported rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mock_fal.endpoint import EndpointId
from mock_fal.errors import SettingsError
from mock_fal.models.documents import BadDocument, row_of, row_of_listing, row_of_row
from mock_fal.models.overrides import marked
from mock_fal.models.rows import Row
from mock_fal.regular_file import read_regular_file

if TYPE_CHECKING:
    from mock_fal.models.workflow import Workflow

# A page of fal's listing with 100 documents has about 3 MB, the whole listing about 40 MB.
MAX_BYTES: Final = 64 << 20
MAX_ROWS: Final = 10_000

_EXPECTED: Final = (
    'an OpenAPI document of fal, a page of its listing ({"models": […]}), imported endpoints, '
    "or a list of these"
)


def read_file(file: str) -> tuple[list[Row], dict[str, Workflow]]:
    """The rows and the workflows of a file. Raises SettingsError with one line that says what is wrong."""
    try:
        data = read_regular_file(Path(file), MAX_BYTES)
        if b'"workflows"' in data or b'"contents"' in data:
            from mock_fal.models.workflow import load_text  # rarely used

            found = load_text(data)
            if found is not None:
                return [], found
        return rows_of(data), {}
    except OSError as error:
        raise SettingsError(f"--models {file}: {error.strerror or error}") from None
    except ValueError as error:  # BadDocument and InvalidWorkflow are two
        raise SettingsError(f"--models {file}: {error}") from None


def rows_of(data: bytes) -> list[Row]:
    """The rows of a JSON text. Of two with the same id, the last one counts. Raises BadDocument."""
    try:
        content = json.loads(data)
    except ValueError as error:
        raise BadDocument(f"not JSON: {error}; expected {_EXPECTED}") from None
    except RecursionError:
        raise BadDocument("its JSON is nested too deeply") from None
    rows: dict[str, Row] = {}
    try:
        for row in _rows(content):
            rows[row["id"]] = _checked(row)
            if len(rows) > MAX_ROWS:
                raise BadDocument(f"it has more than {MAX_ROWS:,} endpoints")
    except RecursionError:
        raise BadDocument("its JSON is nested too deeply") from None
    if not rows:
        raise BadDocument(f"it has no endpoint; expected {_EXPECTED}")
    return list(rows.values())


def written(rows: Iterable[Row]) -> str:
    """A file with rows, one a line, sorted by id."""
    lines = (
        json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        for row in sorted(rows, key=lambda row: str(row["id"]))
    )
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _rows(content: Any) -> Iterator[Row]:
    if isinstance(content, list):
        for item in content:
            yield from _rows(item)
    elif isinstance(content, dict) and isinstance(content.get("models"), list):
        yield from map(row_of_listing, content["models"])
    elif isinstance(content, dict) and "openapi" in content:
        yield row_of_listing(content) if "endpoint_id" in content else row_of(content)
    elif isinstance(content, dict) and "id" in content and "input" in content:
        yield row_of_row(content)
    else:
        seen = f"members {', '.join(content)}" if isinstance(content, dict) else type(content).__name__
        raise BadDocument(f"found {seen:.200}, expected {_EXPECTED}")


def _checked(row: Row) -> Row:
    try:
        row["id"] = str(EndpointId.parse(row["id"]))
    except ValueError as error:
        raise BadDocument(str(error)) from None
    return marked(row)
