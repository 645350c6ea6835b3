"""Sends a form instead of JSON.

Rule: usage.body-json
"""

from urllib.parse import urlencode

import fal

form = {"Content-Type": "application/x-www-form-urlencoded"}
print(fal.send("POST", f"{fal.RUN}/{fal.SCHNELL}", urlencode({"prompt": "a cat"}).encode(), form))
