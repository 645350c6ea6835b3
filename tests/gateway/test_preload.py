"""The preload script for Node: the connections that it redirects, blocks and leaves alone."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

import mock_fal.gateway
from mock_fal.gateway.certificates import Authority
from mock_fal.gateway.connect import decide
from mock_fal.gateway.environment import environment
from tests.gateway.servers import PATIENCE_S, Loop, tool, web

PRELOAD = Path(mock_fal.gateway.__file__).parent / "preload.cjs"
FIXTURES = Path(__file__).parent / "node"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")


def node(script: str, *arguments: str, env: Mapping[str, str]) -> Any:
    """The JSON output of a program, which prints nothing on stderr."""
    done = subprocess.run(
        [tool("node"), str(FIXTURES / script), *arguments],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return json.loads(done.stdout)


def run_environment(authority: Authority, tls_port: int, **changes: Any) -> dict[str, str]:
    """The environment of `mock-fal run` without its proxy and extra roots, which the preload does not use."""
    variables, _ = environment(
        base={},
        proxy_url="http://127.0.0.1:9",
        tls_address=("127.0.0.1", tls_port),
        ca_file=authority.ca_file,
        bundle_file=authority.bundle_file,
        preload_file=PRELOAD,
        url="http://127.0.0.1:9",
        key="mock:key",
        **changes,
    )
    return {
        name: value for name, value in variables.items() if name.startswith(("MOCK_FAL_", "NODE_OPTIONS"))
    }


@pytest.mark.parametrize(
    "client",
    [
        *("fetch", "https", "worker", "child"),
        *("tls-options", "tls-port-host", "tls-port-options", "tls-context"),
    ],
)
def test_all_node_clients_reach_mock_fal(authority: Authority, tls_port: int, client: str) -> None:
    result = node(
        "clients.cjs", client, "https://queue.fal.run/path", env=run_environment(authority, tls_port)
    )
    assert (result["body"]["target"], result["body"]["headers"]["host"]) == ("/path", "queue.fal.run")


def test_tls_over_an_existing_socket_reaches_mock_fal(authority: Authority, tls_port: int) -> None:
    """A client that opens the TCP connection itself gets the roots from NODE_EXTRA_CA_CERTS."""
    env = {**run_environment(authority, tls_port), "NODE_EXTRA_CA_CERTS": str(authority.ca_file)}
    result = node("clients.cjs", "tls-socket", "https://fal.run/path", env=env)
    assert result["body"]["headers"]["host"] == "fal.run"


def test_a_module_that_imports_by_name_reaches_mock_fal(authority: Authority, tls_port: int) -> None:
    assert node("esm.mjs", "v3.fal.media", env=run_environment(authority, tls_port)) == {"authorized": True}


def test_loading_it_twice_changes_nothing(authority: Authority, tls_port: int) -> None:
    env = run_environment(authority, tls_port)
    env["NODE_OPTIONS"] += f" --require {PRELOAD}"
    assert "body" in node("clients.cjs", "fetch", "https://fal.run/", env=env)


@pytest.mark.parametrize("client", ["fetch", "https", "tls-options", "tls-port-host"])
def test_a_host_of_fal_that_is_not_emulated_fails_and_is_named(
    authority: Authority, tls_port: int, client: str
) -> None:
    result = node("clients.cjs", client, "https://wma.fal.run/", env=run_environment(authority, tls_port))
    assert result["error"].startswith("mock-fal does not emulate wma.fal.run. ")
    assert result["code"] == "ERR_MOCK_FAL_BLOCKED"


def test_fal_over_plain_http_fails_with_advice(authority: Authority, tls_port: int) -> None:
    result = node("clients.cjs", "fetch", "http://queue.fal.run/", env=run_environment(authority, tls_port))
    assert result["error"].startswith("mock-fal serves queue.fal.run over https on port 443 only. ")


@pytest.mark.parametrize(
    ("client", "url"),
    [("fetch", "https://example.com/"), ("net", "tcp://example.com:25"), ("fetch", "http://93.184.216.34/")],
)
def test_offline_other_hosts_fail_and_are_named(
    authority: Authority, tls_port: int, client: str, url: str
) -> None:
    result = node("clients.cjs", client, url, env=run_environment(authority, tls_port, offline=True))
    assert result["error"].startswith("mock-fal is offline and blocks ")
    assert result["code"] == "ERR_MOCK_FAL_BLOCKED"


@pytest.mark.parametrize("offline", [False, True])
def test_a_local_server_is_left_alone(
    authority: Authority, loop: Loop, tls_port: int, tmp_path: Path, offline: bool
) -> None:
    own = trustme.CA()
    own.cert_pem.write_to_path(tmp_path / "own.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.issue_cert("localhost").configure_cert(context)
    env = {
        **run_environment(authority, tls_port, offline=offline),
        "NODE_EXTRA_CA_CERTS": str(tmp_path / "own.pem"),
    }
    with loop.serving(web, context) as port:
        result = node("clients.cjs", "https", f"https://localhost:{port}/mine", env=env)
    assert (result["body"]["target"], result["body"]["headers"]["host"]) == ("/mine", f"localhost:{port}")


def test_a_pipe_is_left_alone(authority: Authority, loop: Loop, tls_port: int, tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")

    async def listen() -> asyncio.Server:
        return await asyncio.start_unix_server(lambda reader, writer: writer.close(), path)

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    server = loop.run(listen())
    result = node("clients.cjs", "pipe", path, env=run_environment(authority, tls_port, offline=True))
    loop.run(stop())
    assert result == {"body": {"connected": True}}


@pytest.mark.parametrize(
    "broken",
    [
        {"MOCK_FAL_TLS": ""},
        {"MOCK_FAL_TLS": "nowhere"},
        {"MOCK_FAL_TLS": "127.0.0.1:99999"},
        {"MOCK_FAL_HOSTS": ""},
    ],
)
def test_with_invalid_variables_it_does_nothing(
    authority: Authority, loop: Loop, tls_port: int, broken: dict[str, str]
) -> None:
    env = {**run_environment(authority, tls_port, offline=True), **broken}
    with loop.serving(web) as port:
        assert "body" in node("clients.cjs", "fetch", f"http://127.0.0.1:{port}/", env=env)
    patched = "require('net').Socket.prototype.connect.toString().includes('refusal')"
    command = [tool("node"), "-p", patched]
    done = subprocess.run(command, env=env, capture_output=True, timeout=PATIENCE_S, check=True)
    assert done.stdout == b"false\n"


@pytest.mark.parametrize("ca", ["", "/nonexistent"])
def test_without_the_certificate_no_handshake_succeeds(authority: Authority, tls_port: int, ca: str) -> None:
    """If the server has stopped and its files are removed, the live service is still not reached."""
    env = {**run_environment(authority, tls_port), "MOCK_FAL_CA": ca}
    result = node("clients.cjs", "fetch", "https://fal.run/", env=env)
    assert result["code"] in {"UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "SELF_SIGNED_CERT_IN_CHAIN"}


HOSTS = [
    *(
        "queue.fal.run",
        "QUEUE.FAL.RUN.",
        "v3.fal.media",
        "wma.fal.run",
        "fal.ai",
        "allowed.fal.ai",
        "notfal.run",
    ),
    *("example.com", "Allowed.com", "sub.allowed.com", "localhost", "a.localhost", "db", "printer.local"),
    *(
        "host.docker.internal",
        "127.0.0.1",
        "127.9.9.9",
        "10.1.2.3",
        "172.31.0.1",
        "172.32.0.1",
        "192.168.1.1",
    ),
    *("0.0.0.0", "8.8.8.8", "100.64.0.1", "169.254.169.254", "::1", "::", "fd00::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "134744072", "0x08080808"),
]


@pytest.mark.parametrize("offline", [False, True])
def test_the_preload_and_the_proxy_make_the_same_decisions(
    authority: Authority, tls_port: int, offline: bool
) -> None:
    allow_host = ("allowed.com", "allowed.fal.ai")
    targets = [(host, port) for host in HOSTS for port in (443, 80)]
    env = run_environment(authority, tls_port, offline=offline, allow_host=allow_host)
    env["MOCK_FAL_PROXY"] = ""  # no report: only the decisions are compared
    env["NODE_OPTIONS"] = f"--require {FIXTURES / 'recorder.cjs'} {env['NODE_OPTIONS']}"
    result = node("decisions.cjs", json.dumps(targets), env=env)
    events = [decide(host, port, offline=offline, allow_host=allow_host) for host, port in targets]
    expected = [
        {"kind": event.kind, "message": f"{event.reason}. {event.advice}".strip(". ")} for event in events
    ]
    result = [{**decision, "message": decision["message"].strip(". ")} for decision in result]
    assert dict(zip(targets, result, strict=True)) == dict(zip(targets, expected, strict=True))
