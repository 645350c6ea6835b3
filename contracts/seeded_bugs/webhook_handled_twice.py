"""Processes a webhook twice when it is delivered twice.

Rule: usage.webhook-duplicate
Stress: duplicate
"""

import json

import fal


def respond(headers, body):
    picture = json.loads(body)["payload"]["images"][0]
    fal.send("GET", picture["url"], key="")
    return 200


url, receive = fal.receiver(respond)
fal.submit({"prompt": "a cat"}, query="?fal_webhook=" + url)
receive(2)
