"""The in-memory store: requests, result files and exchanges. Bounded; requests in flight are never removed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mock_fal.accounts.acl import Acl
from mock_fal.errors import QueueFull
from mock_fal.ids import Ids
from mock_fal.journal.exchanges import Journal
from mock_fal.models.catalog import FAMILIES
from mock_fal.requests.outcome import Picture, RunnerResponse
from mock_fal.requests.queue import AppQueue, ModelRequest

if TYPE_CHECKING:
    from mock_fal.billing.usage import Ledger
    from mock_fal.scenario.rules import Scenario


@dataclass(slots=True, eq=False)
class ResultFile:
    """A file in the result of a request, and its ACL."""

    picture: Picture
    request: ModelRequest
    acl: Acl

    @property
    def owner(self) -> str:
        return self.request.tenant

    @property
    def expires_at(self) -> float:
        return self.request.schedule.ends_at + self.request.object_lifecycle.lifetime_s


@dataclass(slots=True, eq=False)
class Tenant:
    """The state of one key: its identifiers, queues and rules. Tenants don't affect each other."""

    name: str
    ids: Ids
    new_scenario: Callable[[], Scenario]
    queues: dict[str, AppQueue] = field(default_factory=dict)
    _scenario: Scenario | None = None

    @property
    def scenario(self) -> Scenario:
        """The rules for this key, created at the first access."""
        if self._scenario is None:
            self._scenario = self.new_scenario()
        return self._scenario

    @property
    def has_rules(self) -> bool:
        return bool(self._scenario)


# Beyond this number, the least recently used tenant without a stored request is removed, and starts anew when
# it returns. One with a stored request stays, because new requests would get the ids of the stored ones.
MAX_TENANTS = 10_000


class Store:
    """Everything a server keeps, in memory."""

    # deviation: requests beyond `retention`, and those of an earlier process, are unknown.

    def __init__(self, *, retention: int, seed: int, runners: int = 0, concurrency: int = 0) -> None:
        self._retention = retention
        self._seed = seed
        self._runners = runners
        self._concurrency = concurrency
        self._tenants: dict[str, Tenant] = {}
        self._submitted = 0
        # An OrderedDict: finding the first key of a dict is slow after many removals at its front.
        self.requests: OrderedDict[str, ModelRequest] = OrderedDict()
        self.files: dict[str, ResultFile] = {}
        self.exchanges = Journal(retention)
        # Whether any rule or directive has ever changed a response.
        self.has_faults = False

    @property
    def is_limited(self) -> bool:
        """Whether requests may wait for others to end."""
        return bool(self._runners or self._concurrency)

    @cached_property
    def ledger(self) -> Ledger:
        """The charges of requests that were removed because of `retention`."""
        from mock_fal.billing.usage import Ledger

        return Ledger()

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name, created at the first call."""
        tenant = self._tenants.pop(name, None)
        if tenant is None:
            self._remove_idle_tenant()
            tenant = Tenant(name, Ids(self._seed, name), self.new_scenario)
        self._tenants[name] = tenant  # the most recently used one is the last
        return tenant

    def queue(self, tenant: str, app_id: str) -> AppQueue:
        """The queue of one app and tenant. With a limit on concurrency, all apps of a tenant share one queue."""
        # assumption: with a limit on concurrency, queue positions count requests of all apps.
        queues = self.tenant(tenant).queues
        name = "" if self._concurrency else app_id
        if name not in queues:
            queues[name] = AppQueue(self._concurrency or self._runners)
        return queues[name]

    def new_scenario(self) -> Scenario:
        """A scenario without rules."""
        from mock_fal.scenario.rules import Scenario  # only loaded by tests that use rules or directives

        return Scenario(FAMILIES, self.expect_faults)

    def expect_faults(self) -> None:
        """From now on, every response is checked for injected faults."""
        self.has_faults = True

    @property
    def submitted(self) -> int:
        """The number of requests that were ever submitted."""
        return self._submitted

    def next_number(self) -> int:
        """The number of the next submission."""
        self._submitted += 1
        return self._submitted

    def add(self, request: ModelRequest, now: float) -> None:
        """Store a request and schedule it. Raises QueueFull when all stored requests are in flight."""
        self._make_room(now)
        self.queue(request.tenant, request.app_id).join(request, now)
        self.requests[request.id] = request
        for picture in request.files:
            self.files[picture.path] = ResultFile(picture, request, request.object_lifecycle.acl)

    def clear(self, tenant: str | None = None) -> None:
        """Remove one tenant or all tenants, with their requests, files, exchanges and charges."""
        if tenant is None:
            for collection in (self._tenants, self.requests, self.files, self.exchanges):
                collection.clear()
        else:
            self._clear(tenant)
        if "ledger" in self.__dict__:
            self.ledger.clear(tenant)

    def delete_payloads(self, request: ModelRequest) -> list[str]:
        """Delete the output of a request, but not its charge. Returns the paths of the deleted files."""
        request.payloads_deleted = True
        if isinstance(request.outcome, RunnerResponse):
            request.outcome = replace(request.outcome, body=None)
        paths = [picture.path for picture in request.files]
        for path in paths:
            del self.files[path]
        request.files, request.partials = [], ()
        return paths

    def _clear(self, tenant: str) -> None:
        self._tenants.pop(tenant, None)
        for request in [request for request in self.requests.values() if request.tenant == tenant]:
            self._remove(request)
        self.exchanges.clear(tenant)

    def _remove_idle_tenant(self) -> None:
        if len(self._tenants) < MAX_TENANTS:
            return
        in_use = {request.tenant for request in self.requests.values()}
        idle = next((name for name in self._tenants if name not in in_use), None)
        if idle is not None:
            del self._tenants[idle]

    def _make_room(self, now: float) -> None:
        if len(self.requests) < self._retention:
            return
        oldest = next(
            (request for request in self.requests.values() if request.schedule.ends_at <= now), None
        )
        if oldest is None:
            raise QueueFull
        self.ledger.add_request(oldest, now)
        self._remove(oldest)

    def _remove(self, request: ModelRequest) -> None:
        del self.requests[request.id]
        for picture in request.files:
            del self.files[picture.path]
