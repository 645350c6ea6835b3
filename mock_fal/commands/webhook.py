"""`mock-fal webhook`: have a running server sign and send a webhook without a request before it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from typing import Any, Final

from mock_fal.errors import MockFalError, SettingsError
from mock_fal.terminal import printable

# How long the command waits for the end of the delivery, and between two looks at it.
_WAIT_S: Final = 30.0
_LOOK_S: Final = 0.1

# Stands for a delivery that the server has forgotten.
_GONE: Final[dict[str, Any]] = {"attempts": [], "state": "no longer stored"}

# Bytes of a response of the server that are read.
_MAX_BYTES: Final = 16 << 20


def send_webhook(options: argparse.Namespace) -> int:
    """Send the webhook and print the status of the receiver. Returns 1 if it was not delivered."""
    body: dict[str, Any] = {"url": options.to, "endpoint": options.endpoint}
    if options.output is not None:
        try:
            body["output"] = json.loads(options.output)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"--output: expected JSON: {error}") from None
    if options.error:
        body["error"] = options.error
    sent = _call(options, "POST", "/_mock/webhooks", body)
    for _ in range(int(_WAIT_S / _LOOK_S)):
        deliveries = _call(options, "GET", "/_mock/deliveries")["deliveries"]
        delivery = next((item for item in deliveries if item["request_id"] == sent["request_id"]), _GONE)
        if delivery["attempts"] or delivery["state"] != "waiting":
            break
        threading.Event().wait(_LOOK_S)
    last = delivery["attempts"][-1] if delivery["attempts"] else {"status": None, "error": delivery["state"]}
    result = f"HTTP {last['status']}" if last["status"] else last["error"]
    sys.stdout.write(printable(f"{sent['request_id']}: {options.to}: {result}") + "\n")
    return 0 if delivery["state"] == "delivered" else 1


def _call(options: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    """The JSON of a response of the server. Raises MockFalError with its text or with the reason."""
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, Request, build_opener

    headers = {"X-Mock-Fal-Token": options.control_token} if options.control_token else {}
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{options.url.rstrip('/')}{path}", data=data, headers=headers, method=method)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=30) as response:
            return json.loads(response.read(_MAX_BYTES))
    except HTTPError as error:
        raise MockFalError(f"{error.code}: {error.read(1000).decode('utf-8', 'replace')}") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "reason", error)
        hint = "start one with: mock-fal serve"
        raise MockFalError(f"no mock-fal at {options.url} ({reason}); {hint}") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command."""
    parser.set_defaults(command=send_webhook)
    parser.add_argument("--to", required=True, metavar="URL", help="the receiver")
    parser.add_argument(
        "--endpoint", required=True, metavar="ID", help="endpoint id, as in fal-ai/flux/schnell"
    )
    content = parser.add_mutually_exclusive_group()
    content.add_argument("--output", metavar="JSON", help="the payload; default: an output of the model")
    content.add_argument("--error", metavar="TYPE", help="an error of fal, as in content_policy_violation")
    parser.add_argument(
        "--url",
        default="http://127.0.0.1:8325",
        help="address of the server that signs and sends it (default: %(default)s)",
    )
    parser.add_argument(
        "--control-token",
        metavar="TOKEN",
        default=os.environ.get("MOCK_FAL_CONTROL_TOKEN", ""),
        help="token of a server on another machine; prefer MOCK_FAL_CONTROL_TOKEN, other users can see flags",
    )
