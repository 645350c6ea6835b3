"""A driver for the synchronous API of fal_client."""

import base64
import json
import sys
import time
from dataclasses import asdict

import fal_client
import httpx

STATES = {"Queued": "IN_QUEUE", "InProgress": "IN_PROGRESS", "Completed": "COMPLETED"}
RENAMED = {"timeout_s": "client_timeout", "start_timeout_s": "start_timeout"}


def as_json(status):
    fields = asdict(status)
    if "position" in fields:
        fields["queue_position"] = fields.pop("position")
    return {"status": STATES[type(status).__name__], **fields}


def perform(op, job):
    endpoint, input, request_id = (job.get(name) for name in ("endpoint", "input", "request_id"))
    options = {RENAMED.get(name, name): value for name, value in job.get("options", {}).items()}
    if "abort_after_s" in options:
        return None  # a synchronous call can't be aborted
    if op == "run":
        return {"result": fal_client.run(endpoint, input, **options)}
    if op == "submit":
        return {"request_id": fal_client.submit(endpoint, input, **options).request_id}
    if op == "status":
        return {"result": as_json(fal_client.status(endpoint, request_id, **options))}
    if op == "result":
        return {"result": fal_client.result(endpoint, request_id)}
    if op == "cancel":
        return {"result": fal_client.cancel(endpoint, request_id)}
    if op == "subscribe":
        updates, ids = [], []
        options |= {
            "on_enqueue": ids.append,
            "on_queue_update": lambda status: updates.append(as_json(status)),
        }
        result = fal_client.subscribe(endpoint, input, **options)
        return {"result": result, "updates": updates, "request_id": ids[0]}
    if op == "stream":
        events = list(fal_client.stream(endpoint, input, **options))
        return {"events": events, "result": events[-1] if events else None}
    if op == "realtime":
        events, pause_s = [], options.get("pause_s", 0)
        with fal_client.realtime(endpoint) as connection:
            for input in job["inputs"]:
                time.sleep(pause_s if events else 0)
                connection.send(input)
                if (result := connection.recv()) is None:
                    raise ConnectionError("the socket was closed")
                events.append(result)
        return {"events": events, "result": events[-1]}
    if op == "upload":
        data = base64.b64decode(job["data_base64"])
        return {"result": fal_client.upload(data, job["content_type"], job["file_name"])}
    return None


def error_of(error):
    if isinstance(error, fal_client.FalClientHTTPError):
        kind = "validation" if error.status_code == 422 else "http"
        fields = error.message if isinstance(error.message, list) else None
        details = {"status": error.status_code, "error_type": error.error_type, "fields": fields}
        return {"kind": kind, "message": str(error), **details}
    is_timeout = isinstance(error, (TimeoutError, httpx.TimeoutException))
    kind = "timeout" if is_timeout else "network" if isinstance(error, httpx.TransportError) else "other"
    return {"kind": kind, "message": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    job = json.loads(line)
    try:
        content = perform(job["op"], job)
        answer = (
            {"ok": True, **content}
            if content
            else {"unsupported": True, "reason": f"fal_client can't do this: {job['op']}"}
        )
    except Exception as error:
        answer = {"ok": False, "error": error_of(error)}
    print(json.dumps({"id": job["id"], **answer}, default=repr), flush=True)
