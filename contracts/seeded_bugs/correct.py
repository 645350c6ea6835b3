"""A correct program, under every injected fault: it has timeouts, checks every response, and submits once."""

import fal

INITIATE = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3"

picture = fal.generate({"prompt": "a cat", "seed": 7}, headers={"X-Fal-Queue-Priority": "low"})["images"][0]
print(len(fal.send("GET", picture["url"], key="")[2]), "bytes")

_, _, upload = fal.send("POST", INITIATE, {"file_name": "cat.jpg", "content_type": "image/jpeg"})
data = fal.send("GET", picture["url"], key="")[2]
fal.send("PUT", upload["upload_url"], data, {"Content-Type": "image/jpeg"}, key="")
edit = {"prompt": "a dog", "image_url": upload["file_url"], "num_images": 2}
fal.generate(edit, "fal-ai/flux/dev/image-to-image", headers={"X-Fal-Request-Start-Timeout": "30"})

print(fal.call(f"{fal.RUN}/{fal.SCHNELL}", {"prompt": "a bird"})["seed"])
unwanted = fal.submit({"prompt": "a fish"})
print(fal.send("PUT", unwanted["cancel_url"])[0])
