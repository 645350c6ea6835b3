"""Sends the requests of a web page that contains the key.

Rule: usage.key-in-browser
"""

import fal

headers = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
fal.call(f"{fal.RUN}/{fal.SCHNELL}", {"prompt": "a cat"}, headers)
