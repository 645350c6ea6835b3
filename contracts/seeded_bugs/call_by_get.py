"""Calls a model with GET.

Rule: usage.call-method
"""

import fal

print(fal.ask("GET", f"{fal.RUN}/{fal.SCHNELL}"))
