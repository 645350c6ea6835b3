"""The documentation: every code block runs, everything public is in the reference, and no link is dead."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import entry_points
from inspect import getmembers
from pathlib import Path
from typing import NamedTuple

import pytest

import mock_fal
from mock_fal import cli, pytest_plugin
from mock_fal.journal.exchanges import OPERATIONS as JOURNAL_OPERATIONS
from mock_fal.models.catalog import Catalog
from mock_fal.scenario.options import OPERATIONS, OPTIONS
from mock_fal.settings import Settings
from mock_fal.web.control.api import ROUTES
from mock_fal.web.platform.api import _ROUTES as PLATFORM_ROUTES
from mock_fal_contracts.cli import parser as check_parser
from tests.clients.programs import FOLDER as NODE
from tests.clients.programs import missing
from tests.generated_docs import TABLES, generated
from tests.node_package.project import PACKAGE, add_packages

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Their shell blocks run in a container: tests/clients/test_containers.py.
ELSEWHERE = [DOCS / "how-to/containers.md"]
DOCUMENTS = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), PACKAGE / "README.md"]

# Programs that blocks use, beside those that come with the package.
TOOLS = ("node", "npx", "curl", "pytest", "chromium")
# Far more than any block takes on a quiet machine.
TIMEOUT_S = 240
# Blocks in these languages hold output, or commands that need the live service.
INERT = ("text",)
# Files of an app that has tests of its own, which compare them and run the commands of the guide: tests/nextjs.
OF_AN_APP = ("ts", "tsx")
APP_GUIDES = (DOCS / "how-to/nextjs.md",)
# Commands for a clone; the Makefile is tested in CI.
CLONE = re.compile(r"^make ", re.MULTILINE)


class Block(NamedTuple):
    """A fenced code block."""

    language: str
    code: str

    @property
    def file_name(self) -> str:
        """The file name in the first line of a python or js block."""
        match = re.match(r"(?:#|//) ([\w./-]+\.\w+)", self.code)
        assert match, f"a block without a file name in its first line:\n{self.code}"
        return match[1]


def blocks(document: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(language, code) for language, code in found]


def shell_blocks() -> Iterator[object]:
    for document in DOCUMENTS:
        for number, block in enumerate(blocks(document), 1):
            skipped = document in ELSEWHERE or document in APP_GUIDES or CLONE.search(block.code)
            if block.language == "sh" and not skipped:
                name = document.relative_to(ROOT).with_suffix("").as_posix()
                yield pytest.param(document, block.code, id=f"{name}-{number}")


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text("utf-8")


# -- code blocks


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """For each document a folder with its files; its blocks run there."""
    return {document: _folder(document, tmp_path_factory.mktemp(document.stem)) for document in DOCUMENTS}


def _folder(document: Path, folder: Path) -> Path:
    sources = "".join(block.code for block in blocks(document) if block.language in ("js", "sh"))
    for block in blocks(document):
        if block.language in ("python", "js"):
            file = folder / block.file_name
            assert not file.exists(), f"{document.name} shows {file.name} twice"
            file.write_text(block.code, "utf-8")
    if "mock-fal/" in sources and (NODE / "node_modules/jest").exists():
        return add_packages(folder)
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    return folder


def search_path() -> str:
    """PATH with this environment first, then the newest Node of the test clients."""
    nodes = sorted(NODE.glob("node_modules/node24-*/bin"))
    return os.pathsep.join(map(str, [Path(sys.executable).parent, *nodes, os.environ["PATH"]]))


def environ() -> dict[str, str]:
    """The environment of a user: without the settings of our own coverage and pytest."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST"))}
    # Plugins of our own environment that take seconds to import.
    return kept | {"PATH": search_path(), "PYTEST_ADDOPTS": "-p no:schemathesis -p no:cov"}


def missing_tool(code: str) -> str | None:
    """The name of a tool that a block needs and this machine does not have."""
    for tool in TOOLS:
        if re.search(rf"(?<![\w./-]){tool}(?![\w./-])", code):
            if shutil.which(tool, path=search_path()) is None:
                return tool
            if tool in ("node", "npx") and not (NODE / "node_modules/jest").exists():
                return f"jest or another package of {NODE.relative_to(ROOT)}"
            if tool == "pytest" and not entry_points(group="pytest11", name="mock_fal"):
                return "the pytest plugin of mock-fal (pip install -e .)"
    return None


@pytest.mark.parametrize(("document", "code"), list(shell_blocks()))
def test_a_shell_block_runs(document: Path, code: str, folders: dict[Path, Path]) -> None:
    if (tool := missing_tool(code)) is not None:
        missing(f"{tool} is not installed; {document.name} needs it")
    # A session of its own, so that a server in the background ends with its block.
    bash = subprocess.Popen(
        ["bash", "-euc", code],
        cwd=folders[document],
        env=environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = bash.communicate(timeout=TIMEOUT_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(bash.pid, signal.SIGKILL)
    assert bash.returncode == 0, f"{code}\n{output}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_block_can_be_run(document: Path) -> None:
    """Each has a known language, and each file is used by a shell block of the same document."""
    found = blocks(document)
    languages = {"python", "js", "sh", "yaml", *INERT, *(OF_AN_APP if document in APP_GUIDES else ())}
    assert {block.language for block in found} <= languages
    shell = "\n".join(block.code for block in found if block.language in ("sh", "yaml"))
    files = [block for block in found if block.language in ("python", "js")]
    sources = "\n".join([shell, *(block.code for block in files)])
    unused = [block.file_name for block in files if sources.count(block.file_name) < 2]
    # Programs look for these themselves.
    found_by_name = {"conftest.py", "vitest.config.mjs", "jest.config.js", "playwright.config.mjs"}
    assert [name for name in unused if name not in found_by_name] == []


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert missing_tool("curl -s http://127.0.0.1") == "curl"
    assert missing_tool("python app.py") is None
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="curl is not installed"):
        missing("curl is not installed")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="curl is not installed"):
        missing("curl is not installed")


def test_the_commands_for_a_clone_exist() -> None:
    targets = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert targets == ["demo", "test"]
    subprocess.run(["make", "-n", *targets], cwd=ROOT, check=True, capture_output=True)


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    command = ["make", "--no-print-directory", "help"]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in output.splitlines()] == phony.split()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


# -- reference


@pytest.mark.parametrize("name", [setting.name for setting in fields(Settings)])
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `--{name.replace('_', '-')}` |" in reference("settings.md")


def test_the_documented_defaults_are_those_of_the_settings() -> None:
    rows = dict(re.findall(r"^\| `--([\w-]+)` \| (\S+)", reference("settings.md"), re.MULTILINE))
    numbers = {
        setting.name.replace("_", "-"): f"{setting.default:g}"
        for setting in fields(Settings)
        if isinstance(setting.default, int | float) and not isinstance(setting.default, bool)
        if setting.default < 1 << 20
    }
    assert {name: rows[name] for name in numbers} == numbers


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_a_directive_is_documented(option: str) -> None:
    assert re.search(rf"^\| `{option}[=.`]", reference("directives.md"), re.MULTILINE)


def test_every_value_of_an_option_is_documented() -> None:
    text = reference("directives.md")
    choices = {
        value
        for kind in OPTIONS.values()
        for value in kind.value_format.split("|")
        if "|" in kind.value_format
    }
    words = set(re.findall(r"[\w.]+", text))
    assert {value for value in choices if value.islower()} <= words
    assert set(OPERATIONS) <= words


def test_every_route_of_the_control_api_is_documented() -> None:
    documented = set(re.findall(r"^\| `([A-Z]+) (/[a-z./{}_]*)", reference("control-api.md"), re.MULTILINE))
    routes = {(method, path) for path, handlers in ROUTES.items() for method in handlers}
    assert documented == {(method, re.sub(":[a-z]+", "", path)) for method, path in routes}


def test_every_operation_of_the_journal_is_documented() -> None:
    assert [name for name in JOURNAL_OPERATIONS if f"`{name}`" not in reference("control-api.md")] == []


def test_every_route_of_the_platform_api_is_documented() -> None:
    documented = re.findall(r"^\| `([A-Z]+) ([a-z/{}-]+)`", reference("platform-api.md"), re.MULTILINE)
    assert sorted(documented) == sorted(PLATFORM_ROUTES)


def test_every_fixture_is_documented() -> None:
    # pytest 8.4 has FixtureFunctionDefinition; before, a fixture is a marked function.
    fixtures = [
        name
        for name, value in vars(pytest_plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition" or hasattr(value, "_pytestfixturefunction")
    ]
    assert len(fixtures) >= 3
    assert [name for name in fixtures if f"| `{name}` |" not in reference("pytest-fixtures.md")] == []


# Members that other modules of the package use, and users do not.
_INTERNAL = {
    "Delivery": {"request", "webhook", "policy", "body", "fault", "overtaken_at", "counted_bytes"},
    "Exchange": {
        "request_head",
        "response_head",
        "submitted_to",
        "counted_bytes",
        "counted_body_bytes",
        "searched_version",
        "set_aside",
        "remarks",
        "note",
        "repeatable",
        "request_bytes",
        "response_bytes",
        "request_start",
        "without_repeated",
    },
}


@pytest.mark.parametrize(
    "name", ["MockFal", "Account", "Exchange", "StoredFile", "WebhookReceiver", "Delivery"]
)
def test_every_public_member_is_documented(name: str) -> None:
    text = reference("python-api.md")
    kind = getattr(mock_fal, name)
    members = {member for member, _ in getmembers(kind) if not member.startswith("_")}
    members |= {slot for slot in getattr(kind, "__slots__", ()) if not slot.startswith("_")}
    assert [
        member
        for member in sorted(members - _INTERNAL.get(name, set()))
        if not re.search(rf"`{member}[`(]", text)
    ] == []


def test_every_command_and_flag_is_documented() -> None:
    text = reference("command-line.md")
    commands = _subcommands(cli._parser())
    assert [name for name in commands if f"| `mock-fal {name}" not in text] == []
    assert "`--attached`" in text
    parsers = {name: commands[name] for name in ("env", "listen", "render", "health", "ca")} | {
        "check": check_parser()
    }
    for name, parser in parsers.items():
        section = text.partition(f"\n## mock-fal {name}\n")[2].partition("\n## ")[0]
        flags = [
            flag for action in parser._actions for flag in action.option_strings[-1:] if flag != "--help"
        ]
        assert [flag for flag in flags if f"`{flag}` |" not in section] == [], name


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [action] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(action.choices)


@pytest.mark.parametrize("name", TABLES)
def test_a_generated_table_is_up_to_date(name: str) -> None:
    """`make docs` rewrites the tables: endpoints, error types, usage rules and cases."""
    file, _ = TABLES[name]
    assert reference(file) == generated(name), "run: make docs"


def test_the_counts_of_the_readme_are_true() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    endpoints = reference("endpoints.md")
    also = endpoints.partition("<!-- generated: also -->")[2].partition("<!-- end -->")[0]
    counts = {
        f"{len(Catalog().ids()):,} [endpoints]",
        f"{also.count(' `/stream`')} of them stream",
        f"{also.count(' `/realtime`')} are realtime",
        f"{len(PLATFORM_ROUTES)} routes",
        f"{reference('usage-rules.md').count('| `')} [usage rules]",
        f"{reference('cases.md').count('| `invariant.')} invariants",
    }
    cases = reference("cases.md").partition("<!-- generated: clients -->")[2].count("| `")
    flat = " ".join(readme.split())
    assert [count for count in {*counts, f"{cases} [cases]"} if count not in flat] == []


# -- links

SKIPPED = {".venv", "node_modules", ".next", ".git", ".hypothesis", ".pytest_cache"}


def markdown_files() -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = set(folders) - SKIPPED  # not entered
        found += [Path(folder, name) for name in names if name.endswith(".md")]
    return sorted(found)


@pytest.mark.parametrize("document", markdown_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_relative_link_is_dead(document: Path) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [link for link in links if "://" not in link and not _exists(document, link)] == []


def _exists(document: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (document.parent / name).resolve() if name else document
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in _anchors(target)


def _anchors(document: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    guides = [path for path in DOCUMENTS if DOCS in path.parents and path != DOCS / "README.md"]
    documents = [path.relative_to(DOCS).as_posix() for path in guides]
    assert [name for name in documents if f"]({name})" not in index] == []
