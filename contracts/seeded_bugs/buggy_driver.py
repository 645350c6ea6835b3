"""A client behind a driver, with flaws to order: `buggy_driver.py FLAW ...`. Without one it passes every case.

It proves that the cases of `mock-fal check --client` can be passed, and that each of them can fail.
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

FLAWS = set(sys.argv[1:])
KEY = os.environ["FAL_KEY"]
QUEUE = "https://queue.fal.run"


class Failure(Exception):
    """What an answer of the server, or none, came to."""

    def __init__(self, kind, message, status=None, error_type=None, fields=None):
        super().__init__(message)
        self.told = {
            "kind": kind,
            "message": message,
            "status": status,
            "error_type": error_type,
            "fields": fields,
        }


client = httpx.Client()


def ask(method, url, body=None, headers=(), *, until=None, safe=None, key=True):
    """The body of a good answer. Tries again what passes."""
    safe = method == "GET" if safe is None else safe
    headers = {"User-Agent": "flawed/1", **dict(headers)}
    if key and "no_key" not in FLAWS:
        headers["Authorization"] = f"{'Bearer' if 'bearer' in FLAWS else 'Key'} {KEY}"
    if "key_in_url" in FLAWS:
        url += ("&" if "?" in url else "?") + urlencode({"key": KEY})
    for attempt in range(4):
        try:
            return once(method, url, body, headers, until)
        except Failure as failure:
            pause = passes(failure, safe)
            if pause is None or attempt == 3 or "no_retry" in FLAWS:
                raise
            time.sleep(pause)
    raise AssertionError


def once(method, url, body, headers, until):
    timeout = 20.0 if until is None else max(0.01, until - time.monotonic())
    try:
        answer = client.request(method, url, content=body, headers=headers, timeout=timeout)
    except httpx.TimeoutException as error:
        raise Failure("timeout", str(error)) from None
    except httpx.TransportError as error:
        raise Failure("network", str(error)) from None
    if answer.is_redirect and "follows_redirects" in FLAWS:
        return once(method, answer.headers["location"], body, headers, until)
    if not answer.is_success and "status_ignored" not in FLAWS:
        raise refusal(answer)
    return answer.content


def refusal(answer):
    try:
        document = answer.json()
    except ValueError:
        document = None
    detail = document.get("detail", document) if isinstance(document, dict) else None
    said = detail if isinstance(detail, str) else json.dumps(detail) if detail else answer.text
    error_type = document.get("error_type") if isinstance(document, dict) else None
    kind = "validation" if answer.status_code == 422 else "http"
    fields = detail if isinstance(detail, list) else None
    failure = Failure(
        kind, said, answer.status_code, error_type or answer.headers.get("x-fal-error-type"), fields
    )
    if "says_nothing" in FLAWS:
        failure = Failure("other", "request failed")
    failure.headers, failure.text = answer.headers, answer.text
    return failure


def passes(failure, safe):
    """How long to wait before the next try; None when it would not help."""
    status = failure.told["status"]
    headers = getattr(failure, "headers", {})
    if "retries_all" in FLAWS:
        return 0.0
    if status is None:
        return 0.2 if safe and failure.told["kind"] == "network" else None
    if status == 504 and headers.get("x-fal-request-timeout-type"):
        return None
    ingress = status in (502, 503, 504) and "x-fal-request-id" not in headers and "nginx" in failure.text
    stored = failure.told["error_type"] is not None
    if status == 429 or ingress or (safe and status in (500, 503) and not stored):
        return 0.0 if "no_backoff" in FLAWS else float(headers.get("retry-after", 0.2))
    return None


def read(text):
    if "floats" in FLAWS:
        return json.loads(text, parse_int=lambda digits: int(float(digits)))
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Failure("other", f"no JSON: {error}") from None
    return document


def written(document):
    if "wrapped" in FLAWS:
        document = {"input": document}
    if "escapes_lost" in FLAWS:
        return json.dumps(document, ensure_ascii=False).encode("ascii", "replace")
    if "nulls_dropped" in FLAWS and isinstance(document, dict):
        document = {name: value for name, value in document.items() if value}
    return json.dumps(document).encode()


def app(endpoint):
    parts = endpoint.split("/")
    if "sub_path" in FLAWS:
        return endpoint
    return "/".join(parts[:3] if parts[0] in ("workflows", "comfy") else parts[:2])


def options_headers(options):
    headers = {"Content-Type": "text/plain" if "no_content_type" in FLAWS else "application/json"}
    names = {
        "priority": "X-Fal-Queue-Priority",
        "hint": "X-Fal-Runner-Hint",
        "start_timeout_s": "X-Fal-Request-Timeout",
    }
    if "options_ignored" not in FLAWS:
        headers |= {header: str(options[name]) for name, header in names.items() if name in options}
    return headers


def submitted(job, until=None):
    options = job["options"]
    url = f"{QUEUE}/{job['endpoint']}"
    if options.get("webhook_url") and "options_ignored" not in FLAWS:
        webhook = options["webhook_url"]
        url += "?fal_webhook=" + (webhook if "webhook_raw" in FLAWS else quote(webhook, ""))
    answer = read(ask("POST", url, written(job["input"]), options_headers(options), until=until))
    if not isinstance(answer, dict) or not isinstance(answer.get("request_id"), str):
        raise Failure("other", "no request_id in the answer")
    return answer["request_id"]


def about(job, request_id, step=""):
    return f"{QUEUE}/{app(job['endpoint'])}/requests/{request_id}{step}"


def status_of(job, request_id, until=None):
    logs = job["options"].get("with_logs") and "no_logs" not in FLAWS
    answer = read(ask("GET", about(job, request_id, "/status?logs=" + ("1" if logs else "0")), until=until))
    if not isinstance(answer, dict) or "status" not in answer:
        raise Failure("other", "no status in the answer")
    if "strict_status" in FLAWS:
        answer["logs"], answer["metrics"], answer["queue_position"] = (
            answer["logs"],
            answer["metrics"],
            answer["queue_position"] or None,
        )
    return answer


def subscribed(job):
    patience = job["options"].get("timeout_s")
    until = None if patience is None or "no_timeout" in FLAWS else time.monotonic() + patience
    request_id = submitted(job, until)
    if "submits_twice" in FLAWS:
        submitted(job)
    updates = []
    try:
        while True:
            status = status_of(job, request_id, until)
            updates.append(status)
            if status["status"] == "COMPLETED":
                break
            if until is not None and time.monotonic() > until:
                raise Failure("timeout", "the caller's patience is over")
            time.sleep(0.0 if "busy" in FLAWS else 0.1)
        result = read(ask("GET", about(job, request_id), until=until))
    except Failure as failure:
        if failure.told["kind"] == "timeout" and "no_cancel" not in FLAWS:
            with contextlib.suppress(Failure):
                ask("PUT", about(job, request_id, "/cancel"))
        if "polls_on" in FLAWS:
            for _ in range(5):
                status_of(job, request_id)
        raise
    if "polls_on" in FLAWS:
        status_of(job, request_id)
        read(ask("GET", about(job, request_id)))
    return {
        "request_id": None if "id_lost" in FLAWS else request_id,
        "updates": updates[-1:] if "no_updates" in FLAWS else updates,
        "result": result,
    }


def events_of(text):
    """The data of the events in a stream, as the standard says."""
    if "simple_sse" in FLAWS:
        return [json.loads(part.removeprefix(b"data: ")) for part in text.split(b"\n\n") if part]
    found, data = [], []
    lines = re.split("\r\n|\r|\n", text.decode("utf-8-sig"))
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        if not line and data:
            found.append(read("\n".join(data)))
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))
    return found


def streamed(job):
    headers = options_headers(job["options"]) | (
        {} if "no_accept" in FLAWS else {"Accept": "text/event-stream"}
    )
    text = ask("POST", f"https://fal.run/{job['endpoint']}/stream", written(job["input"]), headers)
    events = events_of(text)
    if not events:
        raise Failure("other", "the stream has no event")
    return {"events": events, "result": events[-1]}


def uploaded(job):
    data = base64.b64decode(job["data_base64"])
    wanted = {"content_type": job["content_type"], "file_name": job["file_name"]}
    if "name_lost" in FLAWS:
        wanted = {"content_type": "application/octet-stream", "file_name": "file"}
    initiate = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3"
    links = read(ask("POST", initiate, written(wanted), {"Content-Type": "application/json"}))
    if "text_upload" in FLAWS:
        data = data.decode("utf-8", "replace").encode()
    headers = {"Content-Type": wanted["content_type"]}
    ask("PUT", links["upload_url"], data, headers, safe=True, key="key_to_cdn" in FLAWS)
    return {"result": links["file_url"]}


jwks = []


def genuine(job):
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    headers = {name.lower(): value for name, value in job["headers"].items()}
    try:
        names = ("request-id", "user-id", "timestamp", "signature")
        request_id, user_id, timestamp, signature = (headers[f"x-fal-webhook-{name}"] for name in names)
        if abs(time.time() - int(timestamp)) > 300:
            return False
        digest = hashlib.sha256(job["body"].encode()).hexdigest()
        if not jwks or "keys_not_kept" in FLAWS:
            jwks[:] = read(ask("GET", "https://rest.fal.ai/.well-known/jwks.json", key=False))["keys"]
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


def answer(job):
    op = job["op"]
    if op == "submit":
        return {"request_id": submitted(job)}
    if op == "status":
        return {"result": status_of(job, job["request_id"])}
    if op == "result":
        return {"result": read(ask("GET", about(job, job["request_id"])))}
    if op == "cancel":
        method = "POST" if "cancel_by_post" in FLAWS else "PUT"
        return {"result": read(ask(method, about(job, job["request_id"], "/cancel")))}
    if op == "subscribe":
        return subscribed(job)
    if op == "run":
        headers = options_headers(job["options"])
        return {
            "result": read(ask("POST", f"https://fal.run/{job['endpoint']}", written(job["input"]), headers))
        }
    if op == "stream":
        return streamed(job)
    if op == "stream_status":
        updates = events_of(ask("GET", about(job, job["request_id"], "/status/stream")))
        return {"updates": updates, "result": updates[-1]}
    if op == "upload":
        return uploaded(job)
    return {"result": genuine(job)}


for line in sys.stdin:
    job = json.loads(line)
    try:
        if "yes" in FLAWS or "no" in FLAWS:
            said = (
                {"ok": True, "result": None} if "yes" in FLAWS else {"ok": False, "error": {"kind": "other"}}
            )
        else:
            said = {"ok": True, **answer(job)}
    except Failure as failure:
        said = {"ok": False, "error": failure.told}
    except Exception as error:
        said = {"ok": False, "error": {"kind": "other", "message": f"{type(error).__name__}: {error}"}}
    print(json.dumps({"id": job["id"], **said}), flush=True)
