"""Fixtures of the gateway tests: an authority, an event loop in a thread, and a TLS server in place of mock-fal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mock_fal.clock import SystemClock
from mock_fal.gateway.certificates import Authority
from tests.gateway.servers import Loop, web


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with Authority(now=SystemClock().now()) as authority:
        yield authority


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def tls_port(loop: Loop, authority: Authority) -> Iterator[int]:
    with loop.serving(web, authority.server_context()) as port:
        yield port
