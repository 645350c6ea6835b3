"""The files of a result: which kind of file a field of an output schema holds, and its recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.media.recipe import Document, MediaRecipe, Model3D, Sound, Style, Video
from mock_fal.models.classify import Kind
from mock_fal.models.plan import Plan, format_of, speaks
from mock_fal.models.transcript import transcript
from mock_fal.pictures.recipe import Recipe

# What a field holds, by the words of its name; the first row that matches decides.
_BY_NAME: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(rf"(?:^|_)(?:{words})(?:_|\d|$)"), media)
    for words, media in (
        ("fbx|blend|exr|mtl", "unsupported"),
        ("zip|archive|dataset|tar", "zip"),
        ("lora|latents?|safetensors|weights|checkpoint|embedding|embeddings", "safetensors"),
        ("config|json|lottie|metadata", "json"),
        ("srt|caption|captions|subtitle|subtitles", "srt"),
        ("vtt", "vtt"),
        ("txt", "txt"),
        ("csv", "csv"),
        ("svg", "svg"),
        ("glb|gltf|mesh|meshes|obj|stl|ply|usdz|pointcloud|splat|world", "3d"),
        ("video|videos|mp4|webm|clip|clips", "video"),
        ("audio|audios|vocals?|drums|bass|guitar|piano|speech|sound|music|song|stem|stems|residual", "audio"),
        (
            "images?|masks?|thumbnail|textures?|color|metallic|normal|roughness|depth|sprite|spritesheet|sticker|"
            "visualization|picture|photo|frame|overlay|panorama",
            "image",
        ),
        ("model|models", "3d"),
    )
)

_BY_KIND: Final[dict[Kind, str]] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "speech": "audio",
    "text": "json",
    "transcript": "json",
    "3d": "3d",
    "training": "safetensors",
    "json": "image",
}

# The names of the main file, whose text is the prompt alone.
MAIN: Final = ("images", "image", "video", "videos", "audio", "audio_file", "audio_url", "audios", "")

_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "image": ("jpeg", "png", "webp", "avif", "gif", "svg"),
    "video": ("mp4", "webm", "gif"),
    "audio": ("mp3", "wav", "flac", "ogg"),
    "3d": ("glb", "obj", "stl", "ply", "usdz"),
}

# assumption: the formats of models whose schema, input and examples name none.
_USUAL: Final = {"image": "jpeg", "video": "mp4", "audio": "mp3", "3d": "glb"}
# Models that draw on transparency or in vectors, by the words of their id.
_PNG_IDS: Final = re.compile(
    r"background|rembg|birefnet|matting|transparent|segment|sam|mask|depth|cutout|sticker|upscal|esrgan"
)
_SVG_IDS: Final = re.compile(r"vectoriz|text-to-vector|image2svg|svg")


@lru_cache(maxsize=4096)
def media_of(name: str, kind: Kind, default: str | None = None) -> str:
    """What a file field holds: image, video, audio, 3d, a document format, or unsupported.

    `default` is for names that say nothing; without it, what most files of that kind of model are.
    """
    fallback = _BY_KIND[kind] if default is None else default
    return next((media for pattern, media in _BY_NAME if pattern.search(name)), fallback)


def recipe(name: str, schema: JSON, plan: Plan, index: int = 0) -> MediaRecipe | None:
    """The recipe of the file in a field with that name and schema; None for a format that is not emulated."""
    media = _stated_media(schema) or media_of(name, plan.model.kind)
    if media == "unsupported":
        return None
    is_main = name in MAIN
    match media:
        case "image":
            return _picture(name, schema, plan, index, is_main=is_main)
        case "video":
            return _video(name, schema, plan, index)
        case "audio":
            # Each stem of a song is another sound.
            text = plan.prompt if is_main else f"{plan.prompt}\n{name}".strip()
            return _sound(name, schema, plan, text, index)
        case "3d":
            return Model3D(plan.prompt, plan.seed + index, _format("3d", name, schema, plan))
        case "json":
            return Document("json", plan.prompt, plan.seed, data=_json(plan))
        case "svg":
            return Document("svg", plan.prompt, plan.seed, width=plan.size[0], height=plan.size[1])
        case "srt" | "vtt":
            spoken = plan.prompt or transcript(plan.duration_s).text
            return Document(media, spoken, plan.seed, duration_s=plan.duration_s)
        case "zip" | "safetensors" | "txt" | "csv":
            return Document(media, plan.prompt, plan.seed)
    raise AssertionError(f"unknown media {media!r}")


def _picture(name: str, schema: JSON, plan: Plan, index: int, *, is_main: bool) -> Recipe | Document:
    width, height = plan.size
    format = _format("image", name, schema, plan)
    if format == "svg":
        return Document("svg", plan.prompt, plan.seed + index, width=width, height=height)
    picture = Recipe(
        plan.model.id,
        plan.prompt,
        plan.seed,
        width,
        height,
        index,
        format,
        blank=plan.flagged,
        source=plan.source,
    )
    # A mask or a texture beside the main picture is another picture of the same size.
    return picture if is_main else replace(picture, prompt=f"{name}\n{plan.prompt}".strip())


def _video(name: str, schema: JSON, plan: Plan, index: int) -> Video:
    width, height = plan.size
    picture = Recipe(
        plan.model.id, plan.prompt, plan.seed, width, height, index, blank=plan.flagged, source=plan.source
    )
    sound: Style | None = "melody" if plan.has_sound else None
    return Video(picture, plan.duration_s, plan.fps, sound, _format("video", name, schema, plan))


def _sound(name: str, schema: JSON, plan: Plan, text: str, index: int) -> Sound:
    style: Style = "speech" if speaks(plan.model) else "melody"
    format = _format("audio", name, schema, plan)
    return Sound(text, plan.duration_s, plan.seed + index, style, format)


def _format(media: str, name: str, schema: JSON, plan: Plan) -> Any:
    """The format of a file: of its name (`model_glb`), as requested, of its schema, else the usual one."""
    allowed = _FORMATS[media]
    if media == "3d" and (named := format_of(name)) in allowed:
        return named
    is_main = media == media_of("", plan.model.kind)
    if plan.format in allowed and is_main:
        return plan.format
    if (stated := format_of(_stated_type(schema))) in allowed:
        return stated
    if is_main and plan.model.format in allowed:
        return plan.model.format
    if media == "image":
        if _SVG_IDS.search(plan.model.id) and is_main:
            return "svg"
        if not is_main or _PNG_IDS.search(plan.model.id):
            return "png"
    return _USUAL[media]


def _stated_media(schema: JSON) -> str:
    """The medium that a file object states: `video` for `{"media_type": {"const": "video"}}`."""
    stated = (schema.get("properties") or {}).get("media_type") or {}
    return stated["const"] if stated.get("const") in ("image", "video", "audio") else ""


def _stated_type(schema: JSON) -> str:
    content_type = (schema.get("properties") or {}).get("content_type") or {}
    stated = content_type.get("default") or content_type.get("const")
    return stated if isinstance(stated, str) else ""


def _json(plan: Plan) -> str:
    """The content of a configuration file: the input of the run."""
    fields = {name: value for name, value in plan.fields.items() if not _is_long(value)}
    document = {"model": plan.model.id, "seed": plan.seed, "input": fields}
    return json.dumps(document, ensure_ascii=True, default=str)


def _is_long(value: Any) -> bool:
    return (
        isinstance(value, str) and len(value) > 2000 or isinstance(value, Mapping | list) and len(value) > 100
    )
