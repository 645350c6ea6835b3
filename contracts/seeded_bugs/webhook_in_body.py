"""Asks for a webhook in the body, where nobody reads it.

Rule: usage.webhook-in-body
"""

import fal

fal.generate({"prompt": "a cat", "webhook_url": "https://example.com/hook"})
