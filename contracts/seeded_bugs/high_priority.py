"""Requests a priority that does not exist.

Rule: usage.priority
"""

import fal

fal.generate({"prompt": "a cat"}, headers={"X-Fal-Queue-Priority": "high"})
