"""What each endpoint is called and what it is for: the facts beside its schema that fal's model pages tell."""

from __future__ import annotations

from typing import Final, NamedTuple


class Group(NamedTuple):
    """Models that one page of fal's gallery shows together."""

    key: str
    label: str


class Model(NamedTuple):
    """One endpoint. `date` is the day on which it appeared, as in 2024-08-01."""

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
# assumption: the other dates, the tags and the groups. The descriptions are our own words.
MODELS: Final[dict[str, Model]] = {
    "fal-ai/flux/schnell": Model(
        "FLUX.1 [schnell]", _TEXT, "Pictures from text in one to four steps.", ("turbo",), "2024-08-01", _FLUX
    ),
    "fal-ai/flux/dev": Model(
        "FLUX.1 [dev]", _TEXT, "Pictures from text, slower and finer than schnell.", (), "2024-08-01", _FLUX
    ),
    "fal-ai/flux-1/schnell": Model(
        "FLUX.1 [schnell]", _TEXT, "The schnell model on faster runners.", ("turbo",), "2025-05-01", _FLUX
    ),
    "fal-ai/flux-1/dev": Model(
        "FLUX.1 [dev]", _TEXT, "The dev model on faster runners.", (), "2025-05-01", _FLUX
    ),
    "fal-ai/flux/dev/image-to-image": Model(
        "FLUX.1 [dev]", _EDIT, "A picture made over after a prompt.", ("style transfer",), "2024-08-01", _FLUX
    ),
    "fal-ai/flux/schnell/redux": Model(
        "FLUX.1 [schnell] Redux",
        _EDIT,
        "Variations of one picture, quickly.",
        ("turbo",),
        "2024-11-21",
        _FLUX,
    ),
    "fal-ai/flux-lora": Model(
        "FLUX.1 [dev] with LoRAs",
        _TEXT,
        "The dev model with adapters of your own.",
        ("lora",),
        "2024-08-15",
        _FLUX,
    ),
    "fal-ai/flux-pro/v1.1": Model(
        "FLUX1.1 [pro]",
        _TEXT,
        "The larger FLUX model for pictures from text.",
        ("pro",),
        "2024-10-02",
        _FLUX_PRO,
    ),
    "fal-ai/flux-pro/v1.1-ultra": Model(
        "FLUX1.1 [pro] ultra",
        _TEXT,
        "Pictures from text of up to four megapixels.",
        ("pro", "high-res"),
        "2024-11-06",
        _FLUX_PRO,
    ),
    "fal-ai/flux-pro/kontext": Model(
        "FLUX.1 Kontext [pro]", _EDIT, "Edits a picture as a sentence says.", ("pro",), "2025-05-29", _KONTEXT
    ),
    "fal-ai/flux-pro/kontext/max": Model(
        "FLUX.1 Kontext [max]",
        _EDIT,
        "Edits a picture as a sentence says, with better lettering.",
        ("pro",),
        "2025-05-29",
        _KONTEXT,
    ),
    "fal-ai/flux-2": Model(
        "FLUX.2 [dev]", _TEXT, "The second generation: pictures from text.", (), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2/edit": Model(
        "FLUX.2 [dev] Edit", _EDIT, "Edits one or more pictures after a prompt.", (), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2-pro": Model(
        "FLUX.2 [pro]", _TEXT, "The second generation in its larger form.", ("pro",), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2/klein/realtime": Model(
        "FLUX.2 [klein] Realtime",
        _EDIT,
        "Edits a picture while somebody draws or types.",
        ("realtime",),
        "2026-01-15",
        _FLUX_2,
    ),
    "fal-ai/fast-turbo-diffusion": Model(
        "Stable Diffusion Turbo",
        _TEXT,
        "SD Turbo and SDXL Turbo, in one or two steps.",
        ("turbo",),
        "2023-12-01",
    ),
    "fal-ai/fast-sdxl": Model(
        "Stable Diffusion XL", _TEXT, "SDXL, made fast.", ("diffusion",), "2023-12-01", _SDXL
    ),
    "fal-ai/fast-sdxl/image-to-image": Model(
        "Stable Diffusion XL",
        _EDIT,
        "SDXL, made fast, with a picture to start from.",
        ("diffusion",),
        "2023-12-01",
        _SDXL,
    ),
    "fal-ai/fast-lcm-diffusion": Model(
        "Latent Consistency Models",
        _TEXT,
        "SDXL in a few steps, fast enough to type along.",
        ("lcm",),
        "2023-12-01",
    ),
    "fal-ai/any-llm": Model("Any LLM", "llm", "One door to many language models.", ("chat",), "2024-08-01"),
}
