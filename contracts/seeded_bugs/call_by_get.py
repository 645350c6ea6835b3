"""Calls a model with GET.

Rule: usage.call-method
"""

import fal

print(fal.send("GET", f"{fal.RUN}/{fal.SCHNELL}"))
