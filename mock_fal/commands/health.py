"""`mock-fal health`: whether a server responds. The health check of a container, and a wait in scripts."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from typing import Any, Final

from mock_fal.clock import SystemClock
from mock_fal.errors import MockFalError
from mock_fal.terminal import printable

_MAX_BYTES: Final = 64 * 1024
# For one attempt; Docker's own limit for a health check is 30 seconds.
_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 0.05


def health(options: argparse.Namespace) -> int:
    """Print the version and the clock of the server. Returns 1, with a line on stderr, if it does not respond."""
    clock = SystemClock()
    deadline = clock.now() + options.wait
    while True:
        try:
            document = _get(options.url, options.control_token)
            line = f"mock-fal {document['version']} at {options.url}: {document['status']}, clock {document['clock']}"
            sys.stdout.write(printable(line) + "\n")
            return 0
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            if clock.now() >= deadline:
                reason = getattr(error, "reason", error)
                sys.stderr.write(printable(f"mock-fal: no mock-fal at {options.url} ({reason})") + "\n")
                return 1
        threading.Event().wait(_PAUSE_S)


def _get(url: str, token: str) -> Any:
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, Request, build_opener

    headers = {"X-Mock-Fal-Token": token} if token else {}
    try:
        opening = Request(f"{url.rstrip('/')}/_mock/health", headers=headers)
        with build_opener(ProxyHandler({})).open(opening, timeout=_TIMEOUT_S) as response:
            return json.loads(response.read(_MAX_BYTES))
    except HTTPError as error:
        if error.code != 401:
            raise
        raise MockFalError(
            f"the mock-fal at {url} needs its control token; set MOCK_FAL_CONTROL_TOKEN"
        ) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command `health`."""
    # In a container, the port of the server is in the environment of the health check too.
    parser.add_argument(
        "--url",
        default=f"http://127.0.0.1:{os.environ.get('MOCK_FAL_PORT', '8325')}",
        help="address of the server (default: %(default)s)",
    )
    parser.add_argument("--wait", type=float, default=0.0, help="seconds to wait for it (default: 0)")
    parser.add_argument(
        "--control-token",
        metavar="TOKEN",
        default=os.environ.get("MOCK_FAL_CONTROL_TOKEN", ""),
        help="token of a server on another machine; prefer MOCK_FAL_CONTROL_TOKEN, other users can see flags",
    )
    parser.set_defaults(command=health)
