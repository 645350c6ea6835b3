"""Agno's toolkit of fal, called as an agent would call it: a video, a picture and an edited picture.

python agno_tools.py FOLDER: reads picture.png there, writes the results, and prints JSON.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from unittest.mock import Mock

import httpx
from agno.agent import Agent
from agno.tools.fal import FalTools


def main(folder: Path) -> None:
    agent = Mock(spec=Agent)
    picture = b64encode((folder / "picture.png").read_bytes()).decode()
    results = {
        "video.mp4": FalTools().generate_media(agent, "a cat"),
        "image": FalTools(model="fal-ai/flux/schnell").generate_media(agent, "a cat"),
        "edited": FalTools(all=True).image_to_image(agent, "at night", f"data:image/png;base64,{picture}"),
    }
    for name, result in results.items():
        [media] = result.videos or result.images
        (folder / name).write_bytes(httpx.get(media.url).raise_for_status().content)
    print(json.dumps({name: result.content for name, result in results.items()}))


main(Path(sys.argv[1]))
