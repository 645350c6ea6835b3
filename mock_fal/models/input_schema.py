"""The validator of an endpoint's input, built from its JSON Schema, and the files that an input names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic_core import SchemaError

from mock_fal.errors import JSON
from mock_fal.models.job import Media
from mock_fal.models.schema_types import SchemaKey, SchemaTypes, UnusableSchema

# The number of models that are kept; each takes some 100 kB.
MAX_ADAPTERS: Final = 256


class FileReference(NamedTuple):
    """A file that an input names. `loc` has the names of the fields that lead to it, without list indices."""

    loc: tuple[str, ...]
    url: str
    media: Media


def input_adapter(schema: JSON) -> TypeAdapter[BaseModel]:
    """The validator of an input schema (JSON Schema 2020-12 without `$ref`). Raises UnusableSchema.

    Building one takes some milliseconds. It is kept while the same schema object is in use: do not modify that.
    """
    return _adapter(SchemaKey(schema))


@lru_cache(maxsize=MAX_ADAPTERS)
def _adapter(key: SchemaKey) -> TypeAdapter[BaseModel]:
    schema = key.schema
    if not isinstance(schema, dict):
        raise UnusableSchema(f"the schema of an input is {repr(schema)[:100]}; expected an object")
    if not isinstance(schema.get("properties"), dict):
        # assumption: an endpoint whose document leaves the input open accepts any JSON object.
        schema = {**schema, "properties": {}, "additionalProperties": True}
    try:
        return TypeAdapter(SchemaTypes().model(schema, "Input", "input", 0, defer=False))
    except (SchemaError, PydanticUserError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UnusableSchema):
            raise
        # Values of the wrong type in a keyword, such as a text as a limit, are found by pydantic.
        raise UnusableSchema(f"pydantic can't use the schema: {str(error)[:500]}") from None


_PLAIN: Final = frozenset({type(None), bool, int, float, str, bytes})


def as_plain(value: Any) -> Any:
    """A validated input as plain values by their names in JSON, with the defaults of fields that are not set.

    URLs, dates and UUIDs become text, sets become sorted lists; bytes stay bytes.
    """
    if type(value) in _PLAIN:
        return value
    match value:
        case BaseModel():
            fields = type(value).model_fields
            plain = {
                name if field.alias is None else field.alias: as_plain(getattr(value, name))
                for name, field in fields.items()
            }
            return plain | {name: as_plain(extra) for name, extra in (value.model_extra or {}).items()}
        case dict():
            return {key: as_plain(item) for key, item in value.items()}
        case list() | tuple():
            return [as_plain(item) for item in value]
        case set():
            return sorted((as_plain(item) for item in value), key=repr)
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


# -- files

_BY_WORD: Final[dict[str, Media]] = {
    **dict.fromkeys(("image", "images", "img", "mask", "masks", "frame", "face", "gif", "photo"), "image"),
    **dict.fromkeys(("video", "videos", "clip", "movie"), "video"),
    **dict.fromkeys(("audio", "audios", "voice", "speech", "music", "song", "sound"), "audio"),
    **dict.fromkeys(
        ("data", "archive", "model", "lora", "embedding", "checkpoint", "mesh", "config"), "other"
    ),
    **dict.fromkeys(("pdf", "document", "font", "srt", "pointmap", "boxes", "file", "files", "zip"), "other"),
}
_BY_MARK: Final[dict[str, Media]] = {
    "image": "image",
    "image_mask": "image",
    "video": "video",
    "audio": "audio",
}

# Names of fields for a file; those without `url` may also take a word, such as the name of a preset.
_URL_NAME: Final = re.compile(r"(.*_)?urls?(_.*)?")
_MEDIA_NAME: Final = re.compile(r"(.*_)?(image|video|audio|mask|file)s?(_\d+)?")
_NO_FILE: Final = re.compile(r"(.*_)?(webhook|callback|redirect|base|site|page|website)_urls?")
_URL: Final = re.compile(r"(https?://|data:)", re.IGNORECASE)


MAX_FILE_DEPTH: Final = 12  # of a schema: no file is named deeper than that


def input_files(schema: JSON, document: JSON, default: Media = "other") -> Iterator[FileReference]:
    """The files that an input names, valid or not, in the order of the schema, in which a runner reads them.

    `default` is the kind of files whose field doesn't tell it: that of the endpoint.
    """
    return _files(schema, document, (), default) if _may_name_files(SchemaKey(schema)) else iter(())


@lru_cache(maxsize=MAX_ADAPTERS)
def _may_name_files(key: SchemaKey) -> bool:
    """Whether a schema has a field that takes a file."""
    return any(_takes_file(name, field) for name, field in _all_fields(key.schema, 0))


def default_texts(schema: JSON) -> frozenset[str]:
    """The texts in the defaults of a schema. A file with such a URL is fal's own, or an empty text says none."""
    return _default_texts(SchemaKey(schema))


@lru_cache(maxsize=MAX_ADAPTERS)
def _default_texts(key: SchemaKey) -> frozenset[str]:
    return frozenset(_texts_in_defaults(key.schema, in_default=False))


def _texts_in_defaults(node: JSON, *, in_default: bool) -> Iterator[str]:
    if isinstance(node, str) and in_default:
        yield node
    elif isinstance(node, list):
        for part in node:
            yield from _texts_in_defaults(part, in_default=in_default)
    elif isinstance(node, dict):
        for name, part in node.items():
            yield from _texts_in_defaults(part, in_default=in_default or name == "default")


def _all_fields(schema: JSON, depth: int) -> Iterator[tuple[str, JSON]]:
    """The properties of a schema, and of the schemas in it, with their names."""
    for items in _parts(schema, "items") if depth < MAX_FILE_DEPTH else ():
        yield from _all_fields(items, depth + 1)
    for part in _parts(schema, "properties"):
        for name, field in part.items():
            yield name, field if isinstance(field, dict) else {}
            if depth < MAX_FILE_DEPTH:
                yield from _all_fields(field, depth + 1)


def _files(schema: JSON, value: JSON, loc: tuple[str, ...], default: Media) -> Iterator[FileReference]:
    if isinstance(value, list):
        for items in _parts(schema, "items"):
            for item in value:
                yield from _files(items, item, loc, default)
    elif isinstance(value, dict):
        properties: dict[str, JSON] = {}
        for part in _parts(schema, "properties"):
            properties |= part
        for name, field in properties.items():
            if name not in value:
                continue
            field = field if isinstance(field, dict) else {}
            place = (*loc, name)
            urls = list(_urls(field, name, value[name]))
            media = _BY_MARK.get(str(field.get("x-media")), "other") if "x-media" in field else None
            for url in urls:
                # fal: `loc` has no list index (live responses); an index there breaks a client.
                # assumption: nor has it the name `url` of a File object, nor indices of lists further out.
                yield FileReference(place, url, media or _media(place, default))
            if not urls:
                yield from _files(field, value[name], place, default)


def _takes_file(name: str, field: JSON) -> bool:
    if field.get("type") in ("integer", "number", "boolean"):
        return False  # such as `num_images`
    marked = field.get("x-file") or (_URL_NAME.fullmatch(name) and not _NO_FILE.fullmatch(name))
    return field.get("format") != "binary" and bool(marked or _MEDIA_NAME.fullmatch(name))


def _urls(field: JSON, name: str, value: JSON) -> Iterator[str]:
    """The URLs in the value of a field that takes files: a text, a File object, or a list of them."""
    if not _takes_file(name, field):
        return
    marked = field.get("x-file") or (_URL_NAME.fullmatch(name) and not _NO_FILE.fullmatch(name))
    for item in value if isinstance(value, list) else [value]:
        url = item.get("url") if isinstance(item, dict) else item
        if isinstance(url, str) and (marked or _URL.match(url)):
            yield url


def _media(loc: tuple[str, ...], default: Media) -> Media:
    """What a file is by the names of its field and of the fields around it, the last word first."""
    for name in reversed(loc):
        for word in reversed(name.split("_")):
            if word in _BY_WORD:
                return _BY_WORD[word]
    return default


def _parts(schema: JSON, keyword: str) -> list[Any]:
    """The values of a keyword in a schema and in the members of its unions."""
    if not isinstance(schema, dict):
        return []
    members = [member for union in ("allOf", "anyOf", "oneOf") for member in schema.get(union, [])]
    found = [schema[keyword]] if isinstance(schema.get(keyword), dict) else []
    return found + [part for member in members for part in _parts(member, keyword)]
