from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.journal import Exchange, Journal, packed

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


def test_clearing_one_tenant_leaves_the_others() -> None:
    journal = Journal(max_exchanges=3)
    theirs = exchange("bob")
    for each in (exchange("alice"), theirs, exchange("alice")):
        journal.append(each)
    journal.clear("alice")
    assert list(journal) == [theirs]
    journal.clear()
    assert len(journal) == 0
