"""Sends its key along when it reads a file.

Rule: usage.key-to-cdn
"""

import fal

picture = fal.generate({"prompt": "a cat"})["images"][0]
fal.ask("GET", picture["url"])
