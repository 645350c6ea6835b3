"""The catalogue: every endpoint that the emulator knows, from the data file, from `--models`, or guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import commonprefix
from typing import TYPE_CHECKING, Final, Literal

from mock_fal.endpoint import NAMESPACES, EndpointId
from mock_fal.errors import JSON
from mock_fal.models.classify import OTHERWISE, Kind, category_from_id, kind_of
from mock_fal.models.rows import Entry, Row, RowFile, built_in, entry_of
from mock_fal.models.saved_workflows import SavedWorkflows
from mock_fal.terminal import logger

if TYPE_CHECKING:
    from mock_fal.models.workflow import Workflow

Source = Literal["catalogue", "file", "guess", "stub"]

# How many guessed endpoints are remembered: an id is any text that a client sends.
MAX_GUESSED: Final = 1000

# What a user can do about an endpoint that mock-fal does not know.
WAYS_ON: Final = (
    "add it with --models FILE (its OpenAPI document), answer for all with --guess-models, or give an output of "
    "your own with mock_fal.respond(ENDPOINT, OUTPUT)"
)

# How many characters of an unknown id are compared: it is any text that a client sends.
_MAX_COMPARED: Final = 80

# How many characters names of apps have in common, at least, for a guess: `wan-i2v-turbo` may be like `wan-i2v`.
_SAME_BEGINNING: Final = 5

# What a schema accepts beside the type.
_LIMITS: Final = frozenset(
    {
        *("enum", "const", "required", "pattern", "x-fal", "multipleOf", "uniqueItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
        *("minItems", "maxItems", "minProperties", "maxProperties"),
    }
)

# How alike two ids are, at least, to be named as a likely mistake.
_ALIKE: Final = 0.7
_MOST_CLOSE: Final = 3


@dataclass(frozen=True, slots=True)
class Model:
    """One endpoint.

    `input` and `output` are JSON Schema 2020-12 without references, with properties in fal's order. `x-file` marks a
    field that takes or gives a file, or a list of files; `x-media` and `x-fal` state its medium and limits. `date` is
    that of the schemas, and `evidence` their source: `openapi` for fal's documents, `types` or `types-merged` for the
    types of fal's clients, which have no limits, and `fields` where only names of fields are known.
    `seen` is the last day on which fal listed the endpoint, and `changed` the day of fields that were added or removed
    after `date`. `format` is the file name extension of the main output in fal's example, or empty.
    """

    id: str
    title: str
    category: str
    kind: Kind
    input: JSON
    output: JSON
    date: str
    is_streaming: bool = False
    is_realtime: bool = False
    event_name: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    group: tuple[str, str] | None = None
    released: str = ""
    status: str = "active"
    format: str = ""
    evidence: str = "openapi"
    seen: str = ""
    changed: str = ""
    source: Source = "catalogue"


def model_of(row: Row, source: Source = "catalogue") -> Model:
    """The endpoint of a row."""
    group = row.get("group")
    return Model(
        id=row["id"],
        title=row.get("title") or row["id"],
        category=row.get("category", ""),
        kind=kind_of(row.get("category", ""), row["output"]),
        input=row["input"],
        output=row["output"],
        date=row.get("date", ""),
        is_streaming=row.get("stream", False),
        is_realtime=row.get("realtime", False),
        event_name=row.get("event_name"),
        description=row.get("description", ""),
        tags=tuple(row.get("tags", ())),
        group=(group[0], group[1]) if group else None,
        released=row.get("released", ""),
        status=row.get("status", "active"),
        format=row.get("format", ""),
        evidence=row.get("evidence", "openapi"),
        seen=row.get("seen", ""),
        changed=row.get("changed", ""),
        source=source,
    )


def relaxed(schema: JSON) -> JSON:
    """A schema with the fields and types of another, but without its limits: those of a guessed endpoint are unknown.

    >>> relaxed({"properties": {"size": {"type": "string", "enum": ["s", "m"]}}, "required": ["size"]})
    {'properties': {'size': {'type': 'string'}}}
    """
    if isinstance(schema, list):
        return [relaxed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, JSON] = {}
    for name, value in schema.items():
        if name == "properties" and isinstance(value, dict):  # names of fields, which may be those of limits
            kept[name] = {field: relaxed(part) for field, part in value.items()}
        elif name in ("default", "examples", "example"):
            kept[name] = value
        elif name not in _LIMITS and (name, value) != ("additionalProperties", False):
            kept[name] = relaxed(value)
    return kept


def is_workflow(endpoint: EndpointId | str) -> bool:
    """Whether an endpoint is a workflow, such as `workflows/ana/posters`. Every one exists."""
    namespace, _, name = str(endpoint).partition("/")
    return namespace in NAMESPACES and name.count("/") == 1


class Catalog:
    """The endpoints of one server. The rows of `files` are in front of the built-in ones.

    With `guess`, an unknown id has the output of the most similar endpoint of its app, else of what is most frequent in
    the category that its words name, and its input without limits.
    Raises SettingsError for a file that can't be used.
    """

    def __init__(
        self,
        files: Sequence[str] = (),
        *,
        guess: bool = False,
        warn: Callable[[str], None] = logger.warning,
    ) -> None:
        self.guesses = guess
        self._warn = warn
        self._models: dict[str, Model] = {}
        self._guessed: dict[str, Model] = {}
        self._closest: dict[str, list[str]] = {}
        self._own: dict[str, Row] = {}
        self._workflows: dict[str, Workflow] = {}
        self.saved_workflows = SavedWorkflows()
        if files:
            from mock_fal.models.model_files import read_file

            for file in files:
                rows, workflows = read_file(file)
                self._own |= {row["id"]: row for row in rows}
                self._workflows |= workflows

    def find(self, endpoint: EndpointId | str) -> Model | None:
        """The endpoint with that id, or None. Its row is decoded at the first call."""
        endpoint = str(endpoint)
        model = self._models.get(endpoint)
        if model is not None:
            return model
        if endpoint in self._own:
            model = model_of(self._own[endpoint], "file")
        elif row := self._built_in.row(endpoint):
            model = model_of(row)
        else:
            return self._guess(endpoint) if self.guesses else None
        self._models[endpoint] = model
        return model

    def workflow(self, endpoint: EndpointId) -> Workflow | None:
        """The definition of a workflow that was saved or is in a file of --models; None for the others."""
        id = f"{endpoint.owner}/{endpoint.app}"
        saved = self.saved_workflows.find(id)
        return saved.workflow if saved is not None else self._workflows.get(id)

    def ids(self) -> Sequence[str]:
        """All ids, sorted. Guessed ones are not among them."""
        return self._ids

    def entries(self) -> Sequence[Entry]:
        """Id, category and title of all endpoints, without decoding rows."""
        return self._entries

    def has_app(self, app_id: str) -> bool:
        """Whether an app exists, such as `fal-ai/flux`. Paths inside an app are checked by its runner."""
        return self.guesses or is_workflow(app_id) or app_id in self._apps

    def has_path(self, endpoint: EndpointId | str) -> bool:
        """Whether the app of an endpoint has its path."""
        return (
            self.guesses
            or is_workflow(endpoint)
            or str(endpoint) in self._own
            or str(endpoint) in self._built_in
            or self.streaming_model(endpoint) is not None
            or self.realtime_model(endpoint) is not None
        )

    def streaming_model(self, endpoint: EndpointId | str) -> EndpointId | None:
        """The model of a streaming path: `fal-ai/flux/dev` for `fal-ai/flux/dev/stream`; None for other paths."""
        # assumption: the queue doesn't accept streaming paths; the runner reports them as not found.
        return self._behind(str(endpoint), "stream", lambda entry: entry.stream)

    def realtime_model(self, endpoint: EndpointId | str) -> EndpointId | None:
        """The endpoint behind a realtime path: the path itself if it is an endpoint, else the model."""
        return self._behind(str(endpoint), "realtime", lambda entry: entry.realtime)

    def realtime_paths(self) -> list[str]:
        """The ids that a realtime connection reaches."""
        paths = (entry.id for entry in self._entries if entry.realtime)
        return [path if path.endswith("/realtime") else f"{path}/realtime" for path in paths]

    def closest(self, id: str, n: int = 3) -> list[str]:
        """The known ids that are most like an unknown one, best first."""
        compared = id.lower()[:_MAX_COMPARED]  # in small letters, since ids are
        if compared not in self._closest:
            from difflib import get_close_matches  # only needed for messages

            if len(self._closest) >= MAX_GUESSED:
                self._closest.clear()
            self._closest[compared] = get_close_matches(compared, self._ids, _MOST_CLOSE, _ALIKE)
        return self._closest[compared][:n]

    def hint(self, id: str) -> str:
        """An unknown id, and what may have been meant: `fal-ai/fluxx; did you mean fal-ai/flux-2?`."""
        close = self.closest(id)
        shown = id if len(id) <= _MAX_COMPARED else id[: _MAX_COMPARED - 1] + "…"
        *others, last = close or [""]
        meant = f"{', '.join(others)} or {last}" if others else last
        return f"{shown}; did you mean {meant}?" if close else shown

    def _behind(self, path: str, last: str, has: Callable[[Entry], bool]) -> EndpointId | None:
        model, _, word = path.rpartition("/")
        if word != last:
            return None
        if last == "stream" and is_workflow(model):
            return EndpointId.parse(model)
        # fal: some ids end in the word themselves, and have no other path (fal's listing, 2026).
        for endpoint in (path, model):
            entry = self._entry(endpoint)
            if entry is not None and (endpoint == path or has(entry)):
                return EndpointId.parse(endpoint)
        return None

    def _guess(self, endpoint: str) -> Model | None:
        model = self._guessed.get(endpoint)
        if model is None:
            category = category_from_id(endpoint)
            typical = self.find(self._sibling(endpoint, category) or TYPICAL[category])
            assert typical is not None
            model = Model(
                id=endpoint,
                title=endpoint,
                category=typical.category,
                kind=typical.kind,
                input=relaxed(typical.input),
                output=typical.output,
                date=typical.date,
                evidence="guess",
                source="guess",
            )
            self._warn(
                f"mock-fal: {endpoint:.200} is not known; it answers as {typical.category}, like {typical.id} "
                "(--guess-models)"
            )
            if len(self._guessed) >= MAX_GUESSED:
                del self._guessed[next(iter(self._guessed))]
            self._guessed[endpoint] = model
        return model

    def _sibling(self, endpoint: str, category: str) -> str | None:
        """The known endpoint whose id has the longest beginning in common with `endpoint`: one of the same app, or
        else one of an app of the same owner whose name begins alike.

        It has that category, unless the category is the one of ids whose words say nothing.
        """
        # assumption: an endpoint that is not known is like those of its app, or of apps whose names begin alike.
        app = _app_id(endpoint)
        beginning = app[: app.rfind("/") + 1 + _SAME_BEGINNING]
        alike = [
            entry
            for entry in self._entries
            if entry.id.startswith(beginning) and category in (entry.category, OTHERWISE)
        ]
        siblings = [entry for entry in alike if _app_id(entry.id) == app] or alike

        def likeness(entry: Entry) -> tuple[int, bool, int]:
            return len(commonprefix((entry.id, endpoint))), entry.category == category, -len(entry.id)

        return max(siblings, key=likeness).id if siblings else None

    # -- read at first use: nothing is read when a server starts

    @cached_property
    def _built_in(self) -> RowFile:
        return built_in()

    def _entry(self, endpoint: str) -> Entry | None:
        return entry_of(self._own[endpoint]) if endpoint in self._own else self._built_in.entry(endpoint)

    @cached_property
    def _ids(self) -> Sequence[str]:
        return tuple(entry.id for entry in self._entries)

    @cached_property
    def _entries(self) -> Sequence[Entry]:
        own = [entry_of(row) for row in self._own.values()]
        built_in = (entry for entry in self._built_in.entries() if entry.id not in self._own)
        return tuple(sorted([*own, *built_in]))

    @cached_property
    def _apps(self) -> frozenset[str]:
        return frozenset(map(_app_id, self._ids))


def _app_id(id: str) -> str:
    # Faster than EndpointId for all ids of the data file, which are in its normal form.
    parts = id.split("/", 3)
    return "/".join(parts[: 3 if parts[0] in NAMESPACES else 2])


# Category that an id can name -> the endpoint whose input and output stand for a guessed one: what most of that
# category have in common.
TYPICAL: Final = {
    "text-to-image": "fal-ai/flux/dev",
    "image-to-image": "fal-ai/flux/dev/image-to-image",
    "text-to-video": "fal-ai/pixverse/v3.5/text-to-video",
    "image-to-video": "fal-ai/pixverse/v3.5/image-to-video",
    "video-to-video": "bria/video/erase/prompt",
    "text-to-audio": "fal-ai/stable-audio-3/small/sfx/text-to-audio",
    "video-to-audio": "mirelo-ai/sfx-v1/video-to-audio",
    "text-to-speech": "fal-ai/minimax/speech-02-turbo",
    "speech-to-speech": "fal-ai/chatterbox/speech-to-speech",
    "speech-to-text": "fal-ai/wizper",
    "image-to-3d": "fal-ai/hunyuan3d/v2/turbo",
    "training": "fal-ai/z-image-turbo-trainer-v2",
    "vision": "openrouter/router/vision",
    "json": "fal-ai/ffmpeg-api/metadata",
}
