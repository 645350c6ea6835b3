"""Sends the same input again and again, although it is refused.

Rule: usage.refused-input
Stress: refused
"""

import fal

for _ in range(6):
    request = fal.submit({"prompt": "a cat"})
    fal.wait(request)
    if fal.ask("GET", request["response_url"])[0] == 200:
        break
