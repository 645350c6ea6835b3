"""Sets its start deadline as text with a unit.

Rule: usage.start-timeout
"""

import fal

fal.generate({"prompt": "a cat"}, headers={"X-Fal-Request-Start-Timeout": "30s"})
