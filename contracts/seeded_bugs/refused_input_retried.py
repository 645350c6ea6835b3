"""Keeps sending an input that is rejected.

Rule: usage.refused-input
Stress: refused
"""

import fal

for _ in range(6):
    request = fal.submit({"prompt": "a cat"})
    fal.wait(request)
    if fal.send("GET", request["response_url"])[0] == 200:
        break
