"""Sends its key in the address as well.

Rule: verdict.key-in-url
"""

import os
from urllib.parse import urlencode

import fal

fal.generate({"prompt": "a cat"}, query="?" + urlencode({"key": os.environ["FAL_KEY"]}))
