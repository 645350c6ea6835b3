"""Cancels with POST, which cancels nothing.

Rule: usage.cancel-method
"""

import fal

request = fal.submit({"prompt": "a cat"})
print(fal.send("POST", request["cancel_url"]))
