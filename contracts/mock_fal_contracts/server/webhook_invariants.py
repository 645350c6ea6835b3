"""Checks of webhooks, with a webhook receiver on this machine."""

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
from mock_fal_contracts.server import invariants
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import NotTestable
from mock_fal_contracts.server.http_invariants import keys_in
from mock_fal_contracts.server.request_tracker import VALID_INPUT, RequestTracker, TrackedRequest

# A webhook that has not arrived after this time (real time) counts as not sent.
_MAX_WAIT_S = 6.0

# The wait for a webhook that was not requested: it would arrive as fast as the requested ones, immediately.
_WAIT_FOR_NONE_S = 0.5

_PREFIX = "x-fal-webhook-"


class WebhookReceiver:
    """The webhooks received so far, as exchanges with the receiver's response."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._received: list[Exchange] = []
        self._changed = Condition()

    def add(self, exchange: Exchange) -> None:
        with self._changed:
            self._received.append(exchange)
            self._changed.notify_all()

    def webhooks_of(self, request: TrackedRequest, wait_s: float) -> list[Exchange]:
        """The webhooks of a request; waits for the first."""

        def matching() -> list[Exchange]:
            return [exchange for exchange in self._received if _is_webhook_of(exchange, request)]

        with self._changed:
            self._changed.wait_for(matching, wait_s)
            return matching()


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A receiver on loopback that responds 200 to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            receiver.add(
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
    receiver = WebhookReceiver(f"http://127.0.0.1:{server.server_port}/webhook")
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def deliveries(context: Context) -> None:
    """A valid and an invalid request with a webhook, and one request without."""
    if urlsplit(context.target.base).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise NotTestable("the target can't reach a receiver on this machine; tested on local targets only")
    with webhook_receiver() as receiver, context.http_client() as client:
        tracker = RequestTracker(context)
        keys = keys_in(client.send("GET", "rest.fal.ai", "/.well-known/jwks.json", key=False))
        for valid in (True, False):
            request = tracker.submit(
                client, VALID_INPUT if valid else {}, valid=valid, query={"fal_webhook": receiver.url}
            )
            tracker.finish(client, request)
            result = tracker.collect(client, request)
            is_known_missing = invariants.REQUESTED in context.findings.violations
            webhooks = receiver.webhooks_of(request, 0.0 if is_known_missing else _MAX_WAIT_S)
            context.findings.expect(
                invariants.REQUESTED,
                bool(webhooks),
                f"no webhook arrived within {_MAX_WAIT_S:.0f} s, expected at least one",
                request.history[0],
            )
            for webhook in webhooks:
                _check_signature(context, webhook, keys)
                _check_payload(context, webhook, request, result)
        silent = tracker.submit(client, VALID_INPUT)
        tracker.finish(client, silent)
        context.findings.expect_equal(
            invariants.REQUESTED,
            len(receiver.webhooks_of(silent, _WAIT_FOR_NONE_S)),
            0,
            "the number of webhooks that were not requested",
            silent.history[0],
        )


def _check_signature(context: Context, webhook: Exchange, keys: list[bytes]) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    parts = [webhook.request_header(_PREFIX + name) or "" for name in ("request-id", "user-id", "timestamp")]
    message = "\n".join([*parts, hashlib.sha256(webhook.request_body).hexdigest()]).encode()
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


def _check_payload(context: Context, webhook: Exchange, request: TrackedRequest, result: Exchange) -> None:
    status = "OK" if result.status < 300 else "ERROR"
    body = webhook.input
    header = webhook.request_header(_PREFIX + "request-id")
    expect_equal = context.findings.expect_equal
    expect_equal(invariants.PAYLOAD, body.get("payload"), result.output, "payload", webhook, result)
    expect_equal(invariants.PAYLOAD, body.get("status"), status, "status", webhook, result)
    expect_equal(invariants.PAYLOAD, body.get("request_id"), request.id, "request_id", webhook)
    expect_equal(invariants.PAYLOAD, header, request.id, "the id in the header", webhook)


def _is_webhook_of(webhook: Exchange, request: TrackedRequest) -> bool:
    try:
        document = json.loads(webhook.request_body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("request_id") == request.id
