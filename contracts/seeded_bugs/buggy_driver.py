"""A driver with seeded bugs: `buggy_driver.py BUG ...` enables those bugs. Without any, it passes every case.

It proves that each case of `mock-fal check --client` can pass, and that each can fail.
"""

import base64
import contextlib
import hashlib
import json
import os
import re
import sys
import time
from urllib.parse import quote, urlencode

import httpx
import msgpack

BUGS = set(sys.argv[1:])
KEY = os.environ["FAL_KEY"]
QUEUE = "https://queue.fal.run"


class Failure(Exception):
    """An error response of the server, or no response."""

    def __init__(self, kind, message, status=None, error_type=None, fields=None):
        super().__init__(message)
        self.error = {
            "kind": kind,
            "message": message,
            "status": status,
            "error_type": error_type,
            "fields": fields,
        }


client = httpx.Client()


def send(method, url, body=None, headers=(), *, until=None, safe=None, key=True):
    """Send a request, retry transient failures, and return the body of a 2xx response."""
    safe = method == "GET" if safe is None else safe
    headers = {"User-Agent": "buggy/1", **dict(headers)}
    if key and "no_key" not in BUGS:
        headers["Authorization"] = f"{'Bearer' if 'bearer' in BUGS else 'Key'} {KEY}"
    if "key_in_url" in BUGS:
        url += ("&" if "?" in url else "?") + urlencode({"key": KEY})
    for attempt in range(4):
        try:
            return send_once(method, url, body, headers, until)
        except Failure as failure:
            pause = retry_delay(failure, safe)
            if pause is None or attempt == 3 or "no_retry" in BUGS:
                raise
            time.sleep(pause)
    raise AssertionError


def send_once(method, url, body, headers, until):
    timeout = 20.0 if until is None else max(0.01, until - time.monotonic())
    try:
        response = client.request(method, url, content=body, headers=headers, timeout=timeout)
    except httpx.TimeoutException as error:
        raise Failure("timeout", str(error)) from None
    except httpx.TransportError as error:
        raise Failure("network", str(error)) from None
    if response.is_redirect and "follows_redirects" in BUGS:
        return send_once(method, response.headers["location"], body, headers, until)
    if not response.is_success and "status_ignored" not in BUGS:
        raise failure_of(response)
    return response.content


def failure_of(response):
    try:
        document = response.json()
    except ValueError:
        document = None
    detail = document.get("detail", document) if isinstance(document, dict) else None
    message = detail if isinstance(detail, str) else json.dumps(detail) if detail else response.text
    error_type = document.get("error_type") if isinstance(document, dict) else None
    kind = "validation" if response.status_code == 422 else "http"
    fields = detail if isinstance(detail, list) else None
    failure = Failure(
        kind, message, response.status_code, error_type or response.headers.get("x-fal-error-type"), fields
    )
    if "no_details" in BUGS:
        failure = Failure("other", "request failed")
    failure.headers, failure.text = response.headers, response.text
    return failure


def retry_delay(failure, safe):
    """Seconds until the next attempt; None for a permanent failure."""
    status = failure.error["status"]
    headers = getattr(failure, "headers", {})
    if "retries_all" in BUGS:
        return 0.0
    if status is None:
        return 0.2 if safe and failure.error["kind"] == "network" else None
    if status == 504 and headers.get("x-fal-request-timeout-type"):
        return None
    ingress = status in (502, 503, 504) and "x-fal-request-id" not in headers and "nginx" in failure.text
    stored = failure.error["error_type"] is not None
    if status == 429 or ingress or (safe and status in (500, 503) and not stored):
        return 0.0 if "no_backoff" in BUGS else float(headers.get("retry-after", 0.2))
    return None


def parsed(text):
    if "floats" in BUGS:
        return json.loads(text, parse_int=lambda digits: int(float(digits)))
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure("other", f"not JSON: {error}") from None


def serialized(document):
    if "wrapped" in BUGS:
        document = {"input": document}
    if "escapes_lost" in BUGS:
        return json.dumps(document, ensure_ascii=False).encode("ascii", "replace")
    if "nulls_dropped" in BUGS and isinstance(document, dict):
        document = {name: value for name, value in document.items() if value}
    return json.dumps(document).encode()


def app_id(endpoint):
    parts = endpoint.split("/")
    if "sub_path" in BUGS:
        return endpoint
    return "/".join(parts[:3] if parts[0] in ("workflows", "comfy") else parts[:2])


def options_headers(options):
    headers = {"Content-Type": "text/plain" if "no_content_type" in BUGS else "application/json"}
    names = {
        "priority": "X-Fal-Queue-Priority",
        "hint": "X-Fal-Runner-Hint",
        "start_timeout_s": "X-Fal-Request-Timeout",
    }
    if "options_ignored" not in BUGS:
        headers |= {header: str(options[name]) for name, header in names.items() if name in options}
    return headers


def submit(job, until=None):
    options = job["options"]
    url = f"{QUEUE}/{job['endpoint']}"
    if options.get("webhook_url") and "options_ignored" not in BUGS:
        webhook = options["webhook_url"]
        url += "?fal_webhook=" + (webhook if "webhook_raw" in BUGS else quote(webhook, ""))
    response = parsed(send("POST", url, serialized(job["input"]), options_headers(options), until=until))
    if not isinstance(response, dict) or not isinstance(response.get("request_id"), str):
        raise Failure("other", "no request_id in the response")
    return response["request_id"]


def request_url(job, request_id, suffix=""):
    return f"{QUEUE}/{app_id(job['endpoint'])}/requests/{request_id}{suffix}"


def poll(job, request_id, until=None):
    logs = job["options"].get("with_logs") and "no_logs" not in BUGS
    response = parsed(
        send("GET", request_url(job, request_id, "/status?logs=" + ("1" if logs else "0")), until=until)
    )
    if not isinstance(response, dict) or "status" not in response:
        raise Failure("other", "no status in the response")
    if "strict_status" in BUGS:
        response["logs"], response["metrics"], response["queue_position"] = (
            response["logs"],
            response["metrics"],
            response["queue_position"] or None,
        )
    return response


def limit(job):
    """When the caller's time limit ends, or the caller aborts the call; None if neither is set."""
    ignored = {"timeout_s": "no_timeout", "abort_after_s": "abort_ignored"}
    seconds = [
        job["options"][name] for name, bug in ignored.items() if name in job["options"] and bug not in BUGS
    ]
    return time.monotonic() + min(seconds) if seconds else None


def subscribe(job):
    until = limit(job)
    request_id = submit(job, until)
    if "submits_twice" in BUGS:
        submit(job)
    updates = []
    try:
        while True:
            status = poll(job, request_id, until)
            updates.append(status)
            if status["status"] == "COMPLETED":
                break
            if until is not None and time.monotonic() > until:
                raise Failure("timeout", "the time limit of the caller is reached")
            time.sleep(0.0 if "busy" in BUGS else 0.1)
        result = parsed(send("GET", request_url(job, request_id), until=until))
    except Failure as failure:
        if failure.error["kind"] == "timeout" and "no_cancel" not in BUGS:
            with contextlib.suppress(Failure):
                send("PUT", request_url(job, request_id, "/cancel"))
        if "polls_on" in BUGS:
            for _ in range(5):
                time.sleep(0.3)
                poll(job, request_id)
        raise
    if "polls_on" in BUGS:
        poll(job, request_id)
        parsed(send("GET", request_url(job, request_id)))
    return {
        "request_id": None if "id_lost" in BUGS else request_id,
        "updates": updates[-1:] if "no_updates" in BUGS else updates,
        "result": result,
    }


def events_of(text):
    """The data of the events in a stream, parsed as the standard says."""
    if "simple_sse" in BUGS:
        return [json.loads(part.removeprefix(b"data: ")) for part in text.split(b"\n\n") if part]
    events, data = [], []
    lines = re.split("\r\n|\r|\n", text.decode("utf-8-sig"))
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        if not line and data:
            events.append(parsed("\n".join(data)))
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))
    return events


def stream(job):
    headers = options_headers(job["options"]) | (
        {} if "no_accept" in BUGS else {"Accept": "text/event-stream"}
    )
    url = f"https://fal.run/{job['endpoint']}/stream"
    text = send("POST", url, serialized(job["input"]), headers, until=limit(job))
    events = events_of(text)
    if not events:
        raise Failure("other", "the stream has no event")
    return {"events": events, "result": events[-1]}


def upload(job):
    data = base64.b64decode(job["data_base64"])
    body = {"content_type": job["content_type"], "file_name": job["file_name"]}
    if "name_lost" in BUGS:
        body = {"content_type": "application/octet-stream", "file_name": "file"}
    initiate = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3"
    links = parsed(send("POST", initiate, serialized(body), {"Content-Type": "application/json"}))
    if "text_upload" in BUGS:
        data = data.decode("utf-8", "replace").encode()
    headers = {"Content-Type": body["content_type"]}
    send("PUT", links["upload_url"], data, headers, safe=True, key="key_to_cdn" in BUGS)
    return {"result": links["file_url"]}


def realtime(job):
    """The results of all inputs; a refused token or a closed socket is replaced once."""
    events = []
    for _ in range(1 if "socket_lost" in BUGS else 2):
        with contextlib.suppress(ConnectionError):
            token = parsed(send("POST", "https://rest.fal.ai/tokens/", serialized(TOKEN), JSON_TYPE))
            exchange_all(f"wss://fal.run/{job['endpoint']}/realtime?fal_jwt_token={token}", job, events)
            return {"events": events, "result": events[-1]}
    if "socket_lost" in BUGS:
        return {"events": events, "result": None}
    raise Failure("network", "the socket was closed")


TOKEN = {"allowed_apps": ["fast-lcm-diffusion"], "token_expiration": 120}
JSON_TYPE = {"Content-Type": "application/json"}


def exchange_all(url, job, events):
    """Send the inputs that have no result yet. Raises ConnectionError when the server closes the socket."""
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(url) as socket:
            for number in range(len(events), len(job["inputs"])):
                time.sleep(job["options"].get("pause_s", 0.0) if events else 0.0)
                socket.send(msgpack.packb(job["inputs"][number]))
                events.append(received(socket))
    except ConnectionClosed as error:
        raise ConnectionError from error
    except InvalidStatus as error:
        raise Failure("http", "the handshake was rejected", error.response.status_code) from None


def received(socket):
    """The next result. Raises ConnectionError for a refused token."""
    while True:
        message = socket.recv(timeout=5)
        if isinstance(message, bytes):
            try:
                return msgpack.unpackb(message)
            except ValueError as error:
                raise Failure("other", f"not MessagePack: {error}") from None
        document = parsed(message)
        if document.get("error") == "Unauthorized":
            raise ConnectionError("Unauthorized")
        if document.get("type") == "x-fal-error" and document["error"] != "TIMEOUT":
            raise Failure("other", f"{document['error']}: {document['reason']}")
        if document.get("type") is None:
            return document


jwks = []


def is_genuine(job):
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    headers = {name.lower(): value for name, value in job["headers"].items()}
    try:
        names = ("request-id", "user-id", "timestamp", "signature")
        request_id, user_id, timestamp, signature = (headers[f"x-fal-webhook-{name}"] for name in names)
        if abs(time.time() - int(timestamp)) > 300:
            return False
        digest = hashlib.sha256(job["body"].encode()).hexdigest()
        if not jwks or "keys_not_cached" in BUGS:
            jwks[:] = parsed(send("GET", "https://rest.fal.ai/.well-known/jwks.json", key=False))["keys"]
        message = "\n".join([request_id, user_id, timestamp, digest]).encode()
        for key in jwks:
            raw = base64.urlsafe_b64decode(key["x"] + "==")
            try:
                Ed25519PublicKey.from_public_bytes(raw).verify(bytes.fromhex(signature), message)
                return True
            except InvalidSignature:
                pass
    except (KeyError, ValueError):
        pass
    return False


def perform(job):
    op = job["op"]
    if op == "submit":
        return {"request_id": submit(job, limit(job))}
    if op == "status":
        return {"result": poll(job, job["request_id"])}
    if op == "result":
        return {"result": parsed(send("GET", request_url(job, job["request_id"])))}
    if op == "cancel":
        method = "POST" if "cancel_by_post" in BUGS else "PUT"
        return {"result": parsed(send(method, request_url(job, job["request_id"], "/cancel")))}
    if op == "subscribe":
        return subscribe(job)
    if op == "run":
        headers = options_headers(job["options"])
        return {
            "result": parsed(
                send(
                    "POST",
                    f"https://fal.run/{job['endpoint']}",
                    serialized(job["input"]),
                    headers,
                    until=limit(job),
                )
            )
        }
    if op == "stream":
        return stream(job)
    if op == "stream_status":
        updates = events_of(send("GET", request_url(job, job["request_id"], "/status/stream")))
        return {"updates": updates, "result": updates[-1]}
    if op == "upload":
        return upload(job)
    if op == "realtime":
        return realtime(job)
    return {"result": is_genuine(job)}


for line in sys.stdin:
    job = json.loads(line)
    try:
        if "always_ok" in BUGS or "always_fails" in BUGS:
            answer = (
                {"ok": True, "result": None}
                if "always_ok" in BUGS
                else {"ok": False, "error": {"kind": "other"}}
            )
        else:
            answer = {"ok": True, **perform(job)}
    except Failure as failure:
        if failure.error["kind"] == "timeout" and "abort_after_s" in job["options"]:
            failure.error["kind"] = "aborted"
        answer = {"ok": False, "error": failure.error}
    except Exception as error:
        answer = {"ok": False, "error": {"kind": "other", "message": f"{type(error).__name__}: {error}"}}
    print(json.dumps({"id": job["id"], **answer}, default=repr), flush=True)
