"""Next.js, unmodified: the app of docs/how-to/nextjs.md, in development and as a build."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.clients.programs import NODES, Node, missing, run_program, tool

APP: Final = Path(__file__).parent / "app"
GUIDE: Final = Path(__file__).parents[2] / "docs/how-to/nextjs.md"

# Far more than a build and its tests take on a quiet machine.
PATIENCE_S: Final = 280

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")


def guide_blocks(*languages: str) -> list[str]:
    """The code blocks of the guide in these languages."""
    pattern = rf"^```(?:{'|'.join(languages)})\n(.*?)^```$"
    return re.findall(pattern, GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


COMMANDS: Final = guide_blocks("sh")
TESTS: Final = [command for command in COMMANDS if "playwright test" in command]
SERVERS: Final = [command for command in COMMANDS if "playwright test" not in command]


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """The environment of a user with the newest Node and a free port. One test at a time uses the app's folder."""
    from fcntl import LOCK_EX, flock  # not on Windows

    if not (APP / "node_modules/.package-lock.json").exists():
        missing(f"no Next.js in {APP}/node_modules: `make tools` installs it")
    node = Node(NODES[-1]).binary.parent
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Our own coverage, and CI, which changes how Playwright reports.
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST", "CI"))
    }
    with (APP / "package.json").open() as lock:
        flock(lock, LOCK_EX)
        yield kept | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(node), os.environ["PATH"]]),
            "PORT": str(port),
            "CHROMIUM": tool("chromium"),
            "NEXT_TELEMETRY_DISABLED": "1",
        }


@contextmanager
def running(command: str, environ: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command in the app's folder. At the end, all of its processes are ended."""
    with output.open("wb") as file:
        bash = subprocess.Popen(
            ["bash", "-euc", command],
            cwd=APP,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield bash
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(bash.pid, number)
            with suppress(subprocess.TimeoutExpired):
                bash.wait(timeout=10)


class Site:
    """The app at localhost, asked as a browser would."""

    def __init__(self, port: str) -> None:
        self.url = f"http://localhost:{port}"

    def get(self, path: str, *options: str) -> tuple[int, str, str]:
        """The status, the media type and the text of a response."""
        command = [tool("curl"), "-s", "-w", "\n%{http_code} %{content_type}", *options, self.url + path]
        done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S)
        body, _, end = done.stdout.decode("utf-8", "replace").rpartition("\n")
        status, _, media_type = end.partition(" ")
        return int(status), media_type, body

    def wait(self) -> None:
        """Waits until the server listens."""
        assert self.get("/", "--retry", "120", "--retry-delay", "1", "--retry-connrefused")[0] == 200

    def draw(self) -> str:
        """The address of a picture, requested through the proxy route."""
        target = "X-Fal-Target-Url: https://fal.run/fal-ai/flux/schnell"
        status, _, body = self.get("/api/fal/proxy", "-H", target, "-d", '{"prompt": "a cat"}')
        assert status == 200, body
        output: dict[str, Any] = json.loads(body)
        return str(output["images"][0]["url"])

    def optimized(self, url: str) -> tuple[int, str]:
        """The status and the media type that `next/image` gets for a picture."""
        status, media_type, _ = self.get(f"/_next/image?url={quote(url, safe='')}&w=1080&q=75")
        return status, media_type


# -- the guide


def test_the_guide_shows_the_files_of_the_app() -> None:
    shown = guide_blocks("ts", "tsx")
    assert len(shown) >= 10
    for code in shown:
        file = APP / code.partition("\n")[0].removeprefix("// ")
        assert code == file.read_text("utf-8"), file


def test_the_guide_names_the_packages_of_the_app() -> None:
    package = json.loads((APP / "package.json").read_text("utf-8"))
    installed = {*package["dependencies"], *package["devDependencies"]}
    named = re.findall(r"npm install(?: -D)? ([@a-z/ -]+)", GUIDE.read_text("utf-8"))
    packages = {name for names in named for name in names.split()}
    assert {"@fal-ai/client", "@fal-ai/server-proxy", "ai", "@ai-sdk/fal"} <= packages <= installed


def test_the_guide_names_the_versions_of_the_app() -> None:
    versions = json.loads((APP / "package.json").read_text("utf-8"))["dependencies"]
    text = GUIDE.read_text("utf-8")
    assert f"`ai` {versions['ai']} and `@ai-sdk/fal` {versions['@ai-sdk/fal']}" in text
    assert (
        f"Next.js {versions['next'].rpartition('.')[0]}, AI SDK {versions['ai'].partition('.')[0]} " in text
    )


def test_each_command_of_the_guide_is_run_here() -> None:
    """By the tests below, or by Playwright, which starts the app under the same wrapper."""
    first, build, local = (command.rstrip() for command in SERVERS)
    assert (first, local) == ("mock-fal run -- npm run dev", f"MOCK_FAL_LOCAL_MEDIA_URLS=1 {first}")
    dev_tests, build_tests = TESTS
    assert "APP" not in dev_tests
    assert '?? "npm run dev"' in (APP / "playwright.config.ts").read_text("utf-8")
    assert re.findall('"(.*)"', build) == re.findall('APP="(.*?)"', build_tests)


# -- the app


@pytest.mark.parametrize("command", TESTS, ids=["dev", "build"])
def test_the_playwright_tests_of_the_app_pass(command: str, environ: dict[str, str], tmp_path: Path) -> None:
    """The page, next/image, the webhook, the AI SDK, a prerendered page and the edge runtime; none is skipped."""
    sources = "\n".join(path.read_text("utf-8") for path in sorted((APP / "e2e").glob("*.spec.ts")))
    with running(command, environ, tmp_path / "output") as bash:
        code = bash.wait(timeout=PATIENCE_S)
    output = (tmp_path / "output").read_text("utf-8")
    assert code == 0, output
    assert f"  {len(re.findall('^test', sources, re.MULTILINE))} passed" in output, output
    assert "does not emulate" not in output


def test_with_local_addresses_any_browser_shows_the_files(environ: dict[str, str], tmp_path: Path) -> None:
    """next/image needs `local` in the configuration; the AI SDK refuses the address."""
    site = Site(environ["PORT"])
    with running(SERVERS[-1], environ, tmp_path / "output"):
        site.wait()
        url = site.draw()
        assert re.match(r"http://127\.0\.0\.1:\d+/v3b\.fal\.media/files/", url)
        assert run_program([tool("curl"), "-sf", "-o", os.devnull, url]).returncode == 0
        assert site.optimized(url) == (200, "image/jpeg")
        assert site.get("/api/image", "-d", '{"prompt": "a cat"}')[0] == 500
    assert "URL with IP address 127.0.0.1 is not allowed" in (tmp_path / "output").read_text("utf-8")
