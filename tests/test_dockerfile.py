"""The Dockerfile and compose.yaml: linted, and the steps of the image run without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.clients.programs import missing

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "Dockerfile"
MB = 1_000_000

# All layers, in bytes as `docker images` counts them: those of a base image with Debian's packages of distroless
# (python3-debian12: 55 MB, the sum of its packages' files), and what the Dockerfile adds.
MAX_IMAGE = 120 * MB
BASE_IMAGE = 55 * MB


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, with continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n", "", "\n".join(lines))
    return [
        (name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines()) if name
    ]


def context() -> list[Path]:
    """The files that .dockerignore lets into the build."""
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = done.stdout.splitlines() or [
        path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()
    ]
    return [Path(name) for name in names if not _is_ignored(name, rules) and (ROOT / name).is_file()]


def _is_ignored(name: str, rules: list[str]) -> bool:
    """The last rule that matches the file or a folder of it decides."""
    path = Path(name)
    ancestors = [path.as_posix(), *(parent.as_posix() for parent in path.parents if parent.name)]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        anywhere = pattern.startswith("**/")
        candidates = path.parts if anywhere else [ancestors[-1]] if "/" not in pattern else ancestors
        if any(fnmatch(candidate, pattern.removeprefix("**/")) for candidate in candidates):
            ignored = not rule.startswith("!")
    return ignored


def script(name: str) -> str:
    """A program of this environment."""
    path = Path(sys.executable).with_name(name)
    return str(path) if path.exists() else missing(f"{name} is not installed: pip install --group dev")


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run([script("hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_yaml_follows_its_schema() -> None:
    command = [script("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_context_has_what_the_image_is_built_from_and_nothing_else() -> None:
    files = context()
    assert {"pyproject.toml", "README.md", "mock_fal/cli.py", "openapi/control.yaml"} <= set(map(str, files))
    assert {path.parts[0] for path in files} == {
        *("pyproject.toml", "README.md", "LICENSE", "mock_fal", "contracts", "openapi")
    }
    assert not [path for path in files if {"seeded_bugs", "__pycache__"} & set(path.parts)]


def test_the_container_is_one_process_of_a_user_without_rights() -> None:
    final = instructions()[max(i for i, (name, _) in enumerate(instructions()) if name == "FROM") :]
    values = dict(final)
    assert "RUN" not in values  # the base image has no shell
    assert values["USER"].split(":")[0] not in ("0", "root")
    assert [json.loads(values[name]) for name in ("ENTRYPOINT", "CMD")] == [["mock-fal"], ["serve"]]
    assert json.loads(values["HEALTHCHECK"].partition("CMD ")[2]) == ["mock-fal", "health"]
    assert values["EXPOSE"] == "8325"


def test_the_image_builds_runs_and_is_small(tmp_path: Path) -> None:
    """Each step runs as it is, with paths below a fresh folder. What needs root or a container is left out."""
    for tool in ("strip", "install", "bash"):
        if shutil.which(tool) is None:
            missing(f"{tool} is not installed")
    root = tmp_path / "root"
    (root / "opt").mkdir(parents=True)
    environment = {**os.environ, "PIP_CONFIG_FILE": os.environ.get("PIP_CONFIG_FILE", "")}
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    files = context()
    image: list[Path] = []
    ran: list[str] = []
    for name, rest in instructions():
        if name == "FROM":
            environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        elif name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                _copy(source, root / target.lstrip("/"), files)
        elif name == "RUN" and not rest.startswith("apt-get"):
            rest = rest.replace("--no-cache-dir ", "")  # of this machine, which keeps its cache
            command = re.sub(r"(?<![\w./-])/(opt|src|rootfs)\b", rf"{root}/\1", rest)
            if os.getuid() != 0:
                command = command.replace("-o 65532 -g 65532 ", "")
            done = subprocess.run(
                ["bash", "-euc", command],
                env=environment,
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            ran.append(command)
        elif name == "COPY":
            image.append(root / rest.split()[1].strip("/"))
    assert len(ran) == 1 and len(image) == 2
    # Not the interpreter: here a venv may have a copy of it, in the image it is a link to that of the base.
    added = [
        path for folder in image for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    ]
    size = sum(path.stat().st_size for path in added)
    assert 20 * MB < size
    assert BASE_IMAGE + size < MAX_IMAGE, f"the layer has {size / MB:.0f} MB"
    assert (root / "rootfs/ca/private").stat().st_mode & 0o777 == 0o700
    # The stripped modules work: a request with a picture, and certificates.
    program = [
        str(root / "opt/mock-fal/bin/mock-fal"),
        "run",
        "--",
        str(root / "opt/mock-fal/bin/python"),
        "-c",
    ]
    clean = {key: value for key, value in environment.items() if not key.startswith(("MOCK_FAL_", "COV_"))}
    done = subprocess.run([*program, _CLIENT], env=clean, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "image/jpeg\n"), done.stderr


_CLIENT = """
import json, urllib.request
def post(url, body):
    headers = {"Authorization": "Key a:b", "Content-Type": "application/json"}
    return urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers))
result = json.load(post("https://fal.run/fal-ai/flux/schnell", {"prompt": "a cat", "image_size": "square"}))
print(urllib.request.urlopen(result["images"][0]["url"]).headers["content-type"])
"""


def _copy(source: str, target: Path, files: list[Path]) -> None:
    for path in files:
        if path == Path(source) or Path(source) in path.parents:
            goal = target / (path.name if path == Path(source) else path.relative_to(source))
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, goal)
    assert target.exists(), f"COPY {source}: not in the context"


@pytest.mark.parametrize(
    ("name", "is_ignored"),
    [
        ("mock_fal/cli.py", False),
        ("mock_fal/web/__pycache__/app.pyc", True),
        ("contracts/seeded_bugs/a.py", True),
        ("contracts/mock_fal_contracts/cli.py", False),
        (".git/config", True),
        ("tests/test_docs.py", True),
        (".env", True),
    ],
)
def test_dockerignore_is_read_as_docker_reads_it(name: str, is_ignored: bool) -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert _is_ignored(name, rules) is is_ignored
