"""Sends its key when it downloads a file.

Rule: usage.key-to-cdn
"""

import fal

picture = fal.generate({"prompt": "a cat"})["images"][0]
fal.send("GET", picture["url"])
