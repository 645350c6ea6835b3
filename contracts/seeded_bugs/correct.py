"""The good twin: no defect, whatever goes wrong. It waits with a deadline, reads what it is told, and pays once."""

import fal

START = "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3"

picture = fal.generate({"prompt": "a cat", "seed": 7}, headers={"X-Fal-Queue-Priority": "low"})["images"][0]
print(len(fal.ask("GET", picture["url"], key="")[2]), "bytes")

_, _, place = fal.ask("POST", START, {"file_name": "cat.jpg", "content_type": "image/jpeg"})
data = fal.ask("GET", picture["url"], key="")[2]
fal.ask("PUT", place["upload_url"], data, {"Content-Type": "image/jpeg"}, key="")
edit = {"prompt": "a dog", "image_url": place["file_url"], "num_images": 2}
fal.generate(edit, "fal-ai/flux/dev/image-to-image", headers={"X-Fal-Request-Start-Timeout": "30"})

print(fal.call(f"{fal.RUN}/{fal.SCHNELL}", {"prompt": "a bird"})["seed"])
unwanted = fal.submit({"prompt": "a fish"})
print(fal.ask("PUT", unwanted["cancel_url"])[0])
