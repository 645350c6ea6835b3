"""The check of fal.ai itself: what is free, and what a budget allows; each difference is drift."""

from __future__ import annotations

import argparse

from mock_fal_contracts import spec
from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case, Result, Tell, failed, passed, skipped
from mock_fal_contracts.server import plan as trials
from mock_fal_contracts.server import workers as work
from mock_fal_contracts.server.budget import ENDPOINT, FALLBACK_PRICE, Budget
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.http_client import shown
from mock_fal_contracts.server.http_invariants import unit_price
from mock_fal_contracts.server.invariants import INVARIANTS
from mock_fal_contracts.server.spec_cases import case_of
from mock_fal_contracts.target import Target, open_target

_NOT_ASKED = "no generated questions for the live service; it is held where a law asks it"


class Drift:
    """What exchanges have in them that the specification has not, by the id of the case."""

    def __init__(self) -> None:
        self._spec = spec.load(spec.folder())
        self.asked: set[str] = set()
        self.faults: dict[str, dict[str, Exchange]] = {}

    def poll(self, exchange: Exchange) -> None:
        """Hold one exchange against the specification."""
        operation = self._spec.operation(exchange.host, exchange.method, exchange.path)
        if operation is None:
            return
        id = case_of(operation.surface, operation.id).id
        self.asked.add(id)
        for fault in self._spec.response_violations(exchange):
            self.faults.setdefault(id, {}).setdefault(fault, exchange)


def check(options: argparse.Namespace, tell: Tell) -> list[Result]:
    """One result for each case; those that are too dear are skipped, and say what they cost."""
    cases = [case for case in work.all_cases(with_control=False) if work.is_wanted(case, options.only)]
    invariants = [case for case in INVARIANTS if case in cases]
    drift = Drift()
    with open_target("live", options.key) as target:
        context = Context(target, seed=options.seed, budget=Budget(options.budget), seen=drift.poll)
        context.budget.unit_price = _price(context)
        wanted = [
            each
            for each in trials.TRIALS
            if each.live and (set(each.cases) & set(invariants) or not invariants)
        ]
        outcome = trials.try_all(wanted, context, trials.Outcome({}, {}))
    found = trials.results(invariants, context, outcome)
    found += [_held(case, drift, target) for case in cases if case not in invariants]
    for result in found:
        tell(result, len(found))
    return found


def _price(context: Context) -> float:
    """What a unit costs, as the Platform API says."""
    with context.http_client() as client:
        path, query = "/v1/models/pricing", {"endpoint_id": ENDPOINT}
        price = unit_price(client.ask("GET", "api.fal.ai", path, query=query))
    # A service that says it is free is not believed: the budget is the user's money.
    return max(price or 0.0, FALLBACK_PRICE)


def _held(case: Case, drift: Drift, target: Target) -> Result:
    faults = drift.faults.get(case.id)
    if faults:
        return failed(case, target.name, "drift: " + "\n".join(faults), shown(faults.values(), target))
    if case.id in drift.asked:
        return passed(case, target.name)
    return skipped(case, target.name, _NOT_ASKED)
