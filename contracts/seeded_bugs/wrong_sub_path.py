"""Rebuilds the address of the status with the full id of the endpoint.

Rule: usage.request-url
"""

import fal

request = fal.submit({"prompt": "a cat"})
print(fal.ask("GET", f"{fal.QUEUE}/fal-ai/flux/schnell/requests/{request['request_id']}/status"))
fal.wait(request)
fal.result(request)
