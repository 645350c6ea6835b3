"""Waits for SUCCEEDED or FAILED, which never come.

Rule: usage.states
"""

import time

import fal

request = fal.submit({"prompt": "a cat"})
for _ in range(15):
    _, _, answer = fal.ask("GET", request["status_url"])
    if answer["status"] in ("SUCCEEDED", "FAILED", "ERROR", "CANCELLED"):
        break
    time.sleep(0.1)
