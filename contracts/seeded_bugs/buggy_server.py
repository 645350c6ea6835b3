"""A mock-fal with one seeded bug, in place of a fal.ai that has drifted from its specification.

    python contracts/seeded_bugs/buggy_server.py BUG [FLAG of mock-fal serve ...]

A proxy in front of a mock: it changes the requests or responses that it forwards. Prints its address.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

sys.path.insert(0, str(Path(__file__).parents[1]))
from mock_fal_contracts.target import running_mock

_STATUS = re.compile(r"/requests/[^/]+/status$")
_RESULT = re.compile(r"/requests/[^/]+$")
_CANCEL = re.compile(r"/requests/[^/]+/cancel$")
_SUBMIT = re.compile(r"^/queue\.fal\.run/fal-ai/[\w-]+(/[\w-]+)*$")
_FILE = re.compile(r"^/v3b?\.fal\.media/files/b/")


@dataclass
class ProxiedExchange:
    """A request to the mock and its response. `memory` is shared by all exchanges of the proxy."""

    method: str
    path: str
    query: str
    request_headers: dict[str, str]
    request_body: bytes
    memory: dict[str, Any]
    status: int = 0
    response_body: bytes = b""
    response_headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def response_json(self) -> Any:
        """The response body as JSON; None where it is not JSON."""
        try:
            return json.loads(self.response_body)
        except ValueError:
            return None

    @response_json.setter
    def response_json(self, value: Any) -> None:
        self.response_body = json.dumps(value, separators=(",", ":")).encode()

    def matches(self, pattern: re.Pattern[str], method: str) -> bool:
        return self.method == method and bool(pattern.search(self.path))

    def is_submission(self) -> bool:
        return self.method == "POST" and bool(_SUBMIT.match(self.path)) and "/requests/" not in self.path

    def remove_header(self, name: str) -> None:
        self.response_headers = [header for header in self.response_headers if header[0] != name]

    def edit_json(self, change: Callable[[Any], Any]) -> None:
        """Change the response's JSON object in place, or replace it by the returned value."""
        document = self.response_json
        if isinstance(document, dict):
            self.response_json = change(document) or document


Bug = Callable[[ProxiedExchange], None]


def wrong_status_submit(exchange: ProxiedExchange) -> None:
    if exchange.is_submission() and exchange.status == 200:
        exchange.status = 201


def missing_request_id_header(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET"):
        exchange.remove_header("x-fal-request-id")


def state_goes_back(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET") and exchange.status == 200:
        count = exchange.memory[exchange.path] = exchange.memory.get(exchange.path, 0) + 1
        if count > 1:
            exchange.status = 202
            exchange.edit_json(lambda body: body.update(status="IN_PROGRESS"))


def position_grows(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET"):
        count = exchange.memory[exchange.path] = exchange.memory.get(exchange.path, 0) + 1
        exchange.edit_json(
            lambda body: body.update(queue_position=count) if "queue_position" in body else None
        )


def queue_position_missing(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET"):
        exchange.edit_json(lambda body: body.pop("queue_position", None) and None)


def lost_log(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET") and exchange.status == 200:
        exchange.edit_json(lambda body: body.update(logs=body["logs"][1:]) if body.get("logs") else None)


def stream_differs(exchange: ProxiedExchange) -> None:
    if exchange.path.endswith("/status/stream"):
        exchange.response_body = exchange.response_body.replace(b'"inference_time":', b'"inference_time":1')


def stream_without_end(exchange: ProxiedExchange) -> None:
    if exchange.path.endswith("/status/stream"):
        exchange.response_body = exchange.response_body.rpartition(b"data:")[0]


def jwks_wrong_key(exchange: ProxiedExchange) -> None:
    if exchange.path.endswith("/jwks.json"):
        exchange.edit_json(lambda body: [key.update(x="A" * 43 + "=") for key in body["keys"]] and None)


def webhook_not_requested(exchange: ProxiedExchange) -> None:
    if exchange.is_submission():
        exchange.query = exchange.memory["webhook"] = exchange.query or exchange.memory.get("webhook", "")


def webhook_ignored(exchange: ProxiedExchange) -> None:
    if exchange.is_submission():
        exchange.query = ""


def seed_ignored(exchange: ProxiedExchange) -> None:
    if exchange.is_submission():
        exchange.request_body = exchange.request_body.replace(b'"seed":1234', b'"seed":99')


def upload_truncated(exchange: ProxiedExchange) -> None:
    if exchange.method in ("PUT", "POST") and (
        "/files/upload" in exchange.path or _FILE.match(exchange.path)
    ):
        if not exchange.path.endswith(("multipart", "complete", "sign")):
            exchange.request_body = exchange.request_body[:-1]


def early_result_200(exchange: ProxiedExchange) -> None:
    if exchange.matches(_RESULT, "GET") and exchange.status == 400:
        exchange.status = 200
        exchange.response_json = {"images": []}


def result_detail_differs(exchange: ProxiedExchange) -> None:
    if exchange.matches(_RESULT, "GET") and exchange.status == 400:
        exchange.edit_json(lambda body: body.update(detail="Request is in progress"))


def cancel_after_end_202(exchange: ProxiedExchange) -> None:
    if exchange.matches(_CANCEL, "PUT") and exchange.status == 400:
        exchange.status = 202
        exchange.response_json = {"status": "CANCELLATION_REQUESTED"}


def unknown_id_200(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET") and exchange.status == 404:
        exchange.status = 200


def no_auth_accepted(exchange: ProxiedExchange) -> None:
    if exchange.is_submission():
        exchange.request_headers.setdefault("authorization", "Key anybody:any")


def urls_with_subpath(exchange: ProxiedExchange) -> None:
    if exchange.is_submission():
        exchange.response_body = exchange.response_body.replace(
            b"/flux/requests/", b"/flux/schnell/requests/"
        )


def allow_header_missing(exchange: ProxiedExchange) -> None:
    if exchange.status == 405:
        exchange.remove_header("allow")


def error_without_loc(exchange: ProxiedExchange) -> None:
    if exchange.status == 422:
        exchange.edit_json(lambda body: [item.pop("loc") for item in body["detail"]] and None)


def token_not_a_string(exchange: ProxiedExchange) -> None:
    if exchange.path.endswith("/tokens/") and exchange.status == 200:
        exchange.response_json = {"token": exchange.response_json}


def range_ignored(exchange: ProxiedExchange) -> None:
    exchange.request_headers.pop("range", None)


def etag_changes(exchange: ProxiedExchange) -> None:
    if _FILE.match(exchange.path):
        count = exchange.memory["etag"] = exchange.memory.get("etag", 0) + 1
        exchange.remove_header("etag")
        exchange.response_headers.append(("etag", f'"{count}"'))


def missing_field(exchange: ProxiedExchange) -> None:
    if exchange.is_submission():
        exchange.edit_json(lambda body: body.pop("cancel_url", None) and None)


def wrong_type(exchange: ProxiedExchange) -> None:
    if exchange.path.endswith("/v1/models/pricing"):
        exchange.edit_json(
            lambda body: [price.update(unit_price="0.003") for price in body.get("prices", [])] and None
        )


def status_200_while_queued(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET") and exchange.status == 202:
        exchange.status = 200


def billed_for_errors(exchange: ProxiedExchange) -> None:
    if exchange.status == 422:
        exchange.remove_header("x-fal-billable-units")
        exchange.response_headers.append(("x-fal-billable-units", "1"))


def picture_size_differs(exchange: ProxiedExchange) -> None:
    if exchange.matches(_RESULT, "GET") and exchange.status == 200:
        exchange.edit_json(
            lambda body: [image.update(width=511) for image in body.get("images", [])] and None
        )


def new_state(exchange: ProxiedExchange) -> None:
    if exchange.matches(_STATUS, "GET"):
        exchange.response_body = exchange.response_body.replace(b'"IN_PROGRESS"', b'"RUNNING"')


# Bugs of webhooks, which the proxy does not see: rules of the scenario inject them into the mock.
RULES = {
    "bad-signature": "webhook=bad_signature",
    "webhook-body-differs": 'operation=result merge={"prompt":"another"}',
    "webhook-dropped": "webhook=drop",
}

# Bugs that change the request; all others change the response.
_REQUEST_BUGS = (
    webhook_not_requested,
    webhook_ignored,
    seed_ignored,
    upload_truncated,
    no_auth_accepted,
    range_ignored,
)

BUGS: dict[str, Bug] = {
    bug.__name__.replace("_", "-"): bug
    for bug in (
        wrong_status_submit,
        missing_request_id_header,
        missing_field,
        wrong_type,
        new_state,
        state_goes_back,
        status_200_while_queued,
        position_grows,
        queue_position_missing,
        lost_log,
        stream_differs,
        stream_without_end,
        early_result_200,
        result_detail_differs,
        cancel_after_end_202,
        unknown_id_200,
        no_auth_accepted,
        urls_with_subpath,
        allow_header_missing,
        error_without_loc,
        billed_for_errors,
        token_not_a_string,
        jwks_wrong_key,
        webhook_not_requested,
        webhook_ignored,
        seed_ignored,
        picture_size_differs,
        upload_truncated,
        range_ignored,
        etag_changes,
    )
}


class Proxy:
    """Forwards requests to a mock, with a bug."""

    def __init__(self, upstream: str, bug: Bug | None) -> None:
        self._change_request = bug if bug in _REQUEST_BUGS else None
        self._change_response = bug if bug not in _REQUEST_BUGS else None
        self._memory: dict[str, Any] = {}
        self._client = httpx.AsyncClient(base_url=upstream, timeout=120, trust_env=False, verify=False)

    async def __call__(self, request: Request) -> Response:
        exchange = ProxiedExchange(
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            request_headers=dict(request.headers),
            request_body=await request.body(),
            memory=self._memory,
        )
        if self._change_request:
            self._change_request(exchange)
        await self._forward(exchange, request.scope["raw_path"].decode("latin-1"))
        if self._change_response:
            self._change_response(exchange)
        response = Response(exchange.response_body, exchange.status)
        headers = [(name, value) for name, value in exchange.response_headers if name not in _HOP_BY_HOP]
        if exchange.method != "HEAD":
            headers.append(("content-length", str(len(exchange.response_body))))
        response.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        return response

    async def _forward(self, exchange: ProxiedExchange, raw_path: str) -> None:
        """Send the request to the mock, and fill in the response."""
        exchange.request_headers.pop("content-length", None)
        exchange.request_headers.pop("transfer-encoding", None)
        exchange.request_headers["accept-encoding"] = "identity"
        response = await self._client.request(
            exchange.method,
            f"{raw_path}?{exchange.query}" if exchange.query else raw_path,
            headers=exchange.request_headers,
            content=exchange.request_body,
        )
        exchange.status, exchange.response_body = response.status_code, response.content
        exchange.response_headers = list(response.headers.multi_items())


# Headers of one connection, and those that the proxy's own server sets.
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


def serve(bug: str, flags: list[str]) -> None:
    """Run a mock and the proxy in front of it, until the process ends."""
    # Installed before the mock starts, so that an early SIGTERM stops the mock as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with running_mock(flags) as upstream:
        if bug in RULES:
            response = httpx.put(f"{upstream}/_mock/scenario", json=[RULES[bug]], trust_env=False)
            response.raise_for_status()
        app = Starlette()
        app.router.default = _asgi_app(Proxy(upstream, BUGS.get(bug)))
        config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", server_header=False)
        server = uvicorn.Server(config)
        sockets = [config.bind_socket()]
        sockets[0].listen()  # before the address is printed, so that it accepts connections at once
        print(f"{bug} at http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
        server.run(sockets=sockets)


def _asgi_app(proxy: Proxy) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = await proxy(Request(scope, receive))
        await response(scope, receive, send)

    return app


if __name__ == "__main__":
    name, *rest = sys.argv[1:] or ["help"]
    if name not in ("none", *BUGS, *RULES):
        sys.exit(f"{name}: unknown bug; expected none, {', '.join([*BUGS, *RULES])}")
    serve(name, rest)
