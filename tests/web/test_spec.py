"""The OpenAPI documents at mock-fal's own address."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mock_fal.web.control import spec
from tests.specs import FOLDER, SPECS
from tests.web.conftest import OURS, Fal


def test_the_index_names_every_document(fal: Fal) -> None:
    index = fal.request("GET", f"{OURS}/_mock/openapi/").json()
    assert sorted(index["documents"]) == SPECS
    for url in index["documents"].values():
        assert yaml.safe_load(fal.request("GET", url).text)["openapi"] == "3.1.0"


@pytest.mark.parametrize("name", SPECS)
def test_a_document_is_served_unchanged(fal: Fal, name: str) -> None:
    response = fal.request("GET", f"{OURS}/_mock/openapi/{name}.yaml")
    assert response.headers["content-type"] == "application/yaml"
    assert response.content == (FOLDER / f"{name}.yaml").read_bytes()


@pytest.mark.parametrize("name", ["nope", "redocly", "..%2Fpyproject"])
def test_an_unknown_name_is_not_found(fal: Fal, name: str) -> None:
    response = fal.request("GET", f"{OURS}/_mock/openapi/{name}.yaml")
    assert response.status_code == 404
    assert "queue" in response.text


def test_an_installed_package_contains_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "mock_fal"
    (inside / "openapi").mkdir(parents=True)
    monkeypatch.setattr("mock_fal.__file__", str(inside / "__init__.py"))
    assert spec.folder() == inside / "openapi"
