"""Calls a model by its name, without its owner, and reads a status without owner and app.

Rule: usage.app
"""

import fal

request = fal.submit({"prompt": "a cat"})
fal.send("GET", f"{fal.QUEUE}/requests/{request['request_id']}/status")
fal.wait(request)
fal.result(request)
print(fal.send("POST", f"{fal.RUN}/fast-sdxl", {"prompt": "a cat"})[0])
