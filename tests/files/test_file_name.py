from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.files.file_name import BINARY, MAX_BYTES, extension, safe_name

NAMES = {
    "cat.png": "cat.png",
    "../../etc/passwd": "passwd",
    "C:\\fake path\\a b.png": "a_b.png",
    "a\r\nset-cookie: x": "a__set-cookie__x",
    "søster 猫 हिन्दी.jpg": "søster_猫_हिन्दी.jpg",
    "..": "",
    "a.tar.gz": "a.tar.gz",
    "?#%&=+": "______",
    ".env": "env",
}


@pytest.mark.parametrize("name", NAMES)
def test_characters_that_are_unsafe_in_a_url_are_replaced(name: str) -> None:
    assert safe_name(name) == NAMES[name]


@given(st.text() | st.text(min_size=100, max_size=400))
def test_any_name_is_safe_in_a_path_and_a_header(name: str) -> None:
    safe = safe_name(name)
    assert len(safe.encode()) <= MAX_BYTES
    assert not set(safe) & set("/\\%?#\"'<> \r\n\0")


def test_a_long_name_keeps_its_extension() -> None:
    assert safe_name("é" * 300 + ".png").endswith("é.png")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("image/png", "png"),
        ("image/svg+xml", "bin"),
        ("a/b-c;d=e", "b"),
        (BINARY, "bin"),
        ("", "bin"),
    ],
)
def test_a_file_without_a_name_gets_the_extension_of_its_type(content_type: str, expected: str) -> None:
    assert extension(content_type) == expected
