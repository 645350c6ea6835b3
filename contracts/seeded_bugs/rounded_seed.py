"""Stores the seed of the last picture as a floating-point number.

Rule: usage.seed
"""

import fal

first = fal.generate({"prompt": "a cat"})
fal.generate({"prompt": "a cat", "seed": float(first["seed"])})
