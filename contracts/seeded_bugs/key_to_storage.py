"""Sends its key along with a presigned upload.

Rule: usage.key-to-storage
"""

import fal

START = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3"
_, _, place = fal.ask("POST", START, {"file_name": "a.txt", "content_type": "text/plain"})
fal.ask("PUT", place["upload_url"], b"a cat", {"Content-Type": "text/plain"})
