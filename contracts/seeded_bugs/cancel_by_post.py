"""Cancels with POST, and so does not cancel.

Rule: usage.cancel-method
"""

import fal

request = fal.submit({"prompt": "a cat"})
print(fal.ask("POST", request["cancel_url"]))
