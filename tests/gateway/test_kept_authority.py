"""The authority that is kept: its files, their rights, and what is refused."""

from __future__ import annotations

import ssl
import stat
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mock_fal.clock import SystemClock
from mock_fal.errors import MockFalError
from mock_fal.gateway.certificates import Authority, fals_authority, new_issuer
from mock_fal.gateway.kept_authority import KEPT_FOR, keep, key_file
from tests.gateway.servers import Loop, web
from tests.gateway.test_certificates import STRICT, handshake

NOW = SystemClock().now()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_and_then_kept(tmp_path: Path) -> None:
    first = keep(tmp_path / "new" / "ca", now=NOW)
    second = keep(tmp_path / "new" / "ca", now=NOW + 1)
    assert first.fingerprint == second.fingerprint
    assert first.expires_at - timedelta(seconds=NOW) == second.expires_at - timedelta(seconds=NOW)


def test_only_its_owner_reads_the_key_and_everybody_the_certificates(tmp_path: Path) -> None:
    kept = keep(tmp_path, now=NOW)
    assert [mode(path) for path in (kept.key_file.parent, kept.key_file)] == [0o700, 0o600]
    assert [mode(path) for path in (kept.ca_file, kept.bundle_file)] == [0o644, 0o644]
    assert "PRIVATE" not in kept.ca_file.read_text() + kept.bundle_file.read_text()
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "bundle.pem",
        "ca-key.pem",
        "ca.pem",
        "private",
    ]


def test_clients_trust_each_run_by_the_same_certificate(tmp_path: Path, loop: Loop) -> None:
    context = ssl.create_default_context(cafile=keep(tmp_path, now=NOW).ca_file)
    context.verify_flags |= STRICT
    for _ in range(2):
        with (
            Authority(now=NOW, issuer=keep(tmp_path, now=NOW).issuer) as authority,
            loop.serving(web, authority.server_context()) as port,
            handshake(port, "queue.fal.run", context) as connection,
        ):
            assert connection.version() == "TLSv1.3"


def test_the_bundle_follows_the_roots_of_the_system(tmp_path: Path) -> None:
    kept = keep(tmp_path, now=NOW)
    kept.bundle_file.write_text("old")
    keep(tmp_path, now=NOW)
    assert kept.bundle_file.read_text().endswith(kept.ca_file.read_text())


def test_a_folder_that_can_be_read_only_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", "file")

    first = keep(tmp_path, now=NOW)
    monkeypatch.setattr("mock_fal.gateway.kept_authority.NamedTemporaryFile", refuse)
    assert keep(tmp_path, now=NOW).fingerprint == first.fingerprint
    with pytest.raises(
        MockFalError, match="can't keep a certificate authority in .*: file: Permission denied"
    ):
        keep(tmp_path / "new", now=NOW)


def test_two_processes_that_start_at_once_keep_the_same(tmp_path: Path) -> None:
    barrier, found = Barrier(4), []

    def run() -> None:
        barrier.wait()
        found.append(keep(tmp_path, now=NOW).fingerprint)

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: Path) -> None:
        raise PermissionError("no links")

    monkeypatch.setattr("os.link", link)
    assert keep(tmp_path, now=NOW).fingerprint == keep(tmp_path, now=NOW).fingerprint
    assert mode(key_file(tmp_path)) == 0o600


@pytest.mark.parametrize("rights", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, rights: int) -> None:
    keep(tmp_path, now=NOW).key_file.chmod(rights)
    with pytest.raises(
        MockFalError, match=rf"other users can read the private key \(mode 0{rights:o}\); expected 0600"
    ):
        keep(tmp_path, now=NOW)


@pytest.mark.parametrize(
    ("days", "match"),
    [(3651, "delete the file, and a new one is made"), (-2, "the certificate is valid from")],
)
def test_one_that_is_not_valid_now_is_refused(tmp_path: Path, days: int, match: str) -> None:
    keep(tmp_path, now=NOW)
    with pytest.raises(MockFalError, match=match):
        keep(tmp_path, now=NOW + days * 86400)


def test_one_that_may_sign_for_other_hosts_is_refused(tmp_path: Path) -> None:
    path = keep(tmp_path, now=NOW).key_file
    key, pem = any_authority()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    with pytest.raises(MockFalError, match="not limited to fal's domains"):
        keep(tmp_path, now=NOW)


def any_authority() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """An authority without name constraints."""
    issuer = new_issuer(NOW, "any", KEPT_FOR)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(issuer.certificate.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(issuer.key.public_key())
        .serial_number(1)
        .not_valid_before(issuer.certificate.not_valid_before_utc)
        .not_valid_after(issuer.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(issuer.key, hashes.SHA256())
    )
    return issuer.key, certificate.public_bytes(Encoding.PEM)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    path = keep(tmp_path, now=NOW).key_file
    other = keep(tmp_path / "other", now=NOW)
    path.write_text(
        path.read_text().partition("-----BEGIN CERTIFICATE")[0] + other.ca_file.read_text(), encoding="ascii"
    )
    with pytest.raises(MockFalError, match="the private key is not that of the certificate"):
        keep(tmp_path, now=NOW)


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_certificate_and_key_is_refused(tmp_path: Path, text: str) -> None:
    keep(tmp_path, now=NOW).key_file.write_text(text)
    with pytest.raises(MockFalError, match="expected a private key and a certificate in PEM"):
        keep(tmp_path, now=NOW)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MockFalError, match="can't keep a certificate authority in .*/file/ca: "):
        keep(tmp_path / "file" / "ca", now=NOW)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    keep(tmp_path, now=NOW).key_file.write_bytes(b"x" * 100_000)
    with pytest.raises(MockFalError, match="it has 100000 bytes, the limit is 65536"):
        keep(tmp_path, now=NOW)


def test_of_a_text_only_a_certificate_of_ours_is_taken(tmp_path: Path) -> None:
    """OpenSSL reads all certificates of a file, in several spellings."""
    own = keep(tmp_path, now=NOW).ca_file.read_text("ascii")
    other = any_authority()[1].decode()
    for text in (own, own + other, own + other.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "text\n" + own):
        assert fals_authority(text.encode()) == own
    for text in (other + own, other, "", "x", own.replace("A", "B", 9)):
        assert fals_authority(text.encode()) is None
