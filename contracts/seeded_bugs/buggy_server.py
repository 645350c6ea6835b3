"""A mock-fal with one planted fault: what stands in for a fal.ai that has drifted from its specification.

    python contracts/seeded_bugs/server.py FAULT [FLAG of mock-fal serve ...]

A proxy in front of a mock: what it passes on it changes, according to the fault. Prints its address.
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
from mock_fal_contracts.target import started

_STATUS = re.compile(r"/requests/[^/]+/status$")
_RESULT = re.compile(r"/requests/[^/]+$")
_CANCEL = re.compile(r"/requests/[^/]+/cancel$")
_SUBMIT = re.compile(r"^/queue\.fal\.run/fal-ai/[\w-]+(/[\w-]+)*$")
_FILE = re.compile(r"^/v3b?\.fal\.media/files/b/")


@dataclass
class Passing:
    """A question on its way to the mock, and its answer on the way back. `memory` lasts."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    memory: dict[str, Any]
    status: int = 0
    answer: bytes = b""
    answer_headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def document(self) -> Any:
        """The answer as JSON."""
        try:
            return json.loads(self.answer)
        except ValueError:
            return None

    @document.setter
    def document(self, value: Any) -> None:
        self.answer = json.dumps(value, separators=(",", ":")).encode()

    def is_at(self, pattern: re.Pattern[str], method: str) -> bool:
        return self.method == method and bool(pattern.search(self.path))

    def is_submission(self) -> bool:
        return self.method == "POST" and bool(_SUBMIT.match(self.path)) and "/requests/" not in self.path

    def without(self, header: str) -> None:
        self.answer_headers = [(name, value) for name, value in self.answer_headers if name != header]

    def edit(self, change: Callable[[Any], Any]) -> None:
        """Change the answer's JSON object."""
        document = self.document
        if isinstance(document, dict):
            self.document = change(document) or document


Fault = Callable[[Passing], None]


def wrong_status_submit(it: Passing) -> None:
    if it.is_submission() and it.status == 200:
        it.status = 201


def missing_request_id_header(it: Passing) -> None:
    if it.is_at(_STATUS, "GET"):
        it.without("x-fal-request-id")


def state_goes_back(it: Passing) -> None:
    if it.is_at(_STATUS, "GET") and it.status == 200:
        count = it.memory[it.path] = it.memory.get(it.path, 0) + 1
        if count > 1:
            it.status = 202
            it.edit(lambda body: body.update(status="IN_PROGRESS"))


def position_grows(it: Passing) -> None:
    if it.is_at(_STATUS, "GET"):
        count = it.memory[it.path] = it.memory.get(it.path, 0) + 1
        it.edit(lambda body: body.update(queue_position=count) if "queue_position" in body else None)


def queue_position_missing(it: Passing) -> None:
    if it.is_at(_STATUS, "GET"):
        it.edit(lambda body: body.pop("queue_position", None) and None)


def lost_log(it: Passing) -> None:
    if it.is_at(_STATUS, "GET") and it.status == 200:
        it.edit(lambda body: body.update(logs=body["logs"][1:]) if body.get("logs") else None)


def stream_differs(it: Passing) -> None:
    if it.path.endswith("/status/stream"):
        it.answer = it.answer.replace(b'"inference_time":', b'"inference_time":1')


def stream_without_end(it: Passing) -> None:
    if it.path.endswith("/status/stream"):
        it.answer = it.answer.rpartition(b"data:")[0]


def jwks_wrong_key(it: Passing) -> None:
    if it.path.endswith("/jwks.json"):
        it.edit(lambda body: [key.update(x="A" * 43 + "=") for key in body["keys"]] and None)


def webhook_unasked(it: Passing) -> None:
    if it.is_submission():
        it.query = it.memory["webhook"] = it.query or it.memory.get("webhook", "")


def webhook_forgotten(it: Passing) -> None:
    if it.is_submission():
        it.query = ""


def seed_ignored(it: Passing) -> None:
    if it.is_submission():
        it.body = it.body.replace(b'"seed":1234', b'"seed":99')


def upload_truncated(it: Passing) -> None:
    if it.method in ("PUT", "POST") and ("/files/upload" in it.path or _FILE.match(it.path)):
        if not it.path.endswith(("multipart", "complete", "sign")):
            it.body = it.body[:-1]


def early_result_200(it: Passing) -> None:
    if it.is_at(_RESULT, "GET") and it.status == 400:
        it.status = 200
        it.document = {"images": []}


def result_still_in_other_words(it: Passing) -> None:
    if it.is_at(_RESULT, "GET") and it.status == 400:
        it.edit(lambda body: body.update(detail="Request is in progress"))


def cancel_after_end_202(it: Passing) -> None:
    if it.is_at(_CANCEL, "PUT") and it.status == 400:
        it.status = 202
        it.document = {"status": "CANCELLATION_REQUESTED"}


def unknown_id_200(it: Passing) -> None:
    if it.is_at(_STATUS, "GET") and it.status == 404:
        it.status = 200


def no_auth_accepted(it: Passing) -> None:
    if it.is_submission():
        it.headers.setdefault("authorization", "Key anybody:any")


def urls_with_subpath(it: Passing) -> None:
    if it.is_submission():
        it.answer = it.answer.replace(b"/flux/requests/", b"/flux/schnell/requests/")


def allow_header_missing(it: Passing) -> None:
    if it.status == 405:
        it.without("allow")


def error_without_loc(it: Passing) -> None:
    if it.status == 422:
        it.edit(lambda body: [item.pop("loc") for item in body["detail"]] and None)


def token_not_a_string(it: Passing) -> None:
    if it.path.endswith("/tokens/") and it.status == 200:
        it.document = {"token": it.document}


def range_ignored(it: Passing) -> None:
    it.headers.pop("range", None)


def etag_changes(it: Passing) -> None:
    if _FILE.match(it.path):
        count = it.memory["etag"] = it.memory.get("etag", 0) + 1
        it.without("etag")
        it.answer_headers.append(("etag", f'"{count}"'))


def missing_field(it: Passing) -> None:
    if it.is_submission():
        it.edit(lambda body: body.pop("cancel_url", None) and None)


def wrong_type(it: Passing) -> None:
    if it.path.endswith("/v1/models/pricing"):
        it.edit(lambda body: [each.update(unit_price="0.003") for each in body.get("prices", [])] and None)


def status_200_while_queued(it: Passing) -> None:
    if it.is_at(_STATUS, "GET") and it.status == 202:
        it.status = 200


def billed_for_errors(it: Passing) -> None:
    if it.status == 422:
        it.without("x-fal-billable-units")
        it.answer_headers.append(("x-fal-billable-units", "1"))


def picture_of_another_size(it: Passing) -> None:
    if it.is_at(_RESULT, "GET") and it.status == 200:
        it.edit(lambda body: [each.update(width=511) for each in body.get("images", [])] and None)


def new_state(it: Passing) -> None:
    if it.is_at(_STATUS, "GET"):
        it.answer = it.answer.replace(b'"IN_PROGRESS"', b'"RUNNING"')


# Faults of webhooks, which don't pass here; the mock itself is told.
RULES = {
    "bad-signature": "webhook=bad_signature",
    "webhook-body-differs": 'operation=result merge={"prompt":"another"}',
    "webhook-withheld": "webhook=drop",
}

# Those that change the question; all others change the answer.
_BEFORE = (
    webhook_unasked,
    webhook_forgotten,
    seed_ignored,
    upload_truncated,
    no_auth_accepted,
    range_ignored,
)

FAULTS: dict[str, Fault] = {
    each.__name__.replace("_", "-"): each
    for each in (
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
        result_still_in_other_words,
        cancel_after_end_202,
        unknown_id_200,
        no_auth_accepted,
        urls_with_subpath,
        allow_header_missing,
        error_without_loc,
        billed_for_errors,
        token_not_a_string,
        jwks_wrong_key,
        webhook_unasked,
        webhook_forgotten,
        seed_ignored,
        picture_of_another_size,
        upload_truncated,
        range_ignored,
        etag_changes,
    )
}


class Proxy:
    """Passes questions on to a mock."""

    def __init__(self, upstream: str, fault: Fault | None) -> None:
        self._fault = fault
        self._memory: dict[str, Any] = {}
        self._client = httpx.AsyncClient(base_url=upstream, timeout=120, trust_env=False, verify=False)

    async def __call__(self, request: Request) -> Response:
        it = Passing(
            method=request.method,
            path=request.url.path,
            query=request.url.query,
            headers=dict(request.headers),
            body=await request.body(),
            memory=self._memory,
        )
        if self._fault in _BEFORE and self._fault is not None:
            self._fault(it)
        it.headers.pop("content-length", None)
        it.headers.pop("transfer-encoding", None)
        it.headers["accept-encoding"] = "identity"
        raw_path = request.scope["raw_path"].decode("latin-1")
        url = f"{raw_path}?{it.query}" if it.query else raw_path
        answer = await self._client.request(it.method, url, headers=it.headers, content=it.body)
        it.status, it.answer = answer.status_code, answer.content
        it.answer_headers = list(answer.headers.multi_items())
        if self._fault not in _BEFORE and self._fault is not None:
            self._fault(it)
        response = Response(it.answer, it.status)
        kept = [(name, value) for name, value in it.answer_headers if name not in _HOPS]
        if it.method != "HEAD":
            kept.append(("content-length", str(len(it.answer))))
        response.raw_headers = [(name.encode(), value.encode("latin-1")) for name, value in kept]
        return response


# Headers of one connection, and those that the proxy's own server writes.
_HOPS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


def serve(fault: str, flags: list[str]) -> None:
    """Start a mock and the proxy in front of it, until the process ends."""
    # The mock behind ends with us, however early we are told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with started(flags) as upstream:
        if fault in RULES:
            rules = httpx.put(f"{upstream}/_mock/scenario", json=[RULES[fault]], trust_env=False)
            rules.raise_for_status()
        app = Starlette()
        app.router.default = _endpoint(Proxy(upstream, FAULTS.get(fault)))
        config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", server_header=False)
        server = uvicorn.Server(config)
        sockets = [config.bind_socket()]
        sockets[0].listen()  # who reads the address may ask at once
        print(f"{fault} at http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
        server.run(sockets=sockets)


def _endpoint(proxy: Proxy) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = await proxy(Request(scope, receive))
        await response(scope, receive, send)

    return app


if __name__ == "__main__":
    name, *rest = sys.argv[1:] or ["help"]
    if name not in ("none", *FAULTS, *RULES):
        sys.exit(f"{name}: no such fault; expected none, {', '.join([*FAULTS, *RULES])}")
    serve(name, rest)
