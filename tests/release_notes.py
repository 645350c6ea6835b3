"""The section of CHANGELOG.md of a release: `python -m tests.release_notes v0.1.0`. Needs no package."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mock_fal import __version__

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"


def release_notes(tag: str, changelog: str) -> str:
    """The text below the heading `## VERSION (DATE)`. Raises ValueError for a tag that is not to be released."""
    if tag != f"v{__version__}":
        raise ValueError(
            f"the tag is {tag}, and mock_fal.__version__ is {__version__}; expected v{__version__}"
        )
    heading, _, text = changelog.partition("\n## ")[2].partition("\n")
    if not re.fullmatch(rf"{re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)", heading):
        raise ValueError(f"CHANGELOG.md begins with '## {heading}'; expected '## {__version__} (YYYY-MM-DD)'")
    return text.partition("\n## ")[0].strip() + "\n"


def main(arguments: Sequence[str]) -> int:
    try:
        [tag] = arguments
        sys.stdout.write(release_notes(tag, CHANGELOG.read_text("utf-8")))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
