"""A certificate authority that is kept in a folder, so that other containers and later runs trust the same one.

`DIR/ca.pem` and `DIR/bundle.pem` are for programs. `DIR/private/ca-key.pem` has the private key, for its owner only; it
is in a folder of its own, so that a volume for `DIR` can be shared without it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mock_fal.errors import MockFalError
from mock_fal.gateway.certificates import Issuer, bundle, new_issuer, signs_only_for_fal
from mock_fal.regular_file import read_regular_file

KEPT_FOR: Final = timedelta(days=3650)

# A certificate and a key have some 1,200 bytes.
_MAX_BYTES: Final = 64 * 1024
# Any permission of other users.
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class KeptAuthority:
    """The authority in a folder, and its files."""

    issuer: Issuer
    folder: Path

    @property
    def ca_file(self) -> Path:
        """The certificate alone, for variables that add to a client's roots."""
        return self.folder / "ca.pem"

    @property
    def bundle_file(self) -> Path:
        """The certificate and the roots of the system, for variables that replace a client's roots."""
        return self.folder / "bundle.pem"

    @property
    def key_file(self) -> Path:
        """The private key and the certificate."""
        return key_file(self.folder)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 digest of the certificate, in hex."""
        return self.issuer.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def expires_at(self) -> datetime:
        return self.issuer.certificate.not_valid_after_utc


def key_file(folder: Path) -> Path:
    return folder / "private" / "ca-key.pem"


def keep(folder: str | Path, *, now: float) -> KeptAuthority:
    """The authority in a folder, made if there is none. Writes its public files. Raises MockFalError."""
    folder = Path(folder).absolute()
    path = key_file(folder)
    try:
        if not path.exists():
            _make(path, now)
        issuer = _read(path, now)
        kept = KeptAuthority(issuer, folder)
        own = issuer.certificate.public_bytes(Encoding.PEM).decode()
        _publish(kept.ca_file, own)
        _publish(kept.bundle_file, bundle([own]))
    except OSError as error:
        raise MockFalError(
            f"can't keep a certificate authority in {folder}: {error.filename or path}: {error.strerror or error}"
        ) from None
    return kept


def _make(path: Path, now: float) -> None:
    """Write a new authority, unless another process is faster."""
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    issuer = new_issuer(now, "mock-fal kept CA", KEPT_FOR)
    key = issuer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:  # 0600
        file.write(key + issuer.certificate.public_bytes(Encoding.PEM))
    try:
        os.link(file.name, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(file.name, path)
    with suppress(FileNotFoundError):
        os.unlink(file.name)


def _read(path: Path, now: float) -> Issuer:
    mode = path.stat().st_mode
    if os.name != "nt" and mode & _OTHERS:
        raise MockFalError(
            f"{path}: other users can read the private key (mode {stat.S_IMODE(mode):04o}); expected 0600"
        )
    data = read_regular_file(path, _MAX_BYTES)
    try:
        certificate = x509.load_pem_x509_certificate(data)
        key = load_pem_private_key(data, None)
    except ValueError as error:
        raise MockFalError(f"{path}: expected a private key and a certificate in PEM: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise MockFalError(f"{path}: the private key is not that of the certificate")
    if not signs_only_for_fal(certificate):
        raise MockFalError(
            f"{path}: the authority is not limited to fal's domains; mock-fal uses its own only"
        )
    if (
        not certificate.not_valid_before_utc
        <= datetime.fromtimestamp(now, UTC)
        < certificate.not_valid_after_utc
    ):
        raise MockFalError(
            f"{path}: the certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d}; delete the file, and a new one is made"
        )
    return Issuer(certificate, key)


def _publish(path: Path, text: str) -> None:
    """Write a file that everybody can read, at once; not if it has this text already: it may be mounted read-only."""
    if path.is_file() and path.read_bytes() == text.encode("ascii"):
        return
    with NamedTemporaryFile("w", dir=path.parent, encoding="ascii", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
