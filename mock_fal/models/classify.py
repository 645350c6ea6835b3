"""The kind of an endpoint, from its category and output; the category of an unknown one, from the words of its id."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

Kind = Literal["image", "video", "audio", "speech", "text", "transcript", "3d", "training", "json"]

# Category of fal -> the kind of an endpoint whose output does not say more.
CATEGORIES: Final[dict[str, Kind]] = {
    "text-to-image": "image",
    "image-to-image": "image",
    "text-to-video": "video",
    "image-to-video": "video",
    "video-to-video": "video",
    "audio-to-video": "video",
    "text-to-audio": "audio",
    "audio-to-audio": "audio",
    "video-to-audio": "audio",
    "text-to-speech": "speech",
    "speech-to-speech": "speech",
    "speech-to-text": "transcript",
    "audio-to-text": "transcript",
    "text-to-3d": "3d",
    "image-to-3d": "3d",
    "3d-to-3d": "3d",
    "training": "training",
    "llm": "text",
    "text-to-text": "text",
    "image-to-text": "text",
    "video-to-text": "text",
    "vision": "text",
    "text-to-json": "json",
    "image-to-json": "json",
    "json": "json",
}

# Word in the name of an output field with a file -> kind. The first that matches counts.
_FILE_WORDS: Final[tuple[tuple[str, Kind], ...]] = (
    (r"lora|safetensors|weights|config_file", "training"),
    (r"video|animation$", "video"),
    (r"mesh|glb|obj|fbx|stl|usdz|gltf|splat|ply|world|3d|animation", "3d"),
    (r"audio|speech|vocals|sound|music|stem", "audio"),
    (r"image|mask|picture|depth|frame|svg|map|thumbnail", "image"),
)

# Title of the schema of a file -> kind, for a name that says nothing.
_FILE_TITLES: Final[dict[str, Kind]] = {
    "Image": "image",
    "RawImage": "image",
    "ImageFile": "image",
    "VideoFile": "video",
    "Video": "video",
    "AudioFile": "audio",
    "Audio": "audio",
}

# Fields that repeat the input or describe the run; they do not make an output text or JSON.
_BESIDE: Final = {"prompt", "seed", "timings", "has_nsfw_concepts", "actual_prompt", "request_id"}

_SPOKEN: Final = {"text-to-speech", "speech-to-speech"}
_WRITTEN: Final[set[Kind]] = {"text", "transcript", "json"}


def kind_of(category: str, output: dict[str, Any]) -> Kind:
    """The kind of an endpoint: that of its first output field with a file, else of its text or data."""
    expected = CATEGORIES.get(category)
    fields = {name: field for name, field in output.get("properties", {}).items() if name not in _BESIDE}
    if expected == "training" or not fields:
        return expected or "json"
    if expected in _WRITTEN and not _has_file(*next((field, name) for name, field in fields.items())):
        return _written(expected, fields)
    for name, field in fields.items():
        if _has_file(field, name):
            kind = _file_kind(name, field, expected)
            return "speech" if kind == "audio" and category in _SPOKEN else kind
    return _written(expected, fields)


def _written(expected: Kind | None, fields: dict[str, Any]) -> Kind:
    named = any(fields.get(name, {}).get("type") == "string" for name in ("output", "text"))
    text = named or (expected != "json" and next(iter(fields.values())).get("type") == "string")
    if not text:
        return "json"
    return "transcript" if expected == "transcript" else "text"


def _file_kind(name: str, field: dict[str, Any], expected: Kind | None) -> Kind:
    for words, kind in _FILE_WORDS:
        if re.search(words, name.lower()):
            return kind
    title = str(field.get("title") or field.get("items", {}).get("title") or "")
    if title in _FILE_TITLES:
        return _FILE_TITLES[title]
    if "properties" in field and not field.get("x-file"):
        return kind_of("", field)  # an object that holds the files
    return expected if expected and expected not in _WRITTEN else "json"


def _has_file(field: Any, name: str = "") -> bool:
    """Whether a field is or holds a file; `x-file` marks them. A field of any type counts by its name."""
    if not isinstance(field, dict):
        return False
    if field.get("x-file") or field.get("title") in _FILE_TITLES:
        return True
    if name and not field.keys() - {"title", "description"}:
        return any(re.search(words, name.lower()) for words, _ in _FILE_WORDS)
    inner = [*field.get("anyOf", ()), *field.get("properties", {}).values()]
    return _has_file(field.get("items"), name) or any(map(_has_file, inner))


# Words of an id -> category. The first that matches counts: an id that names what it takes and makes comes first.
# fal: measured on the ids of the catalogue (tests/models/test_classify.py); nine of ten get the right kind.
_ID_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (r"train(?:er|ing)?(?:$|[-/_0-9])", "training"),
    (r"text-to-image", "text-to-image"),
    (r"text-to-speech|(?:^|[-/_])tts(?:$|[-/_])|text-to-dialogue", "text-to-speech"),
    (r"speech-to-text|(?:^|[-/_])(?:asr|stt)(?:$|[-/_])|transcri|whisper|wizper", "speech-to-text"),
    (r"speech-to-speech|voice-changer", "speech-to-speech"),
    (r"kling-video/video-to-audio|mmaudio-v2$|video-sound|video-foley", "video-to-video"),
    (r"video-to-audio", "video-to-audio"),
    (r"text-to-audio|text-to-music|audio-to-audio|(?:in|out)paint-audio|extend-audio", "text-to-audio"),
    (r"(?:text|t)(?:-to-|2)v(?:ideo)?(?:$|[-/_])", "text-to-video"),
    (r"video-to-text|video-understand|image-to-text", "vision"),
    (
        r"(?:video|v)(?:-to-|2)v(?:ideo)?(?:$|[-/_])|"
        r"background-removal/video|/video/edit|edit-video",
        "video-to-video",
    ),
    (r"(?:audio|image|reference|frames?|i)(?:-to-|2)v(?:ideo)?(?:$|[-/_])", "image-to-video"),
    (
        r"(?:image|text|3d|multiview|world)-to-(?:3d|world)|"
        r"(?:^|[-/_])3d(?:$|[-/_])|tripo|trellis|rodin",
        "image-to-3d",
    ),
    (r"meshy|hunyuan3d|hunyuan-3d|hunyuan-motion|hunyuan-part|(?:re)?mesh|rigging", "image-to-3d"),
    (r"image-to-image|image-edit|(?:edit|kling|hunyuan|grok-imagine)-image", "image-to-image"),
    (r"structured_(?:prompt|instruction)|json|metadata", "json"),
    (
        r"/(?:any-)?llm|any-llm|router|chat(?:$|/)|understand|moondream|"
        r"isaac|llava|-vlm|(?:^|[-/_])vision(?:$|/)",
        "vision",
    ),
    (r"nsfw|moderation|detector|classif|/caption$|detailed-caption|/query$|/ocr$", "vision"),
    (
        r"demucs|voice|speech|dialogue|kokoro|chatterbox|orpheus|"
        r"dia(?:-tts)?(?:$|/)|maya|xtts|csm",
        "text-to-speech",
    ),
    (r"ideogram|character/edit|seedream|nano-banana|flux|bria/(?!video)|qwen-image", "image-to-image"),
    (
        r"avatar|lip-?sync|talk|omnihuman|multitalk|dub|portrait|"
        r"animat|heygen|dreamactor|echomimic|hedra",
        "image-to-video",
    ),
    (
        r"video|kling|veo|sora|seedance|hailuo|pixverse|vidu|ltx|mochi|"
        r"luma-dream|framepack|lucy|magi|wan(?:$|[-/])",
        "text-to-video",
    ),
    (
        r"lynx|steady-dancer|svd|skyreels|interpolation|lightx|"
        r"latentsync|krea-wan|infinity-star|longcat",
        "text-to-video",
    ),
    (r"music|audio|sound|lyria|ace-step|song|foley|diffrhythm|stem|deepfilter", "text-to-audio"),
    (
        r"edit|inpaint|outpaint|fill|redux|kontext|upscal|background|remov|rembg|controlnet|canny|depth|style|relight|"
        r"swap|face|reframe|expand|segment|(?:^|[-/_])sam|try-on|enhance|erase|mask|variation",
        "image-to-image",
    ),
)

OTHERWISE: Final = "text-to-image"


def category_from_id(endpoint: str) -> str:
    """The category of an endpoint, guessed from the words of its id."""
    text = endpoint.lower()
    return next((category for words, category in _ID_WORDS if re.search(words, text)), OTHERWISE)
