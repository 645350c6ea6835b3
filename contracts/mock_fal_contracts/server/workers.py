"""The check of a mock, or of any address: the laws and each plane are pieces of work, done in two processes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from multiprocessing import get_context

import httpx

from mock_fal_contracts import spec
from mock_fal_contracts.results import Case, Result, Tell
from mock_fal_contracts.server import plan as trials
from mock_fal_contracts.server import surfaces as surfaces
from mock_fal_contracts.server.context import Context, clock_of
from mock_fal_contracts.server.findings import Findings
from mock_fal_contracts.server.invariants import INVARIANTS
from mock_fal_contracts.server.spec_cases import case_of, check_surface
from mock_fal_contracts.target import CheckError, Target, open_target

_PROCESSES = 2

# Generated questions for each operation, and runs of each law: of a mock, and of a server that has to be waited for.
_EXAMPLES = 20
_EXAMPLES_ELSEWHERE = 5

# What a mock is started with. A auto-advance clock answers at once whatever would take time; on a manual one the laws of
# the queue know at every moment in which state a request must be.
_STEPPING = ("--clock", "auto-advance")
_MANUAL = ("--clock", "manual", "--runners", "1")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of work: a plane's operations, or all laws where `plane` is None."""

    target: str
    key: str
    seed: int
    examples: int
    only: tuple[str, ...]
    surface: int | None = None


def check(options: argparse.Namespace, tell: Tell) -> list[Result]:
    """One result for each case that is wanted, in the order of the cases."""
    _must_answer(options)
    is_ours = options.target == "mock"
    cases = [case for case in all_cases(with_control=is_ours) if is_wanted(case, options.only)]
    found: dict[str, Result] = {}
    for results in _done(list(_pieces(options, cases, with_control=is_ours))):
        for result in results:
            found[result.case.id] = result
            tell(result, len(cases))
    return [found[case.id] for case in cases if case.id in found]


def all_cases(*, with_control: bool) -> list[Case]:
    """Every case there is, laws first."""
    found = surfaces.surfaces(spec.folder(), with_control=with_control)
    operations = [
        case_of(surface.name, name) for surface in found for name in surfaces.operations(surface).values()
    ]
    return [*INVARIANTS, *operations]


def is_wanted(case: Case, only: Sequence[str]) -> bool:
    """Whether `--only` names it; nothing named is everything wanted."""
    return not only or any(fnmatchcase(case.id, glob) for glob in only)


def _must_answer(options: argparse.Namespace) -> None:
    """Raise CheckError for a target that is none, or that nobody listens at."""
    if options.target == "mock":
        return
    with open_target(options.target, options.key) as target:
        try:
            httpx.get(target.url("queue.fal.run", "/"), timeout=10, trust_env=False)
        except httpx.HTTPError as error:
            raise CheckError(f"{options.target} does not answer: {error}") from None


def _pieces(options: argparse.Namespace, cases: Iterable[Case], *, with_control: bool) -> Iterator[Piece]:
    examples = options.examples or (_EXAMPLES if with_control else _EXAMPLES_ELSEWHERE)
    common = (options.target, options.key, options.seed, examples, tuple(options.only))
    wanted = {case.id for case in cases}
    if any(case.id in wanted for case in INVARIANTS):
        yield Piece(*common)
    for number, surface in enumerate(surfaces.surfaces(spec.folder(), with_control=with_control)):
        if any(case_of(surface.name, name).id in wanted for name in surfaces.operations(surface).values()):
            yield Piece(*common, surface=number)


def _done(pieces: list[Piece]) -> Iterator[list[Result]]:
    """The results of each piece, as it is done."""
    if len(pieces) == 1:
        yield do(pieces[0])
        return
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(do, piece) for piece in pieces]):
            yield future.result()


def do(piece: Piece) -> list[Result]:
    """Do one piece. A mock is started for it alone, and so answers the same however the pieces are dealt out."""
    if piece.surface is None:
        return _try_invariants(piece)
    surface = surfaces.surfaces(spec.folder(), with_control=piece.target == "mock")[piece.surface]
    with open_target(piece.target, piece.key, _STEPPING) as target:
        return check_surface(surface, target, seed=piece.seed, examples=piece.examples, only=list(piece.only))


def _try_invariants(piece: Piece) -> list[Result]:
    cases = [case for case in INVARIANTS if is_wanted(case, piece.only)]
    wanted = [trial for trial in trials.TRIALS if set(trial.cases) & set(cases)]
    findings, outcome = Findings(), trials.Outcome({}, {})
    groups: list[tuple[tuple[str, ...], list[trials.Trial]]] = [((), wanted)]
    if piece.target == "mock":
        groups = [
            (flags, [trial for trial in wanted if trial.clock == flags[1]]) for flags in (_STEPPING, _MANUAL)
        ]
    for flags, group in groups:
        if group:
            with open_target(piece.target, piece.key, flags) as target:
                context = _bench(piece, target, findings)
                trials.try_all(group, context, outcome)
    return trials.results(cases, context, outcome)


def _bench(piece: Piece, target: Target, findings: Findings) -> Context:
    clock = clock_of(target.base)
    return Context(target, clock, piece.seed, piece.examples, findings)
