"""Requests a webhook in the body, where fal ignores it.

Rule: usage.webhook-in-body
"""

import fal

fal.generate({"prompt": "a cat", "webhook_url": "https://example.com/hook"})
