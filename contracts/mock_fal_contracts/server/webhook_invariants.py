"""The laws of webhooks, held by a receiver of our own on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any
from urllib.parse import urlsplit

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server import invariants as invariants
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import NotNow
from mock_fal_contracts.server.http_invariants import keys_in
from mock_fal_contracts.server.request_tracker import GOOD_INPUT, RequestTracker, Seen

# A webhook that has not come after so many seconds of real time does not come.
_PATIENCE_S = 6.0

# One that nobody asked for would come as fast as those before it, of which each came at once.
_SILENCE_S = 0.5

_PREFIX = "x-fal-webhook-"


class Inbox:
    """What came, as exchanges with our own answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._came: list[Exchange] = []
        self._change = Condition()

    def add(self, exchange: Exchange) -> None:
        with self._change:
            self._came.append(exchange)
            self._change.notify_all()

    def about(self, request: Seen, wait_s: float) -> list[Exchange]:
        """The webhooks about a request; waits for the first."""

        def found() -> list[Exchange]:
            return [each for each in self._came if _names(each, request)]

        with self._change:
            self._change.wait_for(found, wait_s)
            return found()


@contextmanager
def inbox() -> Iterator[Inbox]:
    """A receiver on loopback that answers 200 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            box.add(
                Exchange(
                    at=0.0,
                    method="POST",
                    host=self.headers.get("host", ""),
                    path=self.path,
                    query="",
                    request_headers=list(self.headers.items()),
                    request_body=body,
                    status=200,
                    response_headers=[],
                    response_body=b"",
                )
            )
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    box = Inbox(f"http://127.0.0.1:{server.server_port}/webhook")
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()


def delivered(context: Context) -> None:
    """Requests with and without a webhook, good, wrong and removed ones."""
    if urlsplit(context.target.base).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise NotNow("the target can't reach a receiver on this machine; tried with local targets only")
    with inbox() as box, context.http_client() as client:
        tracker = RequestTracker(context)
        keys = keys_in(client.ask("GET", "rest.fal.ai", "/.well-known/jwks.json", key=False))
        for good in (True, False):
            asked = tracker.submit(
                client, GOOD_INPUT if good else {}, good=good, query={"fal_webhook": box.url}
            )
            tracker.finish(client, asked)
            result = tracker.collect(client, asked)
            waits = invariants.ASKED not in context.findings.broken
            came = box.about(asked, _PATIENCE_S if waits else 0.0)
            context.findings.expect(
                invariants.ASKED,
                bool(came),
                f"no webhook came within {_PATIENCE_S:.0f} s, expected one at least",
                asked.history[0],
            )
            for webhook in came:
                _signed(context, webhook, keys)
                _tells(context, webhook, asked, result)
        silent = tracker.submit(client, GOOD_INPUT)
        tracker.finish(client, silent)
        context.findings.same(
            invariants.ASKED,
            len(box.about(silent, _SILENCE_S)),
            0,
            "the number of webhooks that nobody asked for",
            silent.history[0],
        )


def _signed(context: Context, webhook: Exchange, keys: list[bytes]) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    named = [webhook.request_header(_PREFIX + name) or "" for name in ("request-id", "user-id", "timestamp")]
    message = "\n".join([*named, hashlib.sha256(webhook.request_body).hexdigest()]).encode()
    signature = webhook.request_header(_PREFIX + "signature") or ""

    def verifies(key: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True

    context.findings.expect(
        invariants.SIGNATURE,
        any(verifies(key) for key in keys),
        f"the signature {signature[:16]!r}… verifies with none of the {len(keys)} keys of jwks.json",
        webhook,
    )


def _tells(context: Context, webhook: Exchange, request: Seen, result: Exchange) -> None:
    its, body = context.findings, webhook.input
    its.same(invariants.PAYLOAD, body.get("payload"), result.output, "payload", webhook, result)
    status = "OK" if result.status < 300 else "ERROR"
    its.same(invariants.PAYLOAD, body.get("status"), status, "status", webhook, result)
    its.same(invariants.PAYLOAD, body.get("request_id"), request.id, "request_id", webhook)
    its.same(
        invariants.PAYLOAD,
        webhook.request_header(_PREFIX + "request-id"),
        request.id,
        "the id in the header",
        webhook,
    )


def _names(webhook: Exchange, request: Seen) -> bool:
    try:
        document = json.loads(webhook.request_body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("request_id") == request.id
