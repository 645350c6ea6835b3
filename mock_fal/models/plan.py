"""The plan of a run: what an input asks for, read from the field names that fal's models share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from mock_fal.media.probe import Probe
from mock_fal.media.score import speech_s
from mock_fal.media.timing import MAX_FPS, MAX_VIDEO_S, MIN_SOUND_S
from mock_fal.models.catalog import Model
from mock_fal.models.classify import Kind
from mock_fal.models.job import Media
from mock_fal.pictures.recipe import Source

Fields = Mapping[str, Any]
Size = tuple[int, int]

# fal: the sizes of the presets (fal SDK, toolkit; landscape_4_3 and square seen live).
# assumption: the sizes of the presets beyond those six, which a few models have.
PRESETS: Final[dict[str, Size]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
    "portrait_3_2": (1024, 1536),
    "landscape_3_2": (1536, 1024),
    "portrait_hd": (1536, 2048),
    "landscape_hd": (2048, 1536),
    "square_uhd": (2048, 2048),
}

# fal: `square` is larger with this model than with others (JavaScript client's types, 1.10.1).
_MODEL_PRESETS: Final[dict[str, dict[str, Size]]] = {
    "fal-ai/flux-2/klein/realtime": {"square": (768, 768)},
}

# fal: the maximum of this model (model page, 2026). Other models make pictures of one megapixel from an aspect ratio.
_MEGAPIXELS: Final = {"fal-ai/flux-pro/v1.1-ultra": 4}

# fal: with this switch, a picture between the previous result and this one comes first (JavaScript client's types).
_EXTRA_FILES: Final = {"fal-ai/flux-2/klein/realtime": "enable_interpolation"}

# The maximum side of a result in pixels, from the schemas; an input picture may be larger.
MAX_SIDE: Final = 14142
# assumption: a video has at most this side, that of 4K.
MAX_VIDEO_SIDE: Final = 4096
MAX_FILES: Final = 50  # of one result; schemas allow at most 10 or so

# assumption: what a model makes if its input says nothing about it.
_DEFAULT_SIZE: Final[dict[Kind, Size]] = {"image": PRESETS["landscape_4_3"], "video": (1280, 720)}
_DEFAULT_DURATION_S: Final[dict[Kind, float]] = {"video": 5.0, "audio": 10.0}
_DEFAULT_FPS: Final = 24.0

# The fields of an input by what they say, the most specific first.
_TEXTS: Final = (
    "prompt", "text", "input", "gen_text", "script", "text_prompt", "tts_text", "query", "question", "instruction",
    "lyrics", "lyrics_prompt", "edit_instruction", "prompts", "text_input", "caption", "title",
)  # fmt: skip
_COUNTS: Final = (
    "num_images", "num_samples", "num_outputs", "num_videos", "num_songs", "num_results", "number_of_images",
    "max_images", "num_clips", "n",
)  # fmt: skip
_FRAMES: Final = ("num_frames", "number_of_frames", "frames", "max_frames")
_RATES: Final = (
    "fps",
    "frames_per_second",
    "frame_rate",
    "output_fps",
    "target_fps",
    "export_fps",
    "resample_fps",
)
_SECONDS: Final = (
    "duration", "seconds_total", "total_seconds", "duration_seconds", "audio_duration_seconds", "music_duration",
    "length", "audio_length", "video_length", "seconds", "max_duration",
)  # fmt: skip
_MILLISECONDS: Final = ("music_length_ms", "duration_ms")
_FORMATS: Final = (
    "output_format", "format", "video_output_type", "audio_format", "geometry_file_format", "image_format",
    "file_format", "upload_audio_format", "target_formats", "data_archive_format",
)  # fmt: skip
_FACTORS: Final = ("upscale_factor", "scale_factor", "upscaling_factor", "scale", "outscale")
_TARGETS: Final = ("target_resolution", "resolution", "desired_resolution", "output_resolution")
_STEPS: Final = (
    "num_inference_steps",
    "num_steps",
    "steps",
    "number_of_steps",
    "first_pass_num_inference_steps",
)
_SWITCHES_OF_SOUND: Final = (
    "generate_audio",
    "generate_audio_switch",
    "enable_audio",
    "with_audio",
    "add_audio",
)


class InputFile(NamedTuple):
    """A file that an input names. `content` is None for one on another host that was not fetched."""

    loc: tuple[str | int, ...]
    media: Media
    content: Source | Probe | None


class Plan(NamedTuple):
    """What a run makes: pictures, videos or sounds of `size` pixels, `duration_s` seconds and `fps` frames a second.

    `format` is the requested format of the files in lower case, or "". `source` is the input picture that shows
    through. `inline` requests data URIs. `blank` replaces unsafe pictures by black ones.
    """

    model: Model
    fields: Fields
    files: Sequence[InputFile]
    prompt: str
    seed: int
    size: Size
    quantity: int
    duration_s: float
    fps: float
    format: str
    steps: int
    has_sound: bool
    inline: bool
    flagged: bool
    source: Source | None

    def with_prompt(self, prompt: str, seed: int) -> Plan:
        """The plan of an input that differs in its field `prompt` only, and another seed."""
        return self._replace(fields={**self.fields, "prompt": prompt}, prompt=prompt, seed=seed)


def plan(model: Model, fields: Fields, files: Sequence[InputFile], seed: int, *, nsfw: bool) -> Plan:
    """The plan for a validated input with its defaults. `nsfw` asks the safety checker to flag the result."""
    source = next((file.content for file in files if isinstance(file.content, Source)), None)
    probes = [file.content for file in files if isinstance(file.content, Probe)]
    fps = _fps(fields, probes)
    return Plan(
        model=model,
        fields=fields,
        files=files,
        prompt=_text(fields),
        seed=seed,
        size=_size(model, fields, source, probes),
        quantity=_quantity(model, fields),
        duration_s=_duration(model, fields, probes, fps),
        fps=fps,
        format=_format(fields),
        steps=_steps(fields),
        has_sound=_has_sound(model, fields, files),
        inline=fields.get("sync_mode") is True,
        # assumption: with the safety checker on, an unsafe picture is flagged and replaced by a black one.
        flagged=nsfw and fields.get("enable_safety_checker") is not False,
        source=source,
    )


def _text(fields: Fields) -> str:
    # assumption: the prompt in the output of a model without one is empty.
    for name in _TEXTS:
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
    for name, value in fields.items():
        if (
            isinstance(value, list)
            and value
            and ("prompt" in name or name in ("messages", "inputs", "dialogue"))
        ):
            return " ".join(_strings(value))
    return ""


def _strings(value: Any) -> Iterator[str]:
    """The texts in a list of texts, or of objects such as `{"prompt": …}`, `{"text": …}` or `{"content": …}`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
    elif isinstance(value, Mapping):
        for name in ("prompt", "text", "content"):
            yield from _strings(value.get(name))


def _quantity(model: Model, fields: Fields) -> int:
    count = round(_first(fields, _COUNTS) or 1) + (fields.get(_EXTRA_FILES.get(model.id, "")) is True)
    return min(max(1, count), MAX_FILES)


def _steps(fields: Fields) -> int:
    # assumption: the number of steps of models whose input has none.
    return round(_first(fields, _STEPS) or 28)


def _first(fields: Fields, names: Iterable[str]) -> float | None:
    """The first of some fields that is a positive number, also one written as text: `"5"`, `"8s"`."""
    for name in names:
        value = fields.get(name)
        if value is not None and (number := _number(value)) is not None:
            return number
    return None


_NUMBER: Final = re.compile(
    r"\s{0,9}(\d{1,9}(?:\.\d{1,9})?)\s{0,9}(?:s|sec|seconds|fps|x|k?hz)?\s{0,9}", re.IGNORECASE
)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        value = float(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if value > 0 else None


# -- formats

# What the values of format fields mean, such as `mp3_44100_128`, `X264 (.mp4)` or `ogg_opus`.
# deviation: the formats that are not listed here are replaced by the usual one of their kind of media: MOV by MP4,
# AAC and M4A by MP3, FBX by GLB. The content type and the name of the file say what it is.
_FORMAT_WORDS: Final = {
    "jpeg": "jpeg", "jpg": "jpeg", "png": "png", "webp": "webp", "avif": "avif", "gif": "gif", "svg": "svg",
    "mp4": "mp4", "x264": "mp4", "h264": "mp4", "mov": "mp4", "prores4444": "mp4", "webm": "webm", "vp9": "webm",
    "wav": "wav", "pcm": "wav", "ulaw": "wav", "alaw": "wav", "mp3": "mp3", "aac": "mp3", "m4a": "mp3", "flac": "flac",
    "ogg": "ogg", "opus": "ogg",
    "glb": "glb", "gltf": "glb", "fbx": "glb", "obj": "obj", "stl": "stl", "ply": "ply", "usdz": "usdz",
    "srt": "srt", "vtt": "vtt", "txt": "txt", "json": "json", "csv": "csv", "zip": "zip",
}  # fmt: skip


def _format(fields: Fields) -> str:
    for name in _FORMATS:
        value = fields.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, str) and (found := format_of(value)):
            return found
    for name in ("audio_setting", "output_format", "audio_settings"):
        inner = fields.get(name)
        if (
            isinstance(inner, Mapping)
            and isinstance(value := inner.get("format"), str)
            and (found := format_of(value))
        ):
            return found
    return ""


def format_of(text: str) -> str:
    """The format that a text names: `mp4` for `X264 (.mp4)`; "" for none."""
    words = re.findall(r"[a-z0-9]+", text[:100].lower())
    return next((_FORMAT_WORDS[word] for word in words if word in _FORMAT_WORDS), "")


# -- sizes

# assumption: the shorter side in pixels of the video resolutions, and the megapixels of the picture resolutions.
_LINES: Final = {
    "1k": 720,
    "2k": 1440,
    "4k": 2160,
    "true_1080p": 1080,
    "low": 480,
    "medium": 720,
    "high": 1080,
}
_MEGAPIXEL_WORDS: Final = {
    "0.5k": 0.25, "1k": 1, "2k": 4, "3k": 9, "4k": 16, "1mp": 1, "4mp": 4, "auto_1k": 1, "auto_2k": 4, "auto_3k": 9,
    "auto_4k": 16,
}  # fmt: skip


def _size(model: Model, fields: Fields, source: Source | None, probes: Sequence[Probe]) -> Size:
    """Width and height of the result: those that were requested, else those of the input picture or video."""
    is_video = model.kind == "video"
    origin = _origin(source, probes)
    requested = _requested(model, fields)
    if requested is None:
        is_video_given = any(probe.width for probe in probes)
        requested = _derived(model, fields, origin, is_video_given=is_video_given)
    width, height = requested
    largest = MAX_VIDEO_SIDE if is_video else MAX_SIDE
    longest = max(width, height)
    allowed = min(longest, largest)
    return max(1, width * allowed // longest), max(1, height * allowed // longest)


def _origin(source: Source | None, probes: Sequence[Probe]) -> Size | None:
    for probe in probes:
        if probe.width and probe.height:
            return probe.width, probe.height
    return (source.width, source.height) if source else None


def _requested(model: Model, fields: Fields) -> Size | None:
    """The size that the input names: a preset, `1024x1536`, or a width and a height."""
    presets = PRESETS | _MODEL_PRESETS.get(model.id, {})
    for name in ("image_size", "video_size", "size", "resolution"):
        value = fields.get(name)
        if isinstance(value, Mapping):
            width, height = _number(value.get("width")), _number(value.get("height"))
            if width and height:
                return round(width), round(height)
        if isinstance(value, str):
            if value in presets:
                return presets[value]
            if match := re.fullmatch(r"([1-9]\d{1,4})\s?[xX×*]\s?([1-9]\d{1,4})", value):
                return int(match[1]), int(match[2])
    width = _first(fields, ("width", "target_width", "resize_width"))
    height = _first(fields, ("height", "target_height", "resize_height"))
    return (round(width), round(height)) if width and height else None


def _derived(model: Model, fields: Fields, origin: Size | None, *, is_video_given: bool) -> Size:
    """The size that follows from an aspect ratio, a resolution, a factor, or the size of the input."""
    resolution = next((value for name in _TARGETS if (value := _resolution(fields.get(name)))), "")
    ratio = _ratio(fields.get("aspect_ratio"))
    if model.kind == "video":
        sides = ratio or (origin and origin[0] / origin[1]) or 16 / 9
        lines = _LINES.get(resolution) or _lines(resolution)
        # A video keeps the size of an input video; one of a picture has its aspect ratio only.
        if is_video_given and origin and ratio is None and not resolution:
            return _enlarged(origin, fields)
        return _of_lines(lines or 720, sides)
    # assumption: the result has the size of the input picture; one on another host counts as landscape_4_3.
    base = origin or _DEFAULT_SIZE.get(model.kind, PRESETS["square_hd"])
    megapixels = _MEGAPIXEL_WORDS.get(resolution) or _MEGAPIXEL_WORDS.get(
        str(fields.get("image_size")).lower()
    )
    if "aspect_ratio" in fields or megapixels:
        # assumption: an invalid aspect ratio counts as 16:9 where the schema accepts any text.
        fallback = 16 / 9 if _is_wrong_ratio(fields.get("aspect_ratio")) else base[0] / base[1]
        return _of_ratio(ratio or fallback, megapixels or _MEGAPIXELS.get(model.id, 1))
    if (lines := _LINES.get(resolution) or _lines(resolution)) is not None:
        return _of_lines(lines, base[0] / base[1])
    return _enlarged(base, fields) if origin else base


def _resolution(value: Any) -> str:
    return value.lower() if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _lines(resolution: str) -> int | None:
    match = re.fullmatch(r"([1-9]\d{2,3})p?", resolution)
    return int(match[1]) if match else None


def _enlarged(size: Size, fields: Fields) -> Size:
    """The size of an input, enlarged by the factor of an upscaler."""
    factor = min(_first(fields, _FACTORS) or 1, 16) if any("upscal" in name for name in fields) else 1
    return round(size[0] * factor), round(size[1] * factor)


def _of_lines(lines: int, ratio: float) -> Size:
    """The size with that many pixels on the shorter side, both even."""
    longer = round(lines * max(ratio, 1 / ratio) / 2) * 2
    return (longer, lines) if ratio >= 1 else (lines, longer)


def _ratio(value: Any) -> float | None:
    """Width divided by height of an aspect ratio such as `16:9` or `2.35:1`; None for `auto` and the like."""
    if isinstance(value, Mapping):
        value = value.get("ratio")
    if not isinstance(value, str):
        return None
    match = re.fullmatch(r"([1-9]\d{0,5}(?:\.\d{1,3})?):([1-9]\d{0,5}(?:\.\d{1,3})?)", value)
    return float(match[1]) / float(match[2]) if match else None


def _is_wrong_ratio(value: Any) -> bool:
    return isinstance(value, str) and _ratio(value) is None and value not in ("auto", "adaptive")


def _of_ratio(ratio: float, megapixels: float) -> Size:
    # assumption: an aspect ratio sets the size to this many megapixels, in steps of 16 pixels; the limits of the ratio.
    root, side = math.sqrt(min(max(ratio, 9 / 21), 21 / 9)), 64 * math.sqrt(megapixels)
    return round(side * root) * 16, round(side / root) * 16


# -- time

_SPEECH_IDS: Final = re.compile(
    r"(?:^|[/-])(?:tts|speech|dialogue|text-to-speech|speech-to-speech|voice-clone)(?:[/-]|$)"
)


def speaks(model: Model) -> bool:
    """Whether the sound that a model makes is speech."""
    return model.kind == "speech" or model.kind == "audio" and bool(_SPEECH_IDS.search(model.id))


def _fps(fields: Fields, probes: Sequence[Probe]) -> float:
    return min(_first(fields, _RATES) or _DEFAULT_FPS, float(MAX_FPS))


def _duration(model: Model, fields: Fields, probes: Sequence[Probe], fps: float) -> float:
    """Seconds: as requested, else the number of frames at their rate, else as long as the input that was given."""
    requested = _first(fields, _SECONDS)
    if requested is None:
        milliseconds = _first(fields, _MILLISECONDS)
        requested = milliseconds / 1000 if milliseconds else None
    given = next((probe.duration_s for probe in probes if probe.duration_s), None)
    if requested is None and (model.kind == "video" and not given):
        frames = _first(fields, _FRAMES)
        requested = frames / fps if frames else None
    if requested is None and speaks(model):
        requested = speech_s(_text(fields)) / min(max(_first(fields, ("speed",)) or 1, 0.25), 4)
    seconds = requested or given or _DEFAULT_DURATION_S.get(model.kind, 10.0)
    return min(max(seconds, MIN_SOUND_S), float(MAX_VIDEO_S))


# Words in the ids of video models that make a sound track, or keep that of their input.
_SOUND_WORDS: Final = re.compile(
    r"audio|avatar|lipsync|lip-sync|sync-|foley|talking|speech|dub|veo3|sora|omni-human|omnihuman"
)


def _has_sound(model: Model, fields: Fields, files: Sequence[InputFile]) -> bool:
    for name in _SWITCHES_OF_SOUND:
        if isinstance(fields.get(name), bool):
            return bool(fields[name])
    return any(file.media == "audio" for file in files) or bool(_SOUND_WORDS.search(model.id))
