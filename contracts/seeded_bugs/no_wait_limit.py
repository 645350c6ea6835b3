"""Waits for a request as long as it takes.

Rule: usage.wait-limit
Stress: endless
"""

import time

import fal

request = fal.submit({"prompt": "a cat"})
while fal.send("GET", request["status_url"])[0] == 202:
    time.sleep(0.3)
fal.result(request)
