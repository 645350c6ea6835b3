"""WebSockets without a socket: the handshake, what is said, and how it ends, by a clock that the test moves."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import httpx
import msgpack  # type: ignore[import-untyped]  # it brings no types
import pytest

from mock_fal.web.sockets.realtime import Realtime
from tests.web.conftest import NONE, RUN_S, Fal, Serve, scope

LCM = "wss://fal.run/fal-ai/fast-lcm-diffusion/realtime"
KLEIN = "wss://fal.run/fal-ai/flux-2/klein/realtime"
SCHNELL = "wss://ws.fal.run/fal-ai/flux/schnell"
LLM_STREAM = "wss://ws.fal.run/fal-ai/any-llm/stream"
CAT = {"prompt": "a cat", "seed": 7, "image_size": {"width": 64, "height": 48}}
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0"
    "Y4OHwAAAABJRU5ErkJggg=="
)
TIMEOUT = {"type": "x-fal-error", "error": "TIMEOUT", "reason": "no inputs, reconnect when needed!"}

# Nothing here takes so long; a test that hangs fails instead.
PATIENCE_S = 20.0


class Talk:
    """One WebSocket, and what has come of it so far."""

    def __init__(
        self, fal: Fal, url: str, *, key: str | None = "alice:secret", headers: Mapping[str, str] = NONE
    ) -> None:
        credentials = {"authorization": f"Key {key}"} if key else {}
        self._fal = fal
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._news = asyncio.Event()
        self._sent: list[dict[str, Any]] = []
        handshake = {**scope("GET", url, {**credentials, **headers}), "type": "websocket"}
        self._task = fal.start(fal.app(handshake, self._incoming.get, self._send))

    def say(self, message: object, *, packed: bool = True) -> None:
        """Send an input, in msgpack or as the text that it is in JSON; a string or bytes as they are."""
        if not isinstance(message, str | bytes):
            message = msgpack.packb(message) if packed else json.dumps(message)
        name = "text" if isinstance(message, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", name: message})
        self._fal.wait_for_deliveries()

    def hang_up(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})
        self._end()

    def _end(self) -> None:
        self._fal.wait_for(asyncio.wait_for(self._task, PATIENCE_S))

    @property
    def frames(self) -> list[Any]:
        """All that came, read: msgpack of binary frames that hold it, JSON of texts."""
        return [_read(event) for event in self._sent if event["type"] == "websocket.send"]

    def hear(self, number: int) -> list[Any]:
        """The same, when there are so many."""

        async def heard() -> None:
            async with asyncio.timeout(PATIENCE_S):
                while len(self.frames) < number:
                    self._news.clear()
                    await self._news.wait()

        self._fal.wait_for(heard())
        return self.frames

    @property
    def accepted(self) -> bool:
        return bool(self._sent[0]["type"] == "websocket.accept")

    @property
    def closed(self) -> tuple[int, str] | None:
        """Code and reason with which it was closed."""
        last = self._sent[-1]
        return (last["code"], last["reason"]) if last["type"] == "websocket.close" else None

    @property
    def refused(self) -> httpx.Response:
        """What the handshake was answered in place of a socket."""
        self._end()
        head, body = self._sent
        assert (head["type"], body["type"]) == (
            "websocket.http.response.start",
            "websocket.http.response.body",
        )
        return httpx.Response(head["status"], headers=head["headers"], content=body["body"])

    async def _send(self, event: Any) -> None:
        self._sent.append(event)
        self._news.set()


def _read(event: dict[str, Any]) -> Any:
    if "text" in event:
        return json.loads(event["text"])
    data: bytes = event["bytes"]
    return data if data[:1] in (b"{", b"d", b"e") else msgpack.unpackb(data)


def token(fal: Fal, *apps: str, lives_s: float = 120, key: str = "alice:secret") -> str:
    body = json.dumps({"allowed_apps": list(apps), "token_expiration": lives_s}).encode()
    issued: str = fal.ask("POST", "https://rest.fal.ai/tokens/", key=key, body=body).json()
    return issued


# -- realtime: what comes back


def test_a_result_comes_in_msgpack_and_its_picture_as_bytes(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    talk.say(CAT)
    assert talk.frames == []
    fal.advance(RUN_S)
    result, timings = talk.hear(2)
    [image] = result["images"]
    assert list(image) == ["content", "content_type", "height", "width"]
    assert image["content"].startswith(b"\xff\xd8\xff")
    assert (image["content_type"], image["height"], image["width"]) == ("image/jpeg", 48, 64)
    assert (result["seed"], result["prompt"], result["has_nsfw_concepts"]) == (7, "a cat", [False])
    assert timings == {"type": "x-fal-message", "action": "timings", "timing": RUN_S}


def test_a_text_is_read_as_json(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    talk.say(CAT, packed=False)
    fal.advance(RUN_S)
    assert talk.hear(2)[0]["seed"] == 7


def test_klein_answers_its_published_path(fal: Fal) -> None:
    talk = Talk(fal, KLEIN)
    talk.say({"image_url": DOT, "seed": 9})
    fal.advance(RUN_S)
    result, _ = talk.hear(2)
    assert list(result) == ["images", "seed"]
    assert list(result["images"][0]) == ["content", "content_type", "height", "width"]
    assert fal.journal[0].endpoint == "fal-ai/flux-2/klein/realtime"


def test_bytes_in_an_input_stand_for_their_data_uri(fal: Fal) -> None:
    talk = Talk(fal, KLEIN)
    talk.say({"image_url": b"GIF89a"})
    assert fal.journal == []
    fal.advance(RUN_S)
    talk.hear(1)
    assert fal.journal[0].json == {"image_url": "data:application/octet-stream;base64,R0lGODlh"}


def test_a_result_bears_the_name_of_its_input(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    talk.say({**CAT, "request_id": "first"})
    fal.advance(RUN_S)
    assert talk.hear(2)[0]["request_id"] == "first"


def test_inputs_are_answered_one_after_the_other(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    for seed in (1, 2, 3):
        talk.say({**CAT, "seed": seed})
    fal.advance(RUN_S)
    assert [frame["seed"] for frame in talk.hear(2)[::2]] == [1]
    fal.wait_for_deliveries()
    fal.advance(RUN_S)
    assert [frame["seed"] for frame in talk.hear(4)[::2]] == [1, 2]
    fal.wait_for_deliveries()
    fal.advance(RUN_S)
    assert [frame["seed"] for frame in talk.hear(6)[::2]] == [1, 2, 3]


def test_the_oldest_of_too_many_that_wait_is_dropped(fal: Fal) -> None:
    talk = Talk(fal, f"{LCM}?max_buffering=2")
    for seed in (1, 2, 3, 4, 5):
        talk.say({**CAT, "seed": seed})
    for frames in (2, 4, 6):
        fal.advance(RUN_S)
        talk.hear(frames)
        fal.wait_for_deliveries()
    assert [frame["seed"] for frame in talk.frames[::2]] == [1, 4, 5]


def test_a_stepping_clock_goes_on_with_each_input_and_never_by_itself(auto_advance: Fal) -> None:
    talk = Talk(auto_advance, LCM)
    auto_advance.wait_for_deliveries()
    assert talk.accepted and talk.closed is None
    talk.say(CAT)
    assert talk.hear(2)[0]["seed"] == 7
    assert talk.closed is None


# -- realtime: how it ends


def test_who_sends_nothing_for_half_a_minute_is_told_to_come_again(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    fal.advance(29.9)
    assert talk.frames == []
    fal.advance(0.1)
    assert talk.frames == [TIMEOUT]
    assert talk.closed == (1000, "")


def test_each_input_begins_the_half_minute_anew(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    fal.advance(20)
    talk.say(CAT)
    fal.advance(RUN_S)
    talk.hear(2)
    fal.advance(21)
    assert talk.closed is None
    fal.advance(1)
    assert talk.frames[2:] == [TIMEOUT]


def test_what_is_at_work_is_answered_before_the_end(serve: Serve) -> None:
    fal = serve(run_duration=40)
    talk = Talk(fal, LCM)
    talk.say(CAT)
    fal.advance(30)
    assert talk.frames == []
    fal.advance(10)
    result, timings, end = talk.hear(3)
    assert (result["seed"], timings["timing"], end) == (7, 40, TIMEOUT)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"seed": 1}, "1 validation error\nprompt\n  Field required [type=missing]"),
        (
            {"seed": "x"},
            "2 validation errors\nprompt\n  Field required [type=missing]\n"
            "seed\n  Input should be a valid integer, unable to parse string as an integer [type=int_parsing]",
        ),
        ([1], "argument after ** must be a mapping, not list"),
        (b"\xc1", "FormatError"),
        (b"\xa5ab", "Unpack failed: incomplete input"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\x81\xa1a\xd6\xff\x00\x00\x00\x01", "Timestamp has no place in an input"),
        ({"prompt": "[mock: error=content_policy_violation]"}, "1 validation error\nprompt\n  The content"),
        ({"prompt": "[mock: error=runner_disconnected]"}, "Runner disconnected"),
    ],
)
def test_an_input_that_fails_ends_the_session_with_its_reason(fal: Fal, message: object, reason: str) -> None:
    talk = Talk(fal, LCM)
    talk.say(message)
    fal.advance(RUN_S)
    [error] = talk.hear(1)
    assert (error["type"], error["error"]) == ("x-fal-error", "INTERNAL_ERROR")
    assert error["reason"].startswith(reason)
    fal.wait_for_deliveries()
    assert talk.closed == (1000, "")


@pytest.mark.parametrize(
    "asked", [{**CAT, "seed": 1 << 64}, {**CAT, "prompt": "\ud800"}, {**CAT, "request_id": -1 << 70}]
)
def test_a_result_that_msgpack_cannot_hold_ends_the_session(fal: Fal, asked: object) -> None:
    talk = Talk(fal, LCM)
    talk.say(asked, packed=False)
    fal.advance(RUN_S)
    [error] = talk.hear(1)
    assert error["error"] == "INTERNAL_ERROR"


def test_a_directive_that_cannot_be_read_is_told(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    talk.say({"prompt": "[mock: wait=1]"})
    [error] = talk.hear(1)
    assert error["reason"].startswith("mock-fal: ")
    assert fal.journal[0].status == 400


@pytest.mark.parametrize("directive", ["status=429", "connection=hang", "error=internal_error"])
def test_a_directive_that_asks_for_another_answer_ends_the_session(fal: Fal, directive: str) -> None:
    talk = Talk(fal, LCM)
    talk.say({"prompt": f"[mock: {directive}]"})
    fal.advance(RUN_S)
    assert talk.hear(1)[0]["type"] == "x-fal-error"
    assert fal.journal[0].status >= 400


def test_who_hangs_up_ends_what_is_at_work(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    talk.say(CAT)
    talk.hang_up()
    [exchange] = fal.journal
    assert (exchange.method, exchange.status) == ("WS", 499)
    assert exchange.request_id is not None
    request = fal.emulator.store.requests[exchange.request_id]
    assert request.schedule.ends_at == fal.clock.now()


def test_who_hangs_up_while_nothing_is_at_work_leaves_no_trace(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    talk.hang_up()
    assert talk.accepted and fal.journal == []


# -- realtime: who may


def test_a_token_opens_it_for_its_account(fal: Fal) -> None:
    granted = token(fal, "fast-lcm-diffusion", key="bob:secret")
    talk = Talk(fal, f"{LCM}?fal_jwt_token={granted}&max_buffering=60", key=None)
    talk.say(CAT)
    fal.advance(RUN_S)
    talk.hear(2)
    assert fal.journal[-1].tenant == "bob"


def test_a_realtime_token_opens_it_too(fal: Fal) -> None:
    body = b'{"allowed_apps": ["fal-ai/flux-2/klein/realtime"], "duration": 120}'
    granted = fal.ask("POST", "https://rest.fal.ai/tokens/realtime", body=body).json()["token"]
    assert Talk(fal, f"{KLEIN}?fal_jwt_token={granted}", key=None).closed is None


@pytest.mark.parametrize("stale", [True, False], ids=["over", "made up"])
def test_a_bad_token_is_told_in_a_frame(fal: Fal, stale: bool) -> None:
    granted = token(fal, "fast-lcm-diffusion", lives_s=10) if stale else "made.up.one"
    fal.advance(10)
    talk = Talk(fal, f"{LCM}?fal_jwt_token={granted}", key=None)
    assert talk.frames == [{"status": "error", "error": "Unauthorized"}]
    assert talk.closed == (1008, "Unauthorized")
    assert (fal.journal[-1].method, fal.journal[-1].status) == ("WS", 401)


def test_a_token_for_another_app_is_forbidden(fal: Fal) -> None:
    granted = token(fal, "flux")
    talk = Talk(fal, f"{LCM}?fal_jwt_token={granted}", key=None)
    assert (talk.frames, talk.closed) == ([], (1008, "Forbidden"))
    assert fal.journal[-1].status == 403


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_who_names_nobody_is_refused_at_the_handshake(fal: Fal, url: str) -> None:
    refusal = Talk(fal, url, key=None).refused
    assert refusal.status_code == 401
    assert refusal.json()["detail"].startswith('Cannot access application "fal-ai/f')
    assert (fal.journal[0].method, fal.journal[0].status) == ("WS", 401)
    assert fal.journal[0].url == url


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_who_brings_a_bad_key_is_refused_at_the_handshake(serve: Serve, url: str) -> None:
    refusal = Talk(serve(key=("alice:secret",)), url, key="eve:guess").refused
    assert (refusal.status_code, refusal.json()) == (401, {"detail": "invalid key credentials"})


@pytest.mark.parametrize("host", ["wss://fal.run", "wss://ws.fal.run"])
def test_an_unknown_app_is_not_found(fal: Fal, host: str) -> None:
    refusal = Talk(fal, f"{host}/fal-ai/fluxx/realtime").refused
    assert (refusal.status_code, refusal.json()) == (404, {"detail": 'Application "fluxx" not found'})


@pytest.mark.parametrize("host", ["wss://fal.run", "wss://ws.fal.run"])
def test_an_address_without_an_app_is_no_page(fal: Fal, host: str) -> None:
    refusal = Talk(fal, f"{host}/fal-ai").refused
    assert (refusal.status_code, refusal.text) == (404, "404: Not Found")


@pytest.mark.parametrize(
    "path", ["/fal-ai/flux/schnell", "/fal-ai/flux/schnell/realtime", "/fal-ai/flux-2/klein"]
)
def test_a_path_without_a_socket_says_which_have_one(fal: Fal, path: str) -> None:
    refusal = Talk(fal, f"wss://fal.run{path}").refused
    assert refusal.status_code == 404
    detail = refusal.json()["detail"]
    assert detail.startswith(
        f"mock-fal: no WebSocket at {path}; there are fal-ai/fast-lcm-diffusion/realtime, "
    )


@pytest.mark.parametrize("seen", ["0", "61", "-1", "x", "", "1" * 5000])
def test_buffering_is_a_number_from_1_to_60(fal: Fal, seen: str) -> None:
    refusal = Talk(fal, f"{LCM}?max_buffering={seen}").refused
    assert refusal.status_code == 422
    assert refusal.json()["detail"] == f"max_buffering is {seen!r}, expected a whole number from 1 to 60"


# -- realtime: the journal


def test_an_input_and_its_result_are_an_exchange(fal: Fal) -> None:
    talk = Talk(fal, LCM)
    talk.say(CAT)
    fal.advance(RUN_S)
    size = len(talk.hear(2)[0]["images"][0]["content"])
    [exchange] = fal.journal
    assert (exchange.method, exchange.url, exchange.status) == ("WS", LCM, 200)
    assert (exchange.tenant, exchange.operation, exchange.json) == ("alice", "realtime", CAT)
    assert exchange.endpoint == "fal-ai/fast-lcm-diffusion"
    assert exchange.is_submission
    image = json.loads(exchange.response_body)["images"][0]
    assert image == {"content": f"<{size} bytes>", "content_type": "image/jpeg", "height": 48, "width": 64}
    assert exchange.request_id in fal.emulator.store.requests


# -- HTTP over WebSocket


def test_an_answer_comes_between_a_start_and_an_end(fal: Fal) -> None:
    talk = Talk(fal, SCHNELL)
    talk.say(CAT, packed=False)
    assert talk.frames == []
    fal.advance(RUN_S)
    start, body, end = talk.hear(3)
    request_id = fal.journal[0].request_id
    assert list(start) == ["type", "request_id", "status", "headers"]
    assert (start["type"], start["request_id"], start["status"]) == ("start", request_id, 200)
    assert start["headers"]["Content-Type"] == "application/json"
    assert start["headers"]["X-Fal-Request-Id"] == request_id
    assert json.loads(body)["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    assert end == {
        "type": "end",
        "request_id": request_id,
        "status": 200,
        "time_to_first_byte_seconds": RUN_S,
    }


def test_many_requests_are_answered_in_their_order(auto_advance: Fal) -> None:
    talk = Talk(auto_advance, SCHNELL)
    for seed in (1, 2, 3):
        talk.say({**CAT, "seed": seed}, packed=False)
    frames = talk.hear(9)
    assert [json.loads(body)["seed"] for body in frames[1::3]] == [1, 2, 3]
    assert [frame["type"] for frame in frames[::3] + frames[2::3]] == ["start"] * 3 + ["end"] * 3


def test_a_request_may_come_in_a_binary_message(auto_advance: Fal) -> None:
    talk = Talk(auto_advance, SCHNELL)
    talk.say(json.dumps(CAT).encode())
    assert json.loads(talk.hear(3)[1])["seed"] == 7


def test_a_stream_comes_in_many_frames(fal: Fal) -> None:
    talk = Talk(fal, LLM_STREAM)
    talk.say({"prompt": "a cat", "max_tokens": 4}, packed=False)
    fal.advance(RUN_S / 4)
    assert talk.frames[0]["headers"]["Content-Type"].startswith("text/event-stream")
    assert len(talk.frames) == 2
    fal.advance(RUN_S)
    start, *events, end = talk.frames
    assert len(events) == 4 and all(b"data: {" in event for event in events)
    assert (start["type"], end["type"], end["time_to_first_byte_seconds"]) == ("start", "end", RUN_S / 4)
    assert fal.journal[0].response_body == b"".join(events)


@pytest.mark.parametrize(
    ("message", "status"), [("{", 422), ("{}", 422), ('{"prompt": "[mock: error=runner_disconnected]"}', 503)]
)
def test_an_error_comes_in_the_same_frames(fal: Fal, message: str, status: int) -> None:
    talk = Talk(fal, SCHNELL)
    talk.say(message)
    fal.advance(RUN_S)
    start, body, end = talk.hear(3)
    assert (start["status"], end["status"]) == (status, status)
    assert start["request_id"] == end["request_id"]
    assert "detail" in json.loads(body)
    talk.say(CAT, packed=False)
    fal.advance(RUN_S)
    assert talk.hear(6)[3]["status"] == 200


def test_a_request_that_is_too_large_is_told_so(serve: Serve) -> None:
    talk = Talk(serve(max_body=100), SCHNELL)
    talk.say({"prompt": "x" * 100}, packed=False)
    assert [frame["status"] for frame in talk.hear(3)[::2]] == [413, 413]


def test_half_of_a_surrogate_pair_is_for_the_runner_to_refuse(auto_advance: Fal) -> None:
    talk = Talk(auto_advance, SCHNELL)
    talk.say('{"prompt": "\ud800"}')
    assert talk.hear(3)[0]["status"] in (200, 422)


def test_who_hangs_up_ends_the_running_request(fal: Fal) -> None:
    talk = Talk(fal, SCHNELL)
    talk.say(CAT, packed=False)
    talk.say(CAT, packed=False)
    talk.hang_up()
    [exchange] = fal.journal
    assert (exchange.method, exchange.host, exchange.status) == ("POST", "ws.fal.run", 499)


def test_who_hangs_up_ends_the_running_stream(fal: Fal) -> None:
    talk = Talk(fal, LLM_STREAM)
    talk.say({"prompt": "a cat", "max_tokens": 4}, packed=False)
    fal.advance(RUN_S / 4)
    begun = len(talk.frames)
    talk.hang_up()
    [exchange] = fal.journal
    assert exchange.request_id is not None
    assert fal.emulator.store.requests[exchange.request_id].schedule.ends_at == fal.clock.now()
    assert len(talk.frames) == begun


def test_each_message_is_an_exchange(auto_advance: Fal) -> None:
    talk = Talk(auto_advance, SCHNELL)
    talk.say(CAT, packed=False)
    _, body, _ = talk.hear(3)
    [exchange] = auto_advance.journal
    assert (exchange.method, exchange.host, exchange.path) == ("POST", "ws.fal.run", "/fal-ai/flux/schnell")
    assert (exchange.operation, exchange.json, exchange.response_body) == ("run", CAT, body)


def test_a_plain_request_is_told_to_come_by_websocket(fal: Fal) -> None:
    response = fal.ask("POST", "https://ws.fal.run/fal-ai/flux/schnell", body=b"{}")
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")


def test_a_directive_says_what_is_answered_in_the_frames(auto_advance: Fal) -> None:
    talk = Talk(auto_advance, SCHNELL)
    talk.say({"prompt": "[mock: status=429]"}, packed=False)
    talk.say({"prompt": "[mock: header.x-why=so]"}, packed=False)
    start, _, _, other, _, _ = talk.hear(6)
    assert (start["status"], other["status"], other["headers"]["X-Why"]) == (429, 200, "so")


def test_a_directive_leaves_a_message_without_an_answer(auto_advance: Fal) -> None:
    talk = Talk(auto_advance, SCHNELL)
    talk.say({"prompt": "[mock: connection=hang]"}, packed=False)
    auto_advance.wait_for_deliveries()
    assert (talk.frames, talk.closed) == ([], (1011, "mock-fal: no answer, as was asked for"))


# -- elsewhere


def test_the_direct_address_leads_there_too(fal: Fal) -> None:
    talk = Talk(fal, "ws://127.0.0.1:8325/fal.run/fal-ai/fast-lcm-diffusion/realtime")
    talk.say(CAT)
    fal.advance(RUN_S)
    assert talk.hear(2)[0]["seed"] == 7


def test_pages_of_other_origins_may_connect(fal: Fal) -> None:
    assert Talk(fal, LCM, headers={"origin": "https://example.com"}).accepted


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("wss://queue.fal.run/fal-ai/flux/schnell", "queue.fal.run"),
        ("wss://wma.fal.run/", "wma.fal.run"),
        ("ws://127.0.0.1:8325/", "this address"),
        ("ws://127.0.0.1:8325/api/fal/proxy", "this address"),
    ],
)
def test_all_others_are_closed_with_a_word_on_where_to_go(fal: Fal, url: str, where: str) -> None:
    talk = Talk(fal, url)
    reason = f"mock-fal: no WebSocket at {where}; there are ws.fal.run and fal.run/…/realtime"
    assert talk.closed == (1008, reason)


def test_a_close_frame_has_room_for_its_reason(fal: Fal) -> None:
    code, reason = Talk(fal, f"wss://{'é' * 90}.fal.run/").closed or (0, "")
    assert code == 1008
    assert 120 < len(reason.encode()) <= 123


def test_a_proxy_does_not_lead_to_sockets(fal: Fal) -> None:
    target = {"x-fal-target-url": "https://fal.run/fal-ai/fast-lcm-diffusion/realtime"}
    assert Talk(fal, "ws://127.0.0.1:8325/api/fal/proxy", headers=target).closed is not None


# -- our own mistakes


def test_a_bug_is_logged_and_ends_the_socket(
    fal: Fal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    talk = Talk(fal, SCHNELL)
    monkeypatch.setattr(fal.emulator, "run", None)
    with caplog.at_level(logging.ERROR):
        talk.say(CAT, packed=False)
    assert talk.closed == (1011, "mock-fal: a bug")
    assert caplog.messages == ["mock-fal: a bug, at WebSocket /fal-ai/flux/schnell"]


def test_a_bug_at_the_handshake_is_a_500(
    fal: Fal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Realtime, "converse", None)
    with caplog.at_level(logging.ERROR):
        assert Talk(fal, LCM).refused.status_code == 500
    assert len(caplog.messages) == 1


def test_who_has_gone_is_told_nothing(fal: Fal) -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(event: Any) -> None:
        raise AssertionError(event)

    handshake = {**scope("GET", LCM, {"authorization": "Key a:b"}), "type": "websocket"}
    fal.wait_for(fal.app(handshake, gone, send))


def test_a_socket_that_breaks_while_it_is_written_to_is_gone(
    fal: Fal, caplog: pytest.LogCaptureFixture
) -> None:
    async def send(event: Any) -> None:
        raise OSError("broken pipe")

    async def connect() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    handshake = {**scope("GET", LCM, {"authorization": "Key a:b"}), "type": "websocket"}
    fal.wait_for(fal.app(handshake, connect, send))
    assert caplog.messages == []
