"""The layers of the package: which room may import which. Type-only imports and imports in functions count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mock_fal

PACKAGE = Path(mock_fal.__file__).parent

# Root modules and rooms (folders), lowest layer first. Each may import only those above it in this list.
ROOMS = [
    "errors",
    "clock",
    "hosts",
    "ids",
    "endpoint",
    "settings",
    "port",
    "regular_file",
    "terminal",
    "accounts",
    "pictures",
    "media",
    "scenario",
    "journal",
    "requests",
    "billing",
    "webhooks",
    "models",
    "store",
    "files",
    "scenario_engine",
    "cassettes",
    "emulation",
    "gateway",
    "web",
    "account",
    "summary",
    "commands",
    "server",
    "remote",
    "cli",
    "pytest_plugin",
    "__main__",
]

# The layers inside each room. Modules in one string don't import each other.
INSIDE = {
    "accounts": [
        "secrets tokens signed_tokens acl permissions key_values library instances",
        "keys workspace",
    ],
    "pictures": [
        "recipe random_stream caption encode",
        "noise palette scene source",
        "plan",
        "paint",
        "render",
    ],
    "media": [
        "recipe cavlc vp8 frame_layout mp4",
        "timing documents h264",
        "score probe",
        "pcm mp3 opus model3d frame_picture",
        "wav webm film",
        "flac painted",
        "audio",
        "video",
        "render",
    ],
    "scenario": ["syntax patterns", "output", "options", "directive", "rules", "rule_file", "explain"],
    "journal": ["memory tags", "exchanges", "har assertions"],
    "requests": ["progress upload_policy", "outcome", "lifecycle", "queue", "state view retries"],
    "billing": ["prices", "usage"],
    "webhooks": ["payload signature retry_policy", "outbox receiver"],
    "models": [
        "classify rows descriptions field_descriptions schema_types",
        "job text transcript json_sample workflow validation",
        "documents input_schema overrides saved_workflows",
        "model_files openai",
        "catalog",
        "guide openapi plan",
        "result_files values",
        "output_fields",
        "output",
        "engine output_template",
        "stubs workflow_run readings",
        "runner",
        "deferred",
        "own_storage",
    ],
    "emulation": ["parts options", "submissions", "emulator"],
    "commands": ["browser download webhook health authority", "models catalogue"],
    "files": ["blobs file_name long_input temporary_folder", "file_store", "storage", "inputs listing"],
    "remote": ["control records", "rules", "server"],
    "cassettes": ["redaction", "cassette", "matcher folder"],
    "gateway": [
        "peer_owner lookup",
        "addresses preload certificates environment connect post",
        "webhook_sender forward fetch kept_authority join output_sender",
    ],
    "web": [
        "isolation unbuilt output_storage",
        "http_request renderer",
        "wire download",
        "wire_account wire_storage wire_tokens stream",
        "submit_options uploads answers record",
        "openai",
        "queue run rest media kv platform control",
        "faults",
        "sockets playback",
        "app",
    ],
}

# web/ and gateway/ are adapters: only these modules import them.
ADAPTERS = {"web": {"server"}, "gateway": {"server", "summary", "remote", "commands"}}

# The modules or rooms that import a library; none for libraries that make a run unrepeatable.
LIBRARIES: dict[str, set[str]] = {
    "starlette": {"web", "port"},  # port: a type only
    "uvicorn": {"port"},
    "PIL": {"pictures.paint", "pictures.source", "media.frame_picture", "media.painted"},
    "cryptography": {"gateway.certificates", "gateway.kept_authority", "webhooks.signature"},
    "httptools": {"port", "gateway.post", "gateway.forward", "gateway.fetch"},
    "pydantic": {"models"},
    "msgpack": {"web.sockets.wire"},
    "re2": {"scenario.patterns"},
    "time": {"clock"},
    "random": set(),
    "uuid": set(),
    "secrets": set(),
}

# The root is what a newcomer reads first.
MAX_AT_THE_ROOT = 18


def name_of(path: Path) -> str:
    """`web.queue` for mock_fal/web/queue.py, `web` for mock_fal/web/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}
FOLDERS = {name for name, path in MODULES.items() if path.name == "__init__.py"}


@cache
def imports(source: str) -> frozenset[str]:
    """The dotted names that a source imports; `from a import b` counts as a and as a.b."""
    return frozenset(name for node in ast.walk(ast.parse(source)) for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import; expected an absolute one"
        yield node.module or ""
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_imports(module: str) -> set[str]:
    """The modules of the package that a module imports, without `__init__` files, which are empty."""
    names = {name.removeprefix("mock_fal.") for name in imports(MODULES[module].read_text("utf-8"))}
    return (names & set(MODULES)) - FOLDERS


def libraries(module: str) -> set[str]:
    """The top-level names that a module imports."""
    return {name.partition(".")[0] for name in imports(MODULES[module].read_text("utf-8"))}


def room(module: str) -> str:
    return module.partition(".")[0]


def layer(module: str) -> tuple[int, int]:
    """The layer of a room, and that of a module inside the room. A module imports lower layers only."""
    name, _, rest = module.partition(".")
    inside = rest.partition(".")[0]
    layers = [number for number, modules in enumerate(INSIDE.get(name, ())) if inside in modules.split()]
    return ROOMS.index(name), layers[0] if layers else 0


def subfolder(module: str) -> str:
    """The folder inside a room, such as `web.control`. Its modules may import each other, without cycles."""
    folder = module.rpartition(".")[0]
    return folder if "." in folder else ""


def file(module: str) -> str:
    return str(MODULES[module].relative_to(PACKAGE.parent))


SOURCES = sorted(set(MODULES) - FOLDERS)


def test_the_root_stays_small() -> None:
    root = [module for module in SOURCES if "." not in module]
    assert len(root) <= MAX_AT_THE_ROOT


def test_every_module_is_in_the_tables() -> None:
    assert sorted({room(module) for module in SOURCES}) == sorted(ROOMS)
    for name in FOLDERS - {""}:
        if "." not in name:
            modules = {module.split(".")[1] for module in MODULES if module.startswith(f"{name}.")}
            assert sorted(" ".join(INSIDE[name]).split()) == sorted(modules), name


@pytest.mark.parametrize("module", SOURCES)
def test_a_module_imports_lower_layers_only(module: str) -> None:
    wrong = {
        other
        for other in package_imports(module)
        if layer(other) >= layer(module) and not (subfolder(other) and subfolder(other) == subfolder(module))
    }
    assert not wrong, f"{file(module)} imports {', '.join(map(file, sorted(wrong)))}, expected a lower layer"


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_is_imported_only_where_it_is_wired(adapter: str) -> None:
    users = {
        room(module) for module in SOURCES if any(room(other) == adapter for other in package_imports(module))
    }
    assert users - {adapter} == ADAPTERS[adapter]


def test_there_are_no_import_cycles() -> None:
    graph = {module: package_imports(module) for module in SOURCES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


@pytest.mark.parametrize("folder", sorted(FOLDERS - {""}))
def test_the_init_file_of_a_room_imports_nothing(folder: str) -> None:
    assert imports(MODULES[folder].read_text("utf-8")) <= {"__future__", "__future__.annotations"}


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_has_one_entry_point(library: str) -> None:
    users = {module for module in MODULES if library in libraries(module)}
    wrong = {user for user in users if not {user, room(user)} & LIBRARIES[library]}
    assert not wrong, (
        f"{', '.join(map(file, sorted(wrong)))} imports {library}; expected {LIBRARIES[library]}"
    )
    assert LIBRARIES[library] <= users | {room(user) for user in users}


def test_every_kind_of_import_is_found() -> None:
    source = """
import a.b
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from c import d
def late():
    from e.f import g as h
"""
    assert imports(source) == {"a.b", "typing", "typing.TYPE_CHECKING", "c", "c.d", "e.f", "e.f.g"}


def test_a_relative_import_is_rejected() -> None:
    with pytest.raises(AssertionError, match="line 1: a relative import"):
        imports("from . import clock")
