"""Files with endpoints, for `--models`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mock_fal.errors import JSON, SettingsError
from mock_fal.models import model_files
from mock_fal.models.documents import BadDocument
from mock_fal.models.model_files import read_file, rows_of, written
from mock_fal.models.rows import built_in
from tests.models.test_documents import ID, document

DOCUMENT = document({"type": "object", "properties": {"prompt": {"type": "string"}}})
LISTED = {"endpoint_id": "me/other", "metadata": {"category": "json"}, "openapi": DOCUMENT}
ROW = {"id": "me/third", "input": {}, "output": {}, "category": "json"}


def ids(content: JSON) -> list[str]:
    return [row["id"] for row in rows_of(json.dumps(content).encode())]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (DOCUMENT, [ID]),
        ({"models": [LISTED], "next_cursor": None}, ["me/other"]),
        (LISTED, ["me/other"]),
        (ROW, ["me/third"]),
        ([DOCUMENT, {"models": [LISTED]}, ROW], [ID, "me/other", "me/third"]),
    ],
)
def test_documents_pages_and_rows_are_read(content: JSON, expected: list[str]) -> None:
    assert ids(content) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON: .*; expected an OpenAPI document of fal"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b"[]", "it has no endpoint; expected"),
        (b'{"a": 1, "b": 2}', "found members a, b, expected an OpenAPI document"),
        (b"3", "found int, expected"),
        (b'{"id": "x", "input": {}, "output": {}}', "'x' is not an endpoint id"),
        (b'{"models": [{"endpoint_id": "a/b"}]}', "a/b has no document"),
    ],
)
def test_a_bad_file_is_one_line(content: bytes, message: str) -> None:
    with pytest.raises(BadDocument, match=message) as raised:
        rows_of(content)
    assert "\n" not in str(raised.value)


def test_the_number_of_endpoints_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "MAX_ROWS", 1)
    with pytest.raises(BadDocument, match="more than 1 endpoints"):
        ids([DOCUMENT, ROW])


def test_the_size_of_a_file_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "MAX_BYTES", 10)
    path = tmp_path / "models.json"
    path.write_text(json.dumps(ROW))
    with pytest.raises(SettingsError, match=r"^--models .*models\.json: it has \d+ bytes, the limit is 10$"):
        read_file(str(path))


def test_a_written_file_gives_the_same_rows() -> None:
    rows = list(built_in().rows())
    text = written(reversed(rows))
    assert rows_of(text.encode()) == rows
    assert len(text.splitlines()) == len(rows) + 2
