"""Puts the prompt into the address.

Rule: usage.prompt-in-url
"""

from urllib.parse import urlencode

import fal

fal.generate({"prompt": "a cat"}, query="?" + urlencode({"prompt": "a cat"}))
