"""Plausible values of output fields by their names: sizes, times, scores, boxes, texts, ids."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mock_fal.media.recipe import Sound, Video
from mock_fal.media.timing import (
    channel_count,
    frame_count,
    frame_rate,
    sample_count,
    sample_rate,
    video_seconds,
    video_size,
)
from mock_fal.models.text import reply
from mock_fal.models.transcript import transcript
from mock_fal.pictures.recipe import Recipe

if TYPE_CHECKING:
    from mock_fal.media.recipe import MediaRecipe
    from mock_fal.models.plan import Plan
    from mock_fal.models.text import Reply
    from mock_fal.models.transcript import Span, Transcript

MP3_BITRATE: Final = 64000
VIDEO_BITRATE: Final = 128000


class Box(NamedTuple):
    """A rectangle inside the picture, as shares of its width and height."""

    x: float
    y: float
    width: float
    height: float


class Run:
    """What all values of one output may depend on: the plan, and texts that are made when one is needed."""

    def __init__(self, plan: Plan, run_duration: float) -> None:
        self.plan = plan
        self.run_duration = run_duration  # seconds

    @property
    def inference_s(self) -> float:
        """The seconds that a run says it took."""
        # fal: a little less than the inference_time of the status (live, on other models).
        return round(self.run_duration * 0.96, 6)

    @cached_property
    def reply(self) -> Reply:
        """The answer of a language model."""
        return reply(self.plan.model.id, self.plan.fields)

    @cached_property
    def transcript(self) -> Transcript:
        """The transcript of a recording as long as the result."""
        speakers = self.plan.fields.get("num_speakers")
        return transcript(self.plan.duration_s, speakers=speakers if isinstance(speakers, int) else 1)


@dataclass(slots=True)
class Scope:
    """What the value of a field may depend on. `path` names the field; the builder sets it.

    `position` counts the items of the nearest list. `recipe` is the file whose properties are written, `span` the item
    of a transcript, `box_number` that of a list of boxes. `in_pixels` means that coordinates are pixels and not shares.
    """

    run: Run
    path: str = ""
    position: int = 0
    recipe: MediaRecipe | None = None
    span: Span | None = None
    box_number: int | None = None
    in_pixels: bool = False

    def inside(self, **changes: Any) -> Scope:
        """The scope of a part, with changes."""
        inner = Scope(
            self.run, self.path, self.position, self.recipe, self.span, self.box_number, self.in_pixels
        )
        for name, value in changes.items():
            setattr(inner, name, value)
        return inner

    @property
    def plan(self) -> Plan:
        return self.run.plan

    def share(self, low: float = 0.0, high: float = 1.0, *, of: str = "", number: int | None = None) -> float:
        """A number between `low` and `high` that depends on the run, the field and the item, or `of` and `number`."""
        place = f"{of or self.path}\n{self.position if number is None else number}"
        key = f"{self.plan.model.id}\n{self.plan.seed}\n{place}"
        unit = int.from_bytes(sha256(key.encode()).digest()[:4], "big") / 2**32
        return round(low + (high - low) * unit, 4)

    @property
    def id(self) -> str:
        """An id that depends on the run and on the field."""
        key = f"{self.plan.model.id}\n{self.plan.seed}\n{self.plan.prompt}\n{self.path}\n{self.position}"
        return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    @property
    def box(self) -> Box:
        """The box of the item, inside the picture."""
        number = self.box_number or 0
        width, height, x, y = (self.share(of=side, number=number) for side in ("width", "height", "x", "y"))
        width, height = round(0.2 + width / 4, 4), round(0.2 + height / 4, 4)
        return Box(round(x * (1 - width), 4), round(y * (1 - height), 4), width, height)


def _table(rows: dict[str, Callable[[Scope], Any]]) -> list[tuple[re.Pattern[str], Callable[[Scope], Any]]]:
    return [(re.compile(rf"(?:{pattern})"), value) for pattern, value in rows.items()]


def lookup(
    table: list[tuple[re.Pattern[str], Callable[[Scope], Any]]], name: str
) -> Callable[[Scope], Any] | None:
    """The function of the first row whose pattern is the whole name."""
    return next((value for pattern, value in table if pattern.fullmatch(name)), None)


# -- numbers


def _side(axis: int) -> Callable[[Scope], float]:
    def side(scope: Scope) -> float:
        match scope.recipe:
            case Video() as video:
                return video_size(video)[axis]
            case Recipe() as picture:
                return (picture.width, picture.height)[axis]
        return scope.plan.size[axis]

    return side


def _duration(scope: Scope) -> float:
    match scope.recipe:
        case Video() as video:
            return round(video_seconds(video), 3)
        case Sound() as sound:
            return round(sample_count(sound) / sample_rate(sound), 3)
    return round(scope.plan.duration_s, 3)


def _fps(scope: Scope) -> float:
    return float(frame_rate(scope.recipe)) if isinstance(scope.recipe, Video) else scope.plan.fps


def _frames(scope: Scope) -> int:
    return (
        frame_count(scope.recipe)
        if isinstance(scope.recipe, Video)
        else round(_duration(scope) * _fps(scope))
    )


def _sample_rate(scope: Scope) -> int:
    return sample_rate(scope.recipe) if isinstance(scope.recipe, Sound) else 44100


def _channels(scope: Scope) -> int:
    return channel_count(scope.recipe) if isinstance(scope.recipe, Sound) else 1


def _bitrate(scope: Scope) -> int:
    if isinstance(scope.recipe, Sound) and scope.recipe.format in ("wav", "flac"):
        return _sample_rate(scope) * _channels(scope) * 16
    return VIDEO_BITRATE if isinstance(scope.recipe, Video) else MP3_BITRATE


def _coordinate(value: Callable[[Box], float], axis: int) -> Callable[[Scope], float]:
    def coordinate(scope: Scope) -> float:
        share = value(scope.box)
        return round(share * scope.plan.size[axis], 1) if scope.in_pixels else round(share, 4)

    return coordinate


def _box_side(scope: Scope) -> float:
    """Left, top, right or bottom of a box, by the position in its list."""
    box = scope.box
    sides = (box.x, box.y, box.x + box.width, box.y + box.height)
    return round(sides[scope.position % 4] * scope.plan.size[scope.position % 2], 1)


def _start(scope: Scope) -> float:
    return scope.span.start if scope.span else 0.0


def _end(scope: Scope) -> float:
    return scope.span.end if scope.span else round(scope.plan.duration_s, 3)


NUMBERS: Final = _table(
    {
        ".*seeds?": lambda scope: scope.plan.seed + scope.position,
        ".*width": _side(0),
        ".*height": _side(1),
        "(?:.*_)?fps|frame_rate|frames_per_second": _fps,
        "(?:num|number_of|total|frame)_(?:frames|count)|frames": _frames,
        "duration_ms|.*length_ms|audio_length": lambda scope: round(_duration(scope) * 1000),
        "(?:.*_)?durations?(?:_seconds|_s)?|.*seconds_total|length_seconds|extend_.*": _duration,
        "sample_rate|sampling_rate": _sample_rate,
        "channels|num_channels": _channels,
        "bit_?rate": _bitrate,
        "num_images|image_count": lambda scope: scope.plan.quantity,
        "num_inference_steps|steps": lambda scope: scope.plan.steps,
        "(?:prompt|input|text)_tokens": lambda scope: scope.run.reply.usage.prompt_tokens,
        "(?:completion|output|decode)_tokens": lambda scope: scope.run.reply.usage.completion_tokens,
        "(?:total|usage)_tokens": lambda scope: scope.run.reply.usage.total_tokens,
        "cached_tokens|cache_write_tokens|image_tokens|reasoning_tokens|audio_tokens": lambda scope: 0,
        "cost": lambda scope: scope.run.reply.usage.cost,
        "start|start_time|begin|from|start_s|start_seconds": _start,
        "end|end_time|to|end_s|end_seconds": _end,
        "timestamps?|time": _start,
        "x|x_?min|left|x1": _coordinate(lambda box: box.x, 0),
        "y|y_?min|top|y1": _coordinate(lambda box: box.y, 1),
        "x_?max|right|x2": _coordinate(lambda box: box.x + box.width, 0),
        "y_?max|bottom|y2": _coordinate(lambda box: box.y + box.height, 1),
        "w": _coordinate(lambda box: box.width, 0),
        "h": _coordinate(lambda box: box.height, 1),
        "(?:nsfw|unsafe).*": lambda scope: 0.98 if scope.plan.flagged else scope.share(0.001, 0.02),
        "(?:.*_)?(?:scores?|confidence|probability|similarity|iou|accuracy|iou_scores)": lambda scope: (
            scope.share(0.6, 0.99)
        ),
        "red|green|blue": lambda scope: int(scope.share(0, 255)),
        "rtf|average_rtf": lambda scope: round(scope.run.run_duration / max(_duration(scope), 0.1), 4),
        ".*_ms": lambda scope: round(scope.run.run_duration * 960, 3),
        "latency|inference|preprocess|postprocess|.*_time|time_.*|.*_seconds": lambda scope: (
            scope.run.inference_s
        ),
        "index|.*_index|person_id|object_id|speaker|number": lambda scope: scope.position,
        "points|count|num_.*|total": lambda scope: scope.plan.quantity,
        "(?:.*_)?(?:box|boxes|bbox|bboxes)": _box_side,
        "waveform": lambda scope: scope.share(0.05, 1.0),
        "focal_length": lambda scope: 50,
        "scale": lambda scope: 1,
    }
)


# -- texts


def _language(scope: Scope) -> str:
    language = scope.plan.fields.get("language") or scope.plan.fields.get("language_code")
    return language if isinstance(language, str) and 2 <= len(language) <= 20 else "en"


def _spoken(scope: Scope) -> str:
    """The text of an item of a transcript, that of a transcript, or the reply of a text model."""
    if scope.span:
        return scope.span.text
    return scope.run.transcript.text if scope.plan.model.kind == "transcript" else scope.run.reply.text


def placeholder(scope: Scope) -> str:
    """A text that says what it is."""
    return f"{scope.path.rpartition('/')[2].replace('_', ' ')}: a placeholder by mock-fal"


def _aspect_ratio(scope: Scope) -> str:
    from math import gcd

    width, height = int(_side(0)(scope)), int(_side(1)(scope))
    divisor = gcd(width, height)
    return f"{width // divisor}:{height // divisor}"


TEXTS: Final = _table(
    {
        "(?:.*_)?prompt": lambda scope: scope.plan.prompt,
        "lyrics": lambda scope: scope.plan.fields.get("lyrics") or scope.run.reply.text,
        "text|word|transcription|transcript|generated_text|output|outputs|results?|caption|description|response|content|answer"
        "|summary|message|.*_description|moderation_transcription": _spoken,
        "label|name|class_name|object|title": lambda scope: f"object {scope.position + 1}",
        "speaker|speaker_id": lambda scope: f"speaker_{scope.span.speaker if scope.span else scope.position}",
        "language|languages|inferred_languages|language_code|target_lang|.*_language": _language,
        "finish_reason": lambda scope: "stop",
        "role": lambda scope: "assistant",
        "status": lambda scope: "completed",
        "type": lambda scope: "word" if scope.span else "text",
        "model|model_id|model_name": lambda scope: scope.plan.fields.get("model") or scope.plan.model.id,
        "error|moderation_error": lambda scope: "",
        "reasoning|reasoning_content": lambda scope: scope.run.reply.reasoning or "",
        "codec|video_codec": lambda scope: "mp3" if isinstance(scope.recipe, Sound) else "h264",
        "container|format": lambda scope: scope.recipe.extension if scope.recipe else "mp4",
        "profile": lambda scope: "Constrained Baseline",
        "pixel_format": lambda scope: "yuv420p",
        "timebase": lambda scope: f"1/{round(scope.plan.fps * 1000)}",
        "aspect_ratio": _aspect_ratio,
        "size|resolution|dimensions": lambda scope: "{}x{}".format(*scope.plan.size),
        "media_type": lambda scope: scope.recipe.content_type.partition("/")[0] if scope.recipe else "video",
        "content_type|mime_type": lambda scope: scope.recipe.content_type if scope.recipe else "text/plain",
        "color|hex|colors|palette": lambda scope: f"#{scope.id[:6]}",
        "(?:.*_)?(?:id|uuid|uri|token)": lambda scope: scope.id,
        "(?:.*_)?(?:date|created|created_at|timestamp)": lambda scope: "2026-01-01T00:00:00Z",
        "verdict": lambda scope: "pass",
        ".*": placeholder,
    }
)

# -- booleans


def flagged(scope: Scope) -> bool:
    """Whether the safety checker has flagged the result."""
    return scope.plan.flagged


# Most booleans say that something was found or went wrong.
BOOLEANS: Final = _table(
    {
        ".*(?:nsfw|unsafe|moderation_flagged).*": flagged,
        "(?:.*_)?(?:success|succeeded|ok|completed|done|valid|finished)": lambda scope: True,
        ".*": lambda scope: False,
    }
)

# Lists of the four sides of a box.
COORDINATES: Final = re.compile(r"(?:.*_)?(?:box|boxes|bbox|bboxes)")
