"""Treats COMPLETED as success, and never reads the result.

Rule: usage.result-read
Stress: refused
"""

import fal

request = fal.submit({"prompt": "a cat"})
fal.wait(request)
print("done:", request["response_url"])
