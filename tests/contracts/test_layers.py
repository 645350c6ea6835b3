"""The layers of the contract suite: which module may import which. Type-only and local imports count too."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mock_fal_contracts
from tests.test_layers import imports

PACKAGE = Path(mock_fal_contracts.__file__).parent

# Lowest first: a module imports only from the layers before its own. Modules in one layer are independent. A package
# stands for its modules, and its own `__init__` is above them.
LAYERS = {
    "": ["results target served", "exchanges", "spec", "client server usage_rules report", "cli"],
    "client": [
        "driver mock_server signing",
        "observation",
        "case conformance",
        "checks jobs",
        "cases_queue cases_errors cases_stream cases_realtime cases_files cases_webhooks cases_etiquette cases_abort "
        "playing",
        "catalogue",
    ],
    "report": ["terminal page machine baseline"],
    "server": [
        "findings invariants surfaces http_client",
        "budget",
        "context",
        "request_tracker",
        "http_invariants",
        "queue_invariants file_invariants webhook_invariants",
        "plan spec_cases",
        "workers",
        "live",
    ],
    "usage_rules": [
        "record",
        "rule stress",
        "addresses inputs keys retries waiting webhooks",
        "program catalogue",
    ],
}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in PACKAGE.rglob("*.py")
}


def dependencies(module: str) -> set[str]:
    """The modules of the suite that a module imports; a name imported from a package counts as its `__init__`."""
    names = {name.removeprefix("mock_fal_contracts.") for name in imports(MODULES[module].read_text("utf-8"))}
    used = names & set(MODULES)
    return {name for name in used if not any(other.startswith(f"{name}.") for other in used)} - {module}


def layer(package: str, name: str) -> int:
    [number] = [number for number, line in enumerate(LAYERS[package]) if name in line.split()]
    return number


def is_below(other: str, module: str) -> bool:
    """Whether `other` is in a lower layer than `module`, or in the same package below its `__init__`."""
    top, _, rest = module.partition(".")
    other_top, _, other_rest = other.partition(".")
    if other_top != top:
        return layer("", other_top) < layer("", top)
    return bool(other_rest) and (not rest or layer(top, other_rest) < layer(top, rest))


@pytest.mark.parametrize("package", LAYERS)
def test_every_module_has_one_layer(package: str) -> None:
    prefix = f"{package}." if package else ""
    inside = {name.removeprefix(prefix) for name in MODULES if name.startswith(prefix)} - {""}
    children = {name.partition(".")[0] for name in inside if package or "." not in name}
    assert sorted(" ".join(LAYERS[package]).split()) == sorted(children)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {""}))
def test_a_module_imports_only_from_lower_layers(module: str) -> None:
    assert [other for other in sorted(dependencies(module)) if not is_below(other, module)] == []


def test_there_are_no_import_cycles() -> None:
    graph = {module: dependencies(module) for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)
