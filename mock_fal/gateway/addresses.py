"""The addresses of a gateway, and the file with its secrets, for programs that start outside of the server's process.

Whoever holds the port of a server responds to `POST /_mock/gateway`, so the response is checked before a program gets
it: only known members with the expected types, and only files that no other user could have made or changed.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from mock_fal.errors import MockFalError

# The largest response and file that are read.
MAX_BYTES: Final = 64 * 1024

_URL: Final = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w./-]*)?", re.ASCII)
_NAME: Final = re.compile(r"[\w.:-]{1,255}", re.ASCII)
_PASSWORD: Final = re.compile(r"[\w.~-]{0,128}", re.ASCII)
_PRINTABLE: Final = re.compile(r"[!-~]{1,512}")

FILES: Final = ("ca_file", "bundle_file", "secrets_file")

# Write permission of other users.
_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


class GatewaySecrets(NamedTuple):
    """What programs need beside the addresses: a key, and the password of the proxy."""

    key: str
    proxy_password: str


def write_secrets(folder: Path, secrets: GatewaySecrets) -> Path:
    """Write the secrets to a file that only this user can read: other users can connect to the control API too."""
    path = folder / "secrets.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        json.dump(secrets._asdict(), file)
    return path


def read_secrets(path: str | Path) -> GatewaySecrets:
    """The secrets in a file. Raises MockFalError."""
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read(MAX_BYTES))
        secrets = GatewaySecrets(document["key"], document["proxy_password"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise MockFalError(f"the secrets of the gateway are not in {path}: {error!r}") from None
    if not all(isinstance(text, str) and _PRINTABLE.fullmatch(text) for text in secrets):
        raise MockFalError(f"the secrets of the gateway in {path} are not printable ASCII")
    return secrets


def with_password(proxy_url: str, password: str) -> str:
    """The URL of the proxy with its login. The user name has no meaning."""
    scheme, _, address = proxy_url.partition("://")
    return f"{scheme}://run:{password}@{address}"


def checked_addresses(document: Any) -> dict[str, Any]:
    """The members of a response that a program needs. Raises ValueError for one that is missing or malformed."""
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    host, port = _typed(document, "tls_address", list)
    addresses = {
        "proxy_url": _matching(document, "proxy_url", _URL),
        "tls_address": [_matching({"tls_address": host}, "tls_address", _NAME), int(port)],
        **{name: _path(document, name) for name in FILES},
        "url": _matching(document, "url", _URL),
        "gateway_host": _matching(document, "gateway_host", _NAME),
        "proxy_password": _matching({"proxy_password": "", **document}, "proxy_password", _PASSWORD),
        "offline": _typed(document, "offline", bool),
        "allow_host": [
            _matching({"allow_host": name}, "allow_host", _NAME)
            for name in _typed(document, "allow_host", list)
        ],
    }
    if urlsplit(addresses["proxy_url"]).port is None:
        raise ValueError(f"proxy_url is {addresses['proxy_url']!r}, expected one with a port")
    return addresses


def check_files(addresses: Mapping[str, Any], *, required: bool) -> None:
    """Raises MockFalError unless the files are regular ones of this user, in a folder of this user, and nobody else
    can change them. Files that don't exist are an error only if they are `required`.
    """
    for name in FILES:
        path = Path(addresses[name])
        try:
            _check_owner(path.parent, path.parent.lstat(), "folder")
            _check_owner(path, path.lstat(), "file")
        except FileNotFoundError:
            if required:
                raise MockFalError(
                    f"{path}, which the server at {addresses['url']} names, does not exist on this machine; if the "
                    f"server is in a container, add --remote"
                ) from None
        except OSError as error:
            raise MockFalError(f"{path}: {error.strerror}") from None


def check_private_folder(path: Path) -> None:
    """Raises MockFalError unless a path is a folder of this user that nobody else can change."""
    _check_owner(path, path.lstat(), "folder")


def _check_owner(path: Path, status: os.stat_result, kind: str) -> None:
    is_kind = stat.S_ISREG(status.st_mode) if kind == "file" else stat.S_ISDIR(status.st_mode)
    if not is_kind:
        found = "a symbolic link" if stat.S_ISLNK(status.st_mode) else f"not a {kind}"
        raise MockFalError(_untrusted(path, f"it is {found}"))
    if hasattr(os, "getuid"):  # Windows has other permissions, and a folder for temporary files for each user
        if status.st_uid != os.getuid():
            raise MockFalError(_untrusted(path, f"it belongs to user {status.st_uid}, not to {os.getuid()}"))
        if status.st_mode & _WRITABLE:
            raise MockFalError(_untrusted(path, "other users can change it"))


def _untrusted(path: Path, reason: str) -> str:
    return (
        f"the certificates are in {str(path)!r}, but {reason}: programs would trust them. "
        "Another user may hold the port; start mock-fal serve as this user"
    )


def _typed(document: Mapping[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r}, expected {kind.__name__}")
    return value


def _matching(document: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value: str = _typed(document, name, str)
    if not pattern.fullmatch(value):
        raise ValueError(f"{name} is {value!r}, expected {pattern.pattern}")
    return value


def _path(document: Mapping[str, Any], name: str) -> str:
    value: str = _typed(document, name, str)
    if not (os.path.isabs(value) and value.isprintable() and os.path.normpath(value) == value):
        raise ValueError(f"{name} is {value!r}, expected an absolute path")
    return value
