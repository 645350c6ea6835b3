"""Submits again when a response does not come, although it has the request id.

Rule: usage.double-submission
Stress: silent
"""

import fal

for _ in range(2):
    request = fal.submit({"prompt": "a cat"})
    try:
        fal.send("GET", request["status_url"], timeout=0.5)
    except OSError:
        continue
    fal.wait(request)
    fal.result(request)
    break
