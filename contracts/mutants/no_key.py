"""Forgets the key.

Rule: verdict.key-missing
"""

import fal

print(fal.ask("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"}, key=""))
