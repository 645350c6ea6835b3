"""Tags of requests: invalid ones are dropped, never rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.journal.tags import MAX_TAGS, tags


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", {}),
        (b"team=red", {"team": "red"}),
        (b" team = red , run=4=2", {"team": "red", "run": "4=2"}),
        (b"team=red,team=blue", {"team": "blue"}),
        (b"team=", {"team": ""}),
        (b"team", {}),
        (b"=red", {}),
        (b"Team=red,te am=red,good=1", {"good": "1"}),
        (b"fal.team=red,falteam=1", {"falteam": "1"}),
        (b"a=" + b"x" * 256, {"a": "x" * 256}),
        (b"a=" + b"x" * 257, {}),
        (b"k" * 65 + b"=1", {}),
        (b"a=\x01", {}),
        ("stadt=Köln".encode(), {"stadt": "Köln"}),
        (b"a=1," + b"b" * 1024, {}),
        # The limit counts before the first of two is dropped.
        (b",".join([b"a=1"] * 10 + [b"b=2"]), {"a": "1"}),
    ],
)
def test_valid_tags_are_kept(header: bytes, expected: dict[str, str]) -> None:
    assert tags(header) == expected


@given(st.binary(max_size=1100))
def test_any_header_gives_few_tags(header: bytes) -> None:
    assert len(tags(header)) <= MAX_TAGS
