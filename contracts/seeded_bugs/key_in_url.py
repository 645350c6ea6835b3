"""Sends its key in the URL as well.

Rule: usage.key-in-url
"""

import os
from urllib.parse import urlencode

import fal

fal.generate({"prompt": "a cat"}, query="?" + urlencode({"key": os.environ["FAL_KEY"]}))
