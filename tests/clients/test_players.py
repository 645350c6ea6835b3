"""Headless Chromium plays the videos and sounds of results to their end, and seeks in them."""

from __future__ import annotations

import json
import os
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest

from mock_fal import File, MockFal
from tests.clients.programs import Node, tool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")

MEDIA: Final = {
    "mp4": File("video", width=1280, height=720, duration_s=4, fps=24),
    "mp4-with-sound": File("video", width=640, height=360, duration_s=3, fps=29.97, sound=True),
    "portrait": File("video", width=480, height=854, duration_s=25, fps=16),
    "webm": File("video", format="webm", width=640, height=360, duration_s=3, fps=24, sound=True),
    "wav": File("audio", format="wav", duration_s=3),
    "mp3": File("audio", format="mp3", duration_s=3),
    "flac": File("audio", format="flac", duration_s=3),
    "ogg": File("audio", format="ogg", duration_s=3),
    "speech": File("speech", format="mp3", duration_s=2.5),
}
DURATIONS: Final = {"mp4": 4, "portrait": 25, "speech": 2.5}
SIZES: Final = {
    "mp4": [1280, 720],
    "mp4-with-sound": [640, 360],
    "portrait": [480, 854],
    "webm": [640, 360],
}
SILENT: Final = {"mp4", "portrait"}


def results(fal: MockFal) -> dict[str, str]:
    """The URLs of a result with all of them."""
    fal.respond("me/media", MEDIA)
    body = json.dumps({"prompt": "a cat"}).encode()
    request = Request(f"{fal.url}/fal.run/me/media", body, {"authorization": "Key alice:secret"})
    with urlopen(request) as response:
        return {name: file["url"] for name, file in json.load(response).items()}


def test_chromium_plays_every_format_to_its_end(newest_node: Node) -> None:
    with MockFal(clock="auto-advance") as fal:
        arguments = ["--chromium", tool("chromium"), "--media", json.dumps(results(fal))]
        played: dict[str, Any] = newest_node("browser/players.mjs", *arguments)
    assert list(played) == list(MEDIA)
    for name, player in played.items():
        assert (player["how"], player["error"], player["sought"]) == ("ended", "", "seeked"), name
        assert player["duration"] == pytest.approx(DURATIONS.get(name, 3), abs=0.05), name
        assert player["currentTime"] == pytest.approx(player["duration"], abs=0.05), name
        assert player["size"] == SIZES.get(name, [0, 0]), name
        assert player["heard"] == (name not in SILENT), name
