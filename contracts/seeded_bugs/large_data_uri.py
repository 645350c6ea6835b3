"""Sends a file of 11 MB as a data URI.

Rule: usage.data-uri
"""

import fal

uri = "data:image/png;base64," + "A" * (11_000_000 * 4 // 3)
request = fal.submit({"prompt": "a cat", "image_url": uri}, "fal-ai/flux/dev/image-to-image")
fal.wait(request)
fal.send("GET", request["response_url"])
