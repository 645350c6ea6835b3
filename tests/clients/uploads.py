"""python -m tests.clients.uploads FOLDER: upload with every function of the official client, and print the results."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import fal_client
import httpx
from fal_client.client import MULTIPART_THRESHOLD, StorageACL, StorageSettings
from PIL import Image

CAT = b"a cat"
SETTINGS = StorageSettings(expires_in="1h", initial_acl=StorageACL(default="forbid"))


def main(folder: Path) -> None:
    small, large = folder / "small.txt", folder / "large.bin"
    small.write_bytes(CAT)
    large.write_bytes(b"parts of a file " * (MULTIPART_THRESHOLD // 16 + 1))
    image = Image.new("RGB", (8, 8))
    output = {
        "upload": downloaded(fal_client.upload(CAT, "text/plain", "a.txt"), CAT),
        "upload_file": downloaded(fal_client.upload_file(small), CAT),
        "upload_image": downloaded(fal_client.upload_image(image), None),
        "forbidden": downloaded(fal_client.upload(CAT, "text/plain", lifecycle=SETTINGS), CAT),
        "large": downloaded(fal_client.upload(large.read_bytes(), "video/mp4", "a.mp4"), large.read_bytes()),
        "large_file": downloaded(fal_client.upload_file(large), large.read_bytes()),
        **asyncio.run(asynchronous(small, large, image)),
    }
    sys.stdout.write(json.dumps(output))


async def asynchronous(small: Path, large: Path, image: Image.Image) -> dict[str, Any]:
    upload: Callable[..., Awaitable[str]] = fal_client.upload_async
    return {
        "upload_async": downloaded(await upload(CAT, "text/plain", "a.txt"), CAT),
        "upload_file_async": downloaded(await fal_client.upload_file_async(small), CAT),
        "upload_image_async": downloaded(await fal_client.upload_image_async(image), None),
        "large_async": downloaded(await upload(large.read_bytes(), "video/mp4", "a.mp4"), large.read_bytes()),
        "large_file_async": downloaded(await fal_client.upload_file_async(large), large.read_bytes()),
    }


def downloaded(url: str, data: bytes | None) -> list[Any]:
    """A file's URL, content type and status, and whether its bytes equal `data`."""
    response = httpx.get(url)
    same = data is None or md5(response.content).digest() == md5(data).digest()
    return [url, response.headers["content-type"], response.status_code, same]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
