"""Takes the quotes of its settings file for a part of the key.

Rule: usage.key-text
"""

import os

import fal

key = f'Key "{os.environ["FAL_KEY"]}"'
print(fal.ask("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"}, key=key))
