"""Calls a model with GET.

Rule: verdict.call-method
"""

import fal

print(fal.ask("GET", f"{fal.RUN}/{fal.SCHNELL}"))
