"""Waits for a response without a timeout.

Rule: usage.timeout
Stress: silent
"""

import fal

request = fal.submit({"prompt": "a cat"})
print(fal.send("GET", request["status_url"], timeout=None))
fal.wait(request)
fal.result(request)
