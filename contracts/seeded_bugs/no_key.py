"""Sends no key.

Rule: usage.key-missing
"""

import fal

print(fal.send("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"}, key=""))
