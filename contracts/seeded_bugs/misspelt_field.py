"""Says n and imageSize, and wonders why nothing changes.

Rule: usage.field-names
"""

import fal

fal.generate({"prompt": "a cat", "n": 4, "imageSize": "square"})
