"""Names, categories and descriptions of the endpoints, as fal's model pages and model API list them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Group(NamedTuple):
    """Models that fal's gallery lists together."""

    key: str
    label: str


class Model(NamedTuple):
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
MODELS: Final[dict[str, Model]] = {
    "fal-ai/flux/schnell": Model(
        "FLUX.1 [schnell]", _TEXT, "Pictures from text in one to four steps.", ("turbo",), "2024-08-01", _FLUX
    ),
    "fal-ai/flux/dev": Model(
        "FLUX.1 [dev]",
        _TEXT,
        "Pictures from text, slower and with more detail than schnell.",
        (),
        "2024-08-01",
        _FLUX,
    ),
    "fal-ai/flux-1/schnell": Model(
        "FLUX.1 [schnell]", _TEXT, "The schnell model on faster runners.", ("turbo",), "2025-05-01", _FLUX
    ),
    "fal-ai/flux-1/dev": Model(
        "FLUX.1 [dev]", _TEXT, "The dev model on faster runners.", (), "2025-05-01", _FLUX
    ),
    "fal-ai/flux/dev/image-to-image": Model(
        "FLUX.1 [dev]", _EDIT, "Changes a picture as a prompt says.", ("style transfer",), "2024-08-01", _FLUX
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
        "The dev model with custom LoRA weights.",
        ("lora",),
        "2024-08-15",
        _FLUX,
    ),
    "fal-ai/flux-pro/v1.1": Model(
        "FLUX1.1 [pro]",
        _TEXT,
        "Pictures from text with the larger FLUX model.",
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
        "FLUX.1 Kontext [pro]", _EDIT, "Edits a picture as a prompt says.", ("pro",), "2025-05-29", _KONTEXT
    ),
    "fal-ai/flux-pro/kontext/max": Model(
        "FLUX.1 Kontext [max]",
        _EDIT,
        "Edits a picture as a prompt says, with better typography.",
        ("pro",),
        "2025-05-29",
        _KONTEXT,
    ),
    "fal-ai/flux-2": Model(
        "FLUX.2 [dev]", _TEXT, "The second generation: pictures from text.", (), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2/edit": Model(
        "FLUX.2 [dev] Edit", _EDIT, "Edits one or more pictures as a prompt says.", (), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2-pro": Model(
        "FLUX.2 [pro]", _TEXT, "The second generation: the larger model.", ("pro",), "2025-11-25", _FLUX_2
    ),
    "fal-ai/flux-2/klein/realtime": Model(
        "FLUX.2 [klein] Realtime",
        _EDIT,
        "Edits a picture in real time, while a user draws or types.",
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
        "Stable Diffusion XL", _TEXT, "SDXL, optimised for speed.", ("diffusion",), "2023-12-01", _SDXL
    ),
    "fal-ai/fast-sdxl/image-to-image": Model(
        "Stable Diffusion XL",
        _EDIT,
        "SDXL, optimised for speed, with an input picture.",
        ("diffusion",),
        "2023-12-01",
        _SDXL,
    ),
    "fal-ai/fast-lcm-diffusion": Model(
        "Latent Consistency Models",
        _TEXT,
        "SDXL in a few steps, fast enough for realtime use.",
        ("lcm",),
        "2023-12-01",
    ),
    "fal-ai/any-llm": Model("Any LLM", "llm", "One API for many language models.", ("chat",), "2024-08-01"),
}
