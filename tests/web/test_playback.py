"""Recording and replaying without a socket: a function stands for the live API."""

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
    """What the live API is asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.responses: list[tuple[int, dict[str, str], bytes | OSError]] = []

    def will(self, body: object, kind: str = "application/json", status: int = 200) -> None:
        known = body if isinstance(body, bytes | OSError) else json.dumps(body).encode()
        self.responses.append((status, {"content-type": kind}, known))

    async def forward(
        self, method: str, url: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
    ) -> LiveResponse:
        sent = body if isinstance(body, bytes) else b"".join([piece async for piece in body])
        told = {name.decode(): value.decode() for name, value in headers}
        self.asked.append((method, url, told, sent))
        status, its, data = self.responses.pop(0)
        if isinstance(data, OSError) and status == 0:
            raise data
        raw = [(name.encode(), value.encode()) for name, value in its.items()]
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
    fal.app.forward_by(live.forward)
    return fal


def cassette(folder: Path, number: int) -> Any:
    [path] = folder.glob(f"{number:04}-*.json")
    return json.loads(path.read_text())


def test_the_live_key_is_sent_and_ours_is_not(recorder: Fal, live: Live, folder: Path) -> None:
    live.will({"prompt": f"repeats {KEY}"})
    response = recorder.ask(
        "POST", URL, body=b'{"prompt":"a cat"}', headers={"x-mock-fal": "nsfw", "cookie": "a=b"}
    )
    [(method, url, headers, body)] = live.asked
    assert (method, url, body) == ("POST", URL, b'{"prompt":"a cat"}')
    assert headers["authorization"] == f"Key {KEY}" and headers["accept-encoding"] == "identity"
    assert headers.keys().isdisjoint({"x-mock-fal", "cookie", "host"})
    assert response.json() == {"prompt": f"repeats {KEY}"}
    assert cassette(folder, 1)["response"]["json"] == {"prompt": "repeats REDACTED"}
    assert (
        recorder.journal[0].playback == f"recorded 0001-queue.fal.run-POST-{SCHNELL.replace('/', '-')}.json"
    )


def test_tokens_go_as_they_came_and_nothing_is_added(recorder: Fal, live: Live) -> None:
    live.will(b"", "image/jpeg")
    live.will(b"", "image/jpeg")
    recorder.ask("GET", PICTURE, key=None, headers={"authorization": "Bearer abc"})
    recorder.ask("GET", PICTURE, key=None)
    assert [headers.get("authorization") for _, _, headers, _ in live.asked] == ["Bearer abc", None]


def test_a_key_that_is_not_accepted_asks_nobody(serve: Serve, live: Live, folder: Path) -> None:
    fal = serve(record=str(folder), live_key=KEY, allow_egress=True, key=("alice:secret",))
    fal.app.forward_by(live.forward)
    assert fal.ask("POST", URL, key="bob:secret", body=b"{}").status_code == 401
    assert live.asked == []


def test_other_hosts_are_never_asked(recorder: Fal, live: Live) -> None:
    target = {"x-fal-target-url": "https://example.com/"}
    assert recorder.ask("POST", f"{OURS}/api/fal/proxy", headers=target).status_code == 400
    assert recorder.ask("GET", "https://gateway.fal.ai/").status_code == 501
    assert live.asked == []


def test_by_our_address_links_lead_to_us_and_inputs_to_fal(recorder: Fal, live: Live, folder: Path) -> None:
    live.will(
        {"status_url": f"{URL}/requests/1/status", "base_url": MEDIA, "image": {"url": PICTURE}, "n": 1}
    )
    sent = json.dumps({"image_url": f"{OURS}/v3b.fal.media/files/b/0a/x.jpg"}).encode()
    response = recorder.ask("POST", f"{OURS}/queue.fal.run/{SCHNELL}", body=sent, headers=JSON).json()
    assert response == {
        "status_url": f"{OURS}/queue.fal.run/{SCHNELL}/requests/1/status",
        "base_url": f"{OURS}/v3b.fal.media",
        "image": {"url": f"{OURS}/v3b.fal.media/files/b/0a/x.jpg"},
        "n": 1,
    }
    assert json.loads(live.asked[0][3]) == {"image_url": PICTURE}
    kept = cassette(folder, 1)
    assert (kept["request"]["json"], kept["response"]["json"]["image"]["url"]) == (
        {"image_url": PICTURE},
        PICTURE,
    )


def test_events_are_lines_and_have_links_too(recorder: Fal, live: Live, folder: Path, serve: Serve) -> None:
    events = f'event: a\ndata: {{"url":"{PICTURE}"}}\n\ndata: [\n\n'
    live.will(events.encode() + b"tail", "text/event-stream")
    direct = f"{OURS}/fal.run/{SCHNELL}/stream"
    here = events.replace("https://v3b.fal.media", f"{OURS}/v3b.fal.media").replace(
        'data: {"url":"', 'data: {"url":"'
    )
    assert recorder.ask("POST", direct, body=b"{}").text == here + "tail"
    assert cassette(folder, 1)["response"]["lines"] == (events + "tail").split("\n")
    player = serve(replay=str(folder), strict=True)
    assert player.ask("POST", direct, body=b"{}").text == here + "tail"
    assert player.ask("POST", f"{RUN}/{SCHNELL}/stream", body=b"{}").text == events + "tail"


def test_files_lie_beside_their_cassettes(recorder: Fal, live: Live, folder: Path, serve: Serve) -> None:
    live.will({"access_url": PICTURE})
    live.will(b"\xff\xd8 picture", "image/jpeg")
    upload = f"{MEDIA}/files/upload"
    assert recorder.ask("POST", upload, body=b"\xff\xd8 cat", headers={"content-type": "image/png"}).json()
    assert recorder.ask("GET", PICTURE, key=None).content == b"\xff\xd8 picture"
    assert (folder / "0001.request.png").read_bytes() == b"\xff\xd8 cat" == live.asked[0][3]
    assert (folder / "0002.jpg").read_bytes() == b"\xff\xd8 picture"
    player = serve(replay=str(folder), strict=True)
    assert player.ask("POST", upload, body=b"\xff\xd8 cat").json() == {"access_url": PICTURE}
    assert player.ask("GET", PICTURE, key=None).content == b"\xff\xd8 picture"
    assert player.ask("POST", upload, body=b"\xff\xd8 dog").status_code == 501
    assert player.app.unused_cassettes == []


def test_a_secret_in_a_file_is_overwritten(recorder: Fal, live: Live, folder: Path) -> None:
    live.will({})
    recorder.ask("PUT", f"{PICTURE}?signature=abc", key=None, body=f"my key is {KEY}!".encode())
    assert (folder / "0001.request.bin").read_bytes() == b"my key is REDACTEDREDACTEDREDACTEDR!"
    assert cassette(folder, 1)["request"]["url"] == f"{PICTURE}?signature=REDACTED"


def test_too_much_is_not_forwarded(recorder: Fal, live: Live, folder: Path) -> None:
    live.will({})
    assert recorder.ask("PUT", PICTURE, body=b"x" * 101).status_code == 413
    assert list(folder.iterdir()) == []


def test_a_live_service_that_is_not_there_is_told_and_not_kept(
    recorder: Fal, live: Live, folder: Path
) -> None:
    live.will(ConnectionError("nobody"), status=0)
    response = recorder.ask("POST", URL, body=b"{}")
    assert (response.status_code, response.json()) == (
        502,
        {"detail": "mock-fal: no answer from https://queue.fal.run: nobody"},
    )
    assert list(folder.iterdir()) == []


def test_an_answer_that_breaks_off_is_not_kept(recorder: Fal, live: Live, folder: Path) -> None:
    live.will(ConnectionError("gone"), "text/event-stream")
    with pytest.raises(ConnectionError):
        recorder.ask("POST", f"{RUN}/{SCHNELL}/stream", body=b"{}")
    assert list(folder.iterdir()) == []


def test_who_hangs_up_hangs_up_on_the_live_service(recorder: Fal, folder: Path) -> None:
    over: list[bool] = []

    async def forward(*asked: object) -> LiveResponse:
        try:
            await asyncio.Event().wait()
        finally:
            over.append(True)
        raise AssertionError

    recorder.app.forward_by(forward)
    call = recorder.begin("POST", f"{RUN}/{SCHNELL}", body=b"{}")
    assert (over, call.is_over) == ([], False)
    call.hang_up()
    assert (over, call.is_over, list(folder.iterdir())) == ([True], True, [])


def test_a_folder_with_cassettes_is_not_recorded_to(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.will({})
    recorder.ask("POST", URL, body=b"{}")
    with pytest.raises(SettingsError, match="holds 1 cassettes; expected a folder without any"):
        serve(record=str(folder), live_key=KEY, allow_egress=True)


@pytest.fixture
def player(recorder: Fal, live: Live, folder: Path, serve: Serve) -> Fal:
    """One request, polled three times."""
    live.will({"request_id": "1", "status_url": f"{QUEUE}/fal-ai/flux/requests/1/status"})
    for word in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED"):
        live.will({"status": word}, status=200 if word == "COMPLETED" else 202)
    live.will({"images": [{"url": PICTURE}]})
    recorder.ask("POST", URL, body=b'{"prompt":"a cat","seed":7}')
    for _ in range(3):
        recorder.ask("GET", f"{QUEUE}/fal-ai/flux/requests/1/status")
    recorder.ask("GET", f"{QUEUE}/fal-ai/flux/requests/1")
    return serve(replay=str(folder))


def poll(fal: Fal, key: str = "alice:secret") -> httpx.Response:
    return fal.ask("GET", f"{QUEUE}/fal-ai/flux/requests/1/status", key=key)


def test_states_come_in_their_order_for_each_account(player: Fal) -> None:
    seen = [poll(player) for _ in range(4)]
    assert [each.json()["status"] for each in seen] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "COMPLETED"]
    assert [each.status_code for each in seen] == [202, 202, 200, 200]
    assert poll(player, "bob:secret").json()["status"] == "IN_QUEUE"
    player.app.rewind("alice")
    assert poll(player).json()["status"] == "IN_QUEUE"


def test_who_has_the_result_sees_the_end(player: Fal) -> None:
    assert player.ask("GET", f"{QUEUE}/fal-ai/flux/requests/1").json() == {"images": [{"url": PICTURE}]}
    assert poll(player).json()["status"] == "COMPLETED"


def test_by_our_address_the_recorded_links_lead_to_us(player: Fal) -> None:
    response = player.ask("POST", f"{OURS}/queue.fal.run/{SCHNELL}", body=b'{"seed":7,"prompt":"a cat"}')
    assert response.json()["status_url"] == f"{OURS}/queue.fal.run/fal-ai/flux/requests/1/status"


def test_what_was_not_recorded_is_emulated(player: Fal) -> None:
    handle = player.completed("a dog")
    assert handle.result().json()["prompt"] == "a dog"
    assert {each.playback for each in player.journal} == {"no cassette"}
    assert len(player.app.unused_cassettes) == 5


def test_the_strict_refuse_it_and_say_what_comes_nearest(player: Fal, folder: Path, serve: Serve) -> None:
    strict = serve(replay=str(folder), strict=True)
    refused = strict.ask("POST", URL, body=b'{"prompt":"a dog","seed":7}')
    assert refused.status_code == 501
    assert refused.json()["detail"] == (
        f"mock-fal: no cassette in {folder} answers POST {URL}; the nearest: "
        '0001-queue.fal.run-POST-fal-ai-flux-schnell.json has prompt "a cat", not "a dog"'
    )


def test_a_recorded_file_shows_in_a_placeholder(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.will({"token": "secret"})
    live.will({"access_url": PICTURE})
    recorder.ask("POST", "https://rest.fal.ai/storage/auth/token", body=b"{}")
    recorder.ask("POST", f"{MEDIA}/files/upload", body=b"no picture")
    player = serve(replay=str(folder), clock="auto-advance")
    assert player.ask("POST", "https://rest.fal.ai/storage/auth/token", body=b"{}").json() == {
        "token": "REDACTED"
    }
    known = player.ask(
        "POST", f"{MEDIA}/files/upload", key=None, headers={"authorization": "Bearer REDACTED"}, body=b"x"
    )
    assert known.status_code == 200  # by no token of ours
    response = player.run(endpoint="fal-ai/flux/dev/image-to-image", image_url=PICTURE)
    assert response.json()["detail"][0]["type"] == "image_load_error"  # it was read, and is no picture
    assert json.loads(player.journal[-1].request_body)["image_url"] == PICTURE


def test_an_upload_to_a_recorded_address_must_bring_the_recorded_file(
    recorder: Fal, live: Live, folder: Path, serve: Serve
) -> None:
    live.will({})
    recorder.ask("PUT", f"{PICTURE}?signature=abc", key=None, body=b"a cat")
    player = serve(replay=str(folder))
    assert player.ask("PUT", f"{PICTURE}?signature=REDACTED", key=None, body=b"a cat").status_code == 200
    assert player.ask("PUT", f"{PICTURE}?signature=REDACTED", key=None, body=b"a dog").status_code == 501
    assert player.ask("PUT", f"{PICTURE}?signature=REDACTED", key=None, body=b"x" * 2000).status_code == 501


@pytest.mark.parametrize("kept", ["record", "strict"])
def test_a_websocket_is_refused_with_the_reason(
    kept: str, recorder: Fal, player: Fal, folder: Path, serve: Serve
) -> None:
    fal = recorder if kept == "record" else serve(replay=str(folder), strict=True)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asked = scope("GET", f"wss://fal.run/{SCHNELL}/realtime") | {"type": "websocket"}
    fal.wait_for(fal.app(asked, receive, send))
    assert (sent[-1]["type"], sent[-1]["code"]) == ("websocket.close", 1008)
    assert sent[-1]["reason"].startswith("mock-fal: ")


def test_a_damaged_folder_is_told_at_the_start(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a folder with cassettes"):
        serve(replay=str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="no cassette in it"):
        serve(replay=str(tmp_path))
    (tmp_path / "1.json").write_text("{}")
    with pytest.raises(
        SettingsError, match=r"1\.json: no cassette: expected an object with mock_fal_cassette"
    ):
        serve(replay=str(tmp_path))


def test_a_missing_file_is_told_at_the_start(recorder: Fal, live: Live, folder: Path, serve: Serve) -> None:
    live.will(b"\xff\xd8", "image/jpeg")
    recorder.ask("GET", PICTURE)
    (folder / "0001.jpg").unlink()
    with pytest.raises(SettingsError, match=r"its file 0001\.jpg is missing"):
        serve(replay=str(folder))
