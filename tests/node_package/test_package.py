"""The npm package as it would be published: version, files, exports, types."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest

import mock_fal
from tests.clients.programs import FOLDER, run_program, tool
from tests.node_package.control_types import FILE, control_types
from tests.node_package.project import PACKAGE, TSC, run, tarball

HERE = Path(__file__).parent
MANIFEST = json.loads((PACKAGE / "package.json").read_text("utf-8"))
REFERENCE = (PACKAGE.parent / "docs/reference/node-package.md").read_text("utf-8")


def test_the_version_is_that_of_the_python_package() -> None:
    assert MANIFEST["version"] == mock_fal.__version__


def test_it_needs_nothing_at_run_time() -> None:
    assert "dependencies" not in MANIFEST
    assert all(MANIFEST["peerDependenciesMeta"][name]["optional"] for name in MANIFEST["peerDependencies"])


def test_it_has_the_licence_of_the_project() -> None:
    assert (PACKAGE / "LICENSE").read_bytes() == (PACKAGE.parent / "LICENSE").read_bytes()
    assert MANIFEST["license"] == "Apache-2.0"


def test_the_tarball_has_what_is_used_and_nothing_else() -> None:
    with tarfile.open(tarball()) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert names == files


def test_the_generated_types_are_up_to_date() -> None:
    assert FILE.read_text("utf-8") == control_types(), "run: make docs"


def test_es_modules_and_commonjs_export_the_same_names(project: Path, newest_node: Path) -> None:
    """`require` of vitest itself fails, so its module is an ES module only; so is the one for `--import`."""
    modules = [name for name, targets in MANIFEST["exports"].items() if "require" in targets]
    assert modules == [".", "./jest", "./playwright"]
    program = """
      import { createRequire } from 'node:module'
      const require = createRequire(import.meta.url)
      const names = {}
      for (const name of JSON.parse(process.argv[2])) {
        names[name] = [Object.keys(await import(name)), Object.keys(require(name))].map((each) => each.sort())
      }
      console.log(JSON.stringify(names))
    """
    (project / "names.mjs").write_text(program)
    specifiers = [f"mock-fal{name[1:]}" for name in modules]
    done = run(project, newest_node, "names.mjs", json.dumps(specifiers))
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)
    assert {name: first == second and len(first) > 0 for name, (first, second) in names.items()} == (
        dict.fromkeys(specifiers, True)
    )
    assert {"account", "startMockFal", "file", "verifyWebhook"} < set(names["mock-fal"][0])


def test_the_types_fit_the_use(project: Path, newest_node: Path) -> None:
    """The errors that the file expects are errors, too."""
    for name in ("usage.mts", "usage.cts"):
        shutil.copy(HERE / name, project)
    flags = [
        "--noEmit",
        "--strict",
        "--noUncheckedIndexedAccess",
        "--module",
        "nodenext",
        "--target",
        "es2022",
    ]
    done = run(project, newest_node, TSC, *flags, "--types", "node", "usage.mts", "usage.cts")
    assert (done.returncode, done.stdout) == (0, "")


def test_publint_finds_nothing() -> None:
    binary = FOLDER / "node_modules/.bin/publint"
    done = run_program([str(binary), "run", "--strict", str(tarball())])
    assert (done.returncode, "All good!" in done.stdout) == (0, True), done.stdout + done.stderr


def test_types_and_files_resolve_for_each_kind_of_importer() -> None:
    """Some modules are ES modules for CommonJS too: they are loaded with `import`."""
    binary = FOLDER / "node_modules/.bin/attw"
    flags = [
        "--profile",
        "node16",
        "--ignore-rules",
        "cjs-resolves-to-esm",
        "--format",
        "ascii",
        "--no-emoji",
    ]
    done = run_program([str(binary), str(tarball()), *flags])
    assert done.returncode == 0, done.stdout + done.stderr


def test_npm_would_publish_it() -> None:
    done = run_program([tool("npm"), "publish", "--dry-run", "--offline"], cwd=PACKAGE)
    assert (done.returncode, done.stdout) == (0, f"+ mock-fal@{mock_fal.__version__}\n")
    warnings = [line for line in done.stderr.splitlines() if line.startswith("npm warn")]
    assert [line for line in warnings if "logged in" not in line] == []


DECLARED = (PACKAGE / "index.d.cts").read_text("utf-8")


@pytest.mark.parametrize("name", ["MockFal", "Account", "WebhookReceiver"])
def test_every_member_is_documented(name: str) -> None:
    declared = DECLARED.partition(f"export class {name} {{")[2].partition("\n}")[0]
    members = set(re.findall(r"^  (?:readonly )?(\w+)[:(]", declared, re.MULTILINE)) - {"constructor"}
    section = REFERENCE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    assert len(members) > 4
    assert {member for member in members if not re.search(rf"`{member}[`(]", section)} == set()


def test_every_module_and_function_is_documented() -> None:
    modules = {f"`mock-fal{name[1:]}`" for name in MANIFEST["exports"] if name != "./package.json"}
    functions = {f"`{name}(" for name in re.findall(r"^export function (\w+)", DECLARED, re.MULTILINE)}
    options = re.findall(
        r"^  (\w+)\?:", DECLARED.partition("StartOptions")[2].partition("\n}")[0], re.MULTILINE
    )
    assert [name for name in {*modules, *functions} if name not in REFERENCE] == []
    assert [name for name in options if f"| `{name}` |" not in REFERENCE] == []
