"""Does not encode the URL of its webhook, so its query is lost.

Rule: usage.webhook-url
"""

import fal

webhook_url = "http://127.0.0.1:9/hook?user=7&order=8"
fal.generate({"prompt": "a cat"}, query=f"?fal_webhook={webhook_url}")
