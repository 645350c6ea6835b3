"""LiveKit's plugin of fal: speech to text with wizper.

python livekit_wizper.py FOLDER: reads speech.wav there and prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from pathlib import Path

from livekit import rtc
from livekit.plugins import fal


async def main(folder: Path) -> None:
    with wave.open(str(folder / "speech.wav")) as sound:
        frame = rtc.AudioFrame(
            data=sound.readframes(sound.getnframes()),
            sample_rate=sound.getframerate(),
            num_channels=sound.getnchannels(),
            samples_per_channel=sound.getnframes(),
        )
    stt = fal.WizperSTT(language="de")
    event = await stt.recognize(frame)
    await stt.aclose()
    [alternative] = event.alternatives
    print(json.dumps({"type": event.type, "text": alternative.text, "language": alternative.language}))


asyncio.run(main(Path(sys.argv[1])))
