"""The gateway for other machines: its ports, its password, the start, and where its proxy leads them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from mock_fal import MockFal, cli
from mock_fal.cli import main
from mock_fal.errors import MockFalError, SettingsError
from mock_fal.gateway import connect
from mock_fal.gateway.connect import ConnectProxy, Event
from mock_fal.settings import Settings, read_setting
from tests.gateway.servers import Loop

TOKEN = "0123456789abcdef"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


# -- where the proxy leads other machines


@pytest.fixture
def other_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_is_from_here", lambda client: False)


def proxied(loop: Loop, target: str, **options: object) -> tuple[str, list[Event]]:
    """The first line of the response to CONNECT, and the decisions."""
    events: list[Event] = []

    async def ask() -> str:
        import asyncio

        async with ConnectProxy(("127.0.0.1", 1), on_event=events.append, **options) as proxy:  # type: ignore[arg-type]
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
            line = await reader.readline()
            writer.close()
            return line.decode().strip()

    return loop.run(ask()), events


LOCAL = [
    "127.0.0.1",
    "127.9.9.9",
    "localhost",
    "[::1]",
    "0.0.0.0",
    "[::]",
    "[::ffff:127.0.0.1]",
    "169.254.169.254",
]


@pytest.mark.parametrize("host", [*LOCAL, "[fe80::1]", "[::ffff:169.254.169.254]"])
@pytest.mark.usefixtures("other_machine")
def test_other_machines_do_not_reach_what_is_local(loop: Loop, host: str) -> None:
    line, [event] = proxied(loop, f"{host}:80")
    assert line.startswith("HTTP/1.1 403 mock-fal's proxy does not connect other machines to ")
    assert (event.kind, event.host) == ("blocked", host.strip("[]"))


@pytest.mark.usefixtures("other_machine")
def test_nor_by_a_name_whose_address_is_local(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("192.0.2.1", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    line, [event] = proxied(loop, "rebinding.example:80")
    assert "403 mock-fal's proxy does not connect other machines to rebinding.example" in line
    assert event.kind == "blocked"


@pytest.mark.usefixtures("other_machine")
def test_nor_if_the_host_is_allowed(loop: Loop) -> None:
    line, _ = proxied(loop, "localhost:80", allow_host=["localhost"])
    assert line.startswith("HTTP/1.1 403 ")


@pytest.mark.usefixtures("other_machine")
def test_a_name_without_an_address_is_an_error_of_the_proxy(loop: Loop) -> None:
    line, events = proxied(loop, "no-such-host.invalid:80")
    assert line == "HTTP/1.1 502 mock-fal could not look up no-such-host.invalid"
    assert events == []


@pytest.mark.usefixtures("other_machine")
def test_each_address_of_a_name_is_tried(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    async def open_connection(address: str, port: int) -> None:
        tried.append(address)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(connect, "_is_only_here", lambda address: False)
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("192.0.2.1", "192.0.2.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)

    async def run() -> None:
        monkeypatch.setattr("asyncio.open_connection", open_connection)
        await connect._open_connection(["192.0.2.1", "192.0.2.2"], 80)

    with pytest.raises(ConnectionRefusedError):
        loop.run(run())
    assert tried == ["192.0.2.1", "192.0.2.2"]


def test_this_machine_reaches_itself_as_before(loop: Loop) -> None:
    line, [event] = proxied(loop, f"127.0.0.1:{free_port()}")
    assert line.startswith("HTTP/1.1 502 ")  # nobody listens
    assert event.kind == "forwarded"


# -- ports and passwords


def test_the_ports_and_the_password_are_those_of_the_settings() -> None:
    proxy, tls = free_port(), free_port()
    with MockFal(gateway_port=proxy, gateway_tls_port=tls, gateway_password="a-b_c.d~e") as fal:
        assert fal.env["HTTPS_PROXY"] == f"http://run:a-b_c.d~e@127.0.0.1:{proxy}"
        assert fal.env["MOCK_FAL_TLS"] == f"127.0.0.1:{tls}"


def test_the_ports_are_open_when_the_server_has_started() -> None:
    port = free_port()
    with MockFal(gateway_tls_port=port):
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_nothing_is_opened_for_others_by_default() -> None:
    settings = Settings()
    assert settings.gateway_host == "127.0.0.1"
    assert not settings.opens_gateway
    with MockFal(host="0.0.0.0") as fal:
        assert fal.env["MOCK_FAL_TLS"].startswith("127.0.0.1:")
        assert urlsplit(fal.env["HTTPS_PROXY"]).hostname == "127.0.0.1"


@pytest.mark.parametrize("name", ["gateway_port", "gateway_tls_port"])
def test_a_port_in_use_is_one_line_at_the_start(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    flag = "--" + name.replace("_", "-")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        fal = MockFal(**{name: port})
        with pytest.raises(
            MockFalError, match=rf"can't listen on 127\.0\.0\.1 port {port}: .*; choose another with {flag}"
        ):
            fal.start()
        assert main(["serve", "--port", "0", flag, str(port)]) == 2
    assert capsys.readouterr().err.startswith(f"mock-fal: can't listen on 127.0.0.1 port {port}: ")
    with fal:  # the port is free now
        assert httpx.get(f"{fal.url}/_mock/health", trust_env=False).status_code == 200


def test_a_bad_folder_of_the_authority_is_an_error_of_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MockFalError, match="can't keep a certificate authority"):
        MockFal(ca_dir=str(tmp_path / "file")).start()


def test_a_folder_for_temporary_files_that_is_missing_is_an_error_of_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: object, purpose: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mock_fal.gateway.certificates.TemporaryFolder.__init__", refuse)
    with pytest.raises(MockFalError, match="can't open the gateway: .*No space left on device"):
        MockFal(gateway_tls_port=free_port()).start()


def test_a_gateway_for_others_has_a_random_password_unless_one_is_set() -> None:
    passwords = {MockFal(gateway_host="0.0.0.0").settings.gateway_password for _ in range(3)}
    assert len(passwords) == 3 and "" not in passwords
    assert MockFal(gateway_host="0.0.0.0", gateway_password="mine").settings.gateway_password == "mine"
    assert MockFal().settings.gateway_password == ""


def test_a_random_password_is_printed_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    given = Settings(port=0, gateway_host="0.0.0.0", control_token=TOKEN)
    with MockFal(given) as fal:
        cli._print_secrets(fal, given)
        login = fal.env["HTTPS_PROXY"].replace("127.0.0.1", "HOST")
    assert capsys.readouterr().err.splitlines() == [
        "mock-fal: other machines can connect to the proxy; they need its password, which mock-fal env fetches:",
        f"mock-fal:   {login}",
    ]


@pytest.mark.parametrize("text", ["a b", "a@b", "a:b", "a/b", "é", "x" * 129])
def test_a_password_has_only_characters_of_a_url(text: str) -> None:
    with pytest.raises(SettingsError, match="--gateway-password: expected letters, digits") as error:
        read_setting("gateway_password", text, "--gateway-password")
    assert text not in str(error.value).replace("a URL", "")


def test_the_password_is_not_in_the_repr_of_the_settings() -> None:
    assert "sesame" not in repr(Settings(gateway_password="sesame"))


# -- the control API at the TLS port


@pytest.fixture(scope="module")
def fal() -> Iterator[MockFal]:
    with MockFal(control_token=TOKEN) as fal:
        yield fal


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"x-mock-fal-token": TOKEN}, 200)])
def test_the_control_api_needs_the_token_at_the_tls_port(
    fal: MockFal, headers: dict[str, str], status: int
) -> None:
    context = ssl.create_default_context(cafile=fal.env["MOCK_FAL_CA"])
    with httpx.Client(verify=context, proxy=fal.env["HTTPS_PROXY"], trust_env=False) as client:
        response = client.get("https://fal.run/_mock/health", headers={"host": "localhost", **headers})
    assert response.status_code == status


def test_the_certificate_is_sent(fal: MockFal) -> None:
    response = httpx.get(f"{fal.url}/_mock/ca.pem", trust_env=False)
    assert response.headers["content-type"] == "application/x-pem-file"
    assert response.text == Path(fal.env["MOCK_FAL_CA"]).read_text("ascii")


# -- addresses of files


@pytest.mark.parametrize(
    "url", ["http://mock-fal.localhost:8325", "https://files.test/mock", "http://[fd00::1]:8325"]
)
def test_file_urls_begin_with_the_public_url(url: str) -> None:
    with MockFal(public_url=url, queue_duration=0, run_duration=0) as fal:
        response = httpx.post(
            f"{fal.url}/fal.run/fal-ai/flux/schnell",
            json={"prompt": "a cat", "image_size": "square"},
            headers={"authorization": "Key a:b"},
            trust_env=False,
        )
    assert response.json()["images"][0]["url"].startswith(f"{url}/v3b.fal.media/files/b/")


@pytest.mark.parametrize(
    "text", ["localhost:8325", "ftp://a", "http://", "http://a b", "http://a/?x=1", "http://a:b@c"]
)
def test_a_public_url_is_one_of_a_server(text: str) -> None:
    with pytest.raises(SettingsError, match="expected a URL with a host"):
        read_setting("public_url", text, "--public-url")


def test_there_is_one_base_of_file_urls() -> None:
    with pytest.raises(
        SettingsError, match="public_url is http://a and local_media_urls is set: expected one of them"
    ):
        Settings(public_url="http://a", local_media_urls=True)
