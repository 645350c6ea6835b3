"""Download the files of other hosts that an input names; only with --allow-egress."""

from __future__ import annotations

import asyncio
from http.client import HTTPException
from typing import Final
from urllib.request import Request, urlopen

import mock_fal
from mock_fal.files.inputs import MAX_BYTES

# How long to wait for a host.
_TIMEOUT_S: Final = 30.0


async def fetch(url: str) -> bytes | None:
    """The content of an http or https URL, at most one byte over the limit; None if it can't be read."""
    return await asyncio.to_thread(_read, url)


def _read(url: str) -> bytes | None:
    request = Request(url, headers={"user-agent": f"mock-fal/{mock_fal.__version__}"})
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as response:
            data: bytes = response.read(MAX_BYTES + 1)
            return data
    except (OSError, ValueError, HTTPException):
        return None
