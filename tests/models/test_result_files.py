from __future__ import annotations

import pytest

from mock_fal.models.result_files import media_of


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("images", "image"),
        ("video", "video"),
        ("mask_video", "video"),
        ("audio_file", "audio"),
        ("vocals", "audio"),
        ("model_glb", "3d"),
        ("animation_glb", "3d"),
        ("model_mesh", "3d"),
        ("model_fbx", "unsupported"),
        ("diffusers_lora_file", "safetensors"),
        ("config_file", "json"),
        ("frames_zip", "zip"),
        ("caption_file", "srt"),
        ("normal_map", "image"),
        ("thumbnail", "image"),
    ],
)
def test_the_name_of_a_field_says_what_its_file_holds(name: str, media: str) -> None:
    assert media_of(name, "image") == media


@pytest.mark.parametrize(
    ("kind", "media"), [("video", "video"), ("speech", "audio"), ("training", "safetensors")]
)
def test_a_name_that_says_nothing_means_the_usual_file_of_its_kind(kind: str, media: str) -> None:
    assert media_of("file", kind) == media


def test_a_default_replaces_the_usual_file() -> None:
    assert media_of("file", "video", "") == ""
