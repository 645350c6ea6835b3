"""`mock-fal models`: list the endpoints, show one, and import fal's documents into a file for `--models`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mock_fal.errors import SettingsError
from mock_fal.regular_file import read_regular_file
from mock_fal.settings import from_environment
from mock_fal.terminal import printable

if TYPE_CHECKING:
    from mock_fal.models.catalog import Catalog

# Wide enough for nine of ten ids.
_ID_WIDTH: Final = 60


def list_models(options: argparse.Namespace) -> int:
    """Print a line for each endpoint: id, category and title. The number is printed on stderr."""
    catalog = _catalog(options)
    words = (options.search or "").lower().split()
    categories = sorted({entry.category for entry in catalog.entries()})
    if options.category and options.category not in categories:
        raise SettingsError(f"--category: {options.category!r}: expected one of {', '.join(categories)}")
    entries = [
        entry
        for entry in catalog.entries()
        if options.category in (None, entry.category)
        and all(word in f"{entry.id} {entry.title} {entry.category}".lower() for word in words)
    ]
    for entry in entries:
        sys.stdout.write(
            printable(f"{entry.id:{_ID_WIDTH}} {entry.category:16} {entry.title}".rstrip()) + "\n"
        )
    of = f" of {len(catalog.ids())}" if len(entries) < len(catalog.ids()) else ""
    sys.stderr.write(f"mock-fal: {len(entries)}{of} endpoints\n")
    return 0


def show_model(options: argparse.Namespace) -> int:
    """Print one endpoint: input, output, an example call, and the price."""
    from mock_fal.models.guide import guide

    catalog = _catalog(options)
    model = catalog.find(options.id)
    if model is None:
        raise SettingsError(
            f"models show: unknown endpoint {catalog.hint(options.id)} (mock-fal models lists all)"
        )
    sys.stdout.write("".join(f"{printable(line)}\n" for line in guide(model).splitlines()))
    return 0


def import_models(options: argparse.Namespace) -> int:
    """Write the endpoints of a file or URL into a file for `--models`."""
    from mock_fal.commands.download import download
    from mock_fal.models.documents import BadDocument
    from mock_fal.models.model_files import MAX_BYTES, rows_of, written

    source: str = options.source
    try:
        if "://" in source:
            data, date = download(source, MAX_BYTES)
        else:
            data, date = read_regular_file(Path(source), MAX_BYTES), ""
        rows = rows_of(data)
    except (OSError, BadDocument) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise SettingsError(f"models import: {source}: {reason}") from None
    text = written({**row, "date": row.get("date") or date} for row in rows)
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(options.output).write_text(text, "utf-8")
    except OSError as error:
        raise SettingsError(f"models import: can't write {options.output}: {error.strerror}") from None
    count = f"{len(rows)} endpoint{'s' if len(rows) > 1 else ''}"
    sys.stderr.write(f"mock-fal: {count} written to {printable(options.output)}; use them with --models\n")
    return 0


def _catalog(options: argparse.Namespace) -> Catalog:
    """The endpoints of the built-in catalogue and of the files in --models or MOCK_FAL_MODELS."""
    from mock_fal.models.catalog import Catalog

    files = options.models if options.models else from_environment(os.environ).get("models", ())
    return Catalog(files)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command, and its own commands."""
    parser.add_argument(
        "--search", metavar="WORDS", help="only those with these words in id, category or title"
    )
    parser.add_argument("--category", help="only those of one category, such as text-to-video")
    _add_files(parser)
    parser.set_defaults(command=list_models)
    inner = parser.add_subparsers(metavar="show | import")

    show = inner.add_parser("show", help="input, output, example calls and price of one endpoint")
    show.add_argument("id", help="endpoint id, such as fal-ai/flux/schnell")
    _add_files(show)
    show.set_defaults(command=show_model)

    take = inner.add_parser("import", help="turn OpenAPI documents of fal into a file for --models")
    take.add_argument("source", metavar="FILE|URL", help="one document, or a page of fal's listing with them")
    take.add_argument("-o", "--output", metavar="FILE", help="file to write (default: standard output)")
    take.set_defaults(command=import_models)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="FILE",
        help="file with more endpoints (may be repeated)",
    )
