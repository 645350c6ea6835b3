"""The floors of the house: who may import whom. A type-only import counts; so does one inside a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mock_fal

HOUSE = Path(mock_fal.__file__).parent

# From the ground up. A module may import those on the floors below its own, and no other. What stands on one
# floor doesn't know its neighbours: so the wings never meet, and no handler knows another.
FLOORS = [
    # ground: knows nothing of the rest
    ["errors", "hosts", "clock", "ids"],
    # domain: frozen values, and functions of them
    [
        "settings",
        "endpoint",
        "lifecycle",
        "recipe",
        "scenario.words",
        "scenario.vocabulary",
        "timetable",
        "acl",
        "identity",
        "tokens",
        "blob",
        "file_name",
        "keys",
        "price",
    ],
    ["scenario.cue"],
    ["scenario.rules", "scenario.rulebook"],
    ["scenario.explain"],
    ["picture.chance", "picture.caption", "picture.encode"],
    [
        "tape.redaction",
        "outcome",
        "journal",
        "vault",
        "picture.noise",
        "picture.palette",
        "picture.scene",
        "picture.photo",
    ],
    ["line", "webhook", "catalog", "picture.plan", "tape.cassette"],
    ["tape.deck", "tape.shelf"],
    ["billing"],
    ["store"],
    [
        "storage",
        "outbox",
        "direction",
        "work",
        "calls",
        "har",
        "state",
        "catalog.framework",
        "catalog.images",
        "picture.paint",
    ],
    ["catalog.outputs", "catalog.models", "catalog.fields"],
    ["catalog.flux", "catalog.any_llm", "render"],
    ["catalog.painting", "catalog.openapi", "inputs", "files"],
    ["catalog.flux_edit", "catalog.flux_lora", "catalog.flux_pro", "catalog.flux2"],
    ["catalog.sdxl"],
    # the use cases
    ["emulator"],
    ["metrics"],
    # the wings
    ["gateway.certificates", "gateway.environment", "gateway.connect", "gateway.post", "gateway.fetch"],
    ["gateway.delivery", "gateway.forward"],
    ["web.question", "web.control.inspector", "web.pictures"],
    ["web.wire", "web.download", "web.playback.addresses"],
    ["web.wire_storage", "web.wire_tokens", "web.sockets.wire", "web.sockets.socket"],
    ["web.platform.wire"],
    ["web.submission", "web.stream", "web.platform.models", "web.platform.usage", "web.platform.requests"],
    ["web.uploads", "web.platform.account", "web.platform.analytics"],
    ["web.media"],
    ["web.queue", "web.run", "web.rest", "web.platform.api", "web.platform.site", "web.control.wire"],
    ["web.control.clock", "web.control.journal", "web.control.scenario", "web.control.spec"],
    ["web.faults.answers", "web.faults.connection"],
    ["web.faults.api"],
    ["web.control.api"],
    ["web.sockets.realtime", "web.sockets.ws_run"],
    ["web.sockets.dispatch"],
    ["web.playback.recording", "web.playback.replay"],
    ["web.app"],
    # top
    ["summary", "port", "listener"],
    ["account"],
    ["server"],
    ["cli", "pytest_plugin"],
    ["__main__"],
]

# What the floors alone don't say: a wing is known to itself, and to what ties the house together.
WINGS = {"web", "gateway"}
TIES = {"server", "summary"}

# Importing a module of the package imports these anyway, and they import nothing that must be below anything:
# the public face is lazy (its type-only imports are for type checkers), a package's own file is empty.
FACES = {
    "",
    "web",
    "gateway",
    "picture",
    "scenario",
    "tape",
    "web.control",
    "web.faults",
    "web.platform",
    "web.playback",
    "web.sockets",
}

# One door for each library, and for what makes a run not repeat.
DOORS: dict[str, set[str]] = {
    "starlette": {"web", "port"},  # port: the name of a type
    "uvicorn": {"port"},
    "PIL": {"picture.paint", "picture.photo"},
    "cryptography": {"gateway.certificates", "webhook"},
    "httptools": {"gateway.post", "gateway.forward"},
    "pydantic": {"catalog"},
    "msgpack": {"web.sockets.wire"},
    "time": {"clock"},
    "random": set(),
    "uuid": set(),
    "secrets": set(),
}


def name_of(path: Path) -> str:
    """`web.queue` for mock_fal/web/queue.py; a package has the name of its folder, the whole one none."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in HOUSE.rglob("*.py")}
TABLE = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}


def imports(source: str) -> set[str]:
    """The dotted names that a source imports, anywhere in it; `from a import b` counts as a and as a.b."""
    return {name for node in ast.walk(ast.parse(source)) for name in _names(node)}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import; expected an absolute one"
        yield node.module or ""
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(module: str) -> set[str]:
    """The modules of the house that a module imports, its own package and the lazy face aside."""
    names = {name.removeprefix("mock_fal.") for name in imports(MODULES[module].read_text("utf-8"))}
    return (names & set(MODULES)) - FACES


def theirs(module: str) -> set[str]:
    """The libraries that a module imports, by the first part of their names."""
    return {name.partition(".")[0] for name in imports(MODULES[module].read_text("utf-8"))}


def wing(module: str) -> str:
    package = module.partition(".")[0]
    return package if package in WINGS else ""


def file(module: str) -> str:
    return str(MODULES[module].relative_to(HOUSE.parent))


def test_every_module_stands_on_a_floor() -> None:
    assert set(MODULES) - FACES - set(TABLE) == set()


def test_no_floor_holds_a_module_that_is_not_there() -> None:
    assert set(TABLE) - set(MODULES) == set()


def test_no_module_stands_on_two_floors() -> None:
    assert len(TABLE) == sum(map(len, FLOORS))


@pytest.mark.parametrize("module", sorted(set(TABLE) & set(MODULES)))
def test_imports_run_down(module: str) -> None:
    up = {other for other in ours(module) if TABLE[other] >= TABLE[module]}
    assert not up, f"{file(module)} imports {', '.join(map(file, sorted(up)))}, which is not below it"


@pytest.mark.parametrize("module", sorted(set(TABLE) & set(MODULES) - TIES))
def test_a_wing_is_known_to_itself_and_to_what_ties_the_house_together(module: str) -> None:
    strange = {other for other in ours(module) if wing(other) and wing(other) != wing(module)}
    assert not strange, f"{file(module)} imports {', '.join(map(file, sorted(strange)))}, of a wing"


def test_there_are_no_circles() -> None:
    """Faces are left out here too: nothing that is imported through them is used before it is there."""
    graph = {module: ours(module) for module in set(MODULES) - FACES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


@pytest.mark.parametrize("face", sorted(FACES - {""}))
def test_a_package_is_entered_by_its_modules_alone(face: str) -> None:
    assert imports(MODULES[face].read_text("utf-8")) <= {"__future__", "__future__.annotations"}


@pytest.mark.parametrize("library", DOORS)
def test_each_library_has_one_door(library: str) -> None:
    users = {module for module in MODULES if library in theirs(module)}
    strangers = {user for user in users if not {user, user.partition(".")[0]} & DOORS[library]}
    assert not strangers, (
        f"{', '.join(map(file, sorted(strangers)))} imports {library}; expected {DOORS[library]}"
    )


@pytest.mark.parametrize("library", [library for library, doors in DOORS.items() if doors])
def test_no_door_leads_nowhere(library: str) -> None:
    used = {
        door for module in MODULES if library in theirs(module) for door in (module, module.partition(".")[0])
    }
    assert DOORS[library] <= used


def test_every_kind_of_import_is_seen() -> None:
    source = """
import a.b
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from c import d
def late():
    from e.f import g as h
"""
    assert imports(source) == {"a.b", "typing", "typing.TYPE_CHECKING", "c", "c.d", "e.f", "e.f.g"}


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(AssertionError, match="line 1: a relative import"):
        imports("from . import clock")
