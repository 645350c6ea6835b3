"""Sends the path of a local file.

Rule: usage.file-url
"""

import fal

fal.generate({"prompt": "a cat", "image_url": "/home/me/cat.png"}, "fal-ai/flux/dev/image-to-image")
