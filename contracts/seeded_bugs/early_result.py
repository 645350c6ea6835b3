"""Treats the 400 of a result that is not ready as a failure.

Rule: usage.early-result
"""

import fal

request = fal.submit({"prompt": "a cat [mock: run=5]"})
fal.result(request)
