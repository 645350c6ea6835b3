"""One run of a program that makes media with fal, with `mock-fal run`, and what it wrote."""

from __future__ import annotations

import io
import json
import math
import os
import struct
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.clients.programs import mock_fal_run
from tests.media.decoding import Decoded, decode, samples

# The length of speech.wav and the size of picture.png, the inputs of the programs.
SPEECH_S = 3
PICTURE = (320, 240)


@dataclass(frozen=True)
class MediaRun:
    """The JSON that the program printed, the folder of its files, and the summary of `mock-fal run`."""

    output: Any
    folder: Path
    summary: str

    def picture(self, name: str) -> tuple[str | None, tuple[int, int]]:
        """The format and the size of a picture that it wrote, decoded whole."""
        with Image.open(io.BytesIO(self.bytes(name))) as picture:
            picture.load()
            return picture.format, picture.size

    def video(self, name: str) -> Decoded:
        return decode(self.bytes(name))

    def sound_s(self, name: str) -> float:
        """The length of a sound that it wrote, decoded whole."""
        sound = samples(self.bytes(name))
        return len(sound.array) / sound.rate

    def bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


def media_run(folder: Path, command: list[str], *flags: str) -> MediaRun:
    """Run a program in a folder with speech.wav and picture.png. Its last line of output is JSON.

    Raises AssertionError if it fails.
    """
    with wave.open(str(folder / "speech.wav"), "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(b"".join(struct.pack("<h", _level(at)) for at in range(16000 * SPEECH_S)))
    Image.new("RGB", PICTURE, "teal").save(folder / "picture.png")
    done = mock_fal_run(command, *flags, cwd=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "failed" not in done.stderr, done.stderr
    return MediaRun(json.loads(done.stdout.splitlines()[-1]), folder, done.stderr)


def shared_run(factory: pytest.TempPathFactory, name: str, command: list[str]) -> MediaRun:
    """One run offline for all tests of a session, also if several processes of xdist run them."""
    from fcntl import LOCK_EX, flock  # not on Windows

    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder, printed = root / name, root / name / "run.json"
    with (root / f"{name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not printed.exists():
            folder.mkdir(exist_ok=True)
            run = media_run(folder, command, "--offline")
            printed.write_text(json.dumps([run.output, run.summary]))
    output, summary = json.loads(printed.read_text())
    return MediaRun(output, folder, summary)


def _level(at: int) -> int:
    return round(8000 * math.sin(at / 20))
