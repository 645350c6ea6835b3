"""Does not encode the address of its webhook, whose own query gets lost.

Rule: usage.webhook-url
"""

import fal

address = "http://127.0.0.1:9/hook?user=7&order=8"
fal.generate({"prompt": "a cat"}, query=f"?fal_webhook={address}")
