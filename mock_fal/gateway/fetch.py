"""Files of other hosts that an input names: fetched only where --allow-egress says so."""

from __future__ import annotations

import asyncio
from http.client import HTTPException
from typing import Final
from urllib.request import Request, urlopen

import mock_fal
from mock_fal.files.inputs import MAX_BYTES

# How long a host may be silent.
_PATIENCE_S: Final = 30.0


async def fetch(url: str) -> bytes | None:
    """What is at an http or https address, one byte over the limit at most; None where nothing can be had."""
    return await asyncio.to_thread(_read, url)


def _read(url: str) -> bytes | None:
    request = Request(url, headers={"user-agent": f"mock-fal/{mock_fal.__version__}"})
    try:
        with urlopen(request, timeout=_PATIENCE_S) as response:
            data: bytes = response.read(MAX_BYTES + 1)
            return data
    except (OSError, ValueError, HTTPException):
        return None
