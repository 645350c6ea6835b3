"""The courier: carries webhooks to their receivers, when they are due and for as long as the timetable says."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from ipaddress import ip_address
from typing import Final
from weakref import WeakValueDictionary

from mock_fal.clock import real_time
from mock_fal.emulator import Emulator
from mock_fal.errors import MockFalError
from mock_fal.gateway.post import Target, post
from mock_fal.hosts import is_local_address
from mock_fal.requests.outcome import Outcome, Picture
from mock_fal.webhooks import webhook
from mock_fal.webhooks.outbox import Attempt, Delivery, DeliveryState
from mock_fal.webhooks.retry_policy import patience_s

logger = logging.getLogger("mock_fal")

# How many deliveries are under way to one receiver (an address and port), and in all. So it takes 32 receivers
# that hang to delay another one; and all of them together need fewer sockets than any system allows.
PER_RECEIVER: Final = 16
IN_ALL: Final = 512

# How long `close` waits for what is due.
FAREWELL_S: Final = 5.0


# Turns of the event loop after which a auto-advance clock has gone on to the next delivery, if there is one.
_QUIET_TURNS: Final = 5


class RefusedTarget(MockFalError):
    """An address that no webhook is sent to."""


class WebhookSender:
    """Delivers what the emulator's outbox owes. It lives in one event loop; `ring` may be called from there only.

    `draw` makes the data URIs of pictures that an answer carries in itself.
    """

    def __init__(self, emulator: Emulator, draw: Callable[[Outcome], Awaitable[dict[Picture, str]]]) -> None:
        self._emulator = emulator
        self._outbox = emulator.outbox
        self._draw = draw
        self._tasks: set[asyncio.Task[None]] = set()
        self._rounds: asyncio.Task[None] | None = None
        self._waits_for = math.inf
        self._closed = False
        self._lanes: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._all = asyncio.Semaphore(IN_ALL)
        self._ready = False
        self._tls: ssl.SSLContext | None = None

    def notify(self) -> None:
        """Something may be due sooner than it was."""
        if self._closed:
            return
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._make_rounds())
        elif self._outbox.next_at() < self._waits_for:
            self._emulator.clock.wake()

    async def wait_for_deliveries(self) -> None:
        """Return when nothing is under way and nothing is due."""
        quiet = 0
        while quiet < _QUIET_TURNS:
            self._start_due()
            if self._tasks:
                await asyncio.wait(self._tasks)
                quiet = 0
            else:
                await asyncio.sleep(0)
                quiet += 1

    async def close(self) -> None:
        """Wait for what is under way and what is due, at most `FAREWELL_S`; tell what was not delivered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self.wait_for_deliveries()
        self._closed = True
        working = [*self._tasks, *([self._rounds] if self._rounds else [])]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        self._report()

    async def _make_rounds(self) -> None:
        """Wait for the next moment at which something is due, as long as anything is owed."""
        while (moment := self._outbox.next_at()) < math.inf:
            self._waits_for = moment
            await self._emulator.clock.wait_until(moment)
            self._start_due()

    def _start_due(self) -> None:
        for delivery in self._emulator.due_deliveries():
            task = asyncio.create_task(self._deliver(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        """One attempt, as soon as the receiver and we have a hand free. Whatever happens, it is written down."""
        lane = self._lanes.setdefault(_receiver(delivery.url), asyncio.Semaphore(PER_RECEIVER))
        try:
            async with lane, self._all:
                attempt = await self._attempt(delivery)
        except asyncio.CancelledError:
            self._outbox.hand_back(delivery)
            raise
        self._outbox.record(delivery, attempt)
        _tell(delivery)

    async def _attempt(self, delivery: Delivery) -> Attempt:
        at, began = self._emulator.clock.now(), _elapsed()
        status, error, final = None, "", False
        try:
            status = await self._send(delivery)
        except asyncio.CancelledError:
            error = "mock-fal was stopped"  # it may have arrived, so it counts
        except TimeoutError:
            error = f"no answer within {patience_s(delivery.policy, len(delivery.attempts) + 1):g} s"
        except RefusedTarget as refusal:
            error, final = str(refusal), True
        except OSError as failure:
            error = str(failure) or type(failure).__name__
        except Exception as bug:
            logger.exception("mock-fal: a bug, in the webhook of %s", delivery.request_id)
            error, final = repr(bug), True
        return Attempt(at, round(_elapsed() - began, 6), status, error, final)

    async def _send(self, delivery: Delivery) -> int:
        """The status that the receiver answers. Raises RefusedTarget, TimeoutError or OSError."""
        try:
            target = Target.parse(delivery.url)
            addresses = await self._addresses(target)
        except ValueError as error:
            raise RefusedTarget(f"no usable URL: {error}") from None
        if not self._ready:
            # In a thread: what is imported here takes longer than a hundred answers.
            await asyncio.to_thread(import_module, "cryptography.hazmat.primitives.asymmetric.ed25519")
            self._ready = True
        if target.secure and self._tls is None:
            # fal: certificates are checked. The roots are the system's, or those of SSL_CERT_FILE.
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        request = delivery.request
        if not delivery.body:
            outcome = request.result
            inline = await self._draw(outcome)
            delivery.body = webhook.body(request.id, outcome, delivery.webhook.media, inline)
        attempt = len(delivery.attempts) + 1
        headers = webhook.headers(
            request.id,
            request.tenant,
            delivery.body,
            self._emulator.signer,
            # The real time, whatever our clock says: receivers hold the signature's age against their own.
            now=real_time(),
            attempt=attempt,
        )
        if delivery.fault == "bad_signature":
            headers = [
                (name, value[::-1] if name.endswith("-signature") else value) for name, value in headers
            ]
        async with asyncio.timeout(patience_s(delivery.policy, attempt)):
            context = self._tls if target.secure else None
            return await post(target, addresses, headers, delivery.body, context)

    async def _addresses(self, target: Target) -> list[str]:
        """The addresses of a target's host. Raises RefusedTarget when one of them is not to be sent to."""
        # They are used as they are: a name that is looked up twice can stand for another address then.
        addresses = await _look_up(target)
        # fal: private addresses are refused. deviation: so are all others, unless --allow-egress.
        public = [address for address in addresses if not is_local_address(address)]
        if public and not self._emulator.settings.allow_egress:
            seen = target.host if target.host == public[0] else f"{target.host} ({public[0]})"
            raise RefusedTarget(
                f"{seen} is neither on this machine nor in a private network; start with --allow-egress"
            )
        return addresses

    def _report(self) -> None:
        waiting = [each for each in self._outbox.deliveries if each.state is DeliveryState.WAITING]
        if waiting:
            ids = ", ".join(each.request_id for each in waiting[:5]) + (", …" if len(waiting) > 5 else "")
            logger.warning("mock-fal: stopped with %d webhook(s) not delivered yet: %s", len(waiting), ids)


async def _look_up(target: Target) -> list[str]:
    try:
        return [str(ip_address(target.host))]
    except ValueError:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(item[4][0]) for item in found))


def _receiver(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _tell(delivery: Delivery) -> None:
    last = delivery.attempts[-1]
    came = last.error or f"answered {last.status}"
    told = (len(delivery.attempts), delivery.request_id, delivery.url, came)
    if delivery.state is DeliveryState.FAILED:
        logger.warning("mock-fal: webhook given up after attempt %d: %s to %s: %s", *told)
    else:
        logger.info("mock-fal: webhook, attempt %d: %s to %s: %s", *told)


def _elapsed() -> float:
    return asyncio.get_running_loop().time()
