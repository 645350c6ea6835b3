"""Asks as a page in a browser does that was given the key.

Rule: usage.key-in-browser
"""

import fal

page = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
fal.call(f"{fal.RUN}/{fal.SCHNELL}", {"prompt": "a cat"}, page)
