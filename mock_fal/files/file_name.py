"""File names in the URLs of uploads."""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_BYTES: Final = 160
BINARY: Final = "application/octet-stream"


def safe_name(name: str) -> str:
    """A file name without folders and without characters that need escaping in a header or URL.

    >>> safe_name("C:\\\\fake path\\\\Søster 1.png")
    'Søster_1.png'
    """
    # assumption: the set of characters that the live service replaces.
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    safe = "".join(
        character if character in "._-" or _is_word(character) else "_" for character in base
    ).strip(".")
    stem, dot, suffix = safe.rpartition(".")
    if len(suffix) > 16 or not stem:
        stem, dot, suffix = safe, "", ""
    max_stem = MAX_BYTES - len((dot + suffix).encode())
    return stem.encode()[:max_stem].decode(errors="ignore") + dot + suffix


def extension(content_type: str) -> str:
    """The extension for a file without a name, derived as in the JavaScript client.

    >>> extension("image/jpeg"), extension(BINARY)
    ('jpeg', 'bin')
    """
    subtype = content_type.partition("/")[2].partition(";")[0].partition("-")[0]
    return subtype if subtype.isalnum() and content_type != BINARY else "bin"


def _is_word(character: str) -> bool:
    """Whether a character is a letter, a combining mark or a number, in any script."""
    return unicodedata.category(character)[0] in "LMN"
