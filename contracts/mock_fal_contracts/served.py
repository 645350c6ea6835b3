"""A mock that ends with whoever started it: when the other end of its standard input is gone, however that came."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from mock_fal.cli import main


def _watch() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_watch, daemon=True).start()
    sys.exit(main(["serve", "--port", "0", *sys.argv[1:]]))
