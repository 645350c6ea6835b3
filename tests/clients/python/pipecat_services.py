"""Pipecat's services of fal: speech to text with wizper, and a picture.

python pipecat_services.py FOLDER: reads speech.wav there and prints JSON. Pipecat uses aiohttp without proxies.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp
from loguru import logger
from pipecat.services.fal.image import FalImageGenService
from pipecat.services.fal.stt import FalSTTService

logger.remove()


async def main(folder: Path) -> None:
    speech = (folder / "speech.wav").read_bytes()
    async with aiohttp.ClientSession() as session:
        stt = FalSTTService(aiohttp_session=session)
        [transcript] = [frame async for frame in stt.run_stt(speech)]
        image = FalImageGenService(
            aiohttp_session=session, settings=FalImageGenService.Settings(image_size="landscape_4_3")
        )
        [picture] = [frame async for frame in image.run_image_gen("a cat")]
    print(
        json.dumps(
            {
                "transcript": {"kind": transcript.name, "text": transcript.text, "result": transcript.result},
                "picture": {"url": picture.url, "size": picture.size, "bytes": len(picture.image)},
            }
        )
    )


asyncio.run(main(Path(sys.argv[1])))
