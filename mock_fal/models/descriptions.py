"""Names and descriptions of well-known endpoints, as fal's model pages and model API list them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Group(NamedTuple):
    """Models that fal's gallery lists together."""

    key: str
    label: str


class Listing(NamedTuple):
    """One endpoint. `date` is the day of its release, such as 2024-08-01."""

    display_name: str
    category: str
    description: str
    tags: tuple[str, ...]
    date: str
    group: Group | None = None


_TEXT: Final = "text-to-image"
_EDIT: Final = "image-to-image"

_FLUX: Final = Group("flux-1", "FLUX.1")
_KONTEXT: Final = Group("flux-kontext", "FLUX.1 Kontext")
_FLUX_PRO: Final = Group("flux-pro", "FLUX Pro")
_FLUX_2: Final = Group("flux-2", "FLUX.2")
_SDXL: Final = Group("sdxl", "Stable Diffusion XL")

# fal: names, categories and the date of flux/dev are those of the published pages and specification (2026).
# assumption: the other dates, the tags and the groups. The descriptions are not fal's.
MODELS: Final[dict[str, Listing]] = {
    "fal-ai/flux/schnell": Listing(
        "FLUX.1 [schnell]", _TEXT, "Pictures from text in one to four steps.", ("turbo",), "2024-08-01", _FLUX
    ),
    "fal-ai/flux/dev": Listing(
        "FLUX.1 [dev]",
        _TEXT,
        "Pictures from text, slower and with more detail than schnell.",
        (),
        "2024-08-01",
        _FLUX,
    ),
    "fal-ai/flux-1/schnell": Listing(
        "FLUX.1 [schnell]", _TEXT, "The schnell model on faster runners.", ("turbo",), "2025-05-01", _FLUX
    ),
    "fal-ai/flux-1/dev": Listing(
        "FLUX.1 [dev]", _TEXT, "The dev model on faster runners.", (), "2025-05-01", _FLUX
    ),
    "fal-ai/flux/dev/image-to-image": Listing(
        "FLUX.1 [dev]", _EDIT, "Changes a picture as a prompt says.", ("style transfer",), "2024-08-01", _FLUX
    ),
    "fal-ai/flux/schnell/redux": Listing(
        "FLUX.1 [schnell] Redux",
        _EDIT,
        "Variations of one picture, quickly.",
        ("turbo",),
        "2024-11-21",
        _FLUX,
    ),
    "fal-ai/flux-lora": Listing(
        "FLUX.1 [dev] with LoRAs",
        _TEXT,
        "The dev model with custom LoRA weights.",
        ("lora",),
        "2024-08-15",
        _FLUX,
    ),
    "fal-ai/flux-pro/v1.1": Listing(
        "FLUX1.1 [pro]",
        _TEXT,
        "Pictures from text with the larger FLUX model.",
        ("pro",),
        "2024-10-02",
        _FLUX_PRO,
    ),
    "fal-ai/flux-pro/v1.1-ultra": Listing(
        "FLUX1.1 [pro] ultra",
        _TEXT,
        "Pictures from text of up to four megapixels.",
        ("pro", "high-res"),
        "2024-11-06",
        _FLUX_PRO,
    ),
    "fal-ai/flux-pro/kontext": Listing(
        "FLUX.1 Kontext [pro]", _EDIT, "Edits a picture as a prompt says.", ("pro",), "2025-05-29", _KONTEXT
    ),
    "fal-ai/flux-pro/kontext/max": Listing(
        "FLUX.1 Kontext [max]",
        _EDIT,
        "Edits a picture as a prompt says, with better typography.",
        ("pro",),
        "2025-05-29",
        _KONTEXT,
    ),
    "fal-ai/flux-2": Listing(
        "FLUX.2 [dev]", _TEXT, "The second generation: pictures from text.", (), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2/edit": Listing(
        "FLUX.2 [dev] Edit", _EDIT, "Edits one or more pictures as a prompt says.", (), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2-pro": Listing(
        "FLUX.2 [pro]", _TEXT, "The second generation: the larger model.", ("pro",), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2/klein/realtime": Listing(
        "FLUX.2 [klein] Realtime",
        _EDIT,
        "Edits a picture in real time, while a user draws or types.",
        ("realtime",),
        "2026-01-15",
        _FLUX_2,
    ),
    "fal-ai/fast-turbo-diffusion": Listing(
        "Stable Diffusion Turbo",
        _TEXT,
        "SD Turbo and SDXL Turbo, in one or two steps.",
        ("turbo",),
        "2023-12-01",
    ),
    "fal-ai/fast-sdxl": Listing(
        "Stable Diffusion XL", _TEXT, "SDXL, optimised for speed.", ("diffusion",), "2023-12-01", _SDXL
    ),
    "fal-ai/fast-sdxl/image-to-image": Listing(
        "Stable Diffusion XL",
        _EDIT,
        "SDXL, optimised for speed, with an input picture.",
        ("diffusion",),
        "2023-12-01",
        _SDXL,
    ),
    "fal-ai/fast-lcm-diffusion": Listing(
        "Latent Consistency Models",
        _TEXT,
        "SDXL in a few steps, fast enough for realtime use.",
        ("lcm",),
        "2023-12-01",
    ),
    "fal-ai/any-llm": Listing("Any LLM", "llm", "One API for many language models.", ("chat",), "2024-08-01"),
}


# Category -> what its endpoints do: the description of an endpoint without one.
CATEGORIES: Final = {
    "text-to-image": "Makes pictures from text.",
    "image-to-image": "Changes or analyses a picture.",
    "text-to-video": "Makes a video from text.",
    "image-to-video": "Makes a video from a picture.",
    "video-to-video": "Changes a video.",
    "audio-to-video": "Makes a video from a recording.",
    "text-to-audio": "Makes sound or music from text.",
    "audio-to-audio": "Changes a recording.",
    "video-to-audio": "Makes the sound of a video.",
    "text-to-speech": "Speaks a text.",
    "speech-to-speech": "Speaks a recording with another voice.",
    "speech-to-text": "Writes down what is said in a recording.",
    "audio-to-text": "Describes or writes down a recording.",
    "text-to-3d": "Makes a 3D model from text.",
    "image-to-3d": "Makes a 3D model from a picture.",
    "3d-to-3d": "Changes a 3D model.",
    "training": "Trains weights from examples.",
    "llm": "Answers with text.",
    "text-to-text": "Answers a text with text.",
    "image-to-text": "Describes a picture.",
    "video-to-text": "Describes a video.",
    "vision": "Finds or describes what a picture shows.",
    "text-to-json": "Makes data from text.",
    "image-to-json": "Makes data from a picture.",
    "json": "Makes data from files.",
    "workflow": "A step of a workflow.",
}
