"""Uploads the files of results to a storage of the user's own, as the form of an S3 presigned POST."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

from mock_fal.gateway.lookup import Lookups
from mock_fal.gateway.post import Target, post
from mock_fal.ids import random_secret
from mock_fal.requests.upload_policy import UploadPolicy
from mock_fal.terminal import logger

# How long one upload may take. fal: five minutes (fal SDK).
TIMEOUT_S: Final = 300.0

# The uploads at the same time: each holds a file of a result.
AT_ONCE: Final = 8


class OutputSender:
    """Uploads files. With `allow_egress` to any address, else to this machine only."""

    def __init__(self, *, allow_egress: bool) -> None:
        self._allow_egress = allow_egress
        self._lookups = Lookups()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tls: ssl.SSLContext | None = None

    async def send(self, policy: UploadPolicy, path: str, content_type: str, data: bytes) -> str:
        """Upload a file. Returns why that failed; empty if it did not."""
        # deviation: one attempt, so that a test sees an error at once; fal makes five after 5xx and network errors.
        error = ""
        try:
            async with self._slots, asyncio.timeout(TIMEOUT_S):
                status = await self._post(policy, path, content_type, data)
            # fal: 303 is the answer with `success_action_redirect`, after the file is stored (fal SDK).
            if not 200 <= status < 300 and status != 303:
                error = f"HTTP {status}"
        except TimeoutError:
            error = f"no response within {TIMEOUT_S:g} s"
        except (OSError, ValueError) as failure:
            error = str(failure) or type(failure).__name__
        if error:
            logger.warning("mock-fal: output not uploaded to %s: %s", policy.url, error)
        return error

    async def _post(self, policy: UploadPolicy, path: str, content_type: str, data: bytes) -> int:
        target = Target.parse(policy.url)
        addresses = await self._lookups.addresses(target.host, target.port)
        if not self._allow_egress and not all(ip_address(address).is_loopback for address in addresses):
            raise OSError(f"{target.host} is not this machine")
        if target.secure and self._tls is None:
            self._tls = await self._lookups.in_thread(ssl.create_default_context)
        boundary = f"mock-fal-{random_secret()}"
        body = form_data(
            boundary, policy.form(path, content_type), policy.file_name(path), content_type, data
        )
        headers = [
            ("content-type", f"multipart/form-data; boundary={boundary}"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        return await post(target, addresses, headers, body, self._tls if target.secure else None)


def form_data(
    boundary: str, fields: Sequence[tuple[str, str]], file_name: str, content_type: str, data: bytes
) -> bytes:
    """A form (RFC 7578) whose last field is a file, as S3 requires."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(file_name)}"\r\n'
    parts.append(f"{head}Content-Type: {content_type}\r\n\r\n".encode())
    return b"".join([*parts, data, f"\r\n--{boundary}--\r\n".encode()])


def _quoted(name: str) -> str:
    return quote(name, safe=" !#$&'()*+,/:;<=>?@[]^`{|}~") if any(c in name for c in '"\r\n\\') else name
