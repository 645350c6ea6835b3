"""The client contract: a catalogue of cases, each run with a client of fal behind a small driver.

`contracts/drivers/README.md` describes the protocol of a driver. The modules, lowest first:

driver -> mock_server -> observation -> case, conformance -> checks, jobs, signing -> cases_* -> catalogue
playing         runs one case: a mock, a driver, the jobs and the checks
this module     runs the selected cases of all clients in parallel
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mock_fal_contracts.client.case import ClientCase
from mock_fal_contracts.results import OnResult, Result
from mock_fal_contracts.target import CheckError

# How many cases of one client run in parallel, each with its own mock and driver.
WORKERS: Final = 3

_NAMED: Final = re.compile(r"([A-Za-z0-9_.@/-]+)=(.+)", re.DOTALL)


def check_clients(options: argparse.Namespace, on_result: OnResult) -> list[Result]:
    """Run the catalogue, or the cases that `--only` selects, with each `--client`. Raises CheckError.

    The results are in the order of the catalogue, client by client.
    """
    try:
        cases = _selected(options.only)
        from mock_fal_contracts.client import playing  # noqa: F401 - its imports are needed below
        from mock_fal_contracts.client.signing import private_key_file
    except ImportError as error:
        raise CheckError(f"{error}; a client check needs: pip install 'mock-fal[check]'") from None
    if options.list:
        sys.stdout.writelines(f"{case.case.id:<34} {case.case.title}\n" for case in cases)
        return []
    if options.target != "mock":
        raise CheckError(
            f"--client needs a server that injects faults; --target is {options.target!r}, expected mock"
        )
    if os.environ.get("MOCK_FAL_SCENARIO"):
        raise CheckError("MOCK_FAL_SCENARIO is set, but each case of --client has rules of its own; unset it")
    clients = _clients(options.client)
    lock = threading.Lock()

    def report(result: Result) -> None:
        with lock:
            on_result(result, len(cases) * len(clients))

    with tempfile.TemporaryDirectory(prefix="mock-fal-check-") as folder:
        signing_key = private_key_file(Path(folder))
        runs = [_ClientRun(name, command, cases, signing_key, report) for name, command in clients.items()]
        workers = [run for run in runs for _ in range(min(WORKERS, len(cases)))]
        with ThreadPoolExecutor(len(workers)) as pool:
            try:
                for future in [pool.submit(run.work) for run in workers]:
                    future.result()
            finally:
                for run in runs:
                    run.pending.clear()  # after an error or Ctrl+C, no worker starts another case
    return [run.results[case.case.id] for run in runs for case in cases]


class _ClientRun:
    """The cases of one client; each of its workers takes the next pending case."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cases: Sequence[ClientCase],
        signing_key: Path,
        report: Callable[[Result], None],
    ) -> None:
        self.results: dict[str, Result] = {}
        # The slow cases first, so that no worker starts one when the others are finished.
        self.pending = deque(sorted(cases, key=lambda case: -case.slow_s))
        self._name, self._command, self._signing_key, self._report = name, command, signing_key, report

    def work(self) -> None:
        """Play cases until none is pending."""
        from mock_fal_contracts.client.playing import case_player, case_server

        with (
            case_server(self._signing_key) as (server, environ),
            case_player(self._name, self._command, server, environ) as player,
        ):
            while self.pending:
                try:
                    case = self.pending.popleft()
                except IndexError:
                    return  # another worker took it
                result = self.results[case.case.id] = player.play(case)
                self._report(result)


def _selected(globs: Sequence[str]) -> list[ClientCase]:
    """The cases whose id matches one of the globs; all cases if there are no globs. Raises CheckError if none match."""
    from mock_fal_contracts.client.catalogue import CASES

    selected = [case for case in CASES if not globs or any(fnmatchcase(case.case.id, glob) for glob in globs)]
    if not selected:
        raise CheckError(f"--only {' '.join(globs)}: no case has such an id; --list shows all ids")
    return selected


def _clients(arguments: Sequence[str]) -> dict[str, list[str]]:
    """The command of each driver, by name. Raises CheckError."""
    clients: dict[str, list[str]] = {}
    for argument in arguments:
        named = _NAMED.fullmatch(argument)
        name, text = named.groups() if named else (argument, argument)
        try:
            command = shlex.split(text)
        except ValueError as error:
            raise CheckError(f"--client {argument!r}: {error}") from None
        if not command:
            raise CheckError(f"--client {argument!r}: expected a command, or NAME=COMMAND")
        if shutil.which(command[0]) is None:
            raise CheckError(f"--client {name}: {command[0]}: command not found")
        if name in clients:
            raise CheckError(f"--client: two drivers are called {name!r}; name them with NAME=COMMAND")
        clients[name] = command
    return clients
