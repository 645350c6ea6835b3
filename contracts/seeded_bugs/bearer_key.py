"""Sends its key as a Bearer token.

Rule: usage.key-scheme
"""

import os

import fal

print(
    fal.send("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"}, key="Bearer " + os.environ["FAL_KEY"])
)
