"""Waits for SUCCEEDED or FAILED, which fal never sends.

Rule: usage.states
"""

import time

import fal

request = fal.submit({"prompt": "a cat"})
for _ in range(15):
    _, _, body = fal.send("GET", request["status_url"])
    if body["status"] in ("SUCCEEDED", "FAILED", "ERROR", "CANCELLED"):
        break
    time.sleep(0.1)
