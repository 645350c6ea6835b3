"""The data file of the catalogue: a ZIP of JSON lines, a row for each endpoint, in blocks that are read one by one."""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from zipfile import ZipFile

Row = dict[str, Any]

# Rows of one block: few enough to decode a block in 0.2 ms, enough for the compression to find what they share.
_BLOCK: Final = 32
_INDEX: Final = "index.jsonl"

# The members have the first date that a ZIP can state, so that the same rows give the same bytes.
_DATE: Final = (1980, 1, 1, 0, 0, 0)

# The members of a row in their order; a member without a value is left out.
_MEMBERS: Final = (
    "id",
    "title",
    "category",
    "status",
    "description",
    "tags",
    "group",
    "released",
    "evidence",
    "date",
    "seen",
    "changed",
    "format",
    "stream",
    "realtime",
    "event_name",
    "input",
    "output",
)

# The parts of a row that lists and searches need: in the index, so that they decode no row.
_INDEXED: Final = {
    "id": "",
    "category": "",
    "title": "",
    "status": "active",
    "description": "",
    "tags": [],
    "stream": False,
    "realtime": False,
}


class Entry(NamedTuple):
    """A row of the index."""

    id: str
    category: str
    title: str
    status: str
    description: str
    tags: Sequence[str]
    stream: bool
    realtime: bool


def entry_of(row: Row) -> Entry:
    """The row of the index for a row."""
    return Entry(*(row.get(name, default) for name, default in _INDEXED.items()))


def row_in_order(row: Row) -> Row:
    """A row with its members in order, without those that have no value."""
    return {
        name: row[name]
        for name in _MEMBERS
        if name in ("input", "output") or row.get(name) not in (None, "", False, [])
    }


class RowFile:
    """Reads the data file: its index now, and a block at the first use of one of its rows."""

    def __init__(self, path: str) -> None:
        from zipfile import ZipFile  # takes 5 ms, which the start of a server has no need for

        # All of it in memory: a file would stay open, and forked processes would share its position.
        with open(path, "rb") as file:
            self._zip = ZipFile(BytesIO(file.read()))
        # As lists: 1,700 named tuples take a millisecond.
        self._index: list[list[Any]] = _parsed(self._zip.read(_INDEX))
        self._position = {line[0]: number for number, line in enumerate(self._index)}

    def __contains__(self, endpoint: str) -> bool:
        return endpoint in self._position

    def entries(self) -> Iterator[Entry]:
        """The rows of the index."""
        return (Entry(*line) for line in self._index)

    def entry(self, endpoint: str) -> Entry | None:
        """The row of the index for an endpoint, or None."""
        number = self._position.get(endpoint)
        return None if number is None else Entry(*self._index[number])

    def row(self, endpoint: str) -> Row | None:
        """The row of an endpoint, or None."""
        number = self._position.get(endpoint)
        if number is None:
            return None
        row: Row = json.loads(self._block(number // _BLOCK).splitlines()[number % _BLOCK])
        return row

    def rows(self) -> Iterator[Row]:
        """All rows, in the order of the ids."""
        for block in range(-(-len(self._index) // _BLOCK)):
            yield from _parsed(self._block(block))

    def _block(self, number: int) -> bytes:
        return self._zip.read(_member(number))


def _parsed(lines: bytes) -> list[Any]:
    """The values of JSON lines, parsed at once."""
    values: list[Any] = json.loads(b"[%b]" % b",".join(lines.splitlines()))
    return values


@lru_cache(maxsize=1)
def built_in() -> RowFile:
    """The rows that come with the package."""
    return RowFile(os.path.join(os.path.dirname(__file__), "catalogue.zip"))


def packed(rows: Iterable[Row]) -> bytes:
    """The data file with these rows. The same rows give the same bytes, in any order."""
    from zipfile import ZIP_DEFLATED, ZipFile

    ordered = sorted(rows, key=lambda row: str(row["id"]))
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        _write(archive, _INDEX, map(entry_of, ordered))
        for start in range(0, len(ordered), _BLOCK):
            _write(archive, _member(start // _BLOCK), ordered[start : start + _BLOCK])
    return file.getvalue()


def _member(block: int) -> str:
    return f"rows/{block:03}.jsonl"


def _write(archive: ZipFile, name: str, lines: Iterable[Any]) -> None:
    from zipfile import ZIP_DEFLATED, ZipInfo

    member = ZipInfo(name, _DATE)
    member.compress_type = ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    texts = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)
    archive.writestr(member, "".join(f"{text}\n" for text in texts), ZIP_DEFLATED, 9)
