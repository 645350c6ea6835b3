"""Nothing that is sent holds the event loop: which thread works, how much is done at once, and what is dropped."""

from __future__ import annotations

import asyncio
import io
import json
import re
import selectors
import socket
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from mock_fal.clock import END, AutoAdvanceClock, ManualClock, date
from mock_fal.emulation.emulator import Emulator
from mock_fal.emulation.submissions import may_name_files
from mock_fal.errors import InputTooLong, UnusableFile
from mock_fal.files import inputs, long_input
from mock_fal.files.inputs import Content, InputFiles
from mock_fal.files.long_input import LONG_BYTES, MAX_TEXT_BYTES, MAX_VALUES, shortened
from mock_fal.gateway import fetch as fetch_module
from mock_fal.gateway import lookup
from mock_fal.gateway.fetch import Fetcher
from mock_fal.gateway.lookup import AT_ONCE, Lookups
from mock_fal.journal.har import LONG_BODY
from mock_fal.media import render as render_module
from mock_fal.media.probe import Probe, probe
from mock_fal.media.recipe import Sound, source
from mock_fal.media.render import render as render_media
from mock_fal.pictures.recipe import Recipe, Source
from mock_fal.pictures.render import LARGE_PIXELS, read_source
from mock_fal.settings import Settings
from mock_fal.web.control import wire as control_wire
from mock_fal.web.http_request import ClientDisconnected
from mock_fal.web.renderer import Renderer
from mock_fal.web.stream import while_connected
from tests.web.conftest import OURS, QUEUE, QUEUE_S, RUN, RUN_S, Fal, Serve, open_fal
from tests.web.test_sockets import KLEIN, Connection

EDIT = "fal-ai/flux/dev/image-to-image"
MANY = "fal-ai/flux-2/edit"
LARGE = Recipe("fal-ai/flux/schnell", "large", seed=1, width=LARGE_PIXELS, height=2)
SMALL = Recipe("fal-ai/flux/schnell", "small", seed=1, width=64, height=48)


@pytest.fixture
def fal() -> Iterator[Fal]:
    with open_fal() as fal:
        yield fal


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(open_fal(**settings))


def png(side: int = 8, colour: str = "teal") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


def uri(data: bytes) -> str:
    return f"data:image/png;base64,{b64encode(data).decode()}"


def noisy_png(size: int) -> bytes:
    """A PNG file of about `size` bytes."""
    side = int((size / 3) ** 0.5)
    noise = b"".join(zlib.compress(b"%d" % n)[:8] for n in range(3 * side * side // 8 + 1))
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), noise[: 3 * side * side]).save(file, "PNG", compress_level=0)
    return file.getvalue()


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of the thread of each decoding."""
    names: list[str] = []

    def recorded(data: bytes) -> Source:
        names.append(threading.current_thread().name)
        return read_source(data)

    monkeypatch.setattr(inputs, "read_source", recorded)
    return names


# -- pictures in inputs


def test_a_queued_input_picture_is_decoded_in_a_picture_thread(fal: Fal, decoders: list[str]) -> None:
    fal.submit("a hat", endpoint=EDIT, image_url=uri(png()))
    assert [name.rpartition("_")[0] for name in decoders] == ["mock-fal-small"]


def test_a_direct_input_picture_is_decoded_in_a_picture_thread(serve: Serve, decoders: list[str]) -> None:
    serve(clock="auto-advance").run("a hat", endpoint=EDIT, image_url=uri(png()))
    assert [name.rpartition("_")[0] for name in decoders] == ["mock-fal-small"]


def test_a_realtime_input_picture_is_decoded_in_a_picture_thread(fal: Fal, decoders: list[str]) -> None:
    connection = Connection(fal, KLEIN)
    connection.send({"image_url": uri(png()), "seed": 9})
    fal.advance(RUN_S)
    connection.wait_for_frames(2)
    assert [name.rpartition("_")[0] for name in decoders] == ["mock-fal-small"]


def test_an_escaped_field_name_is_found_too(fal: Fal, decoders: list[str]) -> None:
    body = json.dumps({"prompt": "a hat", "image_url": uri(png())}).replace("image_url", r"image\u005furl")
    fal.submit(endpoint=EDIT, body=body.encode())
    assert [name.rpartition("_")[0] for name in decoders] == ["mock-fal-small"]


def test_a_large_input_picture_is_decoded_in_the_lane_for_large_ones(
    fal: Fal, decoders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal.pictures.render.LARGE_PIXELS", 63)
    fal.submit("a hat", endpoint=EDIT, image_url=uri(png()))
    assert [name.rpartition("_")[0] for name in decoders] == ["mock-fal-large"]


def test_two_requests_with_one_picture_decode_it_once(fal: Fal, decoders: list[str]) -> None:
    for prompt in ("a hat", "a scarf"):
        fal.submit(prompt, endpoint=EDIT, image_url=uri(png()))
    fal.submit("both", endpoint=MANY, image_urls=[uri(png()), uri(png())])
    assert len(decoders) == 1


def test_simultaneous_requests_share_one_decoding(fal: Fal, decoders: list[str]) -> None:
    emulator, file = fal.emulator, png()

    async def both() -> list[Content]:
        sources = (fal.renderer.content(emulator.input_files, lambda: file, "image") for _ in range(2))
        return list(await asyncio.gather(*sources))

    first, second = fal.wait_for(both())
    assert first == second
    assert len(decoders) == 1


def test_too_many_pixels_are_rejected_before_decoding(
    fal: Fal, decoders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal.pictures.source.MAX_SOURCE_PIXELS", 63)
    handle = fal.completed("a hat", endpoint=EDIT, image_url=uri(png()))
    assert handle.result().json()["detail"][0]["type"] == "image_load_error"
    assert decoders == []


def test_too_many_bytes_are_rejected_before_they_are_decoded(
    fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MAX_BYTES", 1000)
    read = 0
    decoded = long_input._base64_decoded

    def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal read
        for piece in decoded(pieces):
            read += len(piece)
            yield piece

    monkeypatch.setattr(long_input, "_base64_decoded", counted)
    handle = fal.completed("a hat", endpoint=EDIT, image_url=uri(bytes(1 << 20)))
    assert handle.result().json()["detail"][0]["type"] == "file_too_large"
    assert read <= 2 * long_input._PIECE_BYTES


def test_a_runner_reads_no_picture_after_the_first_that_is_unusable(fal: Fal, decoders: list[str]) -> None:
    handle = fal.completed("both", endpoint=MANY, image_urls=["data:,x", uri(png())])
    assert handle.result().json()["detail"][0]["type"] == "image_load_error"
    assert decoders == []


# -- videos and sounds in inputs


@pytest.fixture
def probing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that look into videos and sounds."""
    threads: list[str] = []

    def recorded(data: bytes) -> Probe | None:
        threads.append(threading.current_thread().name)
        return probe(data)

    monkeypatch.setattr(inputs, "probe", recorded)
    return threads


def sound_uri(text: str) -> str:
    return "data:audio/wav;base64," + b64encode(render_media(Sound(text, 1))).decode()


def test_a_sound_in_an_input_is_read_in_a_thread(fal: Fal, probing: list[str]) -> None:
    handles = [
        fal.completed(endpoint="fal-ai/whisper", audio_url=sound_uri(text)) for text in ("a", "a", "b")
    ]
    assert [name.rpartition("_")[0] for name in probing] == ["mock-fal-input"] * 3
    fal.advance(60)
    assert {handle.result().status_code for handle in handles} == {200}


def test_a_sound_that_is_none_is_refused(fal: Fal, probing: list[str]) -> None:
    handle = fal.completed(endpoint="fal-ai/whisper", audio_url="data:audio/wav;base64,AAAA")
    (error,) = handle.result().json()["detail"]
    assert (error["type"], error["loc"]) == ("unsupported_audio_format", ["body", "audio_url"])
    assert [name.rpartition("_")[0] for name in probing] == ["mock-fal-input"]


# -- long inputs


def test_a_long_data_uri_is_taken_out_of_the_input(fal: Fal) -> None:
    picture = noisy_png(2 * LONG_BYTES)
    handle = fal.completed("a hat", endpoint=EDIT, image_url=uri(picture))
    request = fal.emulator.store.requests[handle.id]
    shown = source(request.files[0].recipe)
    assert shown is not None
    assert shown.digest == sha256(picture).hexdigest()
    assert json.loads(fal.journal[0].request_body)["image_url"] == uri(picture)


def test_the_seed_does_not_depend_on_how_a_picture_was_sent(fal: Fal) -> None:
    picture = noisy_png(2 * LONG_BYTES)
    long, short = uri(picture), "data:image/png;base64," + b64encode(picture).decode().replace("=", "%3D")
    seeds = [
        fal.completed("a hat", endpoint=EDIT, key=f"{key}:secret", image_url=url).result(key=f"{key}:secret")
        for key, url in (("a", long), ("b", short))
    ]
    assert all(seed.status_code == 200 for seed in seeds)


@pytest.mark.parametrize(
    "body", [b"%41" * 60_000, b"%zz" * 60_000, b"\xc3\xa9" * 60_000, b"\\u0041" * 60_000]
)
def test_a_long_data_uri_that_is_no_picture_is_an_error(fal: Fal, body: bytes) -> None:
    handle = fal.completed(
        endpoint=EDIT, body=b'{"prompt":"a hat","image_url":"data:image/png,' + body + b'"}'
    )
    detail = handle.result().json()["detail"][0]
    assert (detail["type"], detail["input"][:15]) == ("image_load_error", "data:image/png,")
    assert len(detail["input"]) == 1000


@given(
    part=st.binary(min_size=1, max_size=100),
    slashes=st.booleans(),
    percent=st.booleans(),
    extra=st.text(max_size=20),
)
def test_a_data_uri_is_read_in_pieces_as_in_one(
    part: bytes, slashes: bool, percent: bool, extra: str
) -> None:
    data = part * (20_000 // len(part) + 1)
    encoded = "".join(f"%{byte:02X}" for byte in data) if percent else b64encode(data).decode()
    text = ("data:a/b," if percent else "data:a/b;base64,") + encoded
    document = json.dumps({"extra": extra, "image_url": text})
    body = (document.replace("/", r"\/") if slashes else document).encode()
    short, uris = shortened(body)
    (found,) = uris.values()
    assert found.data(len(data)) == data
    assert json.loads(short) == {"extra": extra, "image_url": next(iter(uris))}
    with pytest.raises(UnusableFile, match="file_too_large"):
        found.data(len(data) - 1)


def test_padding_within_base64_is_an_error() -> None:
    text = "data:;base64," + "QQ==" * 20_000
    (found,) = shortened(json.dumps({"image_url": text}).encode())[1].values()
    with pytest.raises(UnusableFile, match="image_load_error"):
        found.data(1 << 20)


@pytest.mark.parametrize(
    "uri", ["data:" + "x" * 20_000, "data:,\\q" + "x" * 20_000, "data:,\\u00" + "x" * 20_000]
)
def test_a_long_data_uri_that_can_not_be_read_is_an_error(uri: str) -> None:
    short, uris = shortened(b'{"image_url":"%b"}' % uri.encode())
    for found in uris.values():
        with pytest.raises(UnusableFile, match="image_load_error"):
            found.data(1 << 20)
    assert short.startswith(b'{"image_url":"data:')


@pytest.mark.parametrize(
    "body",
    [
        b'"data:' + b"\\" * 200_001 + b'"',
        b'"data:' + b'\\"' * 100_000 + b'"',
        b'"data:' * 20_000,
        b'"data:,' + b"x" * 200_000,
        b'{"a":"\\"data:,' + b"x" * 100_000 + b'"}',
    ],
)
def test_any_other_text_stays_as_it_is(body: bytes) -> None:
    assert shortened(body) == (body, {})


def test_a_text_that_is_too_long_is_rejected_unparsed(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.emulation.submissions.json", None)
    body = b'{"prompt":"' + b"x" * MAX_TEXT_BYTES + b'"}'
    for host in (QUEUE, RUN):
        response = fal.request("POST", f"{host}/fal-ai/flux/schnell", body=body)
        assert response.status_code == 413
        assert response.json()["detail"].startswith(
            f"The input has more than {MAX_TEXT_BYTES} bytes beside its"
        )


def test_too_many_values_are_rejected_unparsed(fal: Fal) -> None:
    body = b"[" + b"0," * (MAX_VALUES + 1) + b"0]"
    response = fal.request("POST", f"{QUEUE}/fal-ai/flux/schnell", body=body)
    assert (response.status_code, f"more than {MAX_VALUES} values" in response.text) == (413, True)


def test_the_data_uris_of_a_long_input_do_not_count() -> None:
    body = json.dumps({"image_urls": ["data:," + "x" * MAX_TEXT_BYTES] * 3}).encode()
    short, uris = shortened(body)
    assert (len(short) < 5000, len(uris)) == (True, 3)


def test_text_between_data_uris_counts() -> None:
    body = json.dumps(["x" * (MAX_TEXT_BYTES - 100_000), "data:," + "x" * 50_000, "x" * 200_000]).encode()
    with pytest.raises(InputTooLong):
        shortened(body)


def test_a_long_realtime_input_ends_the_session(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.web.sockets.wire.MAX_INPUT_BYTES", 100)
    connection = Connection(fal, KLEIN)
    connection.send({"image_url": "x" * 101})
    (frame,) = connection.wait_for_frames(1)
    assert "the limit is 100" in str(frame)


def test_a_body_in_many_parts_is_joined_without_a_copy(fal: Fal) -> None:
    """The harness sends ten bytes at a time."""
    body = json.dumps({"prompt": "a cat"}).encode()
    call = fal.start_request("POST", f"{QUEUE}/fal-ai/flux/schnell", body=body)
    assert call.response().status_code == 200
    assert fal.journal[0].request_body == body


# -- renders


class Renders:
    """Renderer whose rendering waits until the test ends it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[str] = []
        self.may_end = threading.Event()
        self._changed = threading.Condition()
        monkeypatch.setattr(render_module, "render", self._render)
        self.renderer = Renderer()

    def _render(self, recipe: Recipe) -> bytes:
        with self._changed:
            self.started.append(recipe.prompt)
            self._changed.notify_all()
        if recipe.width * recipe.height > LARGE_PIXELS:
            assert self.may_end.wait(60)
        return recipe.prompt.encode()

    def wait_for(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.started) >= number, 60)


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Renders]:
    renders = Renders(monkeypatch)
    yield renders
    renders.may_end.set()
    renders.renderer.close()


def large(number: int) -> Recipe:
    return Recipe("fal-ai/flux/schnell", f"large {number}", seed=1, width=LARGE_PIXELS, height=2)


def test_a_small_picture_does_not_wait_for_large_ones(renders: Renders) -> None:
    async def story() -> bytes:
        tasks = [asyncio.create_task(renders.renderer.render(large(number))) for number in range(4)]
        await asyncio.to_thread(renders.wait_for, 2)
        small = await renders.renderer.render(SMALL)
        renders.may_end.set()
        await asyncio.gather(*tasks)
        return small

    assert asyncio.run(story()) == b"small"
    assert renders.started.index("small") == 2


def test_a_render_whose_callers_have_left_never_starts(renders: Renders) -> None:
    async def story() -> None:
        tasks = [asyncio.create_task(renders.renderer.render(large(number))) for number in range(5)]
        await asyncio.to_thread(renders.wait_for, 2)
        for task in tasks[:4]:
            task.cancel()
        await asyncio.wait(tasks[:4])
        renders.may_end.set()
        assert await tasks[4] == b"large 4"

    asyncio.run(story())
    assert sorted(renders.started) == ["large 0", "large 1", "large 4"]


def test_a_render_goes_on_while_one_caller_is_left(renders: Renders) -> None:
    async def story() -> list[bytes]:
        busy = [asyncio.create_task(renders.renderer.render(large(number))) for number in range(2)]
        await asyncio.to_thread(renders.wait_for, 2)
        leaving, staying = (asyncio.create_task(renders.renderer.render(large(2))) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        renders.may_end.set()
        return await asyncio.gather(*busy, staying)

    assert asyncio.run(story()) == [b"large 0", b"large 1", b"large 2"]
    assert renders.started.count("large 2") == 1


def test_a_picture_can_be_asked_for_again_after_its_caller_has_left(renders: Renders) -> None:
    async def story() -> bytes:
        first = asyncio.create_task(renders.renderer.render(large(0)))
        await asyncio.to_thread(renders.wait_for, 1)
        first.cancel()
        await asyncio.wait([first])
        again = asyncio.create_task(renders.renderer.render(large(0)))
        await asyncio.sleep(0)
        renders.may_end.set()
        return await again

    assert asyncio.run(story()) == b"large 0"
    assert renders.started == ["large 0"]


def test_a_client_that_disconnects_leaves_its_picture(fal: Fal) -> None:
    url = fal.picture()
    cancelled = watch(fal, "render")
    call = fal.start_request("GET", url)
    call.disconnect()
    assert (call.is_over, call.sent, cancelled) == (True, [], ["render"])


def test_a_client_that_disconnects_leaves_the_pictures_in_its_result(fal: Fal) -> None:
    handle = fal.completed(sync_mode=True, image_size={"width": 64, "height": 48})
    cancelled = watch(fal, "render")
    call = fal.start_request("GET", handle.url)
    call.disconnect()
    assert (call.is_over, cancelled) == (True, ["render"])


def test_a_client_that_disconnects_leaves_the_pictures_in_its_input(fal: Fal) -> None:
    cancelled = watch(fal, "content")
    body = json.dumps({"prompt": "a hat", "image_url": uri(png())}).encode()
    call = fal.start_request("POST", f"{RUN}/{EDIT}", body=body)
    call.disconnect()
    assert (call.is_over, cancelled, len(fal.emulator.store.requests)) == (True, ["content"], 0)


def watch(fal: Fal, work: str) -> list[str]:
    """Replaces a method of the renderer by a wait without an end; the list of waits that were cancelled."""
    cancelled: list[str] = []

    async def never(*arguments: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(work)
        raise AssertionError

    setattr(fal.renderer, work, never)
    return cancelled


def test_work_that_fails_raises_its_error() -> None:
    async def connected() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def fail() -> None:
        raise UnusableFile("image_load_error")

    with pytest.raises(UnusableFile):
        asyncio.run(while_connected(connected, fail()))


def test_the_empty_body_of_a_get_is_no_disconnect() -> None:
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def never() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ClientDisconnected):
        asyncio.run(while_connected(receive, never()))
    assert messages == []


# -- lists of the control API


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows each time that the control API gives other requests a turn."""
    counted: list[int] = []

    class Asyncio:
        @staticmethod
        async def sleep(seconds: float) -> None:
            counted.append(len(counted))
            await asyncio.sleep(seconds)

    monkeypatch.setattr(control_wire, "asyncio", Asyncio)
    monkeypatch.setattr(control_wire, "SLICE_S", 0.0)
    return counted


@pytest.mark.parametrize("path", ["/_mock/requests", "/_mock/requests.har", "/_mock/files", "/_mock/calls"])
def test_a_long_list_is_sent_in_slices(fal: Fal, turns: list[int], path: str) -> None:
    for number in range(24):
        fal.submit(f"number {number}")
    fal.advance(QUEUE_S + RUN_S)
    response = fal.request("GET", f"{OURS}{path}")
    assert response.status_code == 200
    assert len(turns) >= 2


def test_the_metrics_are_counted_in_slices(
    fal: Fal, turns: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal.web.control.metrics._SLICE", 2)
    for number in range(5):
        fal.submit(f"number {number}")
    text = fal.request("GET", f"{OURS}/_mock/metrics").text
    assert 'mock_fal_requests{state="queued"} 5' in text
    assert len(turns) == 4  # two for the requests, two for the exchanges


def test_a_long_body_is_sent_in_pieces(fal: Fal, turns: list[int]) -> None:
    picture = noisy_png(LONG_BODY)
    fal.submit("a hat", endpoint=EDIT, image_url=uri(picture))
    (exchange,) = fal.request("GET", f"{OURS}/_mock/requests").json()["requests"]
    assert exchange["request"]["encoding"] == "base64"
    assert exchange["input"]["image_url"].startswith(uri(picture)[:1000])
    assert len(exchange["input"]["image_url"]) < 1100
    assert len(turns) >= 4
    (entry,) = fal.request("GET", f"{OURS}/_mock/requests.har").json()["log"]["entries"]
    assert entry["request"]["postData"]["_encoding"] == "base64"
    assert entry["request"]["postData"]["text"] == exchange["request"]["body"]


def test_an_input_that_is_too_long_to_be_parsed_is_null(fal: Fal) -> None:
    fal.request("POST", f"{QUEUE}/fal-ai/flux/schnell", body=b"[" + b"0," * LONG_BODY + b"0]")
    (exchange,) = fal.request("GET", f"{OURS}/_mock/requests").json()["requests"]
    assert (exchange["input"], exchange["status"]) == (None, 413)


def test_an_empty_list_is_one(fal: Fal) -> None:
    assert fal.request("GET", f"{OURS}/_mock/requests").json() == {"requests": []}


# -- the clock


@pytest.mark.parametrize("moment", [-1.0, 0.0, END, 1e12, 1e300])
def test_every_moment_has_a_date(moment: float) -> None:
    for zone in (UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))):
        assert 1969 <= date(moment, zone).year <= 9999


@pytest.mark.parametrize("clock", ["manual", "auto-advance"])
def test_nothing_fails_at_the_end_of_the_clock(serve: Serve, clock: str) -> None:
    fal = serve(clock=clock, run_duration=1e9)
    early = fal.submit()
    path = f"{OURS}/_mock/clock/advance"
    while (seconds := END - fal.clock.now()) > 1e9:
        assert fal.request("POST", path, json={"seconds": 1e9}).status_code == 200
    assert fal.request("POST", path, json={"seconds": seconds + 1}).status_code == 422
    assert fal.request("POST", path, json={"seconds": seconds}).status_code == 200
    late = fal.submit("[mock: run=1000]")
    for url in (
        f"{early.url}/status?logs=1",
        f"{late.url}/status?logs=1",
        early.url,
        f"{OURS}/_mock/requests.har",
    ):
        assert fal.request("GET", url).status_code < 500
    host = "https://rest.fal.ai/storage"
    assert fal.request("POST", f"{host}/auth/token?storage_type=fal-cdn-v3", body=b"{}").status_code == 200
    for usage in (
        "usage?expand=time_series&timeframe=month",
        "requests/by-endpoint?endpoint_id=fal-ai/flux/schnell",
    ):
        response = fal.request("GET", f"https://api.fal.ai/v1/models/{usage}")
        assert response.status_code == 200, response.text


def test_a_wait_beyond_the_end_does_not_spin() -> None:
    async def story() -> bool:
        clock = AutoAdvanceClock()
        waiting = asyncio.create_task(clock.wait_until(END + 1))
        for _ in range(10):
            await asyncio.sleep(0)
        still_waiting = not waiting.done()
        waiting.cancel()
        return still_waiting

    assert asyncio.run(story())


def test_a_poll_moves_a_clock_at_most_to_its_end() -> None:
    clock = AutoAdvanceClock()
    clock.polled(1e300)
    assert clock.now() == END


def test_advancing_beyond_the_end_raises() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="after the year 8999"):
        clock.advance(END)


# -- deep JSON


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize(
    "url",
    [
        f"{QUEUE}/fal-ai/flux/schnell",
        f"{RUN}/fal-ai/any-llm",
        "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3",
        "https://rest.fal.ai/storage/auth/token",
        "https://rest.fal.ai/tokens/",
        "https://api.fal.ai/v1/models/pricing/estimate",
        f"{OURS}/_mock/scenario",
        f"{OURS}/_mock/clock/advance",
    ],
)
@pytest.mark.parametrize("depth", [150, 900, 10_000])
def test_deep_json_is_never_an_internal_error(serve: Serve, url: str, opening: bytes, depth: int) -> None:
    fal = serve(clock="auto-advance")
    closing = b"]" if opening == b"[" else b"}"
    body = opening * depth + b"0" + closing * depth
    assert fal.request("POST", url, body=body).status_code < 500
    assert fal.request("GET", f"{OURS}/_mock/requests").status_code == 200
    assert fal.request("GET", f"{OURS}/").status_code == 200


# -- downloads


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time the test moves; it never sleeps until a timer."""

    offset_s = 0.0

    def time(self) -> float:
        return super().time() + self.offset_s


Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


def fetched(
    serve: Serving, story: Callable[[Fetcher, str], Any], loop: asyncio.AbstractEventLoop | None = None
) -> Any:
    """The result of a story with a fetcher and the URL of a host that serves as given."""

    async def run() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await story(Fetcher({}), f"http://127.0.0.1:{port}/cat.png")

    with asyncio.Runner(loop_factory=(lambda: loop) if loop else None) as runner:
        return runner.run(run())


async def fetch(fetcher: Fetcher, url: str) -> bytes | None:
    return await fetcher.fetch(url)


def answering(*parts: bytes) -> Serving:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
        await writer.drain()
        writer.close()

    return serve


def test_a_file_that_drips_is_given_up_at_its_deadline() -> None:
    """Each byte arrives in time; all of them together do not."""
    loop = JumpingLoop(selectors.SelectSelector())
    sent = 0

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while not writer.is_closing() and sent < 1000:
            writer.write(b"x")
            sent += 1
            loop.offset_s += fetch_module.DEADLINE_S / 10
            await asyncio.sleep(0)
            await writer.drain()
        writer.close()

    assert fetched(drip, fetch, loop) is None
    assert sent < 100


def test_closing_ends_all_downloads() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        writer.close()

    async def story(fetcher: Fetcher, url: str) -> list[bytes | None]:
        downloads = [asyncio.create_task(fetcher.fetch(url)) for _ in range(2 * fetch_module.AT_ONCE)]
        await arrived.wait()
        fetcher.close()
        return await asyncio.gather(*downloads)

    arrived = asyncio.Event()
    assert fetched(stall, story) == [None] * (2 * fetch_module.AT_ONCE)


def test_a_caller_that_is_cancelled_ends_its_download() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        closed.set()
        writer.close()

    async def story(fetcher: Fetcher, url: str) -> None:
        download = asyncio.create_task(fetcher.fetch(url))
        await arrived.wait()
        download.cancel()
        await closed.wait()

    arrived, closed = asyncio.Event(), asyncio.Event()
    fetched(stall, story)


def test_downloads_use_no_thread_of_the_default_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"

    async def story(fetcher: Fetcher, url: str) -> bytes | None:
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", None)
        return await fetcher.fetch(url.replace("127.0.0.1", "localhost"))

    monkeypatch.setattr(lookup, "_lookup", lambda host, port: ["127.0.0.1"])
    assert fetched(answering(head, b"cat"), story) == b"cat"


def test_a_download_stops_one_byte_over_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 10)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    assert fetched(answering(head, b"x" * 50_000), fetch) == b"x" * 11


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\ncat"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ncat"],
        [b"SSH-2.0-OpenSSH\r\n"],
        [b""],
        [b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 3_000_000 + b"\r\n\r\n"],
        [b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n"],
        [b"HTTP/1.1 302 Found\r\nlocation: /cat.png\r\ncontent-length: 0\r\n\r\n"],
    ],
)
def test_a_response_without_a_file_is_none(parts: list[bytes]) -> None:
    assert fetched(answering(*parts), fetch) is None


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\n\r\nca", b"t"],
        [b"HTTP/1.1 103 Early Hints\r\nlocation: /x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ncat"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nc\r\n2\r\nat\r\n0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ncat and more"],
    ],
)
def test_every_framing_of_a_file_is_read(parts: list[bytes]) -> None:
    assert fetched(answering(*parts), fetch) == b"cat"


def test_redirects_are_followed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /cat.png "):
            writer.write(b"HTTP/1.1 302 Found\r\nlocation: there?a=b\r\ncontent-length: 0\r\n\r\n")
        else:
            assert head.startswith(b"GET /there?a=b ")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ncat")
        writer.close()

    assert fetched(serve, fetch) == b"cat"


def test_a_plain_download_goes_through_the_users_proxy() -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ncat")
        writer.close()

    async def story(fetcher: Fetcher, url: str) -> bytes | None:
        port = url.split(":")[2].partition("/")[0]
        through = Fetcher({"http_proxy": f"http://ana:word@127.0.0.1:{port}"})
        return await through.fetch("http://user:pass@pictures.test/cat.png")

    assert fetched(proxy, story) == b"cat"
    assert heads[0].startswith(b"GET http://pictures.test/cat.png HTTP/1.1\r\nhost: pictures.test\r\n")
    assert b"proxy-authorization: Basic YW5hOndvcmQ=\r\n" in heads[0]
    assert b"authorization: Basic dXNlcjpwYXNz\r\n" in heads[0]


# -- name look-ups


def test_an_address_needs_no_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_lookup", None)
    assert asyncio.run(lookups().addresses("::1", 80)) == ["::1"]


def lookups() -> Lookups:
    return Lookups()


def test_a_look_up_that_hangs_holds_up_only_its_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads are daemons, so they don't hold up the exit either."""
    may_end, waiting, daemons = threading.Event(), threading.Semaphore(0), []

    def hang(host: str, port: int) -> list[str]:
        daemons.append(threading.current_thread().daemon)
        waiting.release()
        assert may_end.wait(60)
        return ["127.0.0.9"]

    async def story() -> list[str]:
        slow, other = Lookups(), Lookups()
        hanging = [asyncio.create_task(slow.addresses("slow.test", 80)) for _ in range(AT_ONCE + 3)]
        for _ in range(AT_ONCE):
            await asyncio.to_thread(waiting.acquire)
        for task in hanging[:3]:
            task.cancel()  # its thread still counts
        await asyncio.wait(hanging[:3])
        assert len(daemons) == AT_ONCE
        with monkeypatch.context() as quick:
            quick.setattr(lookup, "_lookup", lambda host, port: ["127.0.0.1", "127.0.0.1"])
            found = await other.addresses("quick.test", 80)
        may_end.set()
        assert await asyncio.gather(*hanging[3:]) == [["127.0.0.9"]] * AT_ONCE
        return found

    monkeypatch.setattr(lookup, "_lookup", hang)
    assert asyncio.run(story()) == ["127.0.0.1"]
    assert all(daemons)


def test_a_failed_look_up_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(lookup, "_lookup", fail)
    with pytest.raises(socket.gaierror):
        asyncio.run(lookups().addresses("gone.test", 80))


def test_input_files_are_opened_without_reading_them() -> None:
    emulator = Emulator(Settings(), ManualClock())
    try:
        opened = InputFiles(emulator.storage).open("data:,x", "ana")
        assert callable(opened)
    finally:
        emulator.close()


def test_a_file_is_decoded_a_few_kilobytes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow holds the interpreter while it decodes what it has read, and 64 kB can hold 64 MB of pixels."""
    sizes: list[int] = []
    load_read = PngImageFile.load_read

    def recorded(image: PngImageFile, read_bytes: int) -> bytes:
        sizes.append(read_bytes)
        return load_read(image, read_bytes)

    monkeypatch.setattr(PngImageFile, "load_read", recorded)
    read_source(noisy_png(1 << 20))
    assert len(sizes) > 100
    assert max(sizes) == 4096


@given(st.lists(st.sampled_from([*"hHtTpPsS:dDaA", "\\u00", "x"])).map("".join))
def test_urls_are_looked_for_without_an_expression_that_takes_50_ms_a_megabyte(text: str) -> None:
    expected = re.search(r"https?:|data:", text, re.IGNORECASE) or "\\u00" in text
    assert may_name_files(text.encode()) == bool(expected)
