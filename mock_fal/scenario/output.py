"""A user's own output for a model: JSON with placeholders for files, or a Python callable that returns it.

    {"video": {"$file": {"kind": "video", "duration_s": 4}}, "poster": {"$file_url": {"kind": "image"}}}

`$file` stands for fal's file object, `$file_url` for the URL alone. `File` is the same in Python.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from mock_fal.errors import JSON, ScenarioError, is_deeper
from mock_fal.media.recipe import OwnFile
from mock_fal.scenario.syntax import MAX_DEPTH, MAX_RULE_TEXT, cut, shown

# Values in an output, and files. Encoding a response takes some 0.3 µs for each value, on the event loop.
MAX_VALUES: Final = 50_000
MAX_FILES: Final = 50

# The bytes of one value in memory without its text.
_VALUE_BYTES: Final = 100

# What a user's callable may take, in real seconds, and how many may run at once.
MAX_CALL_S: Final = 30.0

FILE: Final = "$file"
FILE_URL: Final = "$file_url"

# Sides of pictures and videos in pixels, seconds of media, and frames per second.
_MAX_SIDE: Final = 4096
_MAX_DURATION_S: Final = 600.0
_MAX_FPS: Final = 60
_MAX_NAME: Final = 200


class FileSpec(NamedTuple):
    """What a placeholder says: the kind of a file and its options. Those that are not given have the default."""

    kind: str
    options: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """An option, by default that of its kind."""
        return self.options.get(name, KINDS[self.kind][name].default)


class _Field(NamedTuple):
    """An option of a file: its default, and a function that raises ValueError for a wrong value."""

    default: Any
    check: Callable[[Any], None]


def _number(low: float, high: float, *, whole: bool = False) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{shown(value)}, expected {kind} from {low:g} to {high:g}")

    return check


def _one_of(*names: str) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if value not in names:
            raise ValueError(f"{shown(value)}, expected {' or '.join(names)}")

    return check


def _flag(value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)}, expected true or false")


def _text(value: Any) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)}, expected a text")


def _name(value: Any) -> None:
    _text(value)
    if not 0 < len(value) <= _MAX_NAME or not value.isprintable() or "/" in value:
        raise ValueError(f"{shown(value)}, expected a name of 1 to {_MAX_NAME} characters without /")


def _content_type(value: Any) -> None:
    _text(value)
    if not value.isascii() or not value.isprintable() or not 3 <= len(value) <= _MAX_NAME or "/" not in value:
        raise ValueError(f"{shown(value)}, expected a media type such as image/png")


def _base64(value: Any) -> None:
    _text(value)
    try:
        b64decode(value, validate=True)
    except ValueError:
        raise ValueError(f"{shown(value)}, expected base64") from None


_SIDE: Final = _number(16, _MAX_SIDE, whole=True)
_SECONDS: Final = _number(0.1, _MAX_DURATION_S)
# The caption or content; by default the prompt of the input.
_CAPTION: Final = _Field("", _text)
_SOUND: Final = {
    "text": _CAPTION,
    "duration_s": _Field(10.0, _SECONDS),
    "format": _Field("mp3", _one_of("mp3", "wav", "flac", "ogg")),
}

# The kinds of files and their options, in the order of the documentation.
KINDS: Final[Mapping[str, Mapping[str, _Field]]] = {
    "image": {
        "text": _CAPTION,
        "width": _Field(1024, _SIDE),
        "height": _Field(768, _SIDE),
        "format": _Field("jpeg", _one_of("jpeg", "png", "webp", "avif", "gif")),
    },
    "video": {
        "text": _CAPTION,
        "width": _Field(1280, _SIDE),
        "height": _Field(720, _SIDE),
        "duration_s": _Field(5.0, _SECONDS),
        "fps": _Field(24, _number(1, _MAX_FPS)),
        "sound": _Field(False, _flag),
        "format": _Field("mp4", _one_of("mp4", "webm", "gif")),
    },
    "audio": _SOUND,
    "speech": _SOUND,
    "model": {
        "text": _CAPTION,
        "format": _Field("glb", _one_of("glb", "obj", "stl", "ply", "usdz")),
    },
    "document": {
        "text": _CAPTION,
        "duration_s": _Field(10.0, _SECONDS),
        "format": _Field("txt", _one_of("txt", "srt", "vtt", "csv", "zip", "safetensors", "svg")),
    },
    # A file of the user's own.
    "own": {
        "content": _Field("", _base64),
        "content_type": _Field("application/octet-stream", _content_type),
        "file_name": _Field("file.bin", _name),
    },
}


class File:
    """A placeholder for a file in an output: fal's file object stands there, with a URL that opens.

        File("video", duration_s=4, width=640, height=360)
        File(Path("cat.png"))          # or its bytes, with content_type=
        {"audio_url": File("audio").url}

    Raises ScenarioError for an unknown kind or option, and for a file that can't be read.
    """

    def __init__(self, kind: str | bytes | Path, **options: Any) -> None:
        if isinstance(kind, str) and kind in KINDS and kind != "own":
            self._member, self._spec = FILE, {"kind": kind, **options}
        else:
            self._member, self._spec = FILE, _own_file(kind, options)
        read_file_spec(self._spec)

    @property
    def url(self) -> File:
        """The URL alone, in place of the file object."""
        url = object.__new__(File)
        url._member, url._spec = FILE_URL, self._spec
        return url

    @property
    def as_json(self) -> JSON:
        """The placeholder as JSON."""
        return {self._member: self._spec}

    def __repr__(self) -> str:
        options = "".join(
            f", {name}={cut(repr(value))}" for name, value in self._spec.items() if name != "kind"
        )
        return f"File({self._spec['kind']!r}{options})" + (".url" if self._member == FILE_URL else "")


def _own_file(content: str | bytes | Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The placeholder of a user's own file, from its bytes or its path."""
    from mimetypes import guess_type  # only for files of the user

    if isinstance(content, bytes | bytearray):
        data, name = bytes(content), ""
    else:
        try:
            path = Path(content)
            if not path.is_file():
                raise OSError("no such file")
            with path.open("rb") as file:
                data = file.read(MAX_RULE_TEXT + 1)
        except (OSError, ValueError, TypeError) as error:
            kinds = ", ".join(name for name in KINDS if name != "own")
            reason = getattr(error, "strerror", None) or error
            raise ScenarioError(
                f"File: {shown(str(content))} is neither a kind of file ({kinds}) nor a file of yours: {reason}"
            ) from None
        name = path.name
    if len(data) > MAX_RULE_TEXT * 3 // 4:
        raise ScenarioError(
            f"File: more than {MAX_RULE_TEXT * 3 // 4} bytes; upload it and use its URL instead of File"
        )
    guessed = guess_type(name)[0] if name else None
    given = {"content_type": guessed, "file_name": name, **options}
    return {
        "kind": "own",
        "content": b64encode(data).decode(),
        **{option: value for option, value in given.items() if value},
    }


class Output:
    """An output for a model. `value` is JSON with placeholders; for a callable, `function` returns one.

    The value must not change: results share it. `error` is why a callable gave none.
    """

    __slots__ = ("checked", "error", "function", "has_files", "own_files", "text", "value", "values")

    def __init__(
        self, value: JSON, text: str, *, function: Callable[[Any], Any] | None = None, error: str = ""
    ) -> None:
        self.value = value
        self.text = text
        self.function = function
        self.error = error
        self.values, self.has_files = _check_value(value)
        # Filled by models/stubs.py: endpoint -> how the output differs from its schema, empty if it does not; and the
        # files of the user's own by their base64.
        self.checked: dict[str, str] = {}
        self.own_files: dict[str, OwnFile] = {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Output):
            return NotImplemented
        return (self.text, self.function, self.error) == (other.text, other.function, other.error)

    def __hash__(self) -> int:
        return hash((self.text, self.function, self.error))

    def __str__(self) -> str:
        return self.text

    @property
    def kept_bytes(self) -> int:
        """The bytes in memory: the text, the value with its files, and what has been found out about it."""
        return 3 * len(self.text) + _VALUE_BYTES * self.values

    def __repr__(self) -> str:
        return f"<output {cut(self.text)}>"

    def called(self, body: bytes) -> Output:
        """The output that a callable returns for an input. It runs the callable, which may take long.

        An exception, or a value that is no output, gives an output with an `error`.
        """
        assert self.function is not None
        try:
            document = json.loads(body) if body else None
        except (ValueError, RecursionError):
            return failed_output("the input is not JSON")  # nobody sees it: the model rejects such an input
        try:
            return output_of(self.function(document))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return failed_output(cut(f"the callable {_name_of(self.function)} raised {reason}"))


def output_of(value: Any) -> Output:
    """The output for a value: JSON with `File` objects, or a callable. Raises ScenarioError."""
    if callable(value):
        return Output(None, f"<callable {_name_of(value)}>", function=value)
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_json_of)
    except (TypeError, ValueError, RecursionError) as error:
        raise ScenarioError(f"output: {cut(str(error))}") from None
    if len(text) > MAX_RULE_TEXT:
        raise ScenarioError(f"output: {len(text)} characters, expected at most {MAX_RULE_TEXT}")
    document = json.loads(text)
    if is_deeper(document, MAX_DEPTH):
        raise ScenarioError("output: lists and objects are nested too deeply")
    return Output(document, text)


def failed_output(reason: str) -> Output:
    """The output of a callable that gave none."""
    return Output(None, "", error=reason)


def read_file_spec(spec: JSON) -> FileSpec:
    """The placeholder of a file. Raises ScenarioError for an unknown kind or option."""
    if not isinstance(spec, dict) or spec.get("kind") not in KINDS:
        given = spec.get("kind") if isinstance(spec, dict) else spec
        raise ScenarioError(f"{FILE}: kind {shown(given)}, expected one of {', '.join(KINDS)}")
    kind = spec["kind"]
    options = {name: value for name, value in spec.items() if name != "kind"}
    for name, value in options.items():
        field = KINDS[kind].get(name)
        if field is None:
            raise ScenarioError(
                f"{FILE}: {kind} has no {shown(name)}; expected one of {', '.join(KINDS[kind])}"
            )
        try:
            field.check(value)
        except ValueError as error:
            raise ScenarioError(f"{FILE}: {name}: {error}") from None
    return FileSpec(kind, options)


def placeholder(value: JSON) -> tuple[FileSpec, bool] | None:
    """The file for which an object stands, and whether only its URL does; None for other values."""
    if isinstance(value, dict) and len(value) == 1:
        if FILE in value:
            return read_file_spec(value[FILE]), False
        if FILE_URL in value:
            return read_file_spec(value[FILE_URL]), True
    return None


def _check_value(value: JSON) -> tuple[int, bool]:
    """The number of values in an output, and whether there are files.

    Raises ScenarioError for too many values or a wrong placeholder.
    """
    pending = [value]
    values = files = 0
    while pending:
        part = pending.pop()
        values += 1
        if values > MAX_VALUES:
            raise ScenarioError(f"output: more than {MAX_VALUES} values")
        if placeholder(part) is not None:
            files += 1
            if files > MAX_FILES:
                raise ScenarioError(f"output: more than {MAX_FILES} files")
        elif isinstance(part, dict | list):
            pending.extend(_parts(part))
    return values, files > 0


def _parts(value: dict[str, JSON] | list[JSON]) -> Iterable[JSON]:
    return value.values() if isinstance(value, dict) else value


def _json_of(value: Any) -> JSON:
    if isinstance(value, File):
        return value.as_json
    raise TypeError(f"{type(value).__name__} is not JSON")


def _name_of(function: Callable[..., Any]) -> str:
    return cut(str(getattr(function, "__qualname__", None) or type(function).__name__))
