"""The in-memory store: requests, result files and exchanges. Bounded; requests in flight are never removed.

A request is in flight until it has ended and its webhook, if any, has been delivered or has failed. When the places or
the memory run out, the key with the most finished requests loses its oldest one.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, cast

from mock_fal.accounts.acl import Acl
from mock_fal.accounts.workspace import Workspaces
from mock_fal.errors import MemoryFull, QueueFull, ScenarioError
from mock_fal.ids import Ids
from mock_fal.journal.exchanges import Journal
from mock_fal.journal.memory import (
    DEFAULT_BYTES,
    DIRECTIVE_BYTES,
    FILE_BYTES,
    REQUEST_BYTES,
    RESERVED_SHARE,
    TENANT_BYTES,
    Memory,
    Ranking,
    document_bytes,
)
from mock_fal.requests.outcome import MediaFile, RunnerResponse, media_files
from mock_fal.requests.queue import AppQueue, ModelRequest

if TYPE_CHECKING:
    from mock_fal.billing.usage import Ledger
    from mock_fal.scenario.rules import Rule, Scenario
    from mock_fal.webhooks.outbox import Outbox


class ResultFile:
    """A file in the result of a request, and its ACL."""

    __slots__ = ("acl", "file", "request")

    def __init__(self, file: MediaFile, request: ModelRequest, acl: Acl) -> None:
        self.file, self.request, self.acl = file, request, acl

    @property
    def owner(self) -> str:
        return self.request.tenant

    @property
    def expires_at(self) -> float:
        return self.request.schedule.ends_at + self.request.object_lifecycle.lifetime_s


class Tenant:
    """The state of one key: its identifiers, queues and rules. Tenants don't affect each other."""

    __slots__ = ("_new_scenario", "_scenario", "counted_bytes", "ids", "name", "queues", "undrawn")

    def __init__(self, name: str, ids: Ids, new_scenario: Callable[[], Scenario]) -> None:
        self.name = name
        self.ids = ids
        self.queues: dict[str, AppQueue] = {}
        # The requests that were not drawn yet, oldest first.
        self.undrawn: deque[ModelRequest] = deque()
        self._new_scenario = new_scenario
        self._scenario: Scenario | None = None
        # What the memory budget has counted for the tenant itself.
        self.counted_bytes = 0

    @property
    def kept_bytes(self) -> int:
        """The bytes of the tenant itself: its inputs that were seen, and its rules and counted directives."""
        rules = self._scenario.kept_bytes if self._scenario is not None else 0
        return TENANT_BYTES + 2 * len(self.name) + self.ids.kept_bytes + rules

    @property
    def scenario(self) -> Scenario:
        """The rules for this key, created at the first access."""
        if self._scenario is None:
            self._scenario = self._new_scenario()
        return self._scenario

    @property
    def has_rules(self) -> bool:
        return bool(self._scenario)


class _OldestFirst:
    """Requests in order of submission. Nearly all are added in that order, which takes little time and memory."""

    def __init__(self) -> None:
        self._in_order: deque[ModelRequest] = deque()
        # A heap of those that were added after a later one.
        self._late: list[tuple[int, ModelRequest]] = []

    def __len__(self) -> int:
        return len(self._in_order) + len(self._late)

    def push(self, request: ModelRequest) -> None:
        number = request.submission.number
        if self._in_order and self._in_order[-1].submission.number > number:
            heappush(self._late, (number, request))
        else:
            self._in_order.append(request)

    @property
    def oldest(self) -> ModelRequest:
        return self._late[0][1] if self._is_late_next else self._in_order[0]

    def pop(self) -> ModelRequest:
        """Remove the oldest one."""
        return heappop(self._late)[1] if self._is_late_next else self._in_order.popleft()

    @property
    def _is_late_next(self) -> bool:
        if not (self._late and self._in_order):
            return bool(self._late)
        return self._late[0][0] < self._in_order[0].submission.number


# Beyond this number, the least recently used tenant without a stored request is removed, and starts anew when
# it returns. One with a stored request stays, because new requests would get the ids of the stored ones.
MAX_TENANTS = 10_000

# Beyond this number, the queues of a key for apps without a stored request are removed.
MAX_QUEUES: Final = 1_000

# The result of an input of this size takes no more than REQUEST_BYTES and the input itself.
_SMALL_INPUT_BYTES: Final = 1024


class Store:
    """Everything a server keeps, in memory."""

    # deviation: requests beyond `retention` or `max_memory`, and those of an earlier process, are unknown.

    def __init__(
        self,
        *,
        retention: int,
        seed: int,
        runners: int = 0,
        concurrency: int = 0,
        max_memory: int = DEFAULT_BYTES,
        endpoints: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._endpoints = endpoints  # those that exist; rules for others are rejected
        self._retention = retention
        self._seed = seed
        self._runners = runners
        self._concurrency = concurrency
        # Whether requests may wait for others to end.
        self.is_limited = bool(runners or concurrency)
        self._submitted = 0
        self._size = 0  # of the latest request; most sizes repeat, and a number takes 32 bytes
        self.memory = Memory(max_memory)
        self.memory.last_resort = self._remove_idle_tenant
        self.exchanges = Journal(retention, self.memory)
        self.memory.add_holder(self)
        self.requests: dict[str, ModelRequest] = {}
        # By path. The request stands for a file of an output that was not built yet.
        self._files: dict[str, ResultFile | ModelRequest] = {}
        self.workspaces = Workspaces()
        # Set with the first webhook.
        self.outbox: Outbox | None = None
        self._forget_all()
        # Whether any rule or directive has ever changed a response.
        self.has_faults = False

    def _forget_all(self) -> None:
        # Tenants with a stored request, and the others, the least recently used one first.
        self._busy: dict[str, Tenant] = {}
        self._idle: OrderedDict[str, Tenant] = OrderedDict()
        # The number of stored requests of each tenant.
        self._stored: dict[str, int] = {}
        # The number of requests whose output was not built yet.
        self._unbuilt = 0
        # A heap of the ends of requests as last known, and requests that have ended but whose webhook has not.
        self._in_flight: list[tuple[float, int, ModelRequest]] = []
        self._in_delivery: dict[str, ModelRequest] = {}
        self._is_rescheduled = False
        # Removed requests that are not in the ledger yet.
        self._uncharged: deque[ModelRequest] = deque()
        # The finished requests of each tenant, and the tenants by the length of theirs.
        self._finished: dict[str, _OldestFirst] = {}
        self._ranking = Ranking()

    @property
    def ledger(self) -> Ledger:
        """The charges of requests that were removed because of `retention`."""
        self._charge_removed()
        return self._ledger

    @cached_property
    def _ledger(self) -> Ledger:
        from mock_fal.billing.usage import Ledger

        return Ledger()

    def _charge_removed(self) -> None:
        while True:
            try:
                request = self._uncharged.popleft()
            except IndexError:  # another thread may read the ledger too
                return
            # It has ended, so it is charged.
            self._ledger.add_request(request, request.schedule.ends_at)

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name, created at the first call."""
        tenant = self._busy.get(name)
        if tenant is not None:
            return tenant
        tenant = self._idle.get(name)
        if tenant is not None:
            self._idle.move_to_end(name)
            return tenant
        if len(self._idle) + len(self._busy) >= MAX_TENANTS:
            self._remove_idle_tenant()
        while self.memory.used + TENANT_BYTES > self.memory.limit and self._remove_idle_tenant():
            pass
        tenant = self._idle[name] = Tenant(name, Ids(self._seed, name), self.new_scenario)
        self._count(tenant)
        return tenant

    def queue(self, tenant: str, app_id: str) -> AppQueue:
        """The queue of one app and tenant. With a limit on concurrency, all apps of a tenant share one queue."""
        # assumption: with a limit on concurrency, queue positions count requests of all apps.
        return self._queue(self.tenant(tenant), app_id)

    def _queue(self, tenant: Tenant, app_id: str) -> AppQueue:
        name = "" if self._concurrency else app_id
        queue = tenant.queues.get(name)
        if queue is None:
            if len(tenant.queues) >= MAX_QUEUES:
                self._forget_queues(tenant.name)
            queue = tenant.queues[name] = AppQueue(self._concurrency or self._runners)
        return queue

    def _forget_queues(self, tenant: str) -> None:
        """Remove the queues of apps without a stored request. A user's own output makes any app exist."""
        used = {request.app_id for request in self.requests.values() if request.tenant == tenant}
        queues = self.tenant(tenant).queues
        for name in [name for name in queues if name and name not in used]:
            del queues[name]

    def install_rules(self, key: str, rules: list[Rule], *, keep: bool) -> None:
        """Replace the rules of a key, or add some, and count their memory. Raises ScenarioError."""
        from mock_fal.scenario.rules import outputs_bytes

        size = sum(2 * len(str(rule)) for rule in rules) + outputs_bytes(rules)
        if not self.memory.make_room(key, size, -math.inf):
            raise ScenarioError(f"the rules don't fit in the {self.memory.limit} bytes of --max-memory")
        tenant = self.tenant(key)
        tenant.scenario.install(rules, keep=keep)
        self._count(tenant)

    @property
    def tenants(self) -> list[Tenant]:
        """All tenants."""
        return [*self._busy.values(), *self._idle.values()]

    def new_scenario(self) -> Scenario:
        """A scenario without rules."""
        from mock_fal.scenario.rules import Scenario  # only loaded by tests that use rules or directives

        return Scenario(self._endpoints(), self.expect_faults)

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

    def add(self, request: ModelRequest, now: float, *, input_bytes: int = 0) -> None:
        """Store a request and schedule it; `input_bytes` is the size of its input.

        Raises QueueFull when too many stored requests are in flight, MemoryFull when they take too much memory.
        """
        self.settle(now)
        owner = request.tenant
        freed = self._make_place(owner, now)
        tenant = self.tenant(owner)
        tenant_bytes = tenant.kept_bytes
        # An output is counted when it is built.
        is_built = request.is_built
        size = _bytes_of(request, input_bytes) if is_built else _UNBUILT_BYTES + input_bytes
        request.counted_bytes = self._size = self._size if size == self._size else size
        growth = size + tenant_bytes - tenant.counted_bytes
        if not self.memory.has_room(owner, growth, freed):
            self.memory.add(owner, -freed, finished=True)
            freed = 0
            if not self.memory.make_room(owner, growth, now):
                raise MemoryFull(self.memory.limit)
            tenant = self.tenant(owner)  # again: an idle one may just have been removed
            growth = size + tenant_bytes - tenant.counted_bytes
        self._queue(tenant, request.app_id).join(request, now)
        self._is_rescheduled |= self.is_limited  # others may have moved
        self.requests[request.id] = request
        self._stored[owner] = self._stored.get(owner, 0) + 1
        if owner in self._idle:
            self._busy[owner] = self._idle.pop(owner)
        tenant.counted_bytes = tenant_bytes
        if is_built:
            self._add_files(request)
        else:
            self._unbuilt += 1
        # Requests with a webhook are built, and end when it was delivered.
        ends_at_once = not is_built and request.planned.ends_at <= now
        self.memory.replace(owner, freed, growth, size if ends_at_once else 0)
        if ends_at_once:
            self._keep_finished(request)
        else:
            heappush(self._in_flight, (request.planned.ends_at, request.submission.number, request))

    def written(self, request: ModelRequest, paths: list[str]) -> None:
        """Note the files of an output that was sent without being built."""
        if self.requests.get(request.id) is request:
            request.paths = paths
            for path in paths:
                self._files[path] = request
            if len(paths) > _COUNTED_PATHS:
                size = _PATH_BYTES * (len(paths) - _COUNTED_PATHS)
                request.counted_bytes += size
                self.memory.add(request.tenant, size, finished=request.is_finished)
                self.memory.trim(request.tenant, request.submission.queued_at)

    def built(self, request: ModelRequest, input_bytes: int) -> None:
        """Note the files and the memory of an output that was built."""
        if self.requests.get(request.id) is not request:
            return  # somebody looks at a request that was removed
        self._unbuilt -= 1
        self._add_files(request)
        size = _bytes_of(request, input_bytes)
        owner, more = request.tenant, size - request.counted_bytes
        request.counted_bytes = size
        self.memory.add(owner, more, finished=request.is_finished)
        if not request.is_finished:  # an invalid input ends the request early
            heappush(self._in_flight, (request.planned.ends_at, request.submission.number, request))
        self.memory.trim(owner, request.submission.queued_at)

    def _add_files(self, request: ModelRequest) -> None:
        for file in request.files:
            self._files[file.path] = ResultFile(file, request, request.object_lifecycle.acl)

    @property
    def has_unbuilt(self) -> bool:
        """Whether the output of a request was not built yet."""
        return self._unbuilt > 0

    def build_all(self) -> Iterator[None]:
        """Build the outputs of all requests, one at each step."""
        for request in list(self.requests.values()) if self.has_unbuilt else ():
            if not request.is_built:
                _ = request.outcome
                yield

    @property
    def files(self) -> dict[str, ResultFile]:
        """The files of all results, by path. Builds all outputs."""
        for _ in self.build_all():
            pass
        return cast(dict[str, ResultFile], self._files)

    def file(self, path: str) -> ResultFile | None:
        """The file of a result. Builds all outputs if none of the known files is it."""
        found = self._files.get(path)
        if isinstance(found, ModelRequest):
            _ = found.outcome  # builds it
            found = cast(ResultFile, self._files[path])
        return found or self.files.get(path)

    def knows_file(self, path: str) -> bool:
        """Whether a path is that of a result that was written or built."""
        return path in self._files

    def grow(self, request: ModelRequest, size: int) -> None:
        """Count `size` more bytes for a request in flight: its webhook."""
        if request.id in self.requests:
            request.counted_bytes += size
            self.memory.add(request.tenant, size, finished=False)

    def rescheduled(self) -> None:
        """Requests may end earlier than their schedule said."""
        self._is_rescheduled = True

    def delivered(self, request: ModelRequest) -> None:
        """The webhook of a request was delivered or has failed."""
        if self._in_delivery.pop(request.id, None) is not None:
            self._finish(request)

    def settle(self, now: float) -> None:
        """Note which requests have ended by `now`."""
        while self._in_flight and self._in_flight[0][0] <= now:
            _, number, request = heappop(self._in_flight)
            if request.planned.ends_at > now:  # it was rescheduled
                heappush(self._in_flight, (request.planned.ends_at, number, request))
            elif self.outbox is not None and self.outbox.is_waiting(request.id):
                self._in_delivery[request.id] = request
            else:
                self._finish(request)

    def oldest_at(self, owner: str) -> float:
        """When the oldest finished request of a tenant was submitted; infinite if it has none."""
        finished = self._finished.get(owner)
        return finished.oldest.submission.queued_at if finished else math.inf

    def forget_oldest(self, owner: str) -> None:
        """Remove the oldest finished request of a tenant."""
        self.memory.add(owner, -self._remove_oldest(owner), finished=True)

    def _remove_oldest(self, owner: str) -> int:
        """Remove the oldest finished request of a tenant. Returns its bytes, which are still counted."""
        finished = self._finished[owner]
        request = finished.pop()
        rest = len(finished)
        if not rest:
            del self._finished[owner]
        self._ranking.set(owner, rest)
        self._uncharged.append(request)
        if len(self._uncharged) >= _CHARGED_TOGETHER:
            self._charge_removed()
        self._remove(request)
        return request.counted_bytes

    def clear(self, tenant: str | None = None) -> None:
        """Remove one tenant or all tenants, with their requests, files, exchanges and charges."""
        if tenant is None:
            self._clear_all()
        else:
            self._clear(tenant)
        self.exchanges.clear(tenant)
        self.workspaces.clear(tenant)
        if "_ledger" in self.__dict__:
            self._ledger.clear(tenant)

    def delete_payloads(self, request: ModelRequest) -> list[str]:
        """Delete the output of a request, but not its charge. Returns the paths of the deleted files."""
        paths = [file.path for file in request.files]
        for path in paths:
            del self._files[path]
        request.delete_payloads()
        return paths

    def _finish(self, request: ModelRequest) -> None:
        if request.is_finished:
            return  # it was noted twice, since its end has moved
        self._keep_finished(request)
        self.memory.finish(request.tenant, request.counted_bytes)

    def _keep_finished(self, request: ModelRequest) -> None:
        request.is_finished = True
        finished = self._finished.get(request.tenant)
        if finished is None:
            finished = self._finished[request.tenant] = _OldestFirst()
        finished.push(request)
        self._ranking.set(request.tenant, len(finished))

    def _clear_all(self) -> None:
        for request in self.requests.values():
            self.memory.add(request.tenant, -request.counted_bytes, finished=request.is_finished)
        for tenant in [*self._busy.values(), *self._idle.values()]:
            self._forget_tenant(tenant)
        self.requests, self._files = {}, {}  # a dict keeps the space of removed items
        self._forget_all()

    def _clear(self, name: str) -> None:
        self._charge_removed()
        tenant = self._busy.get(name) or self._idle.get(name)
        if name in self._busy:
            self._finished.pop(name, None)
            self._ranking.set(name, 0)
            for request in [request for request in self.requests.values() if request.tenant == name]:
                self._in_delivery.pop(request.id, None)
                self._remove(request)
                self.memory.add(name, -request.counted_bytes, finished=request.is_finished)
            self._in_flight = [item for item in self._in_flight if item[2].tenant != name]
            heapify(self._in_flight)
        if tenant is not None:
            del self._idle[name]
            self._forget_tenant(tenant)

    def _count(self, tenant: Tenant) -> None:
        size = tenant.kept_bytes
        if size != tenant.counted_bytes:
            self.memory.add(tenant.name, size - tenant.counted_bytes, finished=False)
            tenant.counted_bytes = size

    def _forget_tenant(self, tenant: Tenant) -> None:
        self.memory.add(tenant.name, -tenant.counted_bytes, finished=False)
        tenant.counted_bytes = 0

    def _remove_idle_tenant(self) -> bool:
        if not self._idle:
            return False
        _, tenant = self._idle.popitem(last=False)
        self._forget_tenant(tenant)
        return True

    def _make_place(self, owner: str, now: float) -> int:
        """Make a place for a new request; removes a finished one if necessary.

        Returns the bytes of one that was removed and is still counted for the owner. Raises QueueFull.
        """
        freed = self._place(owner)
        if freed is not None:
            return freed
        if self._is_rescheduled:
            self._is_rescheduled = False
            self._in_flight = [
                (request.planned.ends_at, number, request) for _, number, request in self._in_flight
            ]
            heapify(self._in_flight)
            self.settle(now)
        freed = self._place(owner)
        if freed is None:
            raise QueueFull
        return freed

    def _place(self, owner: str) -> int | None:
        """Like `_make_place`; None if there is no place."""
        in_flight = self._stored.get(owner, 0) - len(self._finished.get(owner, ()))
        if in_flight >= self._retention - self._retention // RESERVED_SHARE:
            return None
        if len(self.requests) < self._retention:
            return 0
        loser = self._loser(owner)
        if loser == owner:
            return self._remove_oldest(owner)
        if loser is None:
            return None
        self.forget_oldest(loser)
        return 0

    def _loser(self, owner: str) -> str | None:
        """Who loses a finished request for a new one of `owner`; None if nobody has to."""
        loser = self._ranking.highest
        if loser is None or loser == owner:
            return loser
        number = self._stored[loser]
        if number > self._stored.get(owner, 0) or number > self._retention // len(self._stored):
            return loser
        return owner if owner in self._finished else None

    def _remove(self, request: ModelRequest) -> None:
        owner = request.tenant
        del self.requests[request.id]
        if not request.is_built:
            self._unbuilt -= 1
            for path in request.paths:
                del self._files[path]
        else:
            for file in request.files:
                del self._files[file.path]
        if self.outbox is not None:
            self.outbox.forget(request.id)
        if self.is_limited:
            self.queue(owner, request.app_id).forget(request)
        self._stored[owner] -= 1
        if not self._stored[owner]:
            del self._stored[owner]
            self._idle[owner] = self._busy.pop(owner)


# So many removed requests are charged together, which takes half of the time of charging each alone.
_CHARGED_TOGETHER: Final = 32

# The bytes of a request in memory whose output was not built yet, without its input. The paths of two files are counted
# from the start, so that most requests don't change their size when their result is written.
_UNBUILT_BYTES: Final = REQUEST_BYTES * 7 // 10
_COUNTED_PATHS: Final = 2

# The bytes of each further path, and of its place by path.
_PATH_BYTES: Final = 200

# The bytes of an attempt before the last one in memory: its id, its outcome and the choice of its directives.
ATTEMPT_BYTES: Final = 1500


def _bytes_of(request: ModelRequest, input_bytes: int) -> int:
    """The bytes of a request in memory, without its webhook."""
    size = REQUEST_BYTES + FILE_BYTES * len(request.files)
    outcome, directives = request.outcome, request.directives
    body = outcome.body if isinstance(outcome, RunnerResponse) else None
    lifecycle = request.object_lifecycle
    if lifecycle.acl.rules:
        size += document_bytes(*(name for name, _ in lifecycle.acl.rules))
    if directives is not None:
        given = [*directives.directives, *directives.choice.directives]
        size += ATTEMPT_BYTES * len(request.earlier)
        size += DIRECTIVE_BYTES * len(given) + document_bytes(directives.prompt, *given)
    is_small = request.kind == "image" and input_bytes <= _SMALL_INPUT_BYTES
    if is_small and not request.partials and request.steps and directives is None:
        return size + 2 * input_bytes
    from mock_fal.media.recipe import source, texts  # not imported at start

    recipes = [file.recipe for file in media_files(body)]
    written = [text for recipe in recipes for text in texts(recipe)]
    sources = {shown.digest: len(shown.tones) for shown in map(source, recipes) if shown}
    size += sum(sources.values()) + FILE_BYTES * len(request.partials)
    if isinstance(outcome, RunnerResponse) and outcome.inline:
        size += input_bytes  # embeddings are computed from the texts of the input when they are sent
    return size + document_bytes(body, request.partials, *written, input_bytes=input_bytes)
