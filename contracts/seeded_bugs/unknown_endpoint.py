"""Calls an app and a path that fal does not have.

Rule: usage.endpoint
"""

import fal

for endpoint in ("fal-ai/nano-bananna", "fal-ai/flux/schnel"):
    try:
        fal.generate({"prompt": "a cat"}, endpoint)
    except SystemExit as error:
        print(error)
