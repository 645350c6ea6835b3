"""python -m tests.clients.recorded PROMPT: run fal's Python client for a recording, and print the results as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import fal_client
import httpx


def main(prompt: str) -> None:
    logs: list[str] = []

    def collect_logs(update: fal_client.Status) -> None:
        logs.extend(line["message"] for line in getattr(update, "logs", None) or ())

    output: dict[str, Any] = {}
    output["result"] = fal_client.subscribe(
        "fal-ai/flux/schnell", {"prompt": prompt, "seed": 7}, with_logs=True, on_queue_update=collect_logs
    )
    picture = httpx.get(output["result"]["images"][0]["url"]).content
    output["picture"] = hashlib.sha256(picture).hexdigest()
    output["logs"] = bool(logs)
    output["stream"] = list(fal_client.stream("fal-ai/flux/schnell", {"prompt": prompt}))
    output["uploaded"] = fal_client.upload(picture, "image/jpeg", file_name="cat.jpg")
    changed = {"prompt": prompt, "image_url": output["uploaded"]}
    output["changed"] = fal_client.subscribe("fal-ai/flux/dev/image-to-image", changed)
    try:
        fal_client.subscribe("fal-ai/flux/schnell", {"prompt": [prompt]})
    except fal_client.FalClientHTTPError as error:
        output["error"] = [error.status_code, str(error)]
    sys.stdout.write(json.dumps(output) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
