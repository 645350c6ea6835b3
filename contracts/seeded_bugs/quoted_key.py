"""Sends the quotes of its settings file as a part of the key.

Rule: usage.key-text
"""

import os

import fal

key = f'Key "{os.environ["FAL_KEY"]}"'
print(fal.send("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"}, key=key))
