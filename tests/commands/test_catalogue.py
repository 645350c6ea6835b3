"""`make catalogue`, from our own Platform API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from mock_fal.commands.catalogue import listed_rows, main, rebuilt
from mock_fal.commands.download import Download
from mock_fal.errors import SettingsError
from mock_fal.models.overrides import corrected
from mock_fal.models.rows import built_in, packed
from mock_fal.server import MockFal
from tests.models.test_documents import document

DATE = "2026-12-01"


@pytest.fixture(scope="module")
def server() -> Iterator[MockFal]:
    with MockFal(port=0) as fal:
        yield fal


def members(data: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_file_rebuilt_from_our_own_api_is_the_same(server: MockFal, tmp_path: Path) -> None:
    target = tmp_path / "catalogue.zip"
    assert main(["--url", f"{server.url}/api.fal.ai/v1", "--only-listed", "-o", str(target)]) == 0
    # The bytes are those of this version of zlib; the content is that of the file in the package.
    assert target.read_bytes() == packed(built_in().rows())
    path = Path(main.__code__.co_filename).parents[1] / "models" / "catalogue.zip"
    assert members(target.read_bytes()) == members(path.read_bytes())


def page(*models: object, cursor: str | None = None) -> bytes:
    return json.dumps({"models": models, "next_cursor": cursor, "has_more": cursor is not None}).encode()


def listed(endpoint: str, title: str = "Mine") -> object:
    metadata = {"display_name": title, "category": "json", "status": "active"}
    return {"endpoint_id": endpoint, "metadata": metadata, "openapi": document({"properties": {}})}


def test_all_pages_are_read_and_a_document_has_the_day_of_its_response() -> None:
    pages = [page(listed("a/b"), cursor="Mg=="), page(listed("a/c")), page()]
    urls: list[str] = []

    def fetch(url: str) -> Download:
        urls.append(url)
        return Download(pages[len(urls) - 1], DATE)

    rows = list(listed_rows("https://api.example/v1/", fetch))
    assert [(row["id"], row["date"], row["seen"]) for row in rows] == [
        ("a/b", DATE, DATE),
        ("a/c", DATE, DATE),
    ]
    assert urls == [
        "https://api.example/v1/models?expand=openapi-3.0&limit=50&status=active",
        "https://api.example/v1/models?expand=openapi-3.0&limit=50&status=active&cursor=Mg%3D%3D",
        "https://api.example/v1/models?expand=openapi-3.0&limit=50&status=deprecated",
    ]


def test_what_is_not_listed_any_more_stays() -> None:
    old = [corrected({"id": id, "title": "Old", "input": {}, "output": {}}) for id in ("a/b", "a/c")]
    [new] = listed_rows("x", lambda url: Download(page(listed("a/b")) if "active" in url else page(), DATE))
    lines = members(rebuilt([new], old))["rows/000.jsonl"].decode().splitlines()
    assert [json.loads(line)["title"] for line in lines] == ["Mine", "Old"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "x/models.*: not JSON"),
        (b"[]", "expected an object with a list of models"),
        (page({"endpoint_id": "a/b"}), "a/b has no document"),
    ],
)
def test_a_bad_page_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        list(listed_rows("x", lambda url: Download(data, DATE)))


def test_an_endless_list_ends() -> None:
    with pytest.raises(SettingsError, match="more than 1000 pages"):
        list(listed_rows("x", lambda url: Download(page(cursor="Mg=="), DATE)))


def test_an_api_that_can_not_be_read_is_one_line(
    server: MockFal, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--url", f"{server.url}/api.fal.ai/v2", "-o", str(tmp_path / "x")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("make catalogue: ") and "HTTP 501" in line
    assert not (tmp_path / "x").exists()
