"""LiteLLM's provider fal_ai: pictures and a video, in the forms of OpenAI's API.

python litellm_media.py FOLDER: reads picture.png there, writes the results, and prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import httpx

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else the import downloads prices from GitHub
import litellm

litellm.suppress_debug_info = True


def pictures() -> list[dict[str, object]]:
    response = litellm.image_generation(
        prompt="a cat", model="fal_ai/fal-ai/flux/schnell", n=2, size="512x512"
    )
    return [{"url": image.url, **image.provider_specific_fields} for image in response.data]


def edit(folder: Path) -> str:
    with (folder / "picture.png").open("rb") as picture:
        response = litellm.image_edit(image=picture, prompt="at night", model="fal_ai/openai/gpt-image-2")
    return str(response.data[0].url)


def video(folder: Path) -> dict[str, object]:
    """Start a video, ask for its status until it is completed, and fetch its bytes."""
    job = litellm.video_generation(
        prompt="a cat", model="fal_ai/bytedance/seedance-2.0/text-to-video", seconds="4", size="1280x720"
    )
    states = [job.status]
    while states[-1] not in ("completed", "failed"):
        time.sleep(0.1)
        states.append(litellm.video_status(video_id=job.id).status)
    (folder / "video.mp4").write_bytes(litellm.video_content(video_id=job.id))
    return {"seconds": job.seconds, "states": list(dict.fromkeys(states))}


def main(folder: Path) -> None:
    images, edited = pictures(), edit(folder)
    for number, url in enumerate([str(image["url"]) for image in images] + [edited]):
        (folder / f"image{number}").write_bytes(httpx.get(url).raise_for_status().content)
    print(json.dumps({"pictures": images, "video": video(folder)}))


main(Path(sys.argv[1]))
