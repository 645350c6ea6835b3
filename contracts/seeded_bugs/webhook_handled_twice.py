"""Does its work once more for a webhook that comes twice.

Rule: usage.webhook-duplicate
Stress: duplicate
"""

import json

import fal


def answer(headers, body):
    picture = json.loads(body)["payload"]["images"][0]
    fal.ask("GET", picture["url"], key="")
    return 200


url, receive = fal.receiver(answer)
fal.submit({"prompt": "a cat"}, query="?fal_webhook=" + url)
receive(2)
