"""A `mock-fal serve` process that ends when its parent does: it stops when its standard input is closed."""

from __future__ import annotations

import os
import signal
import sys
from threading import Thread

from mock_fal.cli import main


def _stop_at_end_of_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_stop_at_end_of_stdin, daemon=True).start()
    sys.exit(main(["serve", *sys.argv[1:]]))
