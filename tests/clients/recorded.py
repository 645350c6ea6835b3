"""python -m tests.clients.recorded PROMPT: a session with fal's Python client, for a recording; tells what came."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import fal_client
import httpx


def main(prompt: str) -> None:
    told: list[str] = []

    def tell(update: fal_client.Status) -> None:
        told.extend(line["message"] for line in getattr(update, "logs", None) or ())

    seen: dict[str, Any] = {}
    seen["result"] = fal_client.subscribe(
        "fal-ai/flux/schnell", {"prompt": prompt, "seed": 7}, with_logs=True, on_queue_update=tell
    )
    picture = httpx.get(seen["result"]["images"][0]["url"]).content
    seen["picture"] = hashlib.sha256(picture).hexdigest()
    seen["logs"] = bool(told)
    seen["stream"] = list(fal_client.stream("fal-ai/flux/schnell", {"prompt": prompt}))
    seen["uploaded"] = fal_client.upload(picture, "image/jpeg", file_name="cat.jpg")
    changed = {"prompt": prompt, "image_url": seen["uploaded"]}
    seen["changed"] = fal_client.subscribe("fal-ai/flux/dev/image-to-image", changed)
    try:
        fal_client.subscribe("fal-ai/flux/schnell", {"prompt": [prompt]})
    except fal_client.FalClientHTTPError as error:
        seen["error"] = [error.status_code, str(error)]
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
