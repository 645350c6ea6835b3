"""Asks for a priority that there is not.

Rule: usage.priority
"""

import fal

fal.generate({"prompt": "a cat"}, headers={"X-Fal-Queue-Priority": "high"})
