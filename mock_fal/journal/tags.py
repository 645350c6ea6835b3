"""Tags of a request: the header `X-Fal-Tags`, such as `team=red,run=42`."""

from __future__ import annotations

import re
from typing import Final

# fal: the limits, and that they count before duplicates are removed (documentation of request tags, 2026).
MAX_TAGS: Final = 10
MAX_BYTES: Final = 1024
_KEY: Final = re.compile(r"[a-z0-9._-]{1,64}")
_MAX_VALUE_CHARS: Final = 256

# fal: keys with this prefix are reserved, and are dropped (documentation, 2026).
_RESERVED: Final = "fal."


def tags(header: bytes) -> dict[str, str]:
    """The valid tags of a header. Invalid ones are dropped: a request never fails because of a tag.

    >>> tags(b"team = red, run=4=2, fal.x=1, Bad=1, team=blue")
    {'team': 'blue', 'run': '4=2'}
    """
    # assumption: of too many tags the first ten count, and of a longer header none.
    if len(header) > MAX_BYTES:
        return {}
    found: dict[str, str] = {}
    for part in header.decode("utf-8", "replace").split(",")[:MAX_TAGS]:
        key, equals, value = (text.strip() for text in part.partition("="))
        is_value = equals and len(value) <= _MAX_VALUE_CHARS and value.isprintable()
        if is_value and _KEY.fullmatch(key) and not key.startswith(_RESERVED):
            found[key] = value
    return found
