"""The webhook sender: delivers webhooks when they are due, with the retries of the retry policy."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from ipaddress import ip_address
from typing import Final
from weakref import WeakValueDictionary

from mock_fal.clock import real_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import MockFalError
from mock_fal.gateway.lookup import Lookups
from mock_fal.gateway.post import Target, post
from mock_fal.hosts import is_local_address
from mock_fal.requests.outcome import Outcome, Rendered
from mock_fal.terminal import logger
from mock_fal.webhooks.outbox import Attempt, Delivery, DeliveryState
from mock_fal.webhooks.payload import webhook_body
from mock_fal.webhooks.retry_policy import attempt_timeout_s
from mock_fal.webhooks.signature import Signed, signed, webhook_headers

# The number of simultaneous deliveries to one receiver (IP address and port), and in total. A delivery to another
# receiver is delayed only if 32 receivers hang, and the total is below every system's limit of open sockets.
PER_RECEIVER: Final = 16
IN_TOTAL: Final = 512

# How many characters of an origin a message shows.
_MAX_SHOWN: Final = 60

# How long `close` waits for deliveries that are due.
CLOSE_TIMEOUT_S: Final = 5.0

# Turns of the event loop after which an auto-advance clock has advanced to the next delivery, if there is one.
_IDLE_TURNS: Final = 5


class BlockedTarget(MockFalError):
    """A URL to which no webhook is sent."""


class WebhookSender:
    """Delivers the webhooks of the emulator's outbox. `notify` may be called in the event loop only.

    `rendered` gives the data URIs and the sizes of files that a payload contains.
    """

    def __init__(self, emulator: Emulator, rendered: Callable[[Outcome], Awaitable[Rendered]]) -> None:
        self._emulator = emulator
        self._outbox = emulator.outbox
        self._rendered = rendered
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduler: asyncio.Task[None] | None = None
        self._next_at = math.inf
        self._closed = False
        self._per_receiver: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._total = asyncio.Semaphore(IN_TOTAL)
        self._imported = False
        self._lookups = Lookups()  # not shared with downloads, whose hosts are not the receivers'
        self._tls: ssl.SSLContext | None = None

    def notify(self) -> None:
        """A delivery may be due earlier than before."""
        if self._closed:
            return
        if self._scheduler is None or self._scheduler.done():
            self._scheduler = asyncio.create_task(self._run_scheduler())
        elif self._outbox.next_at() < self._next_at:
            self._emulator.clock.wake()

    async def wait_for_deliveries(self) -> None:
        """Return when no delivery is in progress and none is due."""
        idle = 0
        while idle < _IDLE_TURNS:
            self._start_due()
            if self._tasks:
                await asyncio.wait(self._tasks)
                idle = 0
            else:
                await asyncio.sleep(0)
                idle += 1

    async def close(self) -> None:
        """Wait at most `CLOSE_TIMEOUT_S` for deliveries in progress or due; log those that were not delivered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.wait_for_deliveries()
        self._closed = True
        tasks = [*self._tasks, *([self._scheduler] if self._scheduler else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._report()

    async def _run_scheduler(self) -> None:
        """Start each delivery when it is due, until none is left."""
        while (moment := self._outbox.next_at()) < math.inf:
            self._next_at = moment
            await self._emulator.clock.wait_until(moment)
            self._start_due()

    def _start_due(self) -> None:
        for delivery in self._emulator.due_deliveries():
            task = asyncio.create_task(self._deliver(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        """Make one attempt, within the limits of simultaneous deliveries, and record its result."""
        try:
            attempt = await self._attempt(delivery)
        except asyncio.CancelledError:
            self._outbox.requeue(delivery)
            raise
        self._outbox.record(delivery, attempt)
        _log(delivery, self._emulator.keys.secrets.text(delivery.url))

    async def _attempt(self, delivery: Delivery) -> Attempt:
        """The result of one attempt. Raises CancelledError before it begins; a cancellation afterwards is a result."""
        at, started_at = self._emulator.clock.now(), _loop_time()
        status, error, final = None, "", False
        sent: Signed | None = None
        started = False
        try:
            target, addresses = await self._resolve(delivery)
            async with self._receiver(target, addresses), self._total:
                started, at, started_at = True, self._emulator.clock.now(), _loop_time()
                headers = await self._headers(delivery, target)
                sent = signed(headers, delivery.body)
                status = await self._send(delivery, target, addresses, headers)
        except asyncio.CancelledError:
            if not started:
                raise
            error = "mock-fal was stopped"  # it may have arrived, so the attempt counts
        except TimeoutError:
            error = f"no response within {attempt_timeout_s(delivery.policy, len(delivery.attempts) + 1):g} s"
        except BlockedTarget as blocked:
            error, final = str(blocked), True
        except OSError as os_error:
            error = str(os_error) or type(os_error).__name__
        except Exception as bug:
            logger.exception("mock-fal: internal error in the webhook of %s", delivery.request_id)
            error, final = repr(bug), True
        return Attempt(at, round(_loop_time() - started_at, 6), status, error, final, sent)

    async def _resolve(self, delivery: Delivery) -> tuple[Target, list[str]]:
        """The target of a delivery and its IP addresses. Raises BlockedTarget or OSError."""
        try:
            target = Target.parse(delivery.url)
            return target, await self._addresses(target, delivery.webhook.page)
        except ValueError as error:
            raise BlockedTarget(f"unusable URL: {error}") from None

    def _receiver(self, target: Target, addresses: list[str]) -> asyncio.Semaphore:
        """The limit of simultaneous deliveries to one address and port, whatever names it has."""
        address = f"{min(addresses)} {target.port}"
        return self._per_receiver.setdefault(address, asyncio.Semaphore(PER_RECEIVER))

    async def _headers(self, delivery: Delivery, target: Target) -> list[tuple[str, str]]:
        """The headers of the next attempt, for the body of the delivery, which is written before the first one."""
        if not self._imported:
            # In a thread: this import takes longer than a hundred responses.
            await self._lookups.in_thread(import_module, "cryptography.hazmat.primitives.asymmetric.ed25519")
            self._imported = True
        if target.secure and self._tls is None:
            # fal: certificates are checked. The roots are the system's, or those of SSL_CERT_FILE.
            self._tls = await self._lookups.in_thread(ssl.create_default_context)
        request = delivery.request
        if not delivery.body:
            outcome = request.result
            inline = await self._rendered(outcome)
            media, changes = delivery.webhook.media, delivery.changes
            delivery.body = webhook_body(request.id, outcome, media, inline, request.gateway_id, changes)
        attempt = len(delivery.attempts) + 1
        headers = webhook_headers(
            request.id,
            request.tenant,
            delivery.body,
            self._emulator.signer,
            # The real time, not the emulated time: receivers check the signature's age against their own clock.
            now=real_time(),
            attempt=attempt,
        )
        if delivery.fault == "bad_signature":
            headers = [
                (name, value[::-1] if name.endswith("-signature") else value) for name, value in headers
            ]
        return headers

    async def _send(
        self, delivery: Delivery, target: Target, addresses: list[str], headers: list[tuple[str, str]]
    ) -> int:
        """The status of the receiver's response. Raises TimeoutError or OSError."""
        async with asyncio.timeout(attempt_timeout_s(delivery.policy, len(delivery.attempts) + 1)):
            context = self._tls if target.secure else None
            return await post(target, addresses, headers, delivery.body, context)

    async def _addresses(self, target: Target, page: str = "") -> list[str]:
        """The IP addresses of a target's host. Raises BlockedTarget if one of them is not allowed.

        `page` is the origin of the page of another machine that requested the webhook; empty for all other requests.
        """
        # The request is sent to these addresses: a second lookup of the name could return others.
        addresses = await self._lookups.addresses(target.host, target.port)
        if page and not all(_is_public(address) for address in addresses):
            # deviation: a web page of another machine gets no webhook to this machine or a private network, unless it
            # sends a key of `--key`: a browser lets any page send requests to this server.
            raise BlockedTarget(
                f"requested by a web page of {ascii(page[:_MAX_SHOWN])}, and not with a key of --key"
            )
        # fal: private addresses are rejected.
        # deviation: webhooks to private addresses are delivered; public addresses need --allow-egress.
        public = [address for address in addresses if not is_local_address(address)]
        if public and not self._emulator.settings.allow_egress:
            name = target.host if target.host == public[0] else f"{target.host} ({public[0]})"
            raise BlockedTarget(
                f"{name} is neither on this machine nor in a private network; start with --allow-egress"
            )
        return addresses

    def _report(self) -> None:
        waiting = [
            delivery for delivery in self._outbox.deliveries if delivery.state is DeliveryState.WAITING
        ]
        if waiting:
            ids = ", ".join(delivery.request_id for delivery in waiting[:5]) + (
                ", …" if len(waiting) > 5 else ""
            )
            logger.warning("mock-fal: stopped before %d webhook(s) were delivered: %s", len(waiting), ids)


def _is_public(address: str) -> bool:
    """Whether an address is on the internet. Link-local ones are neither public nor in a private network."""
    return ip_address(address).is_global and not is_local_address(address)


def _log(delivery: Delivery, url: str) -> None:
    last = delivery.attempts[-1]
    result = last.error or f"status {last.status}"
    details = (len(delivery.attempts), delivery.request_id, url, result)
    if delivery.state is DeliveryState.FAILED:
        logger.warning("mock-fal: webhook failed after attempt %d: %s to %s: %s", *details)
    else:
        logger.info("mock-fal: webhook, attempt %d: %s to %s: %s", *details)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
