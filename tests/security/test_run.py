"""The run that can't leave: clients that ignore proxies, in Python and Node, and the environment of children."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from mock_fal import MockFal
from mock_fal.gateway.connect import decide
from mock_fal.gateway.environment import PYTHON_PRELOAD, UNSET, environment
from mock_fal.gateway.preload.mock_fal_preload import Guard, is_loopback, normalize
from mock_fal.hosts import EMULATED_HOSTS, FAL_DOMAINS
from mock_fal_contracts.target import environment as check_environment
from tests.clients.programs import NODES, Node, missing, run_program
from tests.gateway.test_preload import HOSTS

pytest_plugins = ["pytester"]

CLIENT = Path(__file__).parent / "python" / "clients.py"
WEBSOCKETS = Path(sys.prefix) / "websockets"
LIVE_KEY = "live:secret"


@pytest.fixture(scope="module")
def online() -> Iterator[MockFal]:
    with MockFal() as fal:
        yield fal


@pytest.fixture(scope="module")
def offline() -> Iterator[MockFal]:
    with MockFal(offline=True) as fal:
        yield fal


def without_proxies(fal: MockFal, **changes: str) -> dict[str, str]:
    """The environment of a run, without the variables that a client may ignore: proxies and roots.

    Without those of coverage either, which imports itself into every Python process.
    """
    environ = fal.child_environment({**os.environ, **changes})
    ignored = ("proxy", "_ca_", "cert", "_bundle", "coverage")
    return {
        name: value
        for name, value in environ.items()
        if name.startswith("MOCK_FAL_") or not any(part in name.lower() for part in ignored)
    }


def python(env: Mapping[str, str], *arguments: str) -> str:
    """The output of a Python program, which prints nothing on stderr."""
    done = run_program([sys.executable, *arguments], env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def outcome(fal: MockFal, client: str, url: str) -> dict[str, str]:
    result: dict[str, str] = json.loads(python(without_proxies(fal), str(CLIENT), client, url))
    return result


# -- Python: fal's names lead to mock-fal


@pytest.mark.parametrize(
    "client",
    [
        *("sockets", "socket by name", "connect_ex", "resolve first", "ipv6", "own roots"),
        *("http.client", "httpx", "requests", "aiohttp", "asyncio", "aiohttp on uvloop", "uvloop"),
        *("thread", "child", "spawned"),
    ],
)
def test_python_clients_that_ignore_proxies_reach_mock_fal(online: MockFal, client: str) -> None:
    online.reset()
    assert outcome(online, client, "https://fal.run/x") == {"status": "404"}
    assert [(exchange.host, exchange.path) for exchange in online.requests] == [("fal.run", "/x")]


REALTIME = """
import fal_client
with fal_client.realtime("fal-ai/fast-lcm-diffusion") as connection:
    connection.send({"prompt": "a cat", "seed": 7, "image_size": {"width": 64, "height": 48}})
    print(connection.recv()["seed"])
"""


@pytest.mark.parametrize("version", ["13", "14", "15"])
def test_fals_realtime_client_reaches_mock_fal_with_old_websockets(offline: MockFal, version: str) -> None:
    """websockets reads proxy variables since version 15."""
    folder = WEBSOCKETS / version
    if not folder.exists():
        missing(f"no websockets {version} in {folder}; install with: make tools")
    env = without_proxies(offline, PYTHONPATH=str(folder))
    assert python(env, "-c", "import websockets.version; print(websockets.version.version)").startswith(
        version
    )
    assert python(env, "-c", REALTIME) == "7\n"


@pytest.mark.parametrize("client", ["sockets", "aiohttp", "uvloop", "requests"])
def test_hosts_of_fal_that_are_not_emulated_are_blocked_and_named(online: MockFal, client: str) -> None:
    error = outcome(online, client, "https://wma.fal.run/")["error"]
    assert "mock-fal does not emulate wma.fal.run. " in error
    assert "--allow-host wma.fal.run" in error


@pytest.mark.parametrize("client", ["sockets", "asyncio", "uvloop"])
def test_fals_names_on_port_80_are_blocked_and_named(online: MockFal, client: str) -> None:
    error = outcome(online, client, "http://queue.fal.run/")["error"]
    assert "mock-fal serves queue.fal.run over https on port 443 only. " in error


def test_the_summary_lists_what_python_was_kept_from(online: MockFal) -> None:
    outcome(online, "sockets", "https://summary.fal.run/")
    event = online.gateway_events[-1]
    assert (event.kind, event.host, event.port) == ("blocked", "summary.fal.run", 443)


# -- Python: offline, nothing else leaves


@pytest.mark.parametrize(
    ("client", "url"),
    [
        *(
            (name, "https://example.com/")
            for name in ("sockets", "socket by name", "asyncio", "uvloop", "aiohttp")
        ),
        *((name, "http://93.184.216.34/") for name in ("sockets", "connect_ex", "asyncio", "uvloop", "udp")),
        *(
            ("sockets", f"http://{name}/")
            for name in ("metadata.google.internal", "169.254.169.254", "10.1.2.3", "db")
        ),
        ("udp", "udp://8.8.8.8:53"),
    ],
)
def test_offline_every_other_host_is_refused_with_the_fix(offline: MockFal, client: str, url: str) -> None:
    host = url.split("/")[2].partition(":")[0]
    error = outcome(offline, client, url)["error"]
    assert f"mock-fal is offline and blocks {host}. " in error
    assert f"--allow-host {host}" in error


def test_offline_a_refusal_is_an_os_error(offline: MockFal) -> None:
    assert outcome(offline, "sockets", "https://example.com/")["os_error"] == "True"
    assert outcome(offline, "connect_ex", "http://8.8.8.8/")["os_error"] == "True"


LOOPBACK = """
import asyncio, socket
server = socket.create_server(("127.0.0.1", 0))
for host in ("127.0.0.1", "localhost"):
    socket.create_connection((host, server.getsockname()[1])).close()
for family in (socket.AF_UNIX,):
    left, right = socket.socketpair(family); left.close(); right.close()
socket.gethostbyname(socket.gethostname())
socket.getaddrinfo(None, 80, flags=socket.AI_PASSIVE)
async def main():
    other = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 0)
    reader, writer = await asyncio.open_connection(*other.sockets[0].getsockname()[:2])
    await reader.read(); writer.close(); other.close()
asyncio.run(main())
print("done")
"""


def test_offline_this_machine_is_reached(offline: MockFal) -> None:
    assert python(without_proxies(offline), "-c", LOOPBACK) == "done\n"


# -- the guard


def guard_for(*, offline: bool = False, allow: tuple[str, ...] = (), **changes: Any) -> Guard:
    guard = Guard(
        tls=("127.0.0.1", 4001),
        ca="/nonexistent",
        hosts=sorted(EMULATED_HOSTS),
        domains=list(FAL_DOMAINS),
        allow=[*allow],
        offline=offline,
        proxy="",
        **changes,
    )
    guard.active = True
    return guard


@pytest.mark.parametrize("is_offline", [False, True])
@pytest.mark.parametrize("host", [*HOSTS, "metadata.google.internal", "169.254.169.254", "fe80::1%eth0"])
def test_the_guard_and_the_proxy_make_the_same_decisions(host: str, is_offline: bool) -> None:
    allow = ("allowed.com", "allowed.fal.ai")
    guard = guard_for(offline=is_offline, allow=allow)
    for port in (443, 80):
        event = decide(host, port, offline=is_offline, allow_host=allow)
        reason = "" if guard.leads_to_fal(host, port) else guard.reason(normalize(host))
        kind = "fal" if guard.leads_to_fal(host, port) else "blocked" if reason else "forwarded"
        assert kind == event.kind
        assert reason.partition(". ")[0].rstrip(".") == event.reason.replace(
            event.host, normalize(event.host)
        )


def test_the_addresses_of_an_allowed_name_are_allowed_and_bounded() -> None:
    guard = guard_for(offline=True, allow=("allowed.com",))
    assert guard.reason("93.184.216.34")
    guard.remember("example.com", ["93.184.216.34"])
    assert guard.reason("93.184.216.34")
    guard.remember("Allowed.com.", ["93.184.216.34", "2606:2800::1"])
    assert not guard.reason("93.184.216.34") and not guard.reason("2606:2800::1")
    guard.remember("allowed.com", [f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(10_000)])
    assert len(guard.allowed) == 4096


def test_the_threads_of_the_server_are_left_alone() -> None:
    """A server that records, in the process of pytest, connects to the live service."""
    guard = guard_for(offline=True, exempt_threads="mock-fal")
    seen: list[Any] = []
    thread = threading.Thread(
        target=lambda: seen.append(guard.resolve("fal.run", 443)), name="mock-fal-lookup"
    )
    thread.start()
    thread.join()
    assert seen == ["fal.run"]
    assert guard.resolve("fal.run", 443) != "fal.run"


@pytest.mark.parametrize(
    "name", ["ＱＵＥＵＥ.fal.run", "QUEUE.fal.run.", b"queue.fal.run", bytearray(b"queue.fal.run")]
)
def test_a_name_is_known_in_every_spelling(name: Any) -> None:
    assert guard_for().leads_to_fal(name, "https")


def test_a_handshake_for_fal_with_another_machine_is_blocked() -> None:
    """The address came from another resolver, or a program names a proxy of its own."""

    class Elsewhere:
        def getpeername(self) -> tuple[str, int]:
            return ("104.18.0.1", 443)

    context = ssl.create_default_context()
    for name in ("queue.fal.run", "wma.fal.run"):
        with pytest.raises(PermissionError, match=f"connection to {name}, because it leads to 104.18.0.1"):
            guard_for().trust(context, name, Elsewhere())
    guard_for().trust(context, "example.com", Elsewhere())


def test_the_certificate_is_trusted_for_fals_names_only(online: MockFal) -> None:
    variables, _ = online.environment({})
    guard = Guard.read(variables)
    assert guard is not None
    guard.active = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    guard.trust(context, "example.com")
    assert context.cert_store_stats()["x509_ca"] == 0
    for _ in range(3):
        guard.trust(context, "queue.fal.run")
    assert context.cert_store_stats()["x509_ca"] == 1


def test_uninstalling_restores_everything() -> None:
    before = (socket.getaddrinfo, socket.gethostbyname, ssl.SSLContext.wrap_bio, list(sys.meta_path))
    guard = guard_for()
    guard.install()
    kept = socket.getaddrinfo
    assert kept is not before[0]
    assert str(kept("fal.run", 443)[0][4][0]).startswith("203.0.113.")
    guard.uninstall()
    assert (socket.getaddrinfo, socket.gethostbyname, ssl.SSLContext.wrap_bio, sys.meta_path) == before
    assert "connect" not in vars(socket.socket)
    assert guard.resolve("fal.run", 443) == "fal.run"  # what a client has kept does nothing


def test_what_was_patched_later_is_left_when_the_guard_is_uninstalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guard = guard_for()
    guard.install()

    def other(*arguments: Any) -> list[Any]:
        return []

    with monkeypatch.context() as context:
        context.setattr(socket, "getaddrinfo", other)
        guard.uninstall()
        assert socket.getaddrinfo is other


@pytest.mark.parametrize(
    "name", ["", "localhost", "x.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::"]
)
def test_this_machine_is_known(name: str) -> None:
    assert is_loopback(name)


# -- how Python loads it


def test_nothing_is_imported_at_start_that_python_has_not_loaded(online: MockFal) -> None:
    """The cost of a start: one small file. Modules are patched when the program imports them."""
    program = "import sys; print(*sys.modules)"
    with_guard = set(python(without_proxies(online), "-c", program).split())
    bare = set(python({"PATH": os.environ["PATH"]}, "-c", program).split())
    assert with_guard - bare <= {"sitecustomize", "mock_fal_preload", "__future__", "errno"}
    assert {"socket", "ssl", "asyncio", "typing"}.isdisjoint(with_guard - bare)


def test_the_import_path_is_that_of_the_program(online: MockFal) -> None:
    program = "import sys; print(*sys.path, sep='\\n')"
    env = without_proxies(online)
    assert env["PYTHONPATH"].split(os.pathsep)[0] == str(PYTHON_PRELOAD)
    assert str(PYTHON_PRELOAD) not in python(env, "-c", program).splitlines()


def test_an_existing_sitecustomize_runs_with_its_own_name(online: MockFal, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; VALUE = 7; NAME = __name__; FILE = __file__\n")
    program = "import sitecustomize as own, socket; print(own.VALUE, own.NAME, own.FILE, socket.getaddrinfo.__module__)"
    env = without_proxies(online, PYTHONPATH=str(tmp_path))
    expected = f"7 sitecustomize {tmp_path / 'sitecustomize.py'} mock_fal_preload\n"
    assert python(env, "-c", program) == expected


def test_an_error_in_an_existing_sitecustomize_is_reported_as_ever(online: MockFal, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('mine')\n")
    done = run_program(
        [sys.executable, "-c", "print(1)"], env=without_proxies(online, PYTHONPATH=str(tmp_path))
    )
    assert done.stdout == "1\n"
    assert done.stderr.startswith("Error in sitecustomize; ") and "ValueError: mine" in done.stderr


@pytest.mark.parametrize(
    "broken",
    [
        {"MOCK_FAL_TLS": ""},
        {"MOCK_FAL_TLS": "nowhere"},
        {"MOCK_FAL_TLS": "::1:99999"},
        {"MOCK_FAL_HOSTS": ""},
    ],
)
def test_with_invalid_variables_python_is_left_alone(online: MockFal, broken: dict[str, str]) -> None:
    program = "import socket; print(socket.getaddrinfo.__module__)"
    assert python({**without_proxies(online), **broken}, "-c", program) == "socket\n"


@pytest.mark.parametrize("flag", ["-S", "-I", "-E"])
def test_an_isolated_python_does_not_load_it(online: MockFal, flag: str) -> None:
    program = "import socket; print(socket.getaddrinfo.__module__)"
    assert python(without_proxies(online), flag, "-c", program) == "socket\n"


def test_a_python_without_mock_fal_is_guarded_too(online: MockFal) -> None:
    program = "import socket, sys; print(socket.gethostbyname('fal.run'), 'mock_fal' in sys.modules)"
    base = getattr(sys, "_base_executable", sys.executable)
    done = run_program([base, "-c", program], env=without_proxies(online))
    assert (done.stdout.split()[0][:10], done.stdout.split()[1], done.stderr) == ("203.0.113.", "False", "")


def test_without_the_certificate_no_handshake_of_python_succeeds(online: MockFal) -> None:
    env = without_proxies(online) | {"MOCK_FAL_CA": "/nonexistent"}
    result = json.loads(python(env, str(CLIENT), "sockets", "https://fal.run/x"))
    assert "CERTIFICATE_VERIFY_FAILED" in result["error"]


def test_the_folder_stands_first_and_once_in_pythonpath(online: MockFal) -> None:
    first = online.child_environment({"PYTHONPATH": os.pathsep.join(["a", "", "b"])})
    assert first["PYTHONPATH"] == os.pathsep.join([str(PYTHON_PRELOAD), "a", "", "b"])
    assert online.child_environment(first)["PYTHONPATH"] == first["PYTHONPATH"]
    assert online.child_environment({})["PYTHONPATH"] == str(PYTHON_PRELOAD)


def test_the_preloads_are_in_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = run_program(build, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    expected = {"preload.cjs", "preload/sitecustomize.py", "preload/mock_fal_preload.py"}
    assert {f"mock_fal/gateway/{name}" for name in expected} <= names


# -- Node


@pytest.fixture(params=NODES, ids=[f"node{version}" for version in NODES])
def any_node(request: pytest.FixtureRequest) -> Node:
    return Node(request.param)


@pytest.fixture
def newest_node() -> Node:
    return Node(NODES[-1])


def lookup(node: Node, fal: MockFal, *arguments: str) -> Any:
    return node("lookups.cjs", *arguments, env=without_proxies(fal))


def test_node_looks_fals_names_up(any_node: Node, offline: MockFal) -> None:
    result = lookup(any_node, offline, "lookups", "v3b.fal.media")["result"]
    four = result["four"]["address"]
    six = result["promised"]["address"]
    assert (four[:10], six[:6]) == ("203.0.113.", "4fa1::")
    assert result["all"] == [{"address": six, "family": 6}]
    assert result["callback"] == {"address": six, "family": 6}
    assert result["records"] == result["resolver"] == [four]
    assert result["generic"] == [six]


def test_next_image_sees_no_private_address(any_node: Node, offline: MockFal) -> None:
    assert lookup(any_node, offline, "range", "v3b.fal.media") == {"result": ["unicast"]}


def test_an_address_that_node_looked_up_leads_to_mock_fal(any_node: Node, offline: MockFal) -> None:
    assert lookup(any_node, offline, "connect-later", "fal.run") == {"result": True}


@pytest.mark.parametrize("case", ["lookup", "lookup-callback", "resolve4"])
@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("example.com", "mock-fal is offline and blocks example.com. "),
        ("metadata.google.internal", "mock-fal is offline and blocks metadata.google.internal. "),
        ("wma.fal.run", "mock-fal does not emulate wma.fal.run. "),
    ],
)
def test_offline_node_looks_nothing_else_up(
    newest_node: Node,
    offline: MockFal,
    case: str,
    host: str,
    message: str,
) -> None:
    result = lookup(newest_node, offline, case, host)
    assert (result["code"], result["message"][: len(message)]) == ("ERR_MOCK_FAL_BLOCKED", message)


def test_offline_node_looks_this_machine_up(newest_node: Node, offline: MockFal) -> None:
    assert lookup(newest_node, offline, "lookup", "localhost")["result"] in ("127.0.0.1", "::1")


def test_other_records_of_fal_are_not_asked_for(newest_node: Node, online: MockFal) -> None:
    assert lookup(newest_node, online, "resolveTxt", "fal.run")["code"] == "ENODATA"


def test_http2_only_fails_with_a_message(any_node: Node, online: MockFal) -> None:
    result = lookup(any_node, online, "http2", "queue.fal.run")
    assert result["message"].startswith(
        "mock-fal speaks HTTP/1.1 and WebSocket on queue.fal.run, not HTTP/2. "
    )
    assert result["code"] == "ERR_MOCK_FAL_BLOCKED"


def test_a_client_that_offers_both_versions_reaches_mock_fal(any_node: Node, online: MockFal) -> None:
    assert lookup(any_node, online, "undici", "fal.run") == {"result": 404}


# -- pytest


def suite_passes(pytester: pytest.Pytester, tests: str, count: int) -> None:
    pytester.makepyfile(tests)
    result = pytester.runpytest_subprocess("-p", "mock_fal.pytest_plugin", "-W", "error")
    result.assert_outcomes(passed=count)


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("FAL_KEY", "real:key")
    monkeypatch.setenv("MOCK_FAL_LIVE_KEY", LIVE_KEY)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


def test_clients_that_were_created_at_import_time_reach_the_mock(suite: pytest.Pytester) -> None:
    suite_passes(
        suite,
        """
        import ssl, urllib.request
        import httpx, requests

        client = httpx.Client()
        session = requests.Session()
        session.trust_env = False
        context = ssl.create_default_context()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

        def test_app(mock_fal, mock_fal_server):
            body = {"prompt": "a cat"}
            headers = {"authorization": "Key a:b"}
            url = "https://queue.fal.run/fal-ai/flux/schnell"
            assert client.post(url, json=body, headers=headers).status_code == 200
            assert session.post(url, json=body, headers=headers).status_code == 200
            with opener.open(urllib.request.Request(url, b'{"prompt": "a"}', headers)) as response:
                assert response.status == 200
            assert len(mock_fal_server.requests) == 3
            client.close()
            session.close()
        """,
        1,
    )


def test_an_async_client_that_ignores_proxies_reaches_the_mock(suite: pytest.Pytester) -> None:
    suite_passes(
        suite,
        """
        import asyncio
        import aiohttp
        import uvloop

        async def get():
            async with aiohttp.ClientSession() as session, session.get("https://fal.run/x") as response:
                return response.status

        def test_app(mock_fal, mock_fal_server):
            assert asyncio.run(get()) == uvloop.run(get()) == 404
            assert len(mock_fal_server.requests) == 2
        """,
        1,
    )


def test_a_connection_that_was_open_before_the_fixture_fails_with_the_fix(suite: pytest.Pytester) -> None:
    """It would carry the request of the test to the live service. Here a local server has fal's name."""
    suite_passes(
        suite,
        """
        import socket, ssl, threading
        import pytest, trustme

        authority = trustme.CA()
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("fal.run").configure_cert(server_context)
        context = ssl.create_default_context()
        authority.configure_trust(context)
        listening = socket.create_server(("127.0.0.1", 0))
        accepted = []

        def accept():
            plain, _ = listening.accept()
            accepted.append(server_context.wrap_socket(plain, server_side=True))

        thread = threading.Thread(target=accept)
        thread.start()
        live = context.wrap_socket(socket.create_connection(listening.getsockname()), server_hostname="fal.run")
        thread.join()

        def test_app(mock_fal):
            message = "connection to fal.run was opened before the fixture mock_fal.* Create the client inside the test"
            for send in (live.sendall, live.send, live.write):
                with pytest.raises(PermissionError, match=message):
                    send(b"POST /")

        def test_without_fixture():
            live.sendall(b"GET /")
            assert accepted[0].recv(5) == b"GET /"
            for each in (live, *accepted, listening):
                each.close()
        """,
        2,
    )


def test_the_process_is_as_before_after_the_fixture(suite: pytest.Pytester) -> None:
    suite_passes(
        suite,
        """
        import socket, ssl, sys

        before = (socket.getaddrinfo, ssl.SSLContext.wrap_socket, ssl.SSLSocket.send, list(sys.meta_path))

        def test_with_fixture(mock_fal):
            assert socket.gethostbyname("fal.run").startswith("203.0.113.")

        def test_without_fixture():
            assert before[:3] == (socket.getaddrinfo, ssl.SSLContext.wrap_socket, ssl.SSLSocket.send)
            assert before[3] == sys.meta_path
            assert "connect" not in vars(socket.socket)
        """,
        2,
    )


def test_offline_a_test_process_can_not_leave(suite: pytest.Pytester) -> None:
    suite_passes(
        suite,
        """
        import os, socket
        import pytest
        from mock_fal import MockFal

        @pytest.fixture(scope="session")
        def mock_fal_server():
            with MockFal(offline=True) as fal:
                yield fal

        def test_app(mock_fal):
            with pytest.raises(OSError, match="--allow-host example.com"):
                socket.create_connection(("example.com", 443))
            assert "MOCK_FAL_LIVE_KEY" not in os.environ
            assert os.environ["FAL_KEY"] == mock_fal.key
        """,
        1,
    )


# -- the environment of children


def test_no_environment_has_the_live_key(online: MockFal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_FAL_LIVE_KEY", LIVE_KEY)
    monkeypatch.setenv("FAL_KEY", "real:key")
    assert {"MOCK_FAL_LIVE_KEY", "MOCK_FAL_CONTROL_TOKEN"} <= {*UNSET}
    for environ in (online.child_environment(os.environ), check_environment(online.url)):
        assert LIVE_KEY not in environ.values()
        assert environ["FAL_KEY"] == "mock:fal"
        assert environ["HOME"] == os.environ["HOME"]


PRINT = "import os, sys; sys.stderr.write('KEY=' + os.environ.get('MOCK_FAL_LIVE_KEY', 'none') + os.environ['FAL_KEY'])"


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--", sys.executable, "-c", PRINT],
        ["check", "--", sys.executable, "-c", PRINT],
    ],
    ids=["run", "check"],
)
def test_no_command_gets_the_live_key(command: list[str]) -> None:
    env = os.environ | {"MOCK_FAL_LIVE_KEY": LIVE_KEY, "FAL_KEY": "real:key"}
    done = run_program([sys.executable, "-m", "mock_fal", *command], env=env)
    assert "KEY=nonemock:fal" in done.stderr
    assert "secret" not in done.stdout + done.stderr and "real:key" not in done.stdout + done.stderr


def test_no_driver_gets_the_live_key(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    driver = tmp_path / "driver.py"
    driver.write_text(f"import os, json; open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))\n")
    env = os.environ | {"MOCK_FAL_LIVE_KEY": LIVE_KEY, "FAL_KEY": "real:key"}
    check = ["check", "--client", f"{sys.executable} {driver}", "--only", "queue.submit", "--quiet"]
    subprocess.run([sys.executable, "-m", "mock_fal", *check], env=env, capture_output=True, timeout=120)
    environ = json.loads(seen.read_text())
    assert LIVE_KEY not in environ.values() and "real:key" not in environ.values()


def test_a_check_does_not_give_its_server_the_live_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from mock_fal_contracts import target

    monkeypatch.setenv("MOCK_FAL_LIVE_KEY", LIVE_KEY)
    monkeypatch.setenv("MOCK_FAL_CONTROL_TOKEN", "a-token")
    secrets = {"MOCK_FAL_LIVE_KEY", "MOCK_FAL_CONTROL_TOKEN"}
    assert target._without_secrets(os.environ).keys() == os.environ.keys() - secrets


@pytest.mark.parametrize(
    "host", ["metadata.google.internal", "printer.local", "db", "169.254.169.254", "10.0.0.1"]
)
def test_offline_only_what_is_allowed_by_name_leaves(host: str) -> None:
    assert decide(host, 80, secure=False, offline=True).kind == "blocked"
    assert decide(host, 80, secure=False, offline=True, allow_host={host}).kind == "forwarded"


def test_the_variables_are_those_that_the_preload_reads() -> None:
    variables, _ = environment(
        base={},
        proxy_url="http://user:pass%40word@127.0.0.1:4000",
        tls_address=("127.0.0.1", 4001),
        ca_file="/run/ca.pem",
        bundle_file="/run/bundle.pem",
        preload_file="preload.cjs",
        url="http://127.0.0.1:8325",
        key="mock:key",
        offline=True,
        allow_host=["example.com"],
    )
    guard = Guard.read(variables)
    assert guard is not None
    assert (guard.tls, guard.ca, guard.offline) == (("127.0.0.1", 4001), "/run/ca.pem", True)
    assert set(guard.addresses_4) == set(EMULATED_HOSTS)
    assert guard.allow == frozenset({"example.com"})
    assert guard.domains == list(FAL_DOMAINS)
