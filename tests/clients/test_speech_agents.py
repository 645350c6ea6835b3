"""Frameworks of voice agents, unmodified: LiveKit's plugin and Pipecat's services transcribe with wizper."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.media_run import SPEECH_S, MediaRun, media_run, shared_run
from tests.clients.programs import FOLDER, client_python


def command(program: str) -> list[str]:
    return [client_python(), str(FOLDER.parent / "python" / program), "."]


def test_livekit_recognizes_speech(tmp_path: Path) -> None:
    done = media_run(tmp_path, command("livekit_wizper.py"), "--offline")
    text = done.output.pop("text")
    assert done.output == {"type": "final_transcript", "language": "de"}
    assert len(text.split()) > 3
    assert "POST   fal.run/fal-ai/wizper  200\n" in done.summary


@pytest.fixture(scope="module")
def pipecat(tmp_path_factory: pytest.TempPathFactory) -> MediaRun:
    """It uses aiohttp, which ignores the proxy variables: the Python preload redirects it."""
    return shared_run(tmp_path_factory, "pipecat", command("pipecat_services.py"))


def test_pipecat_recognizes_speech(pipecat: MediaRun) -> None:
    transcript = pipecat.output["transcript"]
    assert transcript["kind"].startswith("TranscriptionFrame")
    assert transcript["text"] == transcript["result"]["text"].strip()
    assert transcript["result"]["chunks"][-1]["timestamp"][1] == SPEECH_S
    assert transcript["result"]["languages"] == ["en"]


def test_pipecat_makes_a_picture(pipecat: MediaRun) -> None:
    picture = pipecat.output["picture"]
    assert (picture["size"], picture["bytes"]) == ([1024, 768], 1024 * 768 * 3)
