"""Appends /response to the URL of the result.

Rule: usage.allowed
"""

import fal

request = fal.submit({"prompt": "a cat"})
fal.wait(request)
print(fal.send("GET", request["response_url"] + "/response")[0])
fal.result(request)
