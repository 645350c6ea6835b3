"""Wraps its input into "input", as the clients do before they send it.

Rule: usage.body-unwrapped
"""

import fal

print(fal.ask("POST", f"{fal.RUN}/{fal.SCHNELL}", {"input": {"prompt": "a cat"}}))
