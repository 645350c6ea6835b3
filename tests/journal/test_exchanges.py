from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.journal.exchanges import MAX_UNREAD_BYTES, Exchange, ExchangeKind, Journal, pack_headers
from mock_fal.journal.memory import SENDER_BYTES, Memory

HEADERS = [(b"content-type", b"application/json"), (b"x-odd", b"a: b:c"), (b"x-odd", b"")]


def exchange(
    tenant: str = "alice",
    *,
    query: str = "",
    head: bytes = pack_headers(HEADERS),
    body: bytes = b'{"prompt":"a cat"}',
    response: bytes = b"",
) -> Exchange:
    path = "/fal-ai/flux/dev"
    return Exchange(EPOCH, tenant, "POST", "queue.fal.run", path, query, head, body, 200, b"", response)


def test_the_url_has_fals_host() -> None:
    assert exchange().url == "https://queue.fal.run/fal-ai/flux/dev"
    assert exchange(query="logs=1").url == "https://queue.fal.run/fal-ai/flux/dev?logs=1"


def test_the_repr_is_short() -> None:
    assert repr(exchange()) == "<POST https://queue.fal.run/fal-ai/flux/dev → 200>"


def test_the_request_body_is_available_as_json() -> None:
    assert exchange().json == {"prompt": "a cat"}


def test_packed_headers_unpack_equal() -> None:
    assert exchange().request_headers == HEADERS
    assert exchange().response_headers == []


def test_the_journal_keeps_the_latest_exchanges() -> None:
    journal = Journal(max_exchanges=3)
    written = [exchange() for _ in range(5)]
    for item in written:
        journal.append(item)
    assert list(journal) == written[2:]
    assert journal.latest(2) == [written[4], written[3]]


@given(st.lists(st.integers(0, 20_000), max_size=30))
def test_the_memory_of_all_exchanges_is_limited_except_for_a_single_one(sizes: list[int]) -> None:
    memory = Memory(40_000)
    journal = Journal(max_exchanges=1000, memory=memory)
    for size in sizes:
        journal.append(exchange(body=b"x" * size))
    assert len(journal) <= 1 or memory.used <= 40_000
    assert journal.body_bytes == sum(len(item.request_body) for item in journal)


def test_the_latest_exchange_is_always_kept() -> None:
    journal = Journal(max_exchanges=3, memory=Memory(10))
    large = exchange(body=b"x" * 100)
    journal.append(large)
    assert list(journal) == [large]


def test_update_size_counts_a_body_that_has_grown() -> None:
    memory = Memory(100_000)
    journal = Journal(max_exchanges=3, memory=memory)
    first, second, third = (exchange(body=b"") for _ in range(3))
    for item in (first, second, third):
        journal.append(item)
    before = memory.used
    second.response_body = b"x" * 90_000
    journal.update_size(second)
    assert (list(journal), journal.body_bytes) == ([first, second, third], 90_000)
    assert memory.used == before + 90_000
    third.response_body = b"x" * 20_000
    journal.update_size(third)
    assert (list(journal), journal.body_bytes) == ([third], 20_000)
    journal.update_size(first)
    assert journal.body_bytes == 20_000


def test_clearing_one_tenant_leaves_the_others() -> None:
    journal = Journal(max_exchanges=3)
    other = exchange("bob")
    for item in (exchange("alice"), other, exchange("alice")):
        journal.append(item)
    journal.clear("alice")
    assert list(journal) == [other]
    journal.clear()
    assert len(journal) == 0


@pytest.mark.parametrize(
    ("method", "address", "operation", "endpoint"),
    [
        ("POST", "queue.fal.run/fal-ai/flux/dev", "submit", "fal-ai/flux/dev"),
        ("GET", "queue.fal.run/fal-ai/flux/requests/1/status", "status", "fal-ai/flux"),
        ("GET", "queue.fal.run/fal-ai/flux/requests/1/status/stream", "status_stream", "fal-ai/flux"),
        ("GET", "queue.fal.run/fal-ai/flux/requests/1", "result", "fal-ai/flux"),
        ("GET", "queue.fal.run/fal-ai/flux/requests/1/response", "result", "fal-ai/flux"),
        ("PUT", "queue.fal.run/fal-ai/flux/requests/1/cancel", "cancel", "fal-ai/flux"),
        ("GET", "queue.fal.run/fal-ai/flux/requests/1/x", "other", "fal-ai/flux"),
        ("GET", "queue.fal.run/fal-ai/flux", "other", "fal-ai/flux"),
        ("POST", "fal.run/fal-ai/flux/dev", "run", "fal-ai/flux/dev"),
        ("POST", "fal.run/fal-ai/any-llm/stream", "stream", "fal-ai/any-llm/stream"),
        ("WS", "fal.run/fal-ai/flux-2/klein/realtime", "realtime", "fal-ai/flux-2/klein/realtime"),
        ("POST", "ws.fal.run/fal-ai/flux/dev", "run", "fal-ai/flux/dev"),
        ("WS", "ws.fal.run/fal-ai/flux/dev", "other", "fal-ai/flux/dev"),
        ("GET", "api.fal.ai/v1/models", "platform", None),
        ("GET", "fal.run/", "other", None),
        ("GET", "v3b.fal.media/files/b/1.jpg", "download", None),
        ("PUT", "v3b.fal.media/files/b/1.jpg", "upload", None),
        ("POST", "rest.fal.ai/storage/upload/initiate", "rest", None),
        ("GET", "evil.fal.run/x/y", "other", None),
    ],
)
def test_an_exchange_knows_its_operation_and_endpoint(
    method: str, address: str, operation: str, endpoint: str | None
) -> None:
    host, slash, path = address.partition("/")
    item = Exchange(EPOCH, "alice", method, host, slash + path, "", b"", b"", 200, b"")
    assert (item.operation, item.endpoint) == (operation, endpoint)
    assert item.is_submission is (operation in ("submit", "run", "stream", "realtime"))


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000])
def test_a_body_that_is_not_json_has_no_input(body: bytes) -> None:
    assert exchange(body=body).input is None
    assert exchange().input == {"prompt": "a cat"}


def test_an_unfinished_response_has_no_duration() -> None:
    item = exchange()
    item.received_at = 10.0
    assert item.duration_s is None
    item.sent_at = 12.5
    assert item.duration_s == 2.5


def test_numbers_are_not_reused_after_a_clear() -> None:
    journal = Journal(max_exchanges=1)
    for item in (exchange("alice"), exchange("bob")):
        journal.append(item)
    journal.clear()
    journal.append(exchange())
    assert [item.number for item in journal] == [3]


@given(st.lists(st.sampled_from(["append", "clear alice", "clear all"]), max_size=30))
def test_totals_include_removed_exchanges(events: list[str]) -> None:
    journal = Journal(max_exchanges=2)
    for event in events:
        if event == "append":
            journal.append(exchange())
        else:
            journal.clear("alice" if event == "clear alice" else None)
    assert (
        journal.totals()
        == Counter({ExchangeKind("queue.fal.run", "submit", 200): events.count("append")}) + Counter()
    )


def test_hosts_that_are_not_emulated_are_counted_as_other() -> None:
    journal = Journal(max_exchanges=1)
    for host in ("a.fal.run", "b.fal.run"):
        journal.append(Exchange(EPOCH, "alice", "GET", host, "/", "", b"", b"", 501, b""))
    assert journal.totals() == {ExchangeKind("other", "other", 501): 2}


def test_equal_polls_share_their_response_and_are_counted_alike() -> None:
    journal, head = Journal(10), b"authorization:Key alice:***"
    for _ in range(3):
        poll = exchange(head=head, body=b"", response=bytes(bytearray(b"x" * 1000)))
        journal.append(poll, "Key alice:0123456789abcdef")
    first, second, third = journal
    assert first.response_body is second.response_body is third.response_body
    assert first.counted_bytes == second.counted_bytes == third.counted_bytes
    assert journal.body_bytes == 3000


def test_the_secret_is_hidden_again_when_another_key_has_the_same_shown_head() -> None:
    journal = Journal(10)
    for secret in ("0123456789abcdef", "fedcba9876543210", "0123456789abcdef"):
        head = bytes(bytearray(b"authorization:Key alice:***"))
        body = b"fedcba9876543210 0123456789abcdef"
        journal.append(exchange(head=head, response=body), f"Key alice:{secret}")
        assert secret.encode() not in list(journal)[-1].response_body


class Unread:
    """A request that the journal makes an exchange of later; `read` counts how often."""

    at = EPOCH

    def __init__(self, body: bytes = b"", secret: str = "") -> None:
        self.body, self.secret, self.times_read = body, secret, 0

    def read(self) -> tuple[Exchange, str]:
        self.times_read += 1
        return exchange(body=self.body), self.secret


READERS: dict[str, Callable[[Journal], object]] = {
    "iteration": list,
    "length": len,
    "last_number": lambda journal: journal.last_number,
    "find": lambda journal: journal.find(1),
    "latest": lambda journal: journal.latest(1),
    "removed": lambda journal: journal.removed,
    "totals": lambda journal: journal.totals(),
    "body_bytes": lambda journal: journal.body_bytes,
    "settle": lambda journal: journal.settle(EPOCH),
    "append": lambda journal: journal.append(exchange()),
    "clear": lambda journal: journal.clear(),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_an_exchange_is_made_when_the_journal_is_read(read: Callable[[Journal], object]) -> None:
    journal, unread = Journal(10), Unread()
    journal.append_later(unread, 0)
    assert unread.times_read == 0
    read(journal)
    read(journal)
    assert unread.times_read == 1


def test_exchanges_that_are_made_later_keep_their_order_and_hide_secrets() -> None:
    journal = Journal(10)
    journal.append_later(Unread(b"1 a-long-secret", "a-long-secret"), 0)
    journal.append(exchange(body=b"2"))
    journal.append_later(Unread(b"3"), 0)
    assert [(item.number, item.request_body) for item in journal] == [
        (1, "1 •••".encode()),
        (2, b"2"),
        (3, b"3"),
    ]


def test_the_bodies_of_exchanges_that_are_not_made_yet_are_bounded() -> None:
    memory = Memory()
    journal, unread = Journal(1000, memory), [Unread(b"x" * 1000) for _ in range(200)]
    for number, item in enumerate(unread):
        journal.append_later(item, 1000)
        due = [other for other in unread[: number + 1] if not other.times_read]
        assert 1000 * len(due) <= MAX_UNREAD_BYTES
    journal.settle(EPOCH)
    counted = memory.used
    journal = Journal(1000, memory := Memory())
    for item in unread:
        journal.append(item.read()[0])
    assert counted == memory.used
    journal.append_later(large := Unread(b"x" * MAX_UNREAD_BYTES), MAX_UNREAD_BYTES)
    assert large.times_read == 1


def test_a_reader_leaves_the_budget_to_the_server() -> None:
    """It has no lock, and the reader may be another thread."""
    memory = Memory()
    journal = Journal(2, memory)
    for _ in range(3):
        journal.append_later(Unread(), 0)
    assert len(journal) == 2
    assert memory.used == 0
    journal.append(exchange())
    assert memory.used == sum(item.counted_bytes for item in journal) + SENDER_BYTES
