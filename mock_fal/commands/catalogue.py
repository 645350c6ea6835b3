"""`make catalogue`: rebuild the data file of the catalogue from a Platform API, the live one by default."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from mock_fal.commands.download import Download, download
from mock_fal.errors import MockFalError, SettingsError
from mock_fal.models import rows
from mock_fal.models.documents import BadDocument, row_of_listing, without_prose
from mock_fal.models.overrides import corrected
from mock_fal.models.rows import Row, packed
from mock_fal.terminal import printable

_FILE: Final = Path(rows.__file__).with_name("catalogue.zip")
_LIVE: Final = "https://api.fal.ai/v1"

_MAX_PAGE_BYTES: Final = 64 << 20
_MAX_PAGES: Final = 1000
_PAGE: Final = 50

Fetch = Callable[[str], Download]


def listed_rows(base_url: str, fetch: Fetch) -> Iterator[Row]:
    """The rows of all models that a Platform API lists. Raises SettingsError."""
    for status in ("active", "deprecated"):
        cursor: str | None = ""
        for _ in range(_MAX_PAGES):
            query = {"expand": "openapi-3.0", "limit": str(_PAGE), "status": status}
            url = f"{base_url.rstrip('/')}/models?{urlencode(query | ({'cursor': cursor} if cursor else {}))}"
            page, date = fetch(url)
            document = _page(page, url)
            yield from (_row(item, date, url) for item in document["models"])
            cursor = document.get("next_cursor")
            if not document.get("has_more") or not isinstance(cursor, str):
                break
        else:
            raise SettingsError(f"{url}: more than {_MAX_PAGES} pages")


def _page(data: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise SettingsError(f"{url}: not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("models"), list):
        raise SettingsError(f"{url}: expected an object with a list of models")
    return document


def _row(item: Any, date: str, url: str) -> Row:
    try:
        row = row_of_listing(item)
    except BadDocument as error:
        raise SettingsError(f"{url}: {error}") from None
    # A document of fal has no date: it is of the day on which it was read.
    days = {"date": row.get("date") or date, "seen": row.get("seen") or date}
    schemas = {name: without_prose(row[name]) for name in ("input", "output")}
    return corrected({**row, **days, **schemas})


def rebuilt(listed: Iterable[Row], present: Iterable[Row] = ()) -> bytes:
    """The data file of the listed rows, and of those present ones that are not listed any more."""
    return packed({row["id"]: row for row in [*present, *listed]}.values())


def main(arguments: Sequence[str]) -> int:
    """Rebuild the file. Exit code 2 and one line on stderr for what goes wrong."""
    parser = argparse.ArgumentParser(prog="make catalogue", description=__doc__)
    parser.add_argument("--url", default=_LIVE, help="base URL of the Platform API (default: %(default)s)")
    parser.add_argument("--key", default=os.environ.get("FAL_KEY", ""), help="key (default: FAL_KEY)")
    parser.add_argument(
        "--only-listed", action="store_true", help="drop endpoints that are not listed any more"
    )
    parser.add_argument("-o", "--output", default=str(_FILE), help="file to write (default: the package's)")
    options = parser.parse_args(arguments)
    try:
        listed = list(listed_rows(options.url, lambda url: download(url, _MAX_PAGE_BYTES, options.key)))
        present = [] if options.only_listed else rows.built_in().rows()
        data = rebuilt(listed, present)
        Path(options.output).write_bytes(data)
    except (MockFalError, OSError) as error:
        sys.stderr.write(f"make catalogue: {printable(str(error))}\n")
        return 2
    sys.stderr.write(f"{options.output}: {len(listed)} listed endpoints, {len(data):,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
