"""The examples of docs/how-to/node.md, unmodified, in their Node versions and test runners."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.clients.programs import FOLDER, Node, mock_fal_run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")

DOCUMENT = (Path(__file__).parents[2] / "docs/how-to/node.md").read_text("utf-8")
FILES = dict(re.findall(r"^```js\n// (\S+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))
VITEST = "node_modules/vitest/vitest.mjs"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the files of the document and their packages."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, "utf-8")
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    return tmp_path


def run(project: Path, node: Node, clock: str, *arguments: str) -> tuple[int, str]:
    """Run a test runner with `mock-fal run` and return its exit code and output."""
    done = mock_fal_run([str(node.binary), *arguments], "--speed", "1", "--clock", clock, cwd=project)
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def test_the_document_shows_both_runners() -> None:
    assert list(FILES) == ["app.mjs", "mock-fal.mjs", "app.test.mjs", "app_node.test.mjs", "clock.test.mjs"]


def test_vitest_passes(project: Path, node: Node) -> None:
    code, text = run(project, node, "auto-advance", VITEST, "run", "app.test.mjs")
    assert code == 0, text
    assert re.search(r"Tests +2 passed \(2\)", text)
    assert "POST   queue.fal.run/fal-ai/flux/schnell  200 ×2" in text


@pytest.mark.parametrize("pool", ["forks", "threads"])
def test_vitest_passes_in_its_pools(project: Path, newest_node: Node, pool: str) -> None:
    """Two files in parallel: each has a separate account and sees only its own requests."""
    other = FILES["app.test.mjs"].replace('account("cat")', 'account("other-cat")')
    (project / "other.test.mjs").write_text(other.replace('account("refusal")', 'account("other-refusal")'))
    files = ("app.test.mjs", "other.test.mjs")
    code, text = run(project, newest_node, "auto-advance", VITEST, "run", f"--pool={pool}", *files)
    assert code == 0, text
    assert re.search(r"Tests +4 passed \(4\)", text)


def test_node_test_passes(project: Path, node: Node) -> None:
    code, text = run(project, node, "auto-advance", "--test", "app_node.test.mjs")
    assert code == 0, text
    assert re.search(r"^(# |ℹ )pass 2$", text, re.MULTILINE)


def test_ten_minutes_pass_in_one_call(project: Path, node: Node) -> None:
    code, text = run(project, node, "manual", "--test", "clock.test.mjs")
    assert code == 0, text
    assert "mock-fal: with --clock manual, time stands still until you advance it" in text


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("app.test.mjs", (VITEST, "run", "app.test.mjs")),
        ("app_node.test.mjs", ("--test", "app_node.test.mjs")),
    ],
)
def test_a_failing_recipe_fails(
    project: Path, newest_node: Node, file: str, arguments: tuple[str, ...]
) -> None:
    """The exit code of the runner is returned, so a recipe can't pass without running."""
    (project / file).write_text(
        FILES[file].replace('input: { prompt: "a cat" }', 'input: { prompt: "a dog" }', 1)
    )
    code, text = run(project, newest_node, "auto-advance", *arguments)
    assert code == 1, text
    assert "a dog" in text
