"""The recipes of placeholder media: everything that determines the bytes of a file, derived from the request.

A recipe is small, immutable and hashable. The file is rendered when somebody downloads it (media/render.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from mock_fal.pictures.recipe import Recipe, Source

VideoFormat = Literal["mp4", "webm", "gif"]
AudioFormat = Literal["wav", "mp3", "flac", "ogg"]
ModelFormat = Literal["glb", "obj", "obj.zip", "stl", "ply", "usdz"]
DocumentFormat = Literal["srt", "vtt", "txt", "json", "csv", "zip", "safetensors", "svg"]
Style = Literal["melody", "speech"]


@dataclass(frozen=True, slots=True)
class Video:
    """A video. Its size in pixels is that of `picture`. `sound` is the sound track, if there is one."""

    picture: Recipe
    duration_s: float
    fps: float = 24
    sound: Style | None = None
    format: VideoFormat = "mp4"

    @property
    def content_type(self) -> str:
        return "image/gif" if self.format == "gif" else f"video/{self.format}"

    @property
    def extension(self) -> str:
        return self.format

    @property
    def text(self) -> str:
        return self.picture.prompt

    @property
    def seed(self) -> int:
        return self.picture.seed


_AUDIO_TYPES: Final[dict[AudioFormat, str]] = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
}


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound, from 0.1 s to 10 minutes.

    `sample_rate` (8000 to 48000) and `channels` (1 or 2) are those of WAV and FLAC. MP3 has 44100 and Ogg/Opus 48000,
    both mono.
    """

    text: str
    duration_s: float
    seed: int = 0
    style: Style = "melody"
    format: AudioFormat = "wav"
    sample_rate: int = 44100
    channels: int = 1

    @property
    def content_type(self) -> str:
        return _AUDIO_TYPES[self.format]

    @property
    def extension(self) -> str:
        return self.format


_MODEL_TYPES: Final[dict[ModelFormat, str]] = {
    "glb": "model/gltf-binary",
    "obj": "model/obj",
    "obj.zip": "application/zip",
    "stl": "model/stl",
    "ply": "application/octet-stream",
    "usdz": "model/vnd.usdz+zip",
}


@dataclass(frozen=True, slots=True)
class Model3D:
    """A 3D model."""

    text: str
    seed: int = 0
    format: ModelFormat = "glb"

    @property
    def content_type(self) -> str:
        return _MODEL_TYPES[self.format]

    @property
    def extension(self) -> str:
        return self.format.rpartition(".")[2]


_DOCUMENT_TYPES: Final[dict[DocumentFormat, str]] = {
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "zip": "application/zip",
    "safetensors": "application/octet-stream",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A file of text or data. `duration_s` is the length of what subtitles are for; `width` and `height` are an SVG's.

    `data` is the content of a JSON file, as its text.
    """

    format: DocumentFormat
    text: str
    seed: int = 0
    duration_s: float = 0
    width: int = 0
    height: int = 0
    data: str = ""

    @property
    def content_type(self) -> str:
        return _DOCUMENT_TYPES[self.format]

    @property
    def extension(self) -> str:
        return self.format


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file of the user's own, from an output of theirs. `digest` is that of its bytes."""

    data: bytes = field(repr=False)
    digest: str
    content_type: str
    extension: str

    @property
    def text(self) -> str:
        return ""


MediaRecipe = Recipe | Video | Sound | Model3D | Document | OwnFile


def texts(recipe: MediaRecipe) -> tuple[str, ...]:
    """The texts of a recipe, which may be long."""
    return (recipe.text, recipe.data) if isinstance(recipe, Document) else (recipe.text,)


def description(recipe: MediaRecipe) -> str:
    """What the name of a file is derived from: what the input asks for, not the format."""
    match recipe:
        case Recipe():
            size = f"{recipe.width}x{recipe.height}"
            return f"{recipe.endpoint} {recipe.seed} {size} {recipe.blank} {recipe.prompt}"
        case Video():
            return f"video {recipe.duration_s:g} {recipe.fps:g} {recipe.sound} {description(recipe.picture)}"
        case Sound():
            return f"sound {recipe.style} {recipe.seed} {recipe.duration_s:g} {recipe.text}"
        case Model3D():
            return f"model {recipe.seed} {recipe.text}"
        case Document():
            size = f"{recipe.width}x{recipe.height}"
            return f"{recipe.format} {recipe.seed} {size} {recipe.duration_s:g} {recipe.text} {recipe.data}"
        case OwnFile():
            return f"own {recipe.digest}"


def source(recipe: MediaRecipe) -> Source | None:
    """The input picture that shows through."""
    picture = recipe.picture if isinstance(recipe, Video) else recipe
    return picture.source if isinstance(picture, Recipe) else None
