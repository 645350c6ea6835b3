"""A certificate authority for fal's host names, and the root bundles that make programs trust it.

Every run creates a new authority, whose private key never leaves memory, unless one is kept (kept_authority.py). Its
certificate is constrained to fal's domains, and its files are in a private temporary folder that `close()` removes.
"""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mock_fal.files.temporary_folder import TemporaryFolder
from mock_fal.hosts import EMULATED_HOSTS, FAL_DOMAINS

# The clocks of containers and virtual machines may be hours off. Apple rejects leaf certificates of over 825 days.
SKEW: Final = timedelta(days=1)
VALIDITY: Final = timedelta(days=365)

# The root bundles of Linux distributions: Debian and Alpine, Fedora, openSUSE, older RHEL.
LINUX_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_PEM_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
)


class Authority:
    """A certificate authority for one run: a TLS server context, and two files for the clients' environment.

    `now` is the real time in Unix seconds, not that of the emulated clock: clients check validity against
    their own clock. `extra_roots` are files or folders with the roots that the user's programs already trust.
    `issuer` is an authority that is kept; without it, there is a new one.

        with Authority(now=clock.now()) as authority:
            context = authority.server_context()
            environ["SSL_CERT_FILE"] = str(authority.bundle_file)
    """

    ca_file: Path
    """The authority's certificate alone, for variables that add to a client's roots."""

    bundle_file: Path
    """The roots of the system, of the user and of the authority, for variables that replace a client's roots."""

    def __init__(
        self, *, now: float, extra_roots: Iterable[str | Path] = (), issuer: Issuer | None = None
    ) -> None:
        ca, ca_key = issuer or new_issuer(now, "mock-fal temporary CA", VALIDITY)
        leaf, leaf_key = _leaf(now, ca, ca_key)
        self._chain = leaf_key + leaf + ca.public_bytes(Encoding.PEM)
        self._folder = TemporaryFolder("ca")
        self.ca_file = self._folder.path / "ca.pem"
        self.bundle_file = self._folder.path / "bundle.pem"
        own = ca.public_bytes(Encoding.PEM).decode()
        self.ca_file.write_text(own, encoding="ascii")
        self.bundle_file.write_text(bundle([*roots_in(extra_roots), own]), encoding="ascii")

    def server_context(self) -> ssl.SSLContext:
        """A TLS context for fal's hosts, with HTTP/1.1 and WebSocket."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # With TLS 1.3 session tickets, Python's synchronous `websockets` client sometimes hangs in the handshake
        # (7 of 13 runs; without tickets 0 of 15).
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        self._load_chain(context)
        return context

    def _load_chain(self, context: ssl.SSLContext) -> None:
        """The ssl module reads keys from files only, so the leaf's key is on disk during this call."""
        handle, name = tempfile.mkstemp(dir=self._folder.path, suffix=".pem")  # 0600
        try:
            with open(handle, "wb") as file:
                file.write(self._chain)
            context.load_cert_chain(name)
        finally:
            os.unlink(name)

    def close(self) -> None:
        """Remove the files. Contexts that were created before keep working."""
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Issuer(NamedTuple):
    """The certificate and the private key of an authority."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_issuer(now: float, common_name: str, validity: timedelta) -> Issuer:
    """A new authority, which is constrained to fal's domains."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    certificate = (
        _builder(now, key.public_key(), subject=name, issuer=name, validity=validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(_fal_only(), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Issuer(certificate, key)


def signs_only_for_fal(certificate: x509.Certificate) -> bool:
    """Whether a certificate is an authority with the constraints of `new_issuer`, which clients enforce."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.critical and constraints.value == _fal_only() and basic.value.path_length == 0


def fals_authority(pem: bytes) -> str | None:
    """The first certificate in a text, in PEM, if it is that of an authority for fal's domains only.

    It is encoded anew: OpenSSL would trust other certificates in the text too, also such as `TRUSTED CERTIFICATE`.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    return certificate.public_bytes(Encoding.PEM).decode() if signs_only_for_fal(certificate) else None


def _leaf(now: float, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """One certificate for all emulated hosts, and its private key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in sorted(EMULATED_HOSTS)])
    # Python 3.13 verifies with VERIFY_X509_STRICT: without the two key identifiers it rejects the chain.
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = (
        _builder(now, key.public_key(), subject=_name("mock-fal"), issuer=ca.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem_key = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem_key


def _builder(
    now: float,
    key: ec.EllipticCurvePublicKey,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    validity: timedelta = VALIDITY,
) -> x509.CertificateBuilder:
    issued_at = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(issued_at - SKEW)
        .not_valid_after(issued_at + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    """An authority signs certificates, a leaf signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _fal_only() -> x509.NameConstraints:
    """Permit fal's domains only. IP addresses are excluded explicitly: permitted domains do not restrict them."""
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(domain) for domain in FAL_DOMAINS],
        excluded_subtrees=[x509.IPAddress(ip_network(network)) for network in ("0.0.0.0/0", "::/0")],
    )


def system_roots() -> list[str]:
    """The roots that programs on this machine trust, in PEM, from the first location that has any."""
    paths = ssl.get_default_verify_paths()
    for location in (paths.openssl_cafile, *LINUX_BUNDLES, paths.openssl_capath):
        if roots := list(roots_in([location])):
            return roots
    return _roots_without_files()


def _roots_without_files() -> list[str]:
    """The roots of Windows' certificate store or macOS' keychain; else those of certifi, if it is installed."""
    context = ssl.create_default_context()
    if roots := [ssl.DER_cert_to_PEM_cert(der) for der in context.get_ca_certs(binary_form=True)]:
        return roots
    try:
        from certifi import where
    except ImportError:
        return []
    return list(roots_in([where()]))


def roots_in(locations: Iterable[str | Path]) -> Iterator[str]:
    """The certificates in PEM files, or in the files of folders; files that can't be read are skipped.

    A file is read once: variables often name the same one, and folders have two names for each.
    """
    read: set[tuple[int, int]] = set()
    for location in map(Path, locations):
        with suppress(OSError):
            files = sorted(location.iterdir()) if location.is_dir() else [location]
            for file in files:
                yield from _roots(file, read)


def _roots(file: Path, read: set[tuple[int, int]]) -> list[str]:
    """The certificates in a file that was not read yet."""
    try:
        status = os.stat(file)
        identity = status.st_dev, status.st_ino
        if identity in read:
            return []
        read.add(identity)
        with open(file, "rb") as opened:  # bundles contain comments in any encoding between the certificates
            return [root.decode("ascii") for root in _PEM_CERTIFICATE.findall(opened.read())]
    except OSError:
        return []


def bundle(roots: Iterable[str]) -> str:
    """The roots of this machine and others, in PEM, each once: folders contain most of them under two names."""
    unique = {"".join(root.split()): root.strip() for root in [*system_roots(), *roots]}
    return "\n".join(unique.values()) + "\n"
