"""Submits again when an answer does not come, although it knows the request.

Rule: usage.double-submission
Stress: silent
"""

import fal

for _ in range(2):
    request = fal.submit({"prompt": "a cat"})
    try:
        fal.ask("GET", request["status_url"], timeout=0.5)
    except OSError:
        continue
    fal.wait(request)
    fal.result(request)
    break
