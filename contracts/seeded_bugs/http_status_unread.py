"""Ignores the HTTP status of its submission, and continues without an id.

Rule: usage.request-id
Stress: unknown-key
"""

import fal

_, _, body = fal.send("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"})
request_id = body.get("request_id")
print(fal.send("GET", f"{fal.QUEUE}/fal-ai/flux/requests/{request_id}/status"))
