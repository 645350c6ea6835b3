"""Sends the prompt in the URL.

Rule: usage.prompt-in-url
"""

from urllib.parse import urlencode

import fal

fal.generate({"prompt": "a cat"}, query="?" + urlencode({"prompt": "a cat"}))
