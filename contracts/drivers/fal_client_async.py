"""A driver for the asynchronous API of fal_client."""

import asyncio
import base64
import json
import sys
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


async def perform(op, job):
    endpoint, input, request_id = (job.get(name) for name in ("endpoint", "input", "request_id"))
    options = {RENAMED.get(name, name): value for name, value in job.get("options", {}).items()}
    if op == "run":
        return {"result": await fal_client.run_async(endpoint, input, **options)}
    if op == "submit":
        return {"request_id": (await fal_client.submit_async(endpoint, input, **options)).request_id}
    if op == "status":
        return {"result": as_json(await fal_client.status_async(endpoint, request_id, **options))}
    if op == "result":
        return {"result": await fal_client.result_async(endpoint, request_id)}
    if op == "cancel":
        return {"result": await fal_client.cancel_async(endpoint, request_id)}
    if op == "subscribe":
        updates, ids = [], []
        options |= {
            "on_enqueue": ids.append,
            "on_queue_update": lambda status: updates.append(as_json(status)),
        }
        result = await fal_client.subscribe_async(endpoint, input, **options)
        return {"result": result, "updates": updates, "request_id": ids[0]}
    if op == "stream":
        events = [event async for event in fal_client.stream_async(endpoint, input, **options)]
        return {"events": events, "result": events[-1] if events else None}
    if op == "realtime":
        events, pause_s = [], options.get("pause_s", 0)
        async with fal_client.realtime_async(endpoint) as connection:
            for input in job["inputs"]:
                await asyncio.sleep(pause_s if events else 0)
                await connection.send(input)
                if (result := await connection.recv()) is None:
                    raise ConnectionError("the socket was closed")
                events.append(result)
        return {"events": events, "result": events[-1]}
    if op == "upload":
        data = base64.b64decode(job["data_base64"])
        return {"result": await fal_client.upload_async(data, job["content_type"], job["file_name"])}
    return None


async def perform_or_abort(op, job):
    abort_after_s = job.get("options", {}).pop("abort_after_s", None)
    task = asyncio.create_task(perform(op, job))
    if abort_after_s is not None:
        asyncio.get_running_loop().call_later(abort_after_s, task.cancel)
    return await task


def error_of(error):
    if isinstance(error, asyncio.CancelledError):
        return {"kind": "aborted", "message": "CancelledError"}
    if isinstance(error, fal_client.FalClientHTTPError):
        kind = "validation" if error.status_code == 422 else "http"
        fields = error.message if isinstance(error.message, list) else None
        details = {"status": error.status_code, "error_type": error.error_type, "fields": fields}
        return {"kind": kind, "message": str(error), **details}
    is_timeout = isinstance(error, (TimeoutError, httpx.TimeoutException))
    kind = "timeout" if is_timeout else "network" if isinstance(error, httpx.TransportError) else "other"
    return {"kind": kind, "message": f"{type(error).__name__}: {error}"}


async def main():
    while line := await asyncio.to_thread(sys.stdin.readline):
        job = json.loads(line)
        try:
            content = await perform_or_abort(job["op"], job)
            answer = (
                {"ok": True, **content}
                if content
                else {"unsupported": True, "reason": f"fal_client has no {job['op']}"}
            )
        except (Exception, asyncio.CancelledError) as error:
            answer = {"ok": False, "error": error_of(error)}
        print(json.dumps({"id": job["id"], **answer}, default=repr), flush=True)


asyncio.run(main())
