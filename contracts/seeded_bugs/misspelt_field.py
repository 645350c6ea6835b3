"""Sends n and imageSize, which are not fields of the model.

Rule: usage.field-names
"""

import fal

fal.generate({"prompt": "a cat", "n": 4, "imageSize": "square"})
