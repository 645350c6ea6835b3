"""Facts about endpoints that fal's documents do not state. `make catalogue` writes them into the rows."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mock_fal.models.descriptions import MODELS
from mock_fal.models.rows import Row, row_in_order

# fal: the models with a path `/stream`. The listing states a `stream_url` for most (2026-01 and 2026-06); the others
# are named by fal's streaming documentation, or called by public programs (2026).
STREAMING: Final = frozenset(
    {
        "fal-ai/any-llm",
        "fal-ai/elevenlabs/audio-isolation",
        "fal-ai/elevenlabs/sound-effects/v2",
        "fal-ai/elevenlabs/text-to-dialogue/eleven-v3",
        "fal-ai/elevenlabs/tts/eleven-v3",
        "fal-ai/elevenlabs/tts/multilingual-v2",
        "fal-ai/elevenlabs/tts/turbo-v2.5",
        "fal-ai/emu-3.5-image/edit-image",
        "fal-ai/emu-3.5-image/text-to-image",
        "fal-ai/flashhead",
        "fal-ai/flux-1/dev",
        "fal-ai/flux-1/krea",
        "fal-ai/flux-1/srpo",
        "fal-ai/flux-2",
        "fal-ai/flux-2/klein/4b/base",
        "fal-ai/flux-2/klein/9b",
        "fal-ai/flux-2/klein/9b/base",
        "fal-ai/flux-2/lora",
        "fal-ai/flux-kontext-lora",
        "fal-ai/flux-kontext-lora/inpaint",
        "fal-ai/flux-kontext-lora/text-to-image",
        "fal-ai/flux-kontext/dev",
        "fal-ai/flux/dev",
        "fal-ai/flux/krea",
        "fal-ai/flux/schnell",
        "fal-ai/flux/srpo",
        "fal-ai/gpt-image-1.5",
        "fal-ai/gpt-image-1.5/edit",
        "fal-ai/hidream-e1-1",
        "fal-ai/hidream-i1-dev",
        "fal-ai/hidream-i1-fast",
        "fal-ai/hidream-i1-full",
        "fal-ai/live-avatar",
        "fal-ai/lumina-image/v2",
        "fal-ai/minimax/speech-2.6-hd",
        "fal-ai/minimax/speech-2.6-turbo",
        "fal-ai/minimax/speech-2.8-hd",
        "fal-ai/minimax/speech-2.8-turbo",
        "fal-ai/pony-v7",
        "fal-ai/speech-to-text",
        "ideogram/v4",
        "ideogram/v4/lora",
        "nvidia/nemotron-asr-multilingual/asr",
        "openai/gpt-image-2",
        "openrouter/router",
        "openrouter/router/video",
        "openrouter/router/video/enterprise",
        "openrouter/router/vision",
        "perceptron/isaac-01",
        "xai/tts/v1",
    }
)

# fal: the endpoints that a WebSocket reaches at the path `/realtime` (fal's documentation and model pages, public
# programs, 2026). An id that ends in `/realtime` is such a path itself, and has no other.
REALTIME: Final = frozenset(
    {
        "bria/video/background-removal/realtime",
        "decart/lucy-2-5/realtime",
        "decart/lucy2-vton/realtime",
        "fal-ai/fast-lcm-diffusion",
        "fal-ai/fast-lightning-sdxl",
        "fal-ai/fast-sdxl",
        "fal-ai/fast-turbo-diffusion",
        "fal-ai/flux-2/klein/realtime",
        "fal-ai/lcm",
        "fal-ai/lcm-sd15-i2i",
        "fal-ai/personaplex/realtime",
    }
)

# fal: the names of the events of a stream; those of language models have one, others have none (live captures).
EVENT_NAMES: Final = {"fal-ai/any-llm": "event"}


class Correction(NamedTuple):
    """What to change in a row: the order of input fields, keywords of input and output fields by name."""

    order: tuple[str, ...] = ()
    input: dict[str, dict[str, Any]] = {}
    output: dict[str, dict[str, Any]] = {}


# assumption: documents of 2026-06 list the fields of the oldest models in no sensible order; errors are in that of the
# JavaScript client's types (1.9.3), which keep the order of the schemas of their time.
_SDXL_ORDER: Final = (
    "prompt",
    "negative_prompt",
    "image_size",
    "num_inference_steps",
    "seed",
    "guidance_scale",
    "sync_mode",
    "num_images",
    "loras",
    "embeddings",
    "enable_safety_checker",
    "safety_checker_version",
    "expand_prompt",
    "format",
    "request_id",
)
_SDXL_EDIT_ORDER: Final = (
    "image_url",
    "prompt",
    "negative_prompt",
    "image_size",
    "num_inference_steps",
    "guidance_scale",
    "strength",
    *_SDXL_ORDER[4:5],
    *_SDXL_ORDER[6:],
    "preserve_aspect_ratio",
    "crop_output",
)

# fal: an image of four members in this order (live, 2026-03).
_IMAGE: Final[dict[str, Any]] = {
    "title": "Image",
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "content_type": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": "image/jpeg"},
    },
    "required": ["url", "width", "height"],
}

# fal: the bytes of a file in place of a URL, with four members in this order (live, 2026-06).
_RAW_IMAGE: Final[dict[str, Any]] = {
    "title": "RawImage",
    "type": "object",
    "properties": {
        "content": {"type": "string", "format": "binary", "x-file": True},
        "content_type": {"type": "string", "default": "image/jpeg"},
        "height": {"type": "integer"},
        "width": {"type": "integer"},
    },
    "required": ["content", "height", "width"],
}

CORRECTIONS: Final[dict[str, Correction]] = {
    "fal-ai/fast-sdxl": Correction(_SDXL_ORDER),
    "fal-ai/fast-sdxl/image-to-image": Correction(_SDXL_EDIT_ORDER),
    "fal-ai/fast-lcm-diffusion": Correction(_SDXL_ORDER),
    # fal: this text is the default of the prompt (JavaScript client's types, 1.10.1).
    "fal-ai/flux-2/klein/realtime": Correction(
        input={
            "prompt": {
                "type": "string",
                "default": 'Turn this into "Living oil painting, melting gold and sapphire"',
            }
        },
        output={"images": {"type": "array", "items": _RAW_IMAGE}},
    ),
    # assumption: the limits of turbo, whose document is not known.
    "fal-ai/fast-turbo-diffusion": Correction(
        input={
            "num_inference_steps": {"type": "integer", "default": 2, "minimum": 1, "maximum": 12},
            "guidance_scale": {"type": "number", "default": 1, "minimum": 0, "maximum": 20},
            "num_images": {"type": "integer", "default": 1, "minimum": 1, "maximum": 8},
        },
        output={
            "images": {"type": "array", "items": _IMAGE, "x-file": True},
            "timings": {"type": "object", "additionalProperties": True},
        },
    ),
    # assumption: the limits of any-llm, whose document is not known.
    "fal-ai/any-llm": Correction(
        input={
            "temperature": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 2}, {"type": "null"}]},
            "max_tokens": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        },
        output={"partial": {"type": "boolean", "default": False}},
    ),
}


def marked(row: Row) -> Row:
    """A row with its streams and its listing, where they are known. It stays the same if it is marked again."""
    endpoint = row["id"]
    marks = {
        "stream": row.get("stream", False) or endpoint in STREAMING,
        "realtime": row.get("realtime", False) or endpoint in REALTIME,
        "event_name": row.get("event_name") or EVENT_NAMES.get(endpoint),
    }
    if listing := MODELS.get(endpoint):
        marks |= {
            "title": row.get("title") or listing.display_name,
            "description": listing.description,
            "tags": list(listing.tags),
            "group": list(listing.group) if listing.group else None,
            "released": listing.date,
        }
    return row_in_order({**row, **marks})


def corrected(row: Row) -> Row:
    """A marked row of a document, with what the document does not state. It stays the same if corrected again."""
    correction = CORRECTIONS.get(row["id"], Correction())
    schemas = {
        "input": _with(row["input"], correction.input, correction.order),
        "output": _with(row["output"], correction.output, ()),
    }
    return marked({**row, **schemas})


def _with(
    schema: dict[str, Any], fields: dict[str, dict[str, Any]], order: tuple[str, ...]
) -> dict[str, Any]:
    if "properties" not in schema:
        return schema
    properties = {**schema["properties"], **fields}
    names = [name for name in order if name in properties]
    return {**schema, "properties": {name: properties[name] for name in dict.fromkeys([*names, *properties])}}
