"""What is remembered, and for how long: requests, files, exchanges. Bounded; nothing in flight is forgotten."""

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
from mock_fal.requests.queue import Line, ModelRequest

if TYPE_CHECKING:
    from mock_fal.billing.usage import Ledger
    from mock_fal.scenario.rules import Scenario


@dataclass(slots=True, eq=False)
class Result:
    """A file that came out of a request, and who may read it."""

    picture: Picture
    request: ModelRequest
    acl: Acl

    @property
    def owner(self) -> str:
        return self.request.tenant

    @property
    def expires_at(self) -> float:
        return self.request.schedule.ends_at + self.request.terms.lives_s


@dataclass(slots=True, eq=False)
class Tenant:
    """What belongs to one key: its identifiers, its lines, its rules. Tenants never meet."""

    name: str
    ids: Ids
    new_scenario: Callable[[], Scenario]
    lines: dict[str, Line] = field(default_factory=dict)
    _scenario: Scenario | None = None

    @property
    def scenario(self) -> Scenario:
        """The rules for this key, loaded when somebody asks for them."""
        if self._scenario is None:
            self._scenario = self.new_scenario()
        return self._scenario

    @property
    def has_rules(self) -> bool:
        """Whether there are any."""
        return bool(self._scenario)


# A key that has not been used while this many others were is forgotten, and begins anew; but not while one of
# its requests is remembered, for its new ones would get the same ids.
MAX_TENANTS = 10_000


class Store:
    """Everything that is remembered, in memory; gone with the process."""

    # deviation: what has been forgotten to keep to `retention`, and what lived before a restart, is unknown.

    def __init__(self, *, retention: int, seed: int, runners: int = 0, concurrency: int = 0) -> None:
        self._retention = retention
        self._seed = seed
        self._runners = runners
        self._concurrency = concurrency
        self._tenants: dict[str, Tenant] = {}
        self._submitted = 0
        # Ordered: a plain dict that loses its oldest again and again is slow to find the next one.
        self.requests: OrderedDict[str, ModelRequest] = OrderedDict()
        self.files: dict[str, Result] = {}
        self.exchanges = Journal(retention)
        # Whether a test ever asked for anything about the answers on the wire.
        self.has_faults = False

    @property
    def is_limited(self) -> bool:
        """Whether requests may wait for others to end."""
        return bool(self._runners or self._concurrency)

    @cached_property
    def ledger(self) -> Ledger:
        """What the requests that have been forgotten to keep to `retention` have cost."""
        from mock_fal.billing.usage import Ledger

        return Ledger()

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name, made at the first call."""
        known = self._tenants.pop(name, None)
        if known is None:
            self._forget_a_tenant()
            known = Tenant(name, Ids(self._seed, name), self.new_scenario)
        self._tenants[name] = known  # the last one used stands last
        return known

    def line(self, tenant: str, app_id: str) -> Line:
        """The line of one app, for one tenant; where an account's concurrency is limited, all apps share one."""
        # assumption: whether places in the queue are then counted over all apps, as here.
        lines = self.tenant(tenant).lines
        name = "" if self._concurrency else app_id
        if name not in lines:
            lines[name] = Line(self._concurrency or self._runners)
        return lines[name]

    def new_scenario(self) -> Scenario:
        """No rules yet."""
        from mock_fal.scenario.rules import Scenario  # for the few who ask for something

        return Scenario(FAMILIES, self.expect_faults)

    def expect_faults(self) -> None:
        """From now on, answers are looked at on their way out."""
        self.has_faults = True

    @property
    def submitted(self) -> int:
        """How many tickets there ever were."""
        return self._submitted

    def next_number(self) -> int:
        """The number of the next ticket."""
        self._submitted += 1
        return self._submitted

    def add(self, request: ModelRequest, now: float) -> None:
        """Remember a request and give it its schedule. Raises QueueFull when all that we hold is in flight."""
        self._make_room(now)
        self.line(request.tenant, request.app_id).join(request, now)
        self.requests[request.id] = request
        for picture in request.files:
            self.files[picture.path] = Result(picture, request, request.terms.acl)

    def clear(self, tenant: str | None = None) -> None:
        """Forget one tenant, or all of them, and everything that is theirs."""
        if tenant is None:
            for whole in (self._tenants, self.requests, self.files, self.exchanges):
                whole.clear()
        else:
            self._clear(tenant)
        if "ledger" in self.__dict__:
            self.ledger.clear(tenant)

    def delete_payloads(self, request: ModelRequest) -> list[str]:
        """Forget what came out of a request, but for what it cost; the paths of the files that are gone."""
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
            self._forget(request)
        self.exchanges.clear(tenant)

    def _forget_a_tenant(self) -> None:
        if len(self._tenants) < MAX_TENANTS:
            return
        needed = {request.tenant for request in self.requests.values()}
        idle = next((name for name in self._tenants if name not in needed), None)
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
        self.ledger.wait_for_deliveries(oldest, now)
        self._forget(oldest)

    def _forget(self, request: ModelRequest) -> None:
        del self.requests[request.id]
        for picture in request.files:
            del self.files[picture.path]
