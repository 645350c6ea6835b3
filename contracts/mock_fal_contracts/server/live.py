"""The check of fal.ai itself, within a budget; each difference from the specification is reported as drift."""

from __future__ import annotations

import argparse

from mock_fal_contracts import spec
from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case, OnResult, Result, failed, passed, skipped
from mock_fal_contracts.server import plan, workers
from mock_fal_contracts.server.budget import ENDPOINT, FALLBACK_PRICE, Budget
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.http_client import evidence
from mock_fal_contracts.server.http_invariants import unit_price
from mock_fal_contracts.server.invariants import INVARIANTS
from mock_fal_contracts.server.spec_cases import case_of
from mock_fal_contracts.target import Target, open_target

_NOT_REQUESTED = (
    "no generated requests for the live service; tested only where the check of an invariant sends one"
)


class DriftMonitor:
    """Compares exchanges with the specification. `violations` maps a case id to each message and its exchange."""

    def __init__(self) -> None:
        self._spec = spec.load(spec.folder())
        self.requested: set[str] = set()
        self.violations: dict[str, dict[str, Exchange]] = {}

    def check(self, exchange: Exchange) -> None:
        """Compare one exchange with the specification."""
        operation = self._spec.operation(exchange.host, exchange.method, exchange.path)
        if operation is None:
            return
        id = case_of(operation.surface, operation.id).id
        self.requested.add(id)
        for message in self._spec.response_violations(exchange):
            self.violations.setdefault(id, {}).setdefault(message, exchange)


def check(options: argparse.Namespace, on_result: OnResult) -> list[Result]:
    """One result for each case; a case that exceeds the budget is skipped, and its message states the cost."""
    cases = [
        case for case in workers.all_cases(with_control=False) if workers.is_selected(case, options.only)
    ]
    invariants = [case for case in INVARIANTS if case in cases]
    monitor = DriftMonitor()
    with open_target("live", options.key) as target:
        context = Context(target, seed=options.seed, budget=Budget(options.budget), on_exchange=monitor.check)
        context.budget.unit_price = _price(context)
        checks = [
            check
            for check in plan.CHECKS
            if check.live and (set(check.cases) & set(invariants) or not invariants)
        ]
        log = plan.CheckLog()
        plan.run_checks(checks, context, log)
    results = plan.results(invariants, context, log)
    results += [_drift_result(case, monitor, target) for case in cases if case not in invariants]
    for result in results:
        on_result(result, len(results))
    return results


def _price(context: Context) -> float:
    """The price of a unit in USD, from the Platform API, and at least FALLBACK_PRICE.

    A price of 0 is not trusted, because the budget is the user's money.
    """
    with context.http_client() as client:
        query = {"endpoint_id": ENDPOINT}
        price = unit_price(client.send("GET", "api.fal.ai", "/v1/models/pricing", query=query))
    return max(price or 0.0, FALLBACK_PRICE)


def _drift_result(case: Case, monitor: DriftMonitor, target: Target) -> Result:
    violations = monitor.violations.get(case.id)
    if violations:
        message = "drift: " + "\n".join(violations)
        return failed(case, target.name, message, evidence(violations.values(), target))
    if case.id in monitor.requested:
        return passed(case, target.name)
    return skipped(case, target.name, _NOT_REQUESTED)
