"""What a file is called in its address."""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_BYTES: Final = 160
BINARY: Final = "application/octet-stream"


def safe_name(name: str) -> str:
    """What remains of a file's name: no folders, nothing that a header or an address would mind.

    >>> safe_name("C:\\\\fake path\\\\Søster 1.png")
    'Søster_1.png'
    """
    # assumption: which characters the live service replaces.
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter if letter in "._-" or _is_word(letter) else "_" for letter in last).strip(".")
    stem, dot, suffix = kept.rpartition(".")
    if len(suffix) > 16 or not stem:
        stem, dot, suffix = kept, "", ""
    room = MAX_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + suffix


def extension(content_type: str) -> str:
    """The end of a nameless file's name, as the JavaScript client makes it up.

    >>> extension("image/jpeg"), extension(BINARY)
    ('jpeg', 'bin')
    """
    subtype = content_type.partition("/")[2].partition(";")[0].partition("-")[0]
    return subtype if subtype.isalnum() and content_type != BINARY else "bin"


def _is_word(letter: str) -> bool:
    """Whether it is a letter, a mark on one or a digit, of any script."""
    return unicodedata.category(letter)[0] in "LMN"
