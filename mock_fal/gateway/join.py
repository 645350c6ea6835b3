"""Joining the gateway of a server in another container or on another machine.

Such a server has neither an address that is valid everywhere nor files that this machine can read. So the host comes
from the URL that the user names, and the certificate of the authority from the control API. It is checked, because
programs will trust it: it must be an authority for fal's domains only.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from tempfile import NamedTemporaryFile, gettempdir
from typing import Any, Final
from urllib.parse import urlsplit

from mock_fal.errors import MockFalError
from mock_fal.gateway.addresses import check_private_folder
from mock_fal.gateway.certificates import bundle, fals_authority, roots_in
from mock_fal.gateway.connect import is_loopback
from mock_fal.gateway.environment import user_roots

# How long a port of the gateway may take to accept a connection.
_CONNECT_S: Final = 5.0


def is_open_to_others(addresses: Mapping[str, Any]) -> bool:
    """Whether other machines reach the gateway with these addresses."""
    host = addresses["gateway_host"]
    return not is_loopback(host) or host in _UNSPECIFIED


_UNSPECIFIED: Final = ("0.0.0.0", "::")


def joined(addresses: Mapping[str, Any], url: str, ca: bytes, base: Mapping[str, str]) -> dict[str, Any]:
    """The addresses of a gateway as this machine reaches it, with its certificate in files of this machine.

    `url` is the address of the server, `ca` its certificate in PEM. The roots of `base` stay in the bundle. Raises
    MockFalError if the gateway can't be reached, or if the certificate is not that of an authority for fal only.
    """
    own = fals_authority(ca)
    if own is None:
        raise MockFalError(
            f"{url} sent a certificate that is not one of mock-fal, which are limited to fal's domains: "
            "programs would trust it for other hosts too"
        )
    name = urlsplit(url).hostname or ""
    proxy_port, tls_port = urlsplit(addresses["proxy_url"]).port, addresses["tls_address"][1]
    listens_on = addresses["gateway_host"]
    address = _address(name if listens_on in _UNSPECIFIED else listens_on, proxy_port)
    for port, what in ((proxy_port, "proxy"), (tls_port, "TLS port")):
        _check_port(address, port, what)
    folder = _folder(url)
    shown = f"[{address}]" if ":" in address else address
    return {
        **addresses,
        "url": url.rstrip("/"),
        "proxy_url": f"http://{shown}:{proxy_port}",
        "tls_address": [address, tls_port],
        "ca_file": str(_write(folder / "ca.pem", own)),
        "bundle_file": str(_write(folder / "bundle.pem", bundle([*roots_in(user_roots(base)), own]))),
        "secrets_file": "",
        # Programs reach the server itself without its proxy, also when everything else is blocked.
        "servers": sorted({name, address}),
    }


def _address(name: str, port: int | None) -> str:
    """The IP address of a name. Preloads compare it with the address that a connection has."""
    with suppress(ValueError):
        return str(ip_address(name))
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise MockFalError(f"can't look up {name}: {error.strerror}") from None
    # A server at 0.0.0.0 has IPv4 only, and one at :: is found by its only address.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])


def _check_port(address: str, port: int | None, what: str) -> None:
    try:
        socket.create_connection((address, port or 0), _CONNECT_S).close()
    except OSError as error:
        raise MockFalError(
            f"the {what} of the gateway, {address} port {port}, does not accept connections: "
            f"{error.strerror or error}; let the server listen on a port that this machine reaches: --gateway-port, "
            "--gateway-tls-port, and in a container publish them under the same numbers"
        ) from None


def _folder(url: str) -> Path:
    """A folder for the certificate of a server, which no other user can change. The next call uses it too."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(gettempdir()) / f"mock-fal-joined-{user}"
    for path in (folder, folder / re.sub(r"[^\w.-]", "_", urlsplit(url).netloc, flags=re.ASCII)[:100]):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        check_private_folder(path)
    return path


def _write(path: Path, text: str) -> Path:
    """Write a file at once: programs may be reading it."""
    with NamedTemporaryFile("w", dir=path.parent, encoding="ascii", delete=False) as file:
        file.write(text)
    os.replace(file.name, path)
    return path
