"""Two containers, as in compose.yaml: the app in one reaches mock-fal in the other by each documented way."""

from __future__ import annotations

import json
import re
import shlex
import ssl
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from mock_fal.hosts import EMULATED_HOSTS
from tests.clients.programs import tool
from tests.containers import Container, Network
from tests.test_dockerfile import instructions
from tests.test_docs import ROOT, blocks, environ, missing_tool

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
DOCUMENT = ROOT / "docs/how-to/containers.md"
TOKEN = "only-for-tests"
URL = "http://mock-fal:8325"


class Pair(NamedTuple):
    network: Network
    server: Container
    server_env: Mapping[str, str]
    app: Container
    app_env: Mapping[str, str]

    def sh(self, script: str, **env: str) -> str:
        """The output of a script in the container of the app, which succeeds."""
        done = self.app.run(["bash", "-euc", script], {**self.app_env, **env})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, program: str, **env: str) -> str:
        return self.sh(f"python -c {shlex.quote(program)}", **env)

    def status(self, arguments: str) -> str:
        """The status of a request of curl, or of the proxy's response to its CONNECT."""
        return self.sh(f"curl -s -o /dev/null -w '%{{http_code}}/%{{http_connect}}' {arguments} || true")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="containers-") as folder:
        with Network(COMPOSE, ROOT, Path(folder)) as network:
            server, app = network.containers["mock-fal"], network.containers["app"]
            # Nothing of this machine that is about mock-fal or about the network.
            local = re.compile("MOCK_FAL_|.*(proxy|cert|_ca_|_bundle)", re.IGNORECASE)
            kept = {name: value for name, value in environ().items() if not local.match(name)}
            image = dict(
                assignment.split("=", 1)
                for name, rest in instructions()
                if name == "ENV"
                for assignment in rest.split()
                if not assignment.startswith("PATH=")
            )
            server_env = server.environment({**kept, **image, "MOCK_FAL_SPEED": "20"})
            network.start(server.command(["mock-fal", "serve"]), server_env)
            done = server.run(["mock-fal", "health", "--wait", "60"], server_env)
            assert done.returncode == 0, done.stderr
            network.publish(server, kept)
            app_env = app.environment(kept)
            (app.root / "node_modules").symlink_to(ROOT / "tests/clients/node/node_modules")
            for block in blocks(DOCUMENT):
                if block.language in ("python", "js"):
                    (app.root / block.file_name).write_text(block.code, "utf-8")
            yield Pair(network, server, server_env, app, app_env)


# -- the documented ways


def documented() -> list[Any]:
    shell = [block.code for block in blocks(DOCUMENT) if block.language == "sh"]
    return [pytest.param(code, id=str(number)) for number, code in enumerate(shell, 1)]


@pytest.mark.parametrize("code", documented())
def test_a_documented_way_works_in_the_container_of_the_app(pair: Pair, code: str) -> None:
    if (name := missing_tool(code)) is not None:
        pytest.fail(f"{name} is not installed")
    output = pair.sh(code)
    assert output.count("http://mock-fal.localhost:8325/v3b.fal.media/files/") >= min(1, code.count(" app."))
    assert '"detail"' not in output


def test_the_app_of_compose_yaml_saves_a_picture(pair: Pair) -> None:
    command = pair.app.service["command"].replace("pip install --quiet fal-client && ", "")
    done = pair.app.run(
        [part.replace("/tmp/", "") for part in shlex.split(command)], pair.app_env, pair.app.root / "app"
    )
    assert done.returncode == 0, done.stderr
    assert "Saved demo.jpg: 1024x768" in done.stdout


def test_the_app_depends_on_the_health_check_of_the_image(pair: Pair) -> None:
    [check] = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    assert pair.server.run(command, pair.server_env).returncode == 0
    assert pair.app.run(command, pair.app_env).returncode == 1
    assert COMPOSE["services"]["app"]["depends_on"] == {"mock-fal": {"condition": "service_healthy"}}


def test_every_emulated_host_is_an_alias_of_mock_fal() -> None:
    assert set(COMPOSE["services"]["mock-fal"]["networks"]["default"]["aliases"]) == EMULATED_HOSTS | {
        "mock-fal.localhost"
    }


def test_an_upload_of_the_app_is_an_input_and_so_is_a_result(pair: Pair) -> None:
    program = """
import fal_client, httpx
from PIL import Image
def changed(url):
    arguments = {"prompt": "a", "image_url": url}
    return fal_client.run("fal-ai/flux/dev/image-to-image", arguments)["images"][0]["url"]
url = fal_client.upload_image(Image.new("RGB", (64, 48)), format="png")
first = changed(url)
print(url, first, changed(first))
print(httpx.get(first).headers["content-type"])
"""
    output = pair.python(program).split()
    assert [
        text.startswith("http://mock-fal.localhost:8325/v3b.fal.media/files/") for text in output[:3]
    ] == [True] * 3
    assert output[3].startswith("image/")


def test_a_browser_of_the_machine_shows_a_picture_of_the_app(pair: Pair) -> None:
    chromium = tool("chromium")
    url = pair.sh("python app.py").strip()
    home = pair.network.folder / "browser"
    home.mkdir(exist_ok=True)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={home}", "--dump-dom"]
    command = [*pair.network.machine.prefix, chromium, *flags, url]
    process = pair.network.start(command, {**pair.app_env, "HOME": str(home)})
    output, _ = process.communicate(timeout=120)
    assert re.search(r"<title>[^<]*512×512", output), output[-2000:]


# -- mock-fal env from another container


def test_env_prints_addresses_that_are_valid_here(pair: Pair) -> None:
    lines = pair.sh(f"mock-fal env --url {URL} --control-token {TOKEN} --key ci:secret").splitlines()
    exported = dict(re.findall(r"^export (\w+)='?([^'\n]*)", line)[0] for line in lines[1:])
    host = pair.server.address
    assert exported["HTTPS_PROXY"] == f"http://run:{TOKEN}@{host}:8326"
    assert exported["MOCK_FAL_TLS"] == f"{host}:443"
    assert exported["MOCK_FAL_URL"] == URL
    assert exported["NO_PROXY"] == f"127.0.0.1,localhost,::1,{host},mock-fal"
    assert exported["FAL_KEY"] == "ci:secret"
    assert TOKEN not in "".join(line for line in lines if "PROXY" not in line.upper())
    folder = Path(exported["MOCK_FAL_CA"]).parent
    modes = pair.sh(f"stat -c %a {folder} {folder}/ca.pem {folder}/bundle.pem").split()
    assert modes == ["700", "600", "600"]


def test_env_without_the_token_says_what_is_missing(pair: Pair) -> None:
    done = pair.app.run(["mock-fal", "env", "--url", URL], pair.app_env)
    assert done.returncode == 2
    assert done.stderr == (
        f"mock-fal: the mock-fal at {URL} needs its control token; set --control-token or MOCK_FAL_CONTROL_TOKEN to "
        "the one that the server printed\n"
    )


def test_programs_that_ignore_proxies_reach_mock_fal_and_other_hosts_of_fal_are_blocked(pair: Pair) -> None:
    script = f"""
eval "$(mock-fal env --url {URL} --control-token {TOKEN})"
unset HTTPS_PROXY https_proxy
python - <<'END'
import http.client, socket
connection = http.client.HTTPSConnection("fal.run")
connection.request("GET", "/x")
print(connection.getresponse().status)
try:
    socket.create_connection(("wma.fal.run", 443))
except OSError as error:
    print(error)
END
node --input-type=module -e 'const r = await fetch("https://fal.run/x"); console.log(r.status)'
"""
    output = pair.sh(script).splitlines()
    assert [output[0], output[2]] == ["404", "404"]
    assert "mock-fal does not emulate wma.fal.run" in output[1]


# -- who reaches what


@pytest.mark.parametrize("path", ["health", "ca.pem", "requests"])
def test_the_control_api_needs_the_token(pair: Pair, path: str) -> None:
    assert pair.status(f"{URL}/_mock/{path}") == "401/000"
    assert pair.status(f"{URL}/_mock/{path} -H 'X-Mock-Fal-Token: {TOKEN}'") == "200/000"


def test_the_proxy_needs_its_password(pair: Pair) -> None:
    for login, status in (("", "000/407"), ("run:wrong@", "000/407"), (f"run:{TOKEN}@", "404/200")):
        assert pair.status(f"-x http://{login}mock-fal:8326 https://fal.run/x") == status


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:8325", "http://localhost:8325", "http://0.0.0.0:8325", "http://169.254.169.254"],
)
def test_the_proxy_leads_nowhere_on_its_own_machine(pair: Pair, target: str) -> None:
    """A connection from loopback would need no token."""
    proxy = f"-x http://run:{TOKEN}@mock-fal:8326 --noproxy none"
    assert pair.status(f"{proxy} {target}/_mock/requests") == "403/000"
    assert pair.status(f"{proxy} --proxytunnel {target}/_mock/requests") == "000/403"


def test_a_tunnel_to_the_tls_port_does_not_open_the_control_api(pair: Pair) -> None:
    proxy = f"-x http://run:{TOKEN}@mock-fal:8326 -H 'Host: localhost'"
    assert pair.status(f"{proxy} https://fal.run/_mock/requests") == "401/200"
    assert pair.status("-H 'Host: localhost' https://fal.run/_mock/requests") == "401/000"
    done = pair.server.run(
        ["curl", "-sk", "-H", "Host: localhost", "https://127.0.0.1/_mock/requests"], pair.server_env
    )
    assert "needs the control token" in done.stdout


def test_the_app_sees_the_certificate_and_not_the_private_key(pair: Pair) -> None:
    folder = pair.app.path("/ca")
    assert sorted(pair.sh(f"cd {folder} && find . -type f").split()) == ["./bundle.pem", "./ca.pem"]
    key = pair.network.volume("ca-key") / "ca-key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" in key.read_text("ascii")
    ssl.create_default_context(cafile=pair.network.volume("ca") / "ca.pem")
    done = pair.app.run(["sh", "-c", f"echo x > {folder}/ca.pem"], pair.app_env)
    assert done.returncode != 0 and "Read-only file system" in done.stderr


def test_the_machine_reaches_the_published_port_with_the_token_only(pair: Pair) -> None:
    command = [*pair.network.machine.prefix, sys.executable, "-m", "mock_fal", "health", "--wait", "5"]
    environment = {**pair.app_env, "PYTHONPATH": str(ROOT)}
    process = pair.network.start([*command, "--control-token", TOKEN], environment)
    assert process.communicate()[0].startswith("mock-fal ")
    process = pair.network.start(command, environment)
    assert "needs its control token" in process.communicate()[0]
