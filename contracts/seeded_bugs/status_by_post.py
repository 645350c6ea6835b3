"""Polls the status with POST.

Rule: usage.read-method
"""

import fal

request = fal.submit({"prompt": "a cat"})
print(fal.send("POST", request["status_url"], {}))
fal.wait(request)
fal.result(request)
