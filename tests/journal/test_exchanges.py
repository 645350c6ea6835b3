from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.journal.exchanges import Exchange, Journal, Kind, packed

HEADERS = [(b"content-type", b"application/json"), (b"x-odd", b"a: b:c"), (b"x-odd", b"")]


def exchange(tenant: str = "alice", *, query: str = "", body: bytes = b'{"prompt":"a cat"}') -> Exchange:
    head = packed(HEADERS)
    return Exchange(EPOCH, tenant, "POST", "queue.fal.run", "/fal-ai/flux/dev", query, head, body, 200, b"")


def test_an_exchange_tells_its_address_in_fals_own_words() -> None:
    assert exchange().url == "https://queue.fal.run/fal-ai/flux/dev"
    assert exchange(query="logs=1").url == "https://queue.fal.run/fal-ai/flux/dev?logs=1"


def test_an_exchange_is_shown_in_a_few_words() -> None:
    assert repr(exchange()) == "<POST https://queue.fal.run/fal-ai/flux/dev → 200>"


def test_an_exchange_gives_the_document_that_was_sent() -> None:
    assert exchange().json == {"prompt": "a cat"}


def test_headers_come_out_as_they_went_in() -> None:
    assert exchange().request_headers == HEADERS
    assert exchange().response_headers == []


def test_the_journal_keeps_the_latest_exchanges() -> None:
    journal = Journal(max_exchanges=3)
    written = [exchange() for _ in range(5)]
    for each in written:
        journal.append(each)
    assert list(journal) == written[2:]
    assert journal.latest(2) == [written[4], written[3]]


@given(st.lists(st.integers(0, 200), max_size=30))
def test_the_bodies_never_come_to_more_than_the_limit_but_for_a_single_one(sizes: list[int]) -> None:
    journal = Journal(max_exchanges=1000, max_bytes=100)
    for size in sizes:
        journal.append(exchange(body=b"x" * size))
    assert len(journal) <= 1 or sum(len(each.request_body) for each in journal) <= 100


def test_the_latest_exchange_is_always_kept() -> None:
    journal = Journal(max_exchanges=3, max_bytes=10)
    large = exchange(body=b"x" * 100)
    journal.append(large)
    assert list(journal) == [large]


def test_a_body_that_grew_is_counted_when_it_is_weighed() -> None:
    journal = Journal(max_exchanges=3, max_bytes=100)
    first, second, third = (exchange(body=b"") for _ in range(3))
    for each in (first, second, third):
        journal.append(each)
    second.response_body = b"x" * 99
    journal.weigh(second)
    assert (list(journal), journal.body_bytes) == ([first, second, third], 99)
    third.response_body = b"xx"
    journal.weigh(third)
    assert (list(journal), journal.body_bytes) == ([third], 2)
    journal.weigh(first)
    assert journal.body_bytes == 2


def test_clearing_one_tenant_leaves_the_others() -> None:
    journal = Journal(max_exchanges=3)
    theirs = exchange("bob")
    for each in (exchange("alice"), theirs, exchange("alice")):
        journal.append(each)
    journal.clear("alice")
    assert list(journal) == [theirs]
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
def test_an_exchange_tells_what_was_asked_for(
    method: str, address: str, operation: str, endpoint: str | None
) -> None:
    host, slash, path = address.partition("/")
    each = Exchange(EPOCH, "alice", method, host, slash + path, "", b"", b"", 200, b"")
    assert (each.operation, each.endpoint) == (operation, endpoint)
    assert each.is_submission is (operation in ("submit", "run", "stream", "realtime"))


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000])
def test_what_is_no_json_is_no_input(body: bytes) -> None:
    assert exchange(body=body).input is None
    assert exchange().input == {"prompt": "a cat"}


def test_an_answer_that_goes_on_has_taken_no_time_yet() -> None:
    each = exchange()
    each.received_at = 10.0
    assert each.duration_s is None
    each.sent_at = 12.5
    assert each.duration_s == 2.5


def test_numbers_go_on_whatever_is_forgotten() -> None:
    journal = Journal(max_exchanges=1)
    for each in (exchange("alice"), exchange("bob")):
        journal.append(each)
    journal.clear()
    journal.append(exchange())
    assert [each.number for each in journal] == [3]


@given(st.lists(st.sampled_from(["ask", "forget alice", "forget all"]), max_size=30))
def test_totals_count_what_ever_was(story: list[str]) -> None:
    journal = Journal(max_exchanges=2)
    for event in story:
        if event == "ask":
            journal.append(exchange())
        else:
            journal.clear("alice" if event == "forget alice" else None)
    assert journal.totals() == Counter({Kind("queue.fal.run", "submit", 200): story.count("ask")}) + Counter()


def test_hosts_that_we_do_not_emulate_are_counted_as_one() -> None:
    journal = Journal(max_exchanges=1)
    for host in ("a.fal.run", "b.fal.run"):
        journal.append(Exchange(EPOCH, "alice", "GET", host, "/", "", b"", b"", 501, b""))
    assert journal.totals() == {Kind("other", "other", 501): 2}
