"""The data file of the catalogue."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

import mock_fal.models.rows as rows_module
from mock_fal.models.rows import RowFile, built_in, entry_of, packed, row_in_order

DATA_FILE = Path(rows_module.__file__).with_name("catalogue.zip")

ROWS = [
    {"id": f"a/{number:03}", "category": "json", "input": {}, "output": {"const": number}}
    for number in range(100)
]


@pytest.fixture
def file(tmp_path: Path) -> RowFile:
    path = tmp_path / "rows.zip"
    path.write_bytes(packed(reversed(ROWS)))
    return RowFile(str(path))


def test_rows_are_read_back_in_the_order_of_their_ids(file: RowFile) -> None:
    assert list(file.rows()) == ROWS
    assert [entry.id for entry in file.entries()] == [row["id"] for row in ROWS]


@pytest.mark.parametrize("number", [0, 31, 32, 63, 64, 99])
def test_one_row_is_read_from_its_block(file: RowFile, number: int) -> None:
    assert file.row(f"a/{number:03}") == ROWS[number]


def test_an_unknown_id_has_no_row(file: RowFile) -> None:
    assert (file.row("a/b"), file.entry("a/b"), "a/b" in file) == (None, None, False)


def test_the_same_rows_give_the_same_bytes() -> None:
    assert packed(ROWS) == packed(reversed(ROWS))


def test_the_data_file_is_small_and_can_be_compared_line_by_line() -> None:
    assert DATA_FILE.stat().st_size <= 400_000
    with ZipFile(DATA_FILE) as archive:
        for name in archive.namelist():
            for line in archive.read(name).decode().splitlines():
                assert isinstance(json.loads(line), list if name == "index.jsonl" else dict)


def test_the_data_file_is_what_its_rows_give() -> None:
    """Unpacked: another version of zlib may compress in another way."""
    with ZipFile(DATA_FILE) as old, ZipFile(BytesIO(packed(built_in().rows()))) as new:
        assert [(item.filename, item.date_time) for item in old.infolist()] == [
            (item.filename, item.date_time) for item in new.infolist()
        ]
        assert all(old.read(name) == new.read(name) for name in old.namelist())


def test_members_without_a_value_are_left_out() -> None:
    row = {
        "output": {},
        "tags": [],
        "stream": False,
        "title": "",
        "input": {},
        "id": "a/b",
        "date": "2026-01-01",
    }
    assert list(row_in_order(row)) == ["id", "date", "input", "output"]


def test_the_index_has_what_lists_show() -> None:
    entry = entry_of({"id": "a/b", "title": "A", "stream": True})
    assert (entry.id, entry.title, entry.status, entry.stream, entry.realtime) == (
        "a/b",
        "A",
        "active",
        True,
        False,
    )


def test_every_row_states_its_source_and_date() -> None:
    for row in built_in().rows():
        assert row["evidence"] in ("openapi", "types", "types-merged", "fields")
        assert row["date"] >= "2024-11"
        assert row["category"]
