"""Uploads of the official clients, unmodified, whole and in parts, and the memory that a large file needs."""

from __future__ import annotations

import asyncio
import io
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fal_client
import httpx
import pytest
from PIL import Image

from mock_fal import Account, MockFal
from tests.clients.programs import Node, mock_fal_run

MIB = 1 << 20


def is_complete(output: list[object]) -> bool:
    """Whether a file exists and has the bytes that were sent."""
    return output[2:] == [200, True]


def test_every_upload_of_the_python_client(tmp_path: Path) -> None:
    done = mock_fal_run([sys.executable, "-m", "tests.clients.uploads", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    forbidden = output.pop("forbidden")
    assert [name for name in output if not is_complete(output[name])] == []
    assert forbidden[2] == 403
    assert {output[name][1] for name in ("upload_image", "upload_image_async")} == {"image/jpeg"}
    assert all(url.startswith("https://v3b.fal.media/files/b/") for url, *_ in output.values())
    assert "failed: 403" in done.stderr


def test_every_upload_of_the_javascript_client(node: Node, mock_fal: Account) -> None:
    output = node("upload.mjs")
    assert (output["file"]["same"], output["file"]["type"]) == (True, "text/plain")
    assert output["file"]["url"].endswith("_s%C3%B8ster_1.txt")
    assert (output["blob"]["same"], output["blob"]["type"]) == (True, "application/octet-stream")
    assert (output["large"]["same"], output["large"]["type"]) == (True, "video/mp4")
    assert output["forbidden"]["status"] == 403


def test_a_blob_in_an_input_becomes_a_file_url(newest_node: Node, mock_fal: Account) -> None:
    newest_node("upload.mjs")
    submitted = next(exchange.json for exchange in mock_fal.requests if exchange.host == "queue.fal.run")
    urls = [submitted["extra"]["image_url"], *submitted["extra"]["list"]]
    assert [httpx.get(url).content for url in urls] == [b"a cat", b"a cat"]


@pytest.fixture(scope="module")
def server() -> Iterator[MockFal]:
    with MockFal() as fal:
        yield fal


def test_upload_through_the_proxy_protocol(newest_node: Node, server: MockFal) -> None:
    output = newest_node("upload_proxied.mjs", server.url, env={"PATH": os.environ["PATH"]})
    assert output["url"].startswith(f"{server.url}/v3b.fal.media/files/b/")
    assert output["text"] == "a cat"


def test_the_python_client_raises_for_an_upload_over_the_limit() -> None:
    """The client then tries a fallback, which no longer exists; the reason is in its log."""
    program = 'import fal_client; fal_client.upload(bytes(9 << 20), "video/mp4")'
    done = mock_fal_run([sys.executable, "-c", program], "--max-upload", "8M")
    assert done.returncode == 1
    assert "the upload is larger than 8388608 bytes; --max-upload raises the limit" in done.stderr
    assert "Invalid storage type" in done.stderr


def test_an_uploaded_picture_appears_in_the_result(mock_fal: Account) -> None:
    night = Image.new("RGB", (320, 240), "black")
    night.paste("white", (0, 0, 160, 240))
    url = asyncio.run(fal_client.upload_image_async(night, "png"))
    arguments = {"prompt": "a cat", "image_url": url}
    made = fal_client.run("fal-ai/flux/dev/image-to-image", arguments)["images"][0]
    with Image.open(io.BytesIO(httpx.get(made["url"]).content)) as picture:
        grey = picture.convert("L")
    left, right = (grey.crop((x, 0, x + 160, 99)).resize((1, 1)).tobytes() for x in (0, 160))
    assert (made["width"], made["height"], left > right) == (320, 240, True)


def test_a_reset_deletes_files(mock_fal: Account) -> None:
    # Without `fal_client.upload`, which never closes its connection: here warnings are errors.
    url = asyncio.run(fal_client.upload_async(b"a cat", "text/plain"))
    assert httpx.get(url).status_code == 200
    mock_fal.reset()
    assert httpx.get(url).status_code == 404


# -- memory


@pytest.fixture
def process() -> Iterator[tuple[int, str]]:
    """A server in a separate process: its process id and its address."""
    command = [sys.executable, "-m", "mock_fal", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        yield running.pid, first.split(" at ")[1].split()[0]
        running.terminate()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("way", ["gateway", "direct"])
def test_an_upload_of_500_mb_costs_less_than_64_mb_of_memory(process: tuple[int, str], way: str) -> None:
    """Through the gateway, TLS and the tunnel are in the same process too."""
    pid, url = process
    gateway = httpx.post(f"{url}/_mock/gateway").json()  # opened in both cases: it needs memory once
    with httpx.Client() if way == "direct" else _through(gateway) as client:
        before = _peak_mib(pid)
        base = "https://v3.fal.media" if way == "gateway" else f"{url}/v3.fal.media"
        headers = {"authorization": "Key ana:secret"}
        response = client.post(f"{base}/files/upload", headers=headers, content=_zeros(500), timeout=60)
        file = response.json()["access_url"]
        after = _peak_mib(pid)
        assert client.head(file).headers["content-length"] == str(500 * MIB)
        with client.stream("GET", file) as download:
            assert sum(len(piece) for piece in download.iter_raw()) == 500 * MIB
    read = _peak_mib(pid)
    assert (after - before < 64, read - before < 64) == (True, True), f"{before}, {after}, {read} MiB"


def _through(gateway: dict[str, str]) -> httpx.Client:
    password = json.loads(Path(gateway["secrets_file"]).read_text("ascii"))["proxy_password"]
    return httpx.Client(
        proxy=httpx.Proxy(gateway["proxy_url"], auth=("run", password)),
        verify=ssl.create_default_context(cafile=gateway["ca_file"]),
    )


def _zeros(mib: int) -> Iterator[bytes]:
    for _ in range(mib):
        yield bytes(MIB)


def _peak_mib(pid: int) -> int:
    """The peak memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024
