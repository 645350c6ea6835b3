"""The command line of `mock-fal check`: its flags, and which check they start."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mock_fal_contracts.report import baseline, machine, page, terminal
from mock_fal_contracts.results import OnResult, Result
from mock_fal_contracts.target import CheckError

# The exit code that a shell reports for a program ended by Ctrl+C.
_INTERRUPTED = 130

DESCRIPTION = """\
Without --client and without a command: checks a server. With --client: checks a client, through a small driver
that reads one JSON job per line. With a command after --: runs it against a mock and checks its requests against
the usage rules.
"""


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(
        prog="mock-fal check",
        usage="mock-fal check [FLAG ...] [-- CMD [ARG ...]]",
        description=DESCRIPTION,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("--target", default="mock", help="mock, live, or a URL (default: %(default)s)")
    flags.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="[NAME=]CMD",
        help="a driver to check (may be repeated)",
    )
    flags.add_argument("--key", default=os.environ.get("FAL_KEY", ""), help="id:secret (default: $FAL_KEY)")
    flags.add_argument(
        "--budget",
        type=float,
        default=0.0,
        metavar="USD",
        help="the most a live check may spend (default: 0)",
    )
    flags.add_argument(
        "--seed", type=int, default=0, help="seed of the generated requests (default: %(default)s)"
    )
    flags.add_argument(
        "--examples",
        type=int,
        default=0,
        metavar="N",
        help="generated requests per operation (default: depends on the target)",
    )
    flags.add_argument(
        "--only", action="append", default=[], metavar="GLOB", help="run only the cases whose id matches"
    )
    flags.add_argument("--list", action="store_true", help="list the cases and exit")
    flags.add_argument("--baseline", type=Path, metavar="FILE", help="a list of known failures")
    flags.add_argument(
        "--write-baseline", action="store_true", help="write the current failures into --baseline"
    )
    flags.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    flags.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    flags.add_argument("--html", type=Path, metavar="FILE", help="write the results as one HTML page")
    flags.add_argument("--badge", type=Path, metavar="FILE", help="write an SVG badge")
    flags.add_argument("--quiet", action="store_true", help="print no progress, only the summary")
    flags.add_argument(
        "--stress",
        nargs="?",
        const="all",
        default="",
        metavar="NAMES",
        help="with a command: run it once more under each kind of injected fault",
    )
    flags.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        metavar="S",
        help="with a command: time limit of one run in seconds (default: %(default)g)",
    )
    flags.add_argument(
        "--require-traffic", action="store_true", help="with a command: exit with 1 if it sends no request"
    )
    flags.add_argument(
        "--strict", action="store_true", help="with a command: advice fails the check as errors do"
    )
    return flags


def main(arguments: Sequence[str], command: Sequence[str] = ()) -> int:
    """Check, report, and return the exit code: 0 on success, 1 for a failed case, 2 for a usage error.

    With a command: when every usage rule holds, the exit code is that of the command.
    """
    options = parser().parse_args(arguments)
    options.command_code = 0
    try:
        known = _known(options)
        _require_writable_paths(options)
        results = _run(options, command)
    except (CheckError, ValueError) as error:
        print(f"mock-fal check: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    if options.list:
        return 0
    if options.write_baseline and options.baseline:
        options.baseline.write_text(baseline.render(results), "utf-8")
        known = baseline.read(options.baseline)
    results = baseline.compare(results, known, whole=not options.only)
    sys.stdout.write(terminal.summary(results))
    _write(options, results)
    return int(any(result.status.is_bad for result in results)) or int(options.command_code)


def _known(options: argparse.Namespace) -> baseline.Known:
    """The known failures of the baseline. Raises CheckError for a missing file, ValueError for a malformed one."""
    if options.write_baseline and not options.baseline:
        raise CheckError("--write-baseline: name the file, as in --baseline known.txt")
    if not options.baseline or (options.write_baseline and not options.baseline.exists()):
        return frozenset()
    try:
        return baseline.read(options.baseline)
    except OSError as error:
        hint = "; --write-baseline creates it" if isinstance(error, FileNotFoundError) else ""
        raise CheckError(f"--baseline: can't read {options.baseline}: {error.strerror}{hint}") from None


def _require_writable_paths(options: argparse.Namespace) -> None:
    """Raises CheckError for a report that could not be written, before any case runs."""
    for flag in ("json", "junit", "html", "badge", "baseline"):
        path = getattr(options, flag)
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            reason = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise CheckError(f"--{flag}: can't write {path}: {reason}")


def _run(options: argparse.Namespace, command: Sequence[str]) -> list[Result]:
    """The results of the one check that the flags select."""
    if command and options.client:
        raise CheckError("--client and a command after -- are two different checks; choose one")
    if command:
        from mock_fal_contracts.usage_rules import check_program

        return check_program(options, command, _progress(options))
    if options.client:
        from mock_fal_contracts.client import check_clients

        return check_clients(options, _progress(options))
    from mock_fal_contracts.server import check_server

    return check_server(options, _progress(options))


def _progress(options: argparse.Namespace) -> OnResult:
    """A callback that prints one line for each result; its second argument is the total number of results."""
    count = 0

    def on_result(result: Result, total: int | None = None) -> None:
        nonlocal count
        count += 1
        if not options.quiet:
            sys.stdout.write(terminal.progress(result, count, total))
            sys.stdout.flush()

    return on_result


def _write(options: argparse.Namespace, results: Sequence[Result]) -> None:
    writers = [
        (options.json, machine.as_json),
        (options.junit, machine.junit),
        (options.html, page.page),
        (options.badge, machine.badge),
    ]
    for path, text in writers:
        if path is not None:
            path.write_text(text(results), "utf-8", errors="backslashreplace")
