"""The flags of `mock-fal check`, and what they lead to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mock_fal_contracts.report import baseline, machine, page, terminal
from mock_fal_contracts.results import Result, Tell
from mock_fal_contracts.target import CheckError

# What a shell answers for a program that Ctrl+C ended.
_INTERRUPTED = 130

DESCRIPTION = """\
Without --client and without a command: checks a server. With --client: checks a client, through a small driver
that reads one JSON job a line. With a command behind --: runs it against a mock and judges it by what it asked.
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
    flags.add_argument("--target", default="mock", help="mock, live, or an address (default: %(default)s)")
    flags.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="[NAME=]CMD",
        help="a driver to check (may be repeated)",
    )
    flags.add_argument("--key", default=os.environ.get("FAL_KEY", ""), help="id:secret (default: $FAL_KEY)")
    flags.add_argument(
        "--budget", type=float, default=0.0, metavar="USD", help="what a live check may cost (default: 0)"
    )
    flags.add_argument(
        "--seed", type=int, default=0, help="of the generated questions (default: %(default)s)"
    )
    flags.add_argument(
        "--examples",
        type=int,
        default=0,
        metavar="N",
        help="generated questions per operation (default: by target)",
    )
    flags.add_argument(
        "--only", action="append", default=[], metavar="GLOB", help="only cases with such an id"
    )
    flags.add_argument("--list", action="store_true", help="list the cases and stop")
    flags.add_argument("--baseline", type=Path, metavar="FILE", help="known failures")
    flags.add_argument("--write-baseline", action="store_true", help="write what fails now into --baseline")
    flags.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    flags.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    flags.add_argument("--html", type=Path, metavar="FILE", help="write the results as one HTML page")
    flags.add_argument("--badge", type=Path, metavar="FILE", help="write an SVG badge")
    flags.add_argument("--quiet", action="store_true", help="no line for each case")
    flags.add_argument(
        "--stress",
        nargs="?",
        const="all",
        default="",
        metavar="NAMES",
        help="for a command: run it again for each kind of trouble",
    )
    flags.add_argument(
        "--timeout",
        type=float,
        default=120.0,
        metavar="S",
        help="for a command: how long a run may take (default: %(default)g)",
    )
    return flags


def main(arguments: Sequence[str], command: Sequence[str] = ()) -> int:
    """Check, report, and return the exit code: 0 when all is well, 1 when something fails, 2 for a wrong question.

    A command in which nothing is wrong, and that fails by itself, gives its own exit code.
    """
    options = parser().parse_args(arguments)
    options.command_code = 0
    try:
        known = _known(options)
        _need_places(options)
        results = _checked(options, command)
    except (CheckError, ValueError) as error:
        print(f"mock-fal check: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    if options.list:
        return 0
    if options.write_baseline and options.baseline:
        options.baseline.write_text(baseline.written(results), "utf-8")
        known = baseline.read(options.baseline)
    results = baseline.compared(results, known, whole=not options.only)
    sys.stdout.write(terminal.summary(results))
    _write(options, results)
    return int(any(result.status.is_bad for result in results)) or int(options.command_code)


def _known(options: argparse.Namespace) -> baseline.Known:
    """What the baseline names. Raises CheckError for a file that is not there, ValueError for one that is none."""
    if options.write_baseline and not options.baseline:
        raise CheckError("--write-baseline: say which file, as in --baseline known.txt")
    if not options.baseline or (options.write_baseline and not options.baseline.exists()):
        return frozenset()
    try:
        return baseline.read(options.baseline)
    except OSError as error:
        hint = "; --write-baseline makes one" if isinstance(error, FileNotFoundError) else ""
        raise CheckError(f"--baseline: can't read {options.baseline}: {error.strerror}{hint}") from None


def _need_places(options: argparse.Namespace) -> None:
    """Raises CheckError for a result that could not be written: better before all the work than behind it."""
    for flag in ("json", "junit", "html", "badge", "baseline"):
        path = getattr(options, flag)
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            why = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
            raise CheckError(f"--{flag}: can't write {path}: {why}")


def _checked(options: argparse.Namespace, command: Sequence[str]) -> list[Result]:
    """The results of whichever of the three checks was asked for."""
    if command and options.client:
        raise CheckError("--client and a command behind -- are two checks; ask for one of them")
    if command:
        from mock_fal_contracts.usage_rules import judge

        return judge(options, command, _teller(options))
    if options.client:
        from mock_fal_contracts.client import check_clients

        return check_clients(options, _teller(options))
    from mock_fal_contracts.server import check_server

    return check_server(options, _teller(options))


def _teller(options: argparse.Namespace) -> Tell:
    """Prints a line for each result; its second argument is how many there will be."""
    count = 0

    def tell(result: Result, total: int | None = None) -> None:
        nonlocal count
        count += 1
        if not options.quiet:
            sys.stdout.write(terminal.progress(result, count, total))
            sys.stdout.flush()

    return tell


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
