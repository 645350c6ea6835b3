"""The MCP servers of PyPI that call fal, unmodified: a client starts each of them and calls its tools.

Not among them: falai-mcp-tools 0.2.2 can not call a tool with any MCP library (it builds `CallToolRequest` without
`params`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.clients.media_run import PICTURE, SPEECH_S, MediaRun, media_run
from tests.clients.programs import FOLDER, client_python

CLIENT = FOLDER.parent / "python/mcp_tools.py"


def run(folder: Path, server: str, *calls: tuple[str, dict[str, Any]], python: str = "current") -> MediaRun:
    """Call the tools of a server. The first item of the output is the list of its tools."""
    command = [client_python(python), str(CLIENT), server, *map(json.dumps, calls)]
    return media_run(folder, command, "--offline", "--guess-models")


def test_fal_mcp_server_lists_models_and_makes_media(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "fal_mcp_server.server:main",
        ("list_models", {"category": "video", "limit": 3}),
        ("generate_image", {"prompt": "a cat"}),
        ("generate_music", {"prompt": "a waltz"}),
        ("generate_video", {"prompt": "a cat", "model": "fal-ai/hunyuan-video"}),
        ("upload_file", {"file_path": "picture.png"}),
        ("get_pricing", {"models": ["fal-ai/flux/schnell"]}),
    )
    tools, models, image, music, video, upload, pricing = done.output
    assert {"generate_image", "generate_video", "generate_music"} <= set(tools)
    assert len(re.findall(r"^- `\S+/\S+`$", models, re.MULTILINE)) == 3
    for text, extension in ((image, "jpg"), (music, "wav"), (video, "mp4"), (upload, "png")):
        assert re.search(rf"https://v3b\.fal\.media/files/\S+\.{extension}\b", text), text
    assert "$0.003 per megapixels" in pricing


def test_fal_ai_mcp_server_saves_pictures_and_a_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fal-ai/wan-i2v/turbo is in no list of fal's models: its schema is guessed."""
    monkeypatch.setenv("SAVE_MEDIA_DIR", str(tmp_path / "saved"))
    done = run(
        tmp_path,
        "fal_ai_mcp_server.main:main",
        ("generate_image", {"prompt": "a cat"}),
        ("edit_image", {"prompt": "at night", "image_path": "picture.png"}),
        ("generate_video", {"prompt": "a cat", "image_path": "picture.png"}),
    )
    assert done.picture("saved/00000.png") == ("PNG", (512, 512))
    assert done.picture("saved/00001.png")[1] == PICTURE
    assert round(done.video("saved/00002.mp4").duration_s) == 5  # 81 frames at 16 frames per second
    assert "fal-ai/wan-i2v/turbo is not known" in done.summary


def test_fal_ai_mcp_returns_the_result_of_the_model(tmp_path: Path) -> None:
    done = run(tmp_path, "fal_ai_mcp:main", ("text_to_image_fal", {"prompt": "a cat"}), python="older")
    assert done.output[0] == ["text_to_image_fal"]
    [image] = done.output[1]["images"]
    assert (image["width"], image["height"], image["content_type"]) == (1024, 1024, "image/jpeg")


def test_mcp_fal_uploads_transcribes_and_polls(tmp_path: Path) -> None:
    """Published as iflow-mcp-am0y-mcp-fal."""
    done = run(
        tmp_path,
        "main:main",
        ("upload", {"path": "speech.wav"}),
        ("generate", {"model": "fal-ai/whisper", "parameters": {"audio_url": "$1.file_url"}}),
        ("generate", {"model": "fal-ai/flux/dev", "parameters": {"prompt": "a cat"}, "queue": True}),
        ("status", {"url": "$3.status_url"}),
        ("schema", {"model_id": "fal-ai/flux/dev"}),
        ("search", {"keywords": "whisper"}),
    )
    _, upload, transcript, submitted, status, schema, found = done.output
    assert (upload["file_name"], upload["content_type"]) == ("speech.wav", "audio/x-wav")
    assert transcript["chunks"][-1]["timestamp"][1] == SPEECH_S
    assert submitted["status"] == "IN_QUEUE"
    assert status["request_id"] == submitted["request_id"]
    assert "/fal-ai/flux/dev" in schema["paths"]
    assert "fal-ai/whisper" in [item["id"] for item in found["items"]]


def test_genvoy_searches_estimates_and_downloads(tmp_path: Path) -> None:
    """It asks for the status at the whole id, which fal allows for an id of two parts only."""
    done = run(
        tmp_path,
        "genvoy.server:main",
        ("search_models", {"query": "flux"}),
        ("estimate_cost", {"model_id": "fal-ai/flux/schnell", "count": 3}),
        ("generate", {"model_id": "fal-ai/fast-sdxl", "prompt": "a cat", "output_path": "image"}),
        ("generate", {"model_id": "fal-ai/lyria2", "prompt": "a waltz", "output_path": "music"}),
        ("generate", {"model_id": "fal-ai/ltx-video", "prompt": "a cat", "output_path": "video"}),
    )
    _, models, cost, image, music, video = done.output
    assert models["models"]
    assert cost["estimate"]["total_cost"] == pytest.approx(0.009)
    assert [result["media_type"] for result in (image, music, video)] == ["image", "audio", "video"]
    assert done.picture(Path(image["output_path"]).name) == ("JPEG", (1024, 1024))
    assert done.sound_s(Path(music["output_path"]).name) > 0.5
    assert len(done.video(Path(video["output_path"]).name).frames) > 1
