"""Text for a terminal: control characters are shown as escape sequences of Python, such as `\\x1b`.

A prompt, a URL or an error of another program can contain sequences that move the cursor, change the title of the
window or look like a line of mock-fal's own.
"""

from __future__ import annotations

import logging
import unicodedata
from typing import Final

# Cc: control; Cf: invisible, such as the marks that reverse the direction of text; Zl, Zp: line separators;
# Cs: an unpaired surrogate, which no terminal's encoding has.
_ESCAPED: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def printable(text: str) -> str:
    r"""The text in one line, without characters that control a terminal.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    if text.isprintable():
        return text
    return "".join(
        _escaped(letter) if unicodedata.category(letter) in _ESCAPED else letter for letter in text
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")


class PrintableFilter(logging.Filter):
    """Makes log messages printable, their arguments included."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = printable(record.getMessage()), None
        return True


logger: Final = logging.getLogger("mock_fal")
logger.addFilter(PrintableFilter())
