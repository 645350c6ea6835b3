"""The output of a run, built from the output schema of its model and shaped by the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from mock_fal.errors import JSON
from mock_fal.media.recipe import MediaRecipe, Video
from mock_fal.models.job import Job
from mock_fal.models.output_fields import Field, output_field
from mock_fal.models.result_files import media_of, recipe
from mock_fal.models.values import COORDINATES, NUMBERS, Run, Scope, lookup, placeholder
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import MediaFile, MediaSize

# assumption: how many objects a detector finds.
FOUND: Final = 2
MAX_ITEMS: Final = 50
_WAVEFORM: Final = 32

# fal: the pictures of these have neither a name nor a size: both are null (live, 2026; vercel/ai, issue 7735).
_UNNAMED: Final = ("fal-ai/flux-2", "fal-ai/flux-kontext", "fal-ai/flux-pro/kontext")

_LISTS_OF_WORDS: Final = ("words", "timestamps", "word_timestamps")
_LISTS_OF_OBJECTS: Final = ("boxes", "scores", "objects", "bboxes", "results", "bounding_boxes")

# fal: the objects of moondream have these four members, and its points two (model pages, 2026).
_UNTYPED: Final = {"objects": ("x_min", "y_min", "x_max", "y_max"), "points": ("x", "y")}


class Output(NamedTuple):
    """The body of a response, with a MediaFile for each file.

    `needs_rendering` is set if the body has data URIs or sizes, for which files must be rendered before it is written.
    """

    body: JSON
    needs_rendering: bool


def output(run: Run, job: Job) -> Output:
    """The output of a run."""
    builder, model = _Builder(run, job), run.plan.model
    body = builder.value(output_field(model.output, model.kind), Scope(run))
    return Output(body, builder.needs_rendering)


class _Builder:
    """Builds the value of each field; `scope` is what the value may depend on."""

    def __init__(self, run: Run, job: Job) -> None:
        self._plan = run.plan
        self._job = job
        self._run = run
        self.needs_rendering = False

    def value(self, field: Field, scope: Scope) -> Any:
        """The value of a field."""
        scope.path = field.path
        return _BY_KIND.get(field.kind, _Builder._anything)(self, field, scope)

    # -- scalars

    def _boolean(self, field: Field, scope: Scope) -> Any:
        assert field.by_name is not None
        if not field.is_flag and "default" in field.schema:
            return field.schema["default"]
        return field.by_name(scope)

    def _choice(self, field: Field, scope: Scope) -> Any:
        """One of the values of an enum: as the input says, else by its name, the default, or the first."""
        choices = field.schema["enum"]
        named = field.by_name(scope) if field.by_name else None
        wanted = (self._plan.fields.get(field.name), named, field.schema.get("default"))
        return next((value for value in wanted if value is not None and value in choices), choices[0])

    def _number(self, field: Field, scope: Scope) -> float | int | None:
        if field.by_name is not None:
            return field.bounded(field.by_name(scope))
        if field.is_nullable:
            return None
        default = field.schema.get("default")
        return field.bounded(default if isinstance(default, int | float) else 0)

    def _text(self, field: Field, scope: Scope) -> Any:
        schema, echo = field.schema, self._plan.fields.get(field.name)
        text = field.by_name(scope) if field.is_named and field.by_name else ""
        if not text:
            if isinstance(echo, str) and not field.is_named:
                text = echo
            elif field.is_nullable:
                return None
            elif isinstance(schema.get("default"), str):
                text = schema["default"]
            elif not field.is_named:
                text = placeholder(scope)
        limit = schema.get("maxLength")
        return str(text)[: limit if isinstance(limit, int) else None].ljust(schema.get("minLength", 0), ".")

    def _url(self, field: Field, scope: Scope) -> Any:
        made = recipe(field.name, {}, self._plan, scope.position)
        if made is None:
            return None if field.is_nullable else ""
        return self._add(made, inline=field.schema.get("format") == "binary" or self._plan.inline)

    def _add(self, made: MediaRecipe, *, inline: bool) -> MediaFile:
        self.needs_rendering |= inline
        return self._job.add_file(made, inline)

    def _anything(self, field: Field, scope: Scope) -> Any:
        """The value of a field whose schema accepts anything."""
        if "default" in field.schema:
            return field.schema["default"]
        if field.name == "timings":
            return self._timings()
        if field.name == "timestamp" and scope.span:
            return scope.span.start if scope.position % 2 == 0 else scope.span.end
        if field.name == "error":
            return None
        return scope.run.reply.text if field.name in ("text", "output") else {}

    def _timings(self) -> JSON:
        return {"inference": self._run.inference_s}

    # -- objects and lists

    def _object(self, field: Field, scope: Scope) -> Any:
        if not field.fields:
            if field.name == "timings":
                return self._timings()
            return None if field.is_nullable and not field.is_required else self._untyped(field, scope)
        if field.in_pixels:
            scope = scope.inside(in_pixels=True)
        return {
            inner.name: self.value(inner, scope)
            for inner in field.fields
            if inner.is_required or self._has_value(inner.name)
        }

    def _untyped(self, field: Field, scope: Scope) -> JSON:
        """An object whose schema has no properties."""
        rules = {member: lookup(NUMBERS, member) for member in _UNTYPED.get(field.name, ())}
        return {member: rule(scope) for member, rule in rules.items() if rule}

    def _has_value(self, name: str) -> bool:
        """Whether an optional field is sent."""
        # fal: `speaker` is present only with `diarize` (schema of fal-ai/whisper, 2026-06).
        return name != "file_data" and (name not in ("speaker", "speaker_id") or self._tells_speakers)

    @property
    def _tells_speakers(self) -> bool:
        return self._plan.fields.get("diarize") is not False

    def _list(self, field: Field, scope: Scope) -> Any:
        item = field.item
        assert item is not None
        if scope.span and (field.name == "timestamp" or len(field.parts) == 2):
            return [scope.span.start, scope.span.end]
        if field.parts:
            return [
                self.value(part, scope.inside(position=number)) for number, part in enumerate(field.parts)
            ]
        if item.kind in ("file", "url"):
            return self._files(field, item, scope)
        is_known = (
            item.kind in ("object", "array", "boolean")
            or item.kind in ("integer", "number")
            and item.is_named
        )
        if field.is_nullable and not field.is_required and not is_known:
            return None
        return [self.value(item, inner) for inner in self._items(field, item, scope)]

    def _items(self, field: Field, item: Field, scope: Scope) -> Iterator[Scope]:
        """The scopes of the items of a list."""
        if field.name == "diarization_segments" and not self._tells_speakers:
            return
        has_times = not item.properties.isdisjoint(("start", "timestamp", "end"))
        if has_times and "text" in item.properties or "speaker" in item.properties:
            heard = self._run.transcript
            for number, span in enumerate(heard.words if field.name in _LISTS_OF_WORDS else heard.segments):
                yield scope.inside(position=number, span=span)
            return
        for number in range(self._item_count(field, item)):
            # The coordinates of one box are a list themselves.
            is_side = item.kind == "number" and scope.box_number is not None
            yield scope.inside(position=number, box_number=scope.box_number if is_side else number)

    def _item_count(self, field: Field, item: Field) -> int:
        name = field.name
        if item.is_flag or name in ("seeds", "outputs"):
            count = self._plan.quantity
        elif item.kind == "number" and COORDINATES.fullmatch(name):
            count = 4
        elif name == "waveform":
            count = _WAVEFORM
        else:
            count = FOUND if name in _LISTS_OF_OBJECTS else 1
        fewest, most = field.schema.get("minItems", 0), field.schema.get("maxItems", MAX_ITEMS)
        return max(int(fewest), min(count, int(most)))

    # -- files

    def _files(self, field: Field, item: Field, scope: Scope) -> list[Any]:
        kind = self._plan.model.kind
        is_main = media_of(field.name, kind) == media_of("", kind)
        scopes = [scope.inside(position=number) for number in range(self._plan.quantity if is_main else 1)]
        made = [self.value(item, inner) for inner in scopes]
        return [file for file in made if file is not None]

    def _file(self, field: Field, scope: Scope) -> Any:
        if field.is_nullable and not self._is_wanted(field.name):
            return None
        made = recipe(field.name, field.schema, self._plan, scope.position)
        if made is None:
            if field.is_nullable:
                return None
            # deviation: FBX, EXR and Blender files are not made: a GLB model or a ZIP archive stands in for them.
            made = recipe(
                "archive_zip" if "exr" in field.name else "model_glb", {}, self._plan, scope.position
            )
            assert made is not None
        is_raw = "content" in field.properties
        file = self._add(made, inline=is_raw or self._plan.inline and "url" in field.properties)
        inner = scope.inside(recipe=made)
        return {
            part.name: self._property(part, inner, file)
            for part in field.fields
            if part.name != "file_data" or part.is_required
        }

    def _property(self, field: Field, scope: Scope, file: MediaFile) -> Any:
        """A property of a file object."""
        match field.name:
            case "url" | "content" | "file_data":
                return file
            case "content_type":
                return field.schema.get("const", file.recipe.content_type)
            case "file_name":
                is_picture = isinstance(file.recipe, Recipe)
                if is_picture and field.is_nullable and self._plan.model.id.startswith(_UNNAMED):
                    return None
                return file.path.rpartition("/")[2]
            case "file_size" | "size_bytes":
                self.needs_rendering |= not field.is_nullable
                return None if field.is_nullable else MediaSize(file)
            case "width" | "height" if not isinstance(file.recipe, Recipe | Video):
                return None if field.is_nullable or not field.is_required else 0
        return self.value(field, scope)

    def _constant(self, field: Field, scope: Scope) -> Any:
        return field.schema["const"]

    def _null(self, field: Field, scope: Scope) -> None:
        return None

    def _is_wanted(self, name: str) -> bool:
        """Whether the input asks for an optional file: by its switch (`return_frames_zip`), if there is one."""
        fields = self._plan.fields
        for switch in (f"return_{name}", f"include_{name}", f"generate_{name}", f"enable_{name}", name):
            if isinstance(fields.get(switch), bool):
                return bool(fields[switch])
        return "debug" not in name


_BY_KIND: Final[Mapping[str, Callable[[_Builder, Field, Scope], Any]]] = {
    "file": _Builder._file,
    "object": _Builder._object,
    "array": _Builder._list,
    "string": _Builder._text,
    "url": _Builder._url,
    "integer": _Builder._number,
    "number": _Builder._number,
    "boolean": _Builder._boolean,
    "enum": _Builder._choice,
    "const": _Builder._constant,
    "null": _Builder._null,
}
