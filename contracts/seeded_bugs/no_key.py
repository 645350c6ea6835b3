"""Forgets the key.

Rule: usage.key-missing
"""

import fal

print(fal.ask("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"}, key=""))
