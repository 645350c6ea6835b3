"""The temporary authority: the names it certifies, the clients that accept it, and its files."""

from __future__ import annotations

import asyncio
import builtins
import os
import socket
import ssl
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mock_fal.clock import EPOCH, SystemClock
from mock_fal.gateway import certificates
from mock_fal.gateway.certificates import Authority, roots_in, system_roots
from mock_fal.hosts import EMULATED_HOSTS
from tests.gateway.servers import PATIENCE_S, Loop, tool

# Python's strictest check, the default since 3.13.
STRICT = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN


def handshake(port: int, name: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except ssl.SSLError:
        plain.close()
        raise


@pytest.mark.parametrize("host", sorted(EMULATED_HOSTS))
def test_every_emulated_host_is_verified_strictly(authority: Authority, tls_port: int, host: str) -> None:
    context = ssl.create_default_context(cafile=authority.ca_file)
    context.verify_flags |= STRICT
    with handshake(tls_port, host, context) as connection:
        assert connection.version() == "TLSv1.3"


def test_a_host_that_is_not_emulated_has_no_certificate(authority: Authority, tls_port: int) -> None:
    context = ssl.create_default_context(cafile=authority.ca_file)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(tls_port, "wma.fal.run", context)


def test_openssl_accepts_the_certificate(authority: Authority, tls_port: int) -> None:
    arguments = ["-connect", f"127.0.0.1:{tls_port}", "-servername", "queue.fal.run", "-verify_return_error"]
    command = [tool("openssl"), "s_client", *arguments, "-x509_strict", "-CAfile", str(authority.ca_file)]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE_S, check=False)
    assert b"Verify return code: 0 (ok)" in done.stdout


def test_tls_1_3_has_no_session_tickets(authority: Authority) -> None:
    """With tickets, Python's synchronous `websockets` client sometimes hangs."""
    context = authority.server_context()
    assert context.num_tickets == 0
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_http_1_is_negotiated(authority: Authority, tls_port: int) -> None:
    context = ssl.create_default_context(cafile=authority.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with handshake(tls_port, "fal.run", context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_the_authority_is_constrained_to_fals_domains(loop: Loop, tmp_path: Path) -> None:
    """Clients reject a certificate for another host, even if it is signed with the authority's key."""
    now = SystemClock().now()
    ca, ca_key = certificates.new_issuer(now, "ca", certificates.VALIDITY)
    key = ec.generate_private_key(ec.SECP256R1())
    stolen = (
        certificates._builder(now, key.public_key(), subject=certificates._name("x"), issuer=ca.subject)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.com")]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = Encoding.PEM
    secret = key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())
    chain = tmp_path / "chain.pem"
    chain.write_bytes(secret + stolen.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=ca.public_bytes(pem).decode())
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT  # it would report other errors first
    with (
        loop.serving(lambda reader, writer: asyncio.sleep(0), server) as port,
        pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"),
    ):
        handshake(port, "example.com", client)


def test_validity_follows_the_given_time() -> None:
    with Authority(now=EPOCH) as authority:
        certificate = x509.load_pem_x509_certificate(authority.ca_file.read_bytes())
    moment = datetime.fromtimestamp(EPOCH, UTC)
    assert certificate.not_valid_before_utc == moment - certificates.SKEW
    assert certificate.not_valid_after_utc == moment + certificates.VALIDITY


def test_only_the_owner_can_read_the_files_and_none_has_a_key(authority: Authority) -> None:
    authority.server_context()
    folder = authority.ca_file.parent
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.pem", "ca.pem"]
    assert os.name == "nt" or stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "PRIVATE" not in authority.ca_file.read_text() + authority.bundle_file.read_text()


def test_the_key_is_on_disk_for_its_owner_only_and_removed_when_loading_fails(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    def check(context: ssl.SSLContext, name: str) -> None:
        modes.append(stat.S_IMODE(os.stat(name).st_mode))
        raise ssl.SSLError("unreadable")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", check)
    with pytest.raises(ssl.SSLError, match="unreadable"):
        authority.server_context()
    assert modes == [0o600] or os.name == "nt"
    assert sorted(path.name for path in authority.ca_file.parent.iterdir()) == ["bundle.pem", "ca.pem"]


def test_close_removes_all_files() -> None:
    authority = Authority(now=EPOCH)
    authority.close()
    authority.close()
    assert not authority.ca_file.parent.exists()


def test_the_bundle_has_the_roots_of_system_user_and_authority_once(tmp_path: Path) -> None:
    corporate = tmp_path / "corporate.pem"
    trustme.CA().cert_pem.write_to_path(corporate)
    with Authority(now=EPOCH, extra_roots=[corporate, tmp_path, tmp_path / "missing.pem"]) as authority:
        bundle = authority.bundle_file.read_text()
        own = authority.ca_file.read_text()
    roots = system_roots()
    assert roots
    assert bundle.count("BEGIN CERTIFICATE") == len(set(roots)) + 2
    assert corporate.read_text().strip() in bundle
    assert own.strip() in bundle
    ssl.create_default_context(cadata=bundle)


def test_a_folder_that_cannot_be_listed_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "iterdir", forbidden)
    assert list(roots_in([tmp_path])) == []


def test_a_file_with_several_names_is_read_once(tmp_path: Path) -> None:
    """Variables name the same bundle, and OpenSSL's folders have a link for each file."""
    root = tmp_path / "root.pem"
    trustme.CA().cert_pem.write_to_path(root)
    os.link(root, tmp_path / "0123abcd.0")
    (tmp_path / "folder").mkdir()
    assert list(roots_in([root, str(root), tmp_path])) == [root.read_text().strip()]


def test_without_files_the_roots_come_from_the_system_store(monkeypatch: pytest.MonkeyPatch) -> None:
    store = system_roots()
    context = ssl.create_default_context(cadata="\n".join(store))
    monkeypatch.setattr(certificates, "roots_in", lambda places: iter(()))
    monkeypatch.setattr(ssl, "create_default_context", lambda: context)
    assert len(system_roots()) == len(context.get_ca_certs())


def test_without_a_store_the_roots_come_from_certifi(monkeypatch: pytest.MonkeyPatch) -> None:
    certifi = pytest.importorskip("certifi")
    monkeypatch.setattr(certificates, "LINUX_BUNDLES", ())
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: _no_paths())
    monkeypatch.setattr(ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert system_roots() == list(roots_in([certifi.where()]))


def test_without_any_source_there_are_no_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **keywords: Any) -> Any:
        if name == "certifi":
            raise ImportError(name)
        return real(name, *rest, **keywords)

    monkeypatch.setattr(certificates, "LINUX_BUNDLES", ())
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: _no_paths())
    monkeypatch.setattr(ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    monkeypatch.setattr(builtins, "__import__", missing)
    assert system_roots() == []


def _no_paths() -> ssl.DefaultVerifyPaths:
    nowhere = "/nonexistent"
    return ssl.DefaultVerifyPaths(nowhere, nowhere, "SSL_CERT_FILE", nowhere, "SSL_CERT_DIR", nowhere)
