"""Sends its key with a presigned upload.

Rule: usage.key-to-storage
"""

import fal

INITIATE = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3"
_, _, upload = fal.send("POST", INITIATE, {"file_name": "a.txt", "content_type": "text/plain"})
fal.send("PUT", upload["upload_url"], b"a cat", {"Content-Type": "text/plain"})
