"""Never looks at the HTTP status of its submission, and goes on without an id.

Rule: usage.request-id
Stress: unknown-key
"""

import fal

_, _, answer = fal.ask("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"})
request_id = answer.get("request_id")
print(fal.ask("GET", f"{fal.QUEUE}/fal-ai/flux/requests/{request_id}/status"))
