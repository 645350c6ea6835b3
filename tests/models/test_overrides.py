"""Facts that fal's documents do not state."""

from __future__ import annotations

import pytest

from mock_fal.models.catalog import Catalog
from mock_fal.models.descriptions import CATEGORIES, MODELS
from mock_fal.models.overrides import CORRECTIONS, EVENT_NAMES, REALTIME, STREAMING, corrected, marked
from mock_fal.models.rows import built_in


def test_overrides_are_of_known_endpoints() -> None:
    known = set(Catalog().ids())
    assert STREAMING | REALTIME | set(EVENT_NAMES) | set(CORRECTIONS) | set(MODELS) <= known


def test_the_rows_are_corrected_already() -> None:
    assert all(corrected(row) == row for row in built_in().rows())


@pytest.mark.parametrize("endpoint", CORRECTIONS)
def test_a_correction_changes_the_row_of_a_plain_document(endpoint: str) -> None:
    row = built_in().row(endpoint)
    assert row is not None
    properties = dict(sorted(row["input"]["properties"].items()))
    plain = {**row, "input": {**row["input"], "properties": dict.fromkeys(properties, {"type": "null"})}}
    changed = corrected(plain)["input"]["properties"]
    correction = CORRECTIONS[endpoint]
    assert list(changed)[: len(correction.order)] == [name for name in correction.order if name in changed]
    assert all(changed[name] == field for name, field in correction.input.items())


def test_a_row_of_the_user_is_marked_and_not_corrected() -> None:
    row = marked(
        {"id": "fal-ai/fast-sdxl", "input": {"properties": {"seed": {}, "prompt": {}}}, "output": {}}
    )
    assert list(row["input"]["properties"]) == ["seed", "prompt"]
    assert row["realtime"] is True


def test_every_category_is_described() -> None:
    assert {entry.category for entry in Catalog().entries()} <= set(CATEGORIES)
