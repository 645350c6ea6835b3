"""The exchanges of a call as cassettes, which --replay reads."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from mock_fal.cassettes.cassette import JsonBody
from mock_fal.cassettes.folder import read_cassettes
from mock_fal.web.control.call_cassettes import MAX_TEXT_BYTES
from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal, Serve

CALLS = f"{OURS}/_mock/calls"


def unpacked(fal: Fal, call_id: str, folder: Path) -> Path:
    response = fal.request("GET", f"{CALLS}/{call_id}/cassettes", key=None)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"] == f'attachment; filename="mock-fal-{call_id}.zip"'
    with ZipFile(BytesIO(response.content)) as archive:
        archive.extractall(folder)
    return folder


def test_the_cassettes_of_a_call_can_be_replayed(fal: Fal, serve: Serve, tmp_path: Path) -> None:
    """Also those of a client that had mock-fal's address as its base URL."""
    handle = fal.completed("a cat", seed=7, at=f"{OURS}/queue.fal.run")
    handle.status()
    result = handle.result().json()
    folder = unpacked(fal, handle.id, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "0001-queue.fal.run-POST-fal-ai-flux-schnell.json",
        "0002-queue.fal.run-GET-fal-ai-flux-requests-status.json",
        "0003-queue.fal.run-GET-fal-ai-flux-requests.json",
    ]
    player = serve(replay=str(folder), strict=True)
    again = player.submit("a cat", seed=7)
    assert again.id == handle.id
    replayed = again.result().json()
    assert replayed["seed"] == result["seed"]
    assert replayed["images"][0]["url"].startswith("https://v3b.fal.media/")


def test_cassettes_have_no_secrets(fal: Fal, tmp_path: Path) -> None:
    key = "alice:s3cr3t-0f-alice"
    handle = fal.submit(f"a cat of {key}", key=key, query="?api_token=s3cr3t")
    folder = unpacked(fal, handle.id, tmp_path)
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "s3cr3t" not in text and '"authorization": "Key REDACTED"' in text


def test_bodies_that_are_no_text_are_files(fal: Fal, tmp_path: Path) -> None:
    handle = fal.submit(body=b"\xff\x00")
    folder = unpacked(fal, handle.id, tmp_path)
    assert (folder / "0001.request.bin").read_bytes() == b"\xff\x00"
    [cassette] = read_cassettes(str(folder)).values()
    assert cassette.status == 200


def test_the_same_exchanges_give_the_same_file(fal: Fal) -> None:
    handle = fal.submit()
    files = [fal.request("GET", f"{CALLS}/{handle.id}/cassettes").content for _ in range(2)]
    assert files[0] == files[1]


def test_an_event_stream_is_text(fal: Fal, tmp_path: Path) -> None:
    handle = fal.submit()
    watcher = handle.watch()
    fal.advance(60)
    watcher.response()
    folder = unpacked(fal, handle.id, tmp_path)
    stream = json.loads(
        (folder / "0002-queue.fal.run-GET-fal-ai-flux-requests-status-stream.json").read_text()
    )
    assert stream["response"]["lines"][0].startswith("data: ")


def test_without_a_finished_exchange_there_are_no_cassettes(fal: Fal) -> None:
    handle = fal.submit()
    fal.emulator.store.exchanges.clear()
    response = fal.request("GET", f"{CALLS}/{handle.id}/cassettes")
    assert (response.status_code, response.json()["detail"]) == (
        409,
        f"mock-fal: no finished exchange of {handle.id!r} is stored",
    )


def test_the_size_is_limited(fal: Fal, monkeypatch: object) -> None:
    handle = fal.submit()
    exchange = fal.journal[0]
    exchange.response_body = bytes((64 << 20) + 1)
    response = fal.request("GET", f"{CALLS}/{handle.id}/cassettes")
    assert response.status_code == 409
    assert "expected at most 67108864" in response.json()["detail"]


def test_a_refused_call_is_one_cassette(fal: Fal, tmp_path: Path) -> None:
    fal.request("POST", f"{QUEUE}/fal-ai/nope", body=b"{}")
    [cassette] = read_cassettes(str(unpacked(fal, "exchange-1", tmp_path))).values()
    assert (cassette.status, cassette.url) == (404, f"{QUEUE}/fal-ai/nope")
    assert SCHNELL not in cassette.url


def test_the_text_of_a_body_is_limited_and_its_files_are_not_searched(fal: Fal, tmp_path: Path) -> None:
    image = f"data:image/png;base64,{'QUFB' * 300_000}"
    fal.request("POST", f"{QUEUE}/fal-ai/nope", json={"prompt": "a hat", "image_url": image})
    [cassette] = read_cassettes(str(unpacked(fal, "exchange-1", tmp_path))).values()
    assert isinstance(cassette.request_body, JsonBody)
    assert cassette.request_body.value == {"prompt": "a hat", "image_url": image}
    fal.request("POST", f"{QUEUE}/fal-ai/nope", json={"prompt": "x" * MAX_TEXT_BYTES})
    response = fal.request("GET", f"{CALLS}/exchange-2/cassettes")
    assert response.status_code == 409
    assert "beside its data URIs, expected at most 262144" in response.json()["detail"]
