"""A throw-away certificate authority for fal's names, and the bundles of roots that make a run trust it.

The authority is made anew for every run. Its private key never leaves memory, its certificate may vouch for
fal's domains only, and its files lie in a private temporary folder that `close()` removes.
"""

from __future__ import annotations

import os
import re
import shutil
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mock_fal.hosts import EMULATED_HOSTS, FAL_DOMAINS

# Containers and virtual machines may be some hours off; Apple accepts no leaf beyond 825 days.
SKEW: Final = timedelta(days=1)
VALIDITY: Final = timedelta(days=365)

# Where Linux distributions keep all roots in one file: Debian and Alpine, Fedora, openSUSE, older RHEL.
LINUX_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_PEM_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII
)


class Authority:
    """A certificate authority for one run: a TLS server context, and two files for the clients' environment.

    `now` is the real time in seconds, whatever clock the emulator lives by: clients check validity against
    their own. `extra_roots` are files or folders of further roots that the user's programs trusted before.

        with Authority(now=clock.now()) as authority:
            context = authority.server_context()
            environ["SSL_CERT_FILE"] = str(authority.bundle_file)
    """

    ca_file: Path
    """Our certificate alone, for variables that add to a client's roots."""

    bundle_file: Path
    """The system's roots, the user's and ours, for variables that replace a client's roots."""

    def __init__(self, *, now: float, extra_roots: Iterable[str | Path] = ()) -> None:
        ca, ca_key = _authority(now)
        leaf, leaf_key = _leaf(now, ca, ca_key)
        self._chain = leaf_key + leaf + ca.public_bytes(Encoding.PEM)
        # mkdtemp makes the folder for its owner only (0700).
        self._folder = Path(tempfile.mkdtemp(prefix="mock-fal-"))
        self.ca_file = self._folder / "ca.pem"
        self.bundle_file = self._folder / "bundle.pem"
        own = ca.public_bytes(Encoding.PEM).decode()
        self.ca_file.write_text(own, encoding="ascii")
        self.bundle_file.write_text(_bundle([*system_roots(), *roots_in(extra_roots), own]), encoding="ascii")

    def server_context(self) -> ssl.SSLContext:
        """TLS as fal's hosts speak it, for HTTP/1.1 and WebSocket."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # With session tickets of TLS 1.3, Python's synchronous `websockets` client hangs at the handshake
        # now and then (7 of 13 runs; without them 0 of 15).
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        self._load_chain(context)
        return context

    def _load_chain(self, context: ssl.SSLContext) -> None:
        """The ssl module reads keys from files only, so the leaf's key is on disk for this moment."""
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".pem")  # 0600
        try:
            with open(handle, "wb") as file:
                file.write(self._chain)
            context.load_cert_chain(name)
        finally:
            os.unlink(name)

    def close(self) -> None:
        """Remove the files. Contexts that were handed out keep working."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _authority(now: float) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("mock-fal throw-away CA")
    certificate = (
        _builder(now, key.public_key(), subject=name, issuer=name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(_fal_only(), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _leaf(now: float, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """One certificate for all emulated hosts, and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in sorted(EMULATED_HOSTS)])
    # Python 3.13 verifies with VERIFY_X509_STRICT: without the two key identifiers it refuses the chain.
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
    now: float, key: ec.EllipticCurvePublicKey, *, subject: x509.Name, issuer: x509.Name
) -> x509.CertificateBuilder:
    moment = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - SKEW)
        .not_valid_after(moment + VALIDITY)
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
    """Only fal's domains. Addresses are excluded by name: a list of permitted domains says nothing of them."""
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(domain) for domain in FAL_DOMAINS],
        excluded_subtrees=[x509.IPAddress(ip_network(every)) for every in ("0.0.0.0/0", "::/0")],
    )


def system_roots() -> list[str]:
    """The roots that programs on this machine trust, in PEM, from the first place that has any."""
    paths = ssl.get_default_verify_paths()
    for place in (paths.openssl_cafile, *LINUX_BUNDLES, paths.openssl_capath):
        if roots := list(roots_in([place])):
            return roots
    return _roots_without_a_file()


def _roots_without_a_file() -> list[str]:
    """Windows keeps its roots in a store, macOS in a keychain; certifi has Mozilla's, where it is installed."""
    context = ssl.create_default_context()
    if roots := [ssl.DER_cert_to_PEM_cert(der) for der in context.get_ca_certs(binary_form=True)]:
        return roots
    try:
        from certifi import where
    except ImportError:
        return []
    return list(roots_in([where()]))


def roots_in(places: Iterable[str | Path]) -> Iterator[str]:
    """The certificates in PEM files, or in the files of a folder; what can't be read is passed over."""
    for place in map(Path, places):
        with suppress(OSError):
            files = sorted(place.iterdir()) if place.is_dir() else [place]
            for file in files:
                yield from _roots(file)


def _roots(file: Path) -> list[str]:
    try:
        # Bundles hold comments in any encoding between their certificates.
        return _PEM_CERTIFICATE.findall(file.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return []


def _bundle(roots: Iterable[str]) -> str:
    """Each certificate once: a folder of roots holds most of them under two names."""
    unique = {"".join(root.split()): root.strip() for root in roots}
    return "\n".join(unique.values()) + "\n"
