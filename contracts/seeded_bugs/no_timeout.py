"""Waits for an answer for ever.

Rule: usage.timeout
Stress: silent
"""

import fal

request = fal.submit({"prompt": "a cat"})
print(fal.ask("GET", request["status_url"], timeout=None))
fal.wait(request)
fal.result(request)
