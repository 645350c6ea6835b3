"""Keeps reading a result that has expired.

Rule: usage.not-found
Stress: gone
"""

import fal

request = fal.submit({"prompt": "a cat"})
fal.wait(request)
for _ in range(8):
    if fal.send("GET", request["response_url"])[0] == 200:
        break
