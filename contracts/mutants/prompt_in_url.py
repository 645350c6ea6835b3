"""Puts the prompt into the address.

Rule: verdict.prompt-in-url
"""

from urllib.parse import urlencode

import fal

fal.generate({"prompt": "a cat"}, query="?" + urlencode({"prompt": "a cat"}))
