"""Sends n and imageSize to a model of pictures, and aspectRatio to one of videos: they have no such fields.

Rule: usage.field-names
"""

import fal

fal.generate({"prompt": "a cat", "n": 4, "imageSize": "square"})
fal.generate({"prompt": "a cat", "aspectRatio": "9:16"}, "fal-ai/veo3")
