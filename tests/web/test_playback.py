"""Recording and replaying without sockets: a function stands in for the live API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mock_fal.cassettes.cassette import LiveResponse
from mock_fal.errors import SettingsError
from mock_fal.journal.exchanges import RawHeaders
from tests.web.conftest import MEDIA, OURS, QUEUE, RUN, SCHNELL, Fal, Serve, scope

KEY = "live:4fd1c0ffee4fd1c0ffee"
PICTURE = "https://v3b.fal.media/files/b/0a/x.jpg"
URL = f"{QUEUE}/{SCHNELL}"
JSON = {"content-type": "application/json"}


class Live:
    """The requests to the live API and its prepared responses."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.responses: list[tuple[int, dict[str, str], bytes | OSError]] = []

    def respond_with(self, body: object, content_type: str = "application/json", status: int = 200) -> None:
        data = body if isinstance(body, bytes | OSError) else json.dumps(body).encode()
        self.responses.append((status, {"content-type": content_type}, data))

    async def forward(
        self, method: str, url: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
    ) -> LiveResponse:
        sent = body if isinstance(body, bytes) else b"".join([piece async for piece in body])
        header_values = {name.decode(): value.decode() for name, value in headers}
        self.requests.append((method, url, header_values, sent))
        status, response_headers, data = self.responses.pop(0)
        if isinstance(data, OSError) and status == 0:
            raise data
        raw = [(name.encode(), value.encode()) for name, value in response_headers.items()]
        return LiveResponse(status, raw, _pieces(data))


async def _pieces(data: bytes | OSError) -> AsyncIterator[bytes]:
    if isinstance(data, OSError):
        yield b"data: 1\n\n"
        raise data
    for at in range(0, len(data), 7):
        yield data[at : at + 7]


@pytest.fixture
def live() -> Live:
    return Live()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cassettes"


@pytest.fixture
def recorder(serve: Serve, live: Live, folder: Path) -> Fal:
    fal = serve(record=str(folder), live_key=KEY, allow_egress=True, max_upload=100)
    fal.emulator.keys.run_secret = "secret"  # the random secret of a run: that of the key in these tests
    fal.app.set_forward(live.forward)
    return fal


def cassette(folder: Path, number: int) -> Any:
    [path] = folder.glob(f"{number:04}-*.json")
    return json.loads(path.read_text())


def test_the_live_key_is_sent_instead_of_ours(recorder: Fal, live: Live, folder: Path) -> None:
    live.respond_with({"prompt": f"repeats {KEY}"})
    response = recorder.request(
        "POST", URL, body=b'{"prompt":"a cat"}', headers={"x-mock-fal": "nsfw", "cookie": "a=b"}
    )
    [(method, url, headers, body)] = live.requests
    assert (method, url, body) == ("POST", URL, b'{"prompt":"a cat"}')
    assert headers["authorization"] == f"Key {KEY}" and headers["accept-encoding"] == "identity"
    assert headers.keys().isdisjoint({"x-mock-fal", "cookie", "host"})
    assert response.json() == {"prompt": f"repeats {KEY}"}
    assert cassette(folder, 1)["response"]["json"] == {"prompt": "repeats REDACTED"}
    assert (
        recorder.journal[0].playback == f"recorded 0001-queue.fal.run-POST-{SCHNELL.replace('/', '-')}.json"
    )


def test_tokens_are_forwarded_unchanged_and_no_key_is_added(recorder: Fal, live: Live) -> None:
    live.respond_with(b"", "image/jpeg")
    live.respond_with(b"", "image/jpeg")
    recorder.request("GET", PICTURE, key=None, headers={"authorization": "Bearer abc"})
    recorder.request("GET", PICTURE, key=None)
    assert [headers.get("authorization") for _, _, headers, _ in live.requests] == ["Bearer abc", None]


def test_a_key_without_a_secret_is_rejected_as_by_fal(recorder: Fal, live: Live) -> None:
    response = recorder.request("POST", URL, key="alice", body=b"{}")
    assert (response.status_code, live.requests) == (401, [])
    assert "Authentication is required" in response.json()["detail"]


def test_requests_to_other_hosts_are_not_forwarded(recorder: Fal, live: Live) -> None:
    target = {"x-fal-target-url": "https://example.com/"}
    assert recorder.request("POST", f"{OURS}/api/fal/proxy", headers=target).status_code == 400
    assert recorder.request("GET", "https://gateway.fal.ai/").status_code == 501
    assert live.requests == []


def test_below_our_address_links_are_local_and_inputs_have_fals_urls(
    recorder: Fal, live: Live, folder: Path
) -> None:
    live.respond_with(
        {"status_url": f"{URL}/requests/1/status", "base_url": MEDIA, "image": {"url": PICTURE}, "n": 1}
    )
    sent = json.dumps({"image_url": f"{OURS}/v3b.fal.media/files/b/0a/x.jpg"}).encode()
    response = recorder.request("POST", f"{OURS}/queue.fal.run/{SCHNELL}", body=sent, headers=JSON).json()
    assert response == {
        "status_url": f"{OURS}/queue.fal.run/{SCHNELL}/requests/1/status",
        "base_url": f"{OURS}/v3b.fal.media",
        "image": {"url": f"{OURS}/v3b.fal.media/files/b/0a/x.jpg"},
        "n": 1,
    }
    assert json.loads(live.requests[0][3]) == {"image_url": PICTURE}
    saved = cassette(folder, 1)
    assert (saved["request"]["json"], saved["response"]["json"]["image"]["url"]) == (
        {"image_url": PICTURE},
        PICTURE,
    )


def test_event_streams_are_saved_as_lines_and_have_links(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    events = f'event: a\ndata: {{"url":"{PICTURE}"}}\n\ndata: [\n\n'
    live.respond_with(events.encode() + b"tail", "text/event-stream")
    direct = f"{OURS}/fal.run/{SCHNELL}/stream"
    local_events = events.replace("https://v3b.fal.media", f"{OURS}/v3b.fal.media").replace(
        'data: {"url":"', 'data: {"url":"'
    )
    assert recorder.request("POST", direct, body=b"{}").text == local_events + "tail"
    assert cassette(folder, 1)["response"]["lines"] == (events + "tail").split("\n")
    player = serve(replay=str(folder), strict=True)
    assert player.request("POST", direct, body=b"{}").text == local_events + "tail"
    assert player.request("POST", f"{RUN}/{SCHNELL}/stream", body=b"{}").text == events + "tail"


def test_files_are_saved_beside_their_cassettes(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.respond_with({"access_url": PICTURE})
    live.respond_with(b"\xff\xd8 picture", "image/jpeg")
    upload = f"{MEDIA}/files/upload"
    assert recorder.request(
        "POST", upload, body=b"\xff\xd8 cat", headers={"content-type": "image/png"}
    ).json()
    assert recorder.request("GET", PICTURE, key=None).content == b"\xff\xd8 picture"
    assert (folder / "0001.request.png").read_bytes() == b"\xff\xd8 cat" == live.requests[0][3]
    assert (folder / "0002.jpg").read_bytes() == b"\xff\xd8 picture"
    player = serve(replay=str(folder), strict=True)
    assert player.request("POST", upload, body=b"\xff\xd8 cat").json() == {"access_url": PICTURE}
    assert player.request("GET", PICTURE, key=None).content == b"\xff\xd8 picture"
    assert player.request("POST", upload, body=b"\xff\xd8 dog").status_code == 501
    assert player.app.unused_cassettes == []


def test_a_secret_in_a_file_is_redacted(recorder: Fal, live: Live, folder: Path) -> None:
    live.respond_with({})
    recorder.request("PUT", f"{PICTURE}?signature=abc", key=None, body=f"my key is {KEY}!".encode())
    assert (folder / "0001.request.bin").read_bytes() == b"my key is REDACTEDREDACTEDREDACTEDR!"
    assert cassette(folder, 1)["request"]["url"] == f"{PICTURE}?signature=REDACTED"


def test_a_body_that_is_too_large_is_not_forwarded(recorder: Fal, live: Live, folder: Path) -> None:
    live.respond_with({})
    assert recorder.request("PUT", PICTURE, body=b"x" * 101).status_code == 413
    assert list(folder.iterdir()) == []


def test_an_unreachable_live_service_is_a_502_and_not_saved(recorder: Fal, live: Live, folder: Path) -> None:
    live.respond_with(ConnectionError("nobody"), status=0)
    response = recorder.request("POST", URL, body=b"{}")
    assert (response.status_code, response.json()) == (
        502,
        {"detail": "mock-fal: no response from https://queue.fal.run: nobody"},
    )
    assert list(folder.iterdir()) == []


def test_an_incomplete_response_is_not_saved(recorder: Fal, live: Live, folder: Path) -> None:
    live.respond_with(ConnectionError("gone"), "text/event-stream")
    with pytest.raises(ConnectionError):
        recorder.request("POST", f"{RUN}/{SCHNELL}/stream", body=b"{}")
    assert list(folder.iterdir()) == []


def test_a_disconnect_closes_the_connection_to_the_live_service(recorder: Fal, folder: Path) -> None:
    closed: list[bool] = []

    async def forward(*arguments: object) -> LiveResponse:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)
        raise AssertionError

    recorder.app.set_forward(forward)
    call = recorder.start_request("POST", f"{RUN}/{SCHNELL}", body=b"{}")
    assert (closed, call.is_over) == ([], False)
    call.disconnect()
    assert (closed, call.is_over, list(folder.iterdir())) == ([True], True, [])


def test_recording_needs_a_folder_without_cassettes(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.respond_with({})
    recorder.request("POST", URL, body=b"{}")
    with pytest.raises(SettingsError, match="contains 1 cassettes, expected a folder without cassettes"):
        serve(record=str(folder), live_key=KEY, allow_egress=True)


@pytest.fixture
def player(recorder: Fal, live: Live, folder: Path, serve: Serve) -> Fal:
    """A replay of one request that was polled three times."""
    live.respond_with({"request_id": "1", "status_url": f"{QUEUE}/fal-ai/flux/requests/1/status"})
    for status in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED"):
        live.respond_with({"status": status}, status=200 if status == "COMPLETED" else 202)
    live.respond_with({"images": [{"url": PICTURE}]})
    recorder.request("POST", URL, body=b'{"prompt":"a cat","seed":7}')
    for _ in range(3):
        recorder.request("GET", f"{QUEUE}/fal-ai/flux/requests/1/status")
    recorder.request("GET", f"{QUEUE}/fal-ai/flux/requests/1")
    return serve(replay=str(folder))


def poll(fal: Fal, key: str = "alice:secret") -> httpx.Response:
    return fal.request("GET", f"{QUEUE}/fal-ai/flux/requests/1/status", key=key)


def test_each_account_gets_the_statuses_in_order(player: Fal) -> None:
    responses = [poll(player) for _ in range(4)]
    assert [response.json()["status"] for response in responses] == [
        "IN_QUEUE",
        "IN_PROGRESS",
        "COMPLETED",
        "COMPLETED",
    ]
    assert [response.status_code for response in responses] == [202, 202, 200, 200]
    assert poll(player, "bob:secret").json()["status"] == "IN_QUEUE"
    player.app.rewind("alice")
    assert poll(player).json()["status"] == "IN_QUEUE"


def test_after_the_result_the_status_is_the_last_one(player: Fal) -> None:
    assert player.request("GET", f"{QUEUE}/fal-ai/flux/requests/1").json() == {"images": [{"url": PICTURE}]}
    assert poll(player).json()["status"] == "COMPLETED"


def test_below_our_address_recorded_links_are_local(player: Fal) -> None:
    response = player.request("POST", f"{OURS}/queue.fal.run/{SCHNELL}", body=b'{"seed":7,"prompt":"a cat"}')
    assert response.json()["status_url"] == f"{OURS}/queue.fal.run/fal-ai/flux/requests/1/status"


def test_requests_without_a_cassette_are_emulated(player: Fal) -> None:
    handle = player.completed("a dog")
    assert handle.result().json()["prompt"] == "a dog"
    assert {exchange.playback for exchange in player.journal} == {"no cassette"}
    assert len(player.app.unused_cassettes) == 5


def test_strict_rejects_them_and_names_the_nearest_cassette(player: Fal, folder: Path, serve: Serve) -> None:
    strict = serve(replay=str(folder), strict=True)
    response = strict.request("POST", URL, body=b'{"prompt":"a dog","seed":7}')
    assert response.status_code == 501
    assert response.json()["detail"] == (
        f"mock-fal: no cassette in {folder} matches POST {URL}; the nearest: "
        '0001-queue.fal.run-POST-fal-ai-flux-schnell.json has prompt "a cat", not "a dog"'
    )


def test_the_emulated_host_reads_recorded_files(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.respond_with({"token": "secret"})
    live.respond_with({"access_url": PICTURE})
    recorder.request("POST", "https://rest.fal.ai/storage/auth/token", body=b"{}")
    recorder.request("POST", f"{MEDIA}/files/upload", body=b"no picture")
    player = serve(replay=str(folder), clock="auto-advance")
    assert player.request("POST", "https://rest.fal.ai/storage/auth/token", body=b"{}").json() == {
        "token": "REDACTED"
    }
    uploaded = player.request(
        "POST", f"{MEDIA}/files/upload", key=None, headers={"authorization": "Bearer REDACTED"}, body=b"x"
    )
    assert uploaded.status_code == 200  # the recorded token is accepted
    response = player.run(endpoint="fal-ai/flux/dev/image-to-image", image_url=PICTURE)
    assert (
        response.json()["detail"][0]["type"] == "image_load_error"
    )  # the file was read, and it is not a picture
    assert json.loads(player.journal[-1].request_body)["image_url"] == PICTURE


def test_an_upload_to_a_recorded_url_must_have_the_recorded_file(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.respond_with({})
    recorder.request("PUT", f"{PICTURE}?signature=abc", key=None, body=b"a cat")
    player = serve(replay=str(folder))
    assert player.request("PUT", f"{PICTURE}?signature=REDACTED", key=None, body=b"a cat").status_code == 200
    assert player.request("PUT", f"{PICTURE}?signature=REDACTED", key=None, body=b"a dog").status_code == 501
    assert (
        player.request("PUT", f"{PICTURE}?signature=REDACTED", key=None, body=b"x" * 2000).status_code == 501
    )


@pytest.mark.parametrize("mode", ["record", "strict"])
def test_a_websocket_is_closed_with_a_reason(
    mode: str, recorder: Fal, player: Fal, folder: Path, serve: Serve
) -> None:
    fal = recorder if mode == "record" else serve(replay=str(folder), strict=True)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    handshake = scope("GET", f"wss://fal.run/{SCHNELL}/realtime") | {"type": "websocket"}
    fal.wait_for(fal.app(handshake, receive, send))
    assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", 1008)
    assert sent[-1]["reason"].startswith("mock-fal: ")


def test_a_damaged_folder_is_an_error_at_the_start(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a folder with cassettes"):
        serve(replay=str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="contains no cassettes"):
        serve(replay=str(tmp_path))
    (tmp_path / "1.json").write_text("{}")
    with pytest.raises(SettingsError, match=r"1\.json: invalid cassette: expected an object with"):
        serve(replay=str(tmp_path))


def test_a_missing_file_is_an_error_at_the_start(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.respond_with(b"\xff\xd8", "image/jpeg")
    recorder.request("GET", PICTURE)
    (folder / "0001.jpg").unlink()
    with pytest.raises(SettingsError, match=r"the file 0001\.jpg is missing"):
        serve(replay=str(folder))
