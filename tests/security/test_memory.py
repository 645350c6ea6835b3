"""Nothing that clients send makes the server's memory grow beyond its budget, and no key takes the places of others."""

from __future__ import annotations

import asyncio
import math
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from mock_fal import port
from mock_fal import store as store_module
from mock_fal.accounts.acl import ObjectLifecycle
from mock_fal.accounts.keys import MAX_HEADER_CHARS, Keys
from mock_fal.billing.usage import MAX_GROWTH, Charge, Ledger
from mock_fal.clock import EPOCH, ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.emulation.options import SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.errors import AuthenticationRequired, DiskFull, MemoryFull, QueueFull
from mock_fal.files.file_store import FileStore
from mock_fal.journal.exchanges import Exchange, Journal
from mock_fal.journal.memory import PARSED_RATIO, Memory, Ranking, document_bytes
from mock_fal.media.render import MediaCache
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.lifecycle import Submission
from mock_fal.requests.queue import ModelRequest
from mock_fal.settings import Settings
from mock_fal.store import Store
from mock_fal.web import http_request
from mock_fal.webhooks.outbox import Attempt
from mock_fal.webhooks.payload import Webhook
from tests.requests.examples import model_request

SCHNELL = EndpointId.parse("fal-ai/flux/schnell")
NOW = EPOCH


# -- the budget


def test_a_budget_is_the_sum_of_what_its_owners_hold() -> None:
    memory = Memory(1000)
    memory.add("ana", 300, finished=True)
    memory.add("bob", 200, finished=False)
    assert (memory.used, memory.held("ana"), memory.held("bob")) == (500, 300, 200)
    assert (memory.in_flight("ana"), memory.in_flight("bob")) == (0, 200)
    memory.finish("bob", 200)
    memory.add("ana", -300, finished=True)
    assert (memory.used, memory.held("ana"), memory.in_flight("bob")) == (200, 0, 0)


def test_one_key_has_at_most_nine_tenths_of_the_budget_in_flight() -> None:
    memory = Memory(1000)
    memory.add("ana", 900, finished=False)
    assert not memory.make_room("ana", 1, NOW)
    assert memory.make_room("bob", 100, NOW)


def test_bodies_that_are_received_take_at_most_half_of_the_budget() -> None:
    memory = Memory(1000)
    memory.receive(500)
    with pytest.raises(MemoryFull):
        memory.receive(1)
    assert memory.used == 500
    memory.received(500)
    assert memory.used == 0


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 10_000))))
def test_the_highest_of_a_ranking_has_the_most_within_an_eighth(moves: list[tuple[str, int]]) -> None:
    ranking, numbers = Ranking(), dict.fromkeys("abcd", 0)
    for owner, number in moves:
        ranking.set(owner, number)
        numbers[owner] = number
        most, highest = max(numbers.values()), ranking.highest
        assert (highest is None) == (most == 0)
        assert highest is None or 8 * numbers[highest] >= 7 * most


@given(st.integers(1, 15), st.integers(1, 15))
def test_a_ranking_of_small_numbers_is_exact(one: int, other: int) -> None:
    ranking = Ranking()
    ranking.set("ana", one)
    ranking.set("bob", other)
    assert ranking.highest == ("bob" if other > one else "ana")


def test_among_equals_the_one_that_came_first_is_the_highest() -> None:
    ranking = Ranking()
    for owner in ("ana", "bob", "eve"):
        ranking.set(owner, 2)
    ranking.set("ana", 1)
    assert ranking.highest == "bob"


def test_a_large_text_in_a_document_is_counted_once() -> None:
    text = "x" * 100_000
    assert 100_000 < document_bytes({"prompt": text}, {"again": [text]}, text) < 101_000


def test_a_document_with_many_parts_is_not_walked_to_its_end() -> None:
    class Parts(list[Any]):
        walked = 0

        def __iter__(self) -> Iterator[Any]:
            for part in super().__iter__():
                Parts.walked += 1
                yield part

    nested = [Parts([[] for _ in range(100)]) for _ in range(10_000)]
    assert document_bytes(nested, input_bytes=3_000_000) >= PARSED_RATIO * 3_000_000
    assert Parts.walked <= 10_200


# -- what is forgotten


def emulator(**values: Any) -> Emulator:
    return Emulator(Settings(**{"queue_duration": 0.0, "run_duration": 1.0, **values}), ManualClock())


def submitted(fal: Emulator, tenant: str, *, size: int = 0, **options: Any) -> ModelRequest:
    prompt = f"{fal.store.submitted} {'x' * size}"
    return fal.submit(SCHNELL, b'{"prompt":"%s"}' % prompt.encode(), tenant, SubmitOptions(**options))


def pass_time(fal: Emulator, seconds: float) -> None:
    assert isinstance(fal.clock, ManualClock)
    fal.clock.advance(seconds)


def of(fal: Emulator, tenant: str) -> list[ModelRequest]:
    return [request for request in fal.store.requests.values() if request.tenant == tenant]


def test_prompts_are_counted_and_the_oldest_finished_requests_are_forgotten() -> None:
    fal = emulator(max_memory=10_000_000)
    requests = []
    for _ in range(20):
        requests.append(submitted(fal, "ana", size=1_000_000))
        pass_time(fal, 1)
    assert fal.store.memory.used <= 10_000_000
    assert of(fal, "ana") == requests[-len(of(fal, "ana")) :]
    assert len(of(fal, "ana")) == 9


def test_a_request_in_flight_is_never_forgotten() -> None:
    fal = emulator(max_memory=10_000_000, run_duration=100.0)
    requests = [submitted(fal, "ana", size=1_000_000) for _ in range(8)]
    with pytest.raises(MemoryFull, match="the 10000000 bytes of memory; --max-memory raises the limit"):
        submitted(fal, "ana", size=1_000_000)
    assert of(fal, "ana") == requests
    assert submitted(fal, "bob", size=500_000) in of(fal, "bob")


def test_a_key_in_flight_does_not_displace_the_results_of_a_smaller_one() -> None:
    fal = emulator(max_memory=10_000_000)
    small = [submitted(fal, "bob", size=1_000_000) for _ in range(3)]
    pass_time(fal, 1)
    for _ in range(6):
        submitted(fal, "ana", size=1_000_000, directive="run=100")
    with pytest.raises(MemoryFull):
        submitted(fal, "ana", size=1_000_000, directive="run=100")
    assert of(fal, "bob") == small


def test_exchanges_of_the_key_with_the_most_are_forgotten_first() -> None:
    memory = Memory(100_000)
    journal = Journal(1000, memory)
    kept = exchange("bob", 5_000)
    journal.append(kept)
    for _ in range(100):
        journal.append(exchange("ana", 5_000))
    assert kept in list(journal)
    assert memory.used <= 100_000


def exchange(tenant: str, size: int = 0, **values: Any) -> Exchange:
    return Exchange(
        NOW, tenant, "POST", "queue.fal.run", "/fal-ai/flux/dev", "", b"", b"x" * size, 200, b"", **values
    )


@pytest.mark.parametrize(
    "field",
    ["request_head", "request_body", "response_head", "response_body", "path", "query", "host", "directive"],
)
def test_every_text_of_an_exchange_counts(field: str) -> None:
    memory = Memory(1_000_000)
    journal = Journal(10, memory)
    item = exchange("ana")
    if field == "directive":
        item.note(directive="x" * 100_000)
    else:
        setattr(item, field, (b"x" if isinstance(getattr(item, field), bytes) else "x") * 100_000)
    journal.append(item)
    assert 100_000 <= memory.used < 110_000


def test_a_long_key_id_counts() -> None:
    memory = Memory(1_000_000)
    Journal(10, memory).append(exchange("a" * 60_000))
    assert memory.used > 60_000


def test_places_in_the_journal_are_taken_from_the_key_with_the_most() -> None:
    journal = Journal(10)
    first = exchange("bob")
    journal.append(first)
    for _ in range(50):
        journal.append(exchange("ana"))
    assert len(journal) == 10
    assert first in list(journal)
    assert [item.number for item in journal] == [1, *range(43, 52)]


def test_a_webhook_counts_until_its_request_is_forgotten() -> None:
    fal = emulator(retention=2)
    hook = Webhook("http://127.0.0.1/" + "x" * 10_000, "https://v3b.fal.media")
    before = fal.store.memory.used
    request = submitted(fal, "ana", webhook=hook)
    assert fal.store.memory.used > before + 10_000
    pass_time(fal, 1)
    [delivery] = fal.due_deliveries()
    delivery.body = b"x" * 50_000
    fal.outbox.record(delivery, Attempt(fal.clock.now(), 0.0, 200))
    assert fal.store.memory.used > before + 60_000
    for _ in range(2):
        submitted(fal, "ana")
    assert (request.id in fal.store.requests, fal.deliveries) == (False, [])
    assert fal.store.memory.used < before + 20_000


def test_a_request_whose_webhook_is_not_delivered_is_not_forgotten() -> None:
    fal = emulator(retention=2)
    hook = Webhook("http://127.0.0.1/", "https://v3b.fal.media")
    waiting = submitted(fal, "ana", webhook=hook)
    pass_time(fal, 1)
    second = submitted(fal, "ana")
    pass_time(fal, 1)
    latest = submitted(fal, "ana")
    assert of(fal, "ana") == [waiting, latest]
    assert second.id not in fal.store.requests


def test_a_dropped_webhook_is_not_kept() -> None:
    fal = emulator(retention=2)
    hook = Webhook("http://127.0.0.1/", "https://v3b.fal.media")
    submitted(fal, "ana", webhook=hook, directive="webhook=drop")
    assert fal.outbox.next_at() == math.inf
    assert not fal.outbox._waiting


def test_a_forgotten_request_is_not_kept_by_its_queue() -> None:
    fal = emulator(retention=2, runners=1)
    first = submitted(fal, "ana")
    for _ in range(3):
        pass_time(fal, 5)
        submitted(fal, "ana")
    assert first not in fal.store.queue("ana", "fal-ai/flux")._open.values()


# -- places


def add(store: Store, number: int, tenant: str, *, run: float = 0.0) -> ModelRequest:
    request = model_request(Submission(number, NOW + number, 0, run), tenant)
    store.add(request, NOW + number)
    return request


def test_the_key_with_the_most_finished_requests_loses_its_oldest_one() -> None:
    store = Store(retention=10, seed=0)
    first = add(store, 0, "bob")
    anas = [add(store, number, "ana") for number in range(1, 30)]
    assert [*store.requests.values()] == [first, *anas[-9:]]


def test_one_key_in_flight_leaves_a_tenth_of_the_places_to_others() -> None:
    store = Store(retention=10, seed=0)
    for number in range(9):
        add(store, number, "ana", run=1e6)
    with pytest.raises(QueueFull):
        add(store, 9, "ana", run=1e6)
    assert add(store, 10, "bob").id in store.requests


def test_a_key_in_flight_takes_no_places_of_a_key_within_its_share() -> None:
    store = Store(retention=10, seed=0)
    bobs = [add(store, number, "bob") for number in range(4)]
    for number in range(4, 10):
        add(store, number, "ana", run=1e6)
    with pytest.raises(QueueFull):
        add(store, 10, "ana", run=1e6)
    assert [request for request in store.requests.values() if request.tenant == "bob"] == bobs


def test_a_key_in_flight_takes_the_places_beyond_the_share_of_another() -> None:
    store = Store(retention=10, seed=0)
    for number in range(10):
        add(store, number, "bob")
    for number in range(10, 15):
        add(store, number, "ana", run=1e6)
    owners = [request.tenant for request in store.requests.values()]
    assert (owners.count("bob"), owners.count("ana")) == (5, 5)


def test_many_keys_with_one_request_each_lose_the_oldest() -> None:
    store = Store(retention=10, seed=0)
    requests = [add(store, number, f"key {number}") for number in range(30)]
    assert [*store.requests.values()] == requests[-10:]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 3.0, 1e6])), max_size=60))
def test_the_accounts_of_a_store_are_right_after_any_submissions(calls: list[tuple[str, float]]) -> None:
    store = Store(retention=7, seed=0, max_memory=40_000)
    for number, (tenant, run) in enumerate(calls):
        before = {
            request.id for request in store.requests.values() if request.schedule.ends_at > NOW + number
        }
        try:
            add(store, number, tenant, run=run)
        except (QueueFull, MemoryFull):
            pass
        assert before <= store.requests.keys()
        assert len(store.requests) <= 7
        assert store.memory.used <= 40_000
        counted = sum(request.counted_bytes for request in store.requests.values())
        tenants = sum(tenant.counted_bytes for tenant in [*store._busy.values(), *store._idle.values()])
        assert store.memory.used == counted + tenants
    store.clear()
    assert store.memory.used == 0


def test_one_key_takes_at_most_nine_tenths_of_the_places_for_uploads() -> None:
    with_memory = Memory(1_000_000)
    store = FileStore(max_upload=10, max_disk=10, max_uploads=10, memory=with_memory)
    for number in range(9):
        upload = store.create(f"/{number}", "ana", "image/png", ObjectLifecycle(), NOW)
        writer = store.open_writer(upload, NOW)
        store.commit(writer, NOW)
    with pytest.raises(DiskFull):
        store.create("/9", "ana", "image/png", ObjectLifecycle(), NOW)
    store.create("/9", "bob", "image/png", ObjectLifecycle(), NOW)
    assert with_memory.held("ana") > 9 * 900
    store.close()
    assert with_memory.used == 0


# -- keys, tenants and caches


def test_a_key_that_is_too_long_is_rejected() -> None:
    keys = Keys()
    with pytest.raises(AuthenticationRequired):
        keys.account("Key " + "a" * MAX_HEADER_CHARS + ":b", "fal-ai/flux")


def test_tenants_without_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_TENANTS", 10)
    store = Store(retention=5, seed=0)
    for number in range(100):
        store.tenant(f"key {number}")
    assert len(store._idle) + len(store._busy) == 10
    held = store.memory.used
    for number in range(100, 200):
        add(store, number, f"key {number}")
    assert len(store._idle) + len(store._busy) <= 15
    assert store.memory.used > held


def test_tenants_without_requests_make_room_for_requests() -> None:
    store = Store(retention=50, seed=0, max_memory=100_000)
    for number in range(1000):
        store.tenant(f"key {number}")
    assert add(store, 1, "ana").id in store.requests
    assert store.memory.used <= 100_000


def test_a_ledger_of_many_keys_is_bounded_and_keeps_the_sum() -> None:
    ledger = Ledger(max_counters=10)
    for number in range(1000):
        ledger.add(Charge(f"key {number}", "fal-ai/flux/schnell", 0.0, 1, 1))
    assert len(list(ledger)) <= 10 * MAX_GROWTH + 1
    assert sum(charge.requests for charge in ledger) == 1000


def test_a_picture_in_the_cache_counts_with_its_prompt() -> None:
    cache = MediaCache(max_bytes=100_000)
    for number in range(10):
        recipe = Recipe("fal-ai/flux/schnell", f"{number}" + "x" * 40_000, 1, 8, 8)
        cache.render(recipe)
    assert len(cache._files) == 2


CACHES: list[tuple[Any, Callable[[str], Any]]] = [
    (http_request._address, lambda text: request("/queue.fal.run/" + text).host),
    (http_request._address, lambda text: request("/", host=text).links),
    (http_request._endpoint, lambda text: request("/fal.run/a/b/" + text).endpoint),
    (http_request._params, lambda text: request("/fal.run/a/b", query=text).params),
]


def request(path: str, *, host: str = "127.0.0.1", query: str = "") -> http_request.HttpRequest:
    headers = [(b"host", host.encode())]
    scope = {
        "headers": headers,
        "method": "GET",
        "query_string": query.encode(),
        "path": path,
        "scheme": "http",
    }
    return http_request.HttpRequest.of(scope)


@pytest.mark.parametrize(("cache", "use"), CACHES, ids=[cache.__name__ for cache, _ in CACHES])
def test_long_strings_are_not_cached(cache: Any, use: Callable[[str], Any]) -> None:
    before = cache.cache_info().currsize
    for number in range(5):
        use(f"{number}" + "x" * 5_000)
    assert (
        cache.cache_info().currsize <= before + 1
    )  # the short address of a request with a long query or host


# -- reset, and the truth


def test_a_reset_leaves_nothing_counted() -> None:
    fal = emulator(retention=50)
    hook = Webhook("http://127.0.0.1/", "https://v3b.fal.media")
    for number in range(30):
        submitted(fal, f"key {number % 4}", webhook=hook, directive="times=2 nsfw" if number % 3 else "")
        fal.record(exchange(f"key {number % 5}", 100))
        pass_time(fal, 0.5)
    fal.store.clear("key 0")
    assert fal.store.memory.held("key 0") == 0
    fal.reset()
    assert fal.store.memory.used == 0


def test_the_sum_is_close_to_the_truth() -> None:
    """Within a quarter: 0.95 to 1.13 was measured on CPython 3.11, with sockets and caches."""
    fal = emulator()
    submitted(fal, "ana")
    tracemalloc.start()
    used, (traced, _) = fal.store.memory.used, tracemalloc.get_traced_memory()
    for number in range(1000):
        submitted(fal, "ana")
        fal.record(exchange_of_a_poll(number))
    real = tracemalloc.get_traced_memory()[0] - traced
    tracemalloc.stop()
    assert 0.8 < (fal.store.memory.used - used) / real < 1.25


def exchange_of_a_poll(number: int) -> Exchange:
    path, head = f"/fal-ai/flux/requests/{number}/status", b"x-request-id:%d\n" % number
    return Exchange(
        *(NOW + number, "ana", "GET", "queue.fal.run", path, ""),
        *(head + b"h" * 200, b"", 200, head + b"h" * 300, b'{"status":"COMPLETED %d"}' % number),
        received_at=float(number),
        sent_at=float(number) + 0.5,
    )


# -- heads of requests


class Transport:
    """A connection whose client is the test."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_closed = self.has_ended = False
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        self.sent += data

    def write_eof(self) -> None:
        self.has_ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    def get_protocol(self) -> Any:
        return self.protocol

    def resume_reading(self) -> None: ...

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol


async def answer(scope: Any, receive: Any, send: Any) -> None:
    while scope["type"] == "http" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def responses(*pieces: bytes) -> tuple[list[int], int]:
    """The statuses of the responses to the pieces, and how many bytes were parsed before the refusal."""

    async def run() -> tuple[list[int], int]:
        transport = Transport()
        state = ServerState()
        connection = port._Protocol(port._config(answer), state, {}, asyncio.get_running_loop())
        connection.connection_made(transport)
        taken = 0
        for piece in pieces:
            connection.data_received(piece)
            for _ in range(5):
                await asyncio.sleep(0)
            if connection._is_stopped:
                break
            taken += len(piece)
        connection.connection_lost(None)
        if connection.timeout_keep_alive_task:
            connection.timeout_keep_alive_task.cancel()
        heads = transport.sent.split(b"HTTP/1.1 ")[1:]
        return [int(head[:3]) for head in heads], taken

    return asyncio.run(run())


KILOBYTE = 1024
GET = b"GET /x HTTP/1.1\r\nHost: x\r\n"
LIMIT = port.MAX_HEAD_BYTES


def pieces_of(data: bytes, size: int = KILOBYTE) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("head", "status", "limit"),
    [
        (GET + b"X-A: " + b"a" * 10 * LIMIT, 431, LIMIT),
        (GET + b"a" * 10 * LIMIT, 431, LIMIT),
        (GET + b"A: b\r\n" * 40_000, 431, LIMIT),
        (b"GET /" + b"a" * 10 * LIMIT, 414, port.MAX_TARGET_BYTES),
        (b"\r\n" * 10 * LIMIT, 431, LIMIT),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 10 * LIMIT, 431, LIMIT),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 40_000, 431, LIMIT),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 10 * LIMIT, 431, LIMIT),
    ],
    ids=["value", "name", "headers", "target", "empty lines", "trailer", "trailers", "chunk extension"],
)
@pytest.mark.parametrize("size", [KILOBYTE, 256 * KILOBYTE])
def test_a_head_is_refused_while_it_is_read(head: bytes, status: int, limit: int, size: int) -> None:
    statuses, taken = responses(*pieces_of(head, size))
    assert statuses == [status]
    assert taken <= limit + KILOBYTE


def test_a_head_of_the_largest_size_is_accepted() -> None:
    filled = GET + b"X-A: " + b"a" * (LIMIT - len(GET) - 9) + b"\r\n\r\n"
    assert len(filled) == LIMIT
    assert responses(filled) == ([200], LIMIT)
    assert responses(*pieces_of(filled)) == ([200], LIMIT)
    longer = filled.replace(b"X-A", b"X-AB")
    assert responses(longer)[0] == responses(*pieces_of(longer))[0] == [431]


def test_a_target_of_the_largest_size_is_accepted() -> None:
    target = b"/" + b"a" * (port.MAX_TARGET_BYTES - 1)
    assert responses(b"GET %s HTTP/1.1\r\n\r\n" % target)[0] == [200]
    assert responses(b"GET %sa HTTP/1.1\r\n\r\n" % target)[0] == [414]


def test_headers_are_counted() -> None:
    assert responses(GET + b"A: b\r\n" * (port.MAX_HEADERS - 1) + b"\r\n")[0] == [200]
    assert responses(GET + b"A: b\r\n" * port.MAX_HEADERS + b"\r\n")[0] == [431]


def test_a_long_body_is_no_head() -> None:
    body = b"a" * 5 * LIMIT
    head = b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert responses(head + body)[0] == responses(*pieces_of(head + body, 100_000))[0] == [200]
    chunk = b"%x\r\n%b\r\n" % (len(body), body)
    chunked = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"
    assert responses(*pieces_of(chunked, 50_000))[0] == [200]


def test_many_requests_in_one_piece_are_no_long_head() -> None:
    requests = (GET + b"X: " + b"a" * 1000 + b"\r\n\r\n") * 200
    assert responses(requests, b"", b"", *[b""] * 100)[0][:1] == [200]
    assert 431 not in responses(requests, *[b""] * 100)[0]


def test_a_long_head_behind_another_request_in_one_piece_is_refused() -> None:
    second = GET + b"X-A: " + b"a" * (LIMIT + 10_000) + b"\r\n\r\n"
    # The first request gets its response, and the connection ends with it.
    assert responses(GET + b"\r\n" + second)[0] == [200]


HANDSHAKE = GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (HANDSHAKE.replace(b"/x", b"/" + b"a" * 9_000), 414),
        (HANDSHAKE + b"X-A: " + b"a" * 9_000 + b"\r\n", 431),
        (HANDSHAKE + b"A: b\r\n" * 130, 431),
        (HANDSHAKE + b"A: " + b"a" * 2 * LIMIT, 431),
    ],
)
def test_a_handshake_has_a_limit(handshake: bytes, status: int) -> None:
    """The websockets library closes the connection without a response at less."""
    assert responses(handshake + b"\r\n")[0] == [status]


def test_after_a_refusal_the_rest_is_discarded_up_to_a_limit() -> None:
    async def run() -> tuple[int, bool, bool]:
        transport = Transport()
        connection = port._Protocol(port._config(answer), ServerState(), {}, asyncio.get_running_loop())
        connection.connection_made(transport)
        connection.data_received(GET + b"a" * LIMIT)
        waits = transport.is_closed
        connection.data_received(b"a" * port.MAX_DISCARDED_BYTES)
        return len(connection.headers), waits, transport.is_closed

    assert asyncio.run(run()) == (1, False, True)


# -- any bytes


TOKENS = st.sampled_from(
    [
        *(b"GET ", b"POST ", b"PUT ", b"CONNECT ", b"PRI * HTTP/2.0\r\n\r\n", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"),
        *(b"/", b"/queue.fal.run/fal-ai/flux/schnell", b"http://queue.fal.run/x", b"*", b"%", b"?a=%zz", b"//", b"\\"),
        *(b"Host: queue.fal.run\r\n", b"Host:\r\n", b"Host: [::1\r\n", b"Authorization: Key a:b\r\n"),
        *(b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"Expect: 100-continue\r\n"),
        *(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"),
        *(b"Upgrade: h2c\r\n", b"\r\n", b"\n", b"\r", b"\0", b": ", b" ", b"\t", b"\xff", b"0\r\n"),
        *(b"ffffffffffffffff\r\n", b"1;a=b\r\n"),
        *(b"Origin: http://[\r\n", b"X-Fal-Target-Url: http://[\r\n", b"Range: bytes=9-1\r\n", b"{}", b"a" * 70_000),
    ]
)  # fmt: skip
HEADS = st.lists(TOKENS | st.binary(max_size=20), max_size=14).map(b"".join)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    from mock_fal import MockFal

    with MockFal(queue_duration=0, run_duration=0, runners=0, port=0) as fal:
        yield "127.0.0.1", int(fal.url.rpartition(":")[2])


@settings(max_examples=150, deadline=None)
@given(st.lists(HEADS, min_size=1, max_size=3))
def test_any_bytes_get_a_response_or_a_clean_close(address: tuple[str, int], pieces: list[bytes]) -> None:
    """Never an internal error, and never an open connection after the client has ended its side."""
    import socket

    received = b""
    with socket.create_connection(address, timeout=30) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass  # refused with bytes left to read
    statuses = [int(head[:3]) for head in received.split(b"HTTP/1.1 ")[1:]]
    assert not received or received.startswith(b"HTTP/1.1 ")
    assert not [status for status in statuses if status >= 500 and status != 501]
