"""Wraps its input into "input", like an argument of the client libraries.

Rule: usage.body-unwrapped
"""

import fal

print(fal.send("POST", f"{fal.RUN}/{fal.SCHNELL}", {"input": {"prompt": "a cat"}}))
