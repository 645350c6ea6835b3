"""Builds the status URL with the full endpoint id.

Rule: usage.request-url
"""

import fal

request = fal.submit({"prompt": "a cat"})
print(fal.send("GET", f"{fal.QUEUE}/fal-ai/flux/schnell/requests/{request['request_id']}/status"))
fal.wait(request)
fal.result(request)
