"""Joining the gateway of another machine: what is checked before programs trust it, and where its certificate goes."""

from __future__ import annotations

import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_fal import MockFal
from mock_fal.cli import main
from mock_fal.errors import MockFalError
from mock_fal.gateway.join import is_open_to_others, joined
from mock_fal.server import environment, open_remote_gateway
from tests.gateway.test_kept_authority import any_authority

TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def fal() -> Iterator[MockFal]:
    """A server whose gateway other machines reach. The tests come by another name of this one."""
    with MockFal(gateway_host="0.0.0.0", control_token=TOKEN) as fal:
        yield fal


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("mock_fal.gateway.join.gettempdir", lambda: str(tmp_path))
    return tmp_path


@pytest.fixture
def addresses(fal: MockFal) -> dict[str, Any]:
    return open_remote_gateway(fal.url, token=TOKEN)


@pytest.fixture
def ca(fal: MockFal) -> bytes:
    return Path(fal.env["MOCK_FAL_CA"]).read_bytes()


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("10.0.0.5", True),
        ("127.0.0.1", False),
        ("localhost", False),
        ("::1", False),
    ],
)
def test_a_gateway_on_loopback_is_not_for_others(host: str, is_open: bool) -> None:
    assert is_open_to_others({"gateway_host": host}) is is_open


def test_the_addresses_are_those_of_the_url(fal: MockFal) -> None:
    found = open_remote_gateway(fal.url, token=TOKEN, is_here=False)
    assert found["url"] == fal.url
    assert found["servers"] == ["127.0.0.1"]
    assert found["secrets_file"] == ""
    variables, _ = environment(found, {})
    assert variables["HTTPS_PROXY"] == fal.env["HTTPS_PROXY"]
    assert variables["FAL_KEY"] == "mock:fal"


def test_a_name_is_resolved_and_kept_out_of_the_proxy(addresses: dict[str, Any], ca: bytes) -> None:
    found = joined(addresses, "http://localhost:8325/", ca, {})
    assert found["url"] == "http://localhost:8325"
    assert found["proxy_url"].startswith("http://127.0.0.1:")
    assert found["tls_address"][0] == "127.0.0.1"
    variables, _ = environment({**found, "offline": True}, {})
    assert variables["NO_PROXY"] == "127.0.0.1,localhost,::1,127.0.0.1,localhost"
    assert variables["MOCK_FAL_ALLOW_HOST"] == "127.0.0.1,localhost"


def test_the_certificate_is_in_a_folder_of_this_user(
    addresses: dict[str, Any], ca: bytes, temporary_folder: Path, tmp_path: Path
) -> None:
    found = [joined(addresses, "http://127.0.0.1:8325", ca, {}) for _ in range(2)]
    assert found[0] == found[1]
    path = Path(found[0]["ca_file"])
    assert path.read_bytes() == ca
    assert Path(found[0]["bundle_file"]).read_bytes().endswith(ca)
    assert re.fullmatch(
        r"mock-fal-joined-\d+/127\.0\.0\.1_8325/ca\.pem", str(path.relative_to(temporary_folder))
    )
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in list(path.parents)[:2]] == [0o700, 0o700]
    assert sorted(file.name for file in path.parent.iterdir()) == ["bundle.pem", "ca.pem"]


def test_the_bundle_keeps_the_roots_of_the_user(addresses: dict[str, Any], ca: bytes, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes(any_authority()[1])
    found = joined(addresses, "http://127.0.0.1:8325", ca, {"SSL_CERT_FILE": str(own)})
    assert own.read_bytes().strip() in Path(found["bundle_file"]).read_bytes()


@pytest.mark.parametrize("pem", [b"", b"x", any_authority()[1]])
def test_a_certificate_that_is_not_limited_to_fal_is_refused(addresses: dict[str, Any], pem: bytes) -> None:
    with pytest.raises(MockFalError, match="sent a certificate that is not one of mock-fal"):
        joined(addresses, "http://127.0.0.1:8325", pem, {})


def test_a_folder_that_others_can_change_is_refused(
    addresses: dict[str, Any], ca: bytes, temporary_folder: Path
) -> None:
    folder = Path(joined(addresses, "http://127.0.0.1:8325", ca, {})["ca_file"]).parent
    folder.chmod(0o777)
    with pytest.raises(MockFalError, match="other users can change it"):
        joined(addresses, "http://127.0.0.1:8325", ca, {})


def test_a_link_instead_of_the_folder_is_refused(
    addresses: dict[str, Any], ca: bytes, temporary_folder: Path
) -> None:
    folder = Path(joined(addresses, "http://127.0.0.1:8325", ca, {})["ca_file"]).parents[1]
    folder.rename(temporary_folder / "elsewhere")
    folder.symlink_to(temporary_folder / "elsewhere")
    with pytest.raises(MockFalError, match="it is a symbolic link"):
        joined(addresses, "http://127.0.0.1:8325", ca, {})


def test_a_port_that_is_not_reached_is_named(addresses: dict[str, Any], ca: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        MockFalError, match=rf"the TLS port of the gateway, 127\.0\.0\.1 port {port}, does not accept"
    ):
        joined({**addresses, "tls_address": ["0.0.0.0", port]}, "http://127.0.0.1:8325", ca, {})


def test_a_name_that_does_not_exist_is_named(addresses: dict[str, Any], ca: bytes) -> None:
    with pytest.raises(MockFalError, match=r"can't look up no-such-host\.invalid: "):
        joined(addresses, "http://no-such-host.invalid:8325", ca, {})


# -- the command


def test_env_remote_treats_an_address_of_this_machine_as_one_of_another(
    fal: MockFal, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--remote", "--control-token", TOKEN, "--key", "ci:secret"]
    assert main(["env", "--url", fal.url, *flags]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    exports = dict(re.findall(r"^export (\w+)='?([^'\n]*)", out, re.MULTILINE))
    assert "mock-fal-joined-" in exports["MOCK_FAL_CA"]
    assert exports["FAL_KEY"] == "ci:secret"


def test_without_the_token_the_password_is_not_given(fal: MockFal) -> None:
    assert open_remote_gateway(fal.url)["proxy_password"] == ""
    assert open_remote_gateway(fal.url, token=TOKEN)["proxy_password"] == fal.settings.gateway_password
