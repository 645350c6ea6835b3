"""The check of a mock or of any URL, split into tasks for two worker processes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from multiprocessing import get_context

import httpx

from mock_fal_contracts import spec
from mock_fal_contracts.results import Case, OnResult, Result
from mock_fal_contracts.server import plan
from mock_fal_contracts.server.context import Context, clock_of
from mock_fal_contracts.server.findings import Findings
from mock_fal_contracts.server.invariants import INVARIANTS
from mock_fal_contracts.server.spec_cases import case_of, check_surface
from mock_fal_contracts.server.surfaces import operations, surfaces
from mock_fal_contracts.target import CheckError, open_target

_PROCESSES = 2

# Generated requests for each operation and runs of each property test: for a mock, and for a server in real time.
_EXAMPLES = 20
_EXAMPLES_IN_REAL_TIME = 5

# The flags of a mock. With an auto-advance clock nothing has to be waited for; with a manual clock the queue
# invariants know the exact state of a request at every moment.
_AUTO_ADVANCE = ("--clock", "auto-advance")
_MANUAL = ("--clock", "manual", "--runners", "1")


@dataclass(frozen=True, slots=True)
class Task:
    """The operations of one API surface (by its index), or all invariants where `surface` is None."""

    target: str
    key: str
    seed: int
    examples: int
    only: tuple[str, ...]
    surface: int | None = None


def check(options: argparse.Namespace, on_result: OnResult) -> list[Result]:
    """One result for each selected case, in the order of the cases."""
    _require_response(options)
    is_mock = options.target == "mock"
    cases = [case for case in all_cases(with_control=is_mock) if is_selected(case, options.only)]
    results_by_id: dict[str, Result] = {}
    for results in _run_tasks(list(_tasks(options, cases, with_control=is_mock))):
        for result in results:
            results_by_id[result.case.id] = result
            on_result(result, len(cases))
    return [results_by_id[case.id] for case in cases if case.id in results_by_id]


def all_cases(*, with_control: bool) -> list[Case]:
    """Every case, the invariants first."""
    cases = [
        case_of(surface.name, operation)
        for surface in surfaces(spec.folder(), with_control=with_control)
        for operation in operations(surface).values()
    ]
    return [*INVARIANTS, *cases]


def is_selected(case: Case, only: Sequence[str]) -> bool:
    """Whether `--only` selects a case; without `--only`, every case is selected."""
    return not only or any(fnmatchcase(case.id, glob) for glob in only)


def _require_response(options: argparse.Namespace) -> None:
    """Raise CheckError for an invalid target, or one that does not answer."""
    if options.target == "mock":
        return
    with open_target(options.target, options.key) as target:
        try:
            httpx.get(target.url("queue.fal.run", "/"), timeout=10, trust_env=False)
        except httpx.HTTPError as error:
            raise CheckError(f"{options.target} does not answer: {error}") from None


def _tasks(options: argparse.Namespace, cases: Iterable[Case], *, with_control: bool) -> Iterator[Task]:
    examples = options.examples or (_EXAMPLES if with_control else _EXAMPLES_IN_REAL_TIME)
    common = (options.target, options.key, options.seed, examples, tuple(options.only))
    selected = {case.id for case in cases}
    if any(case.id in selected for case in INVARIANTS):
        yield Task(*common)
    for index, surface in enumerate(surfaces(spec.folder(), with_control=with_control)):
        if any(case_of(surface.name, name).id in selected for name in operations(surface).values()):
            yield Task(*common, surface=index)


def _run_tasks(tasks: list[Task]) -> Iterator[list[Result]]:
    """The results of each task, in the order of completion."""
    if len(tasks) == 1:
        yield run_task(tasks[0])
        return
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run_task, task) for task in tasks]):
            yield future.result()


def run_task(task: Task) -> list[Result]:
    """Run one task. Each task starts its own mock, so results don't depend on the distribution of tasks."""
    if task.surface is None:
        return _check_invariants(task)
    surface = surfaces(spec.folder(), with_control=task.target == "mock")[task.surface]
    with open_target(task.target, task.key, _AUTO_ADVANCE) as target:
        return check_surface(surface, target, seed=task.seed, examples=task.examples, only=list(task.only))


def _check_invariants(task: Task) -> list[Result]:
    cases = [case for case in INVARIANTS if is_selected(case, task.only)]
    selected = [check for check in plan.CHECKS if set(check.cases) & set(cases)]
    findings, log = Findings(), plan.CheckLog()
    groups: list[tuple[tuple[str, ...], list[plan.Check]]] = [((), selected)]
    if task.target == "mock":
        groups = [
            (flags, [check for check in selected if check.clock == flags[1]])
            for flags in (_AUTO_ADVANCE, _MANUAL)
        ]
    for flags, checks in groups:
        if checks:
            with open_target(task.target, task.key, flags) as target:
                context = Context(target, clock_of(target.base), task.seed, task.examples, findings)
                plan.run_checks(checks, context, log)
    return plan.results(cases, context, log)
