"""Usage rules: checks how a program uses fal, from the requests it sends, without changes to it and without a driver.

The program is run against a mock: first without injected faults, and with `--stress` once more for each kind of fault.
Each rule checks the requests of every run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mock_fal_contracts.results import OnResult, Result, advised, failed, passed, skipped
from mock_fal_contracts.target import CheckError
from mock_fal_contracts.usage_rules import stress
from mock_fal_contracts.usage_rules.program import Run, program_runner
from mock_fal_contracts.usage_rules.rule import Finding, Rule

# How many findings of one rule are reported in full.
_MAX_FINDINGS: Final = 3

# Interpreters and launchers: the program is the one that they run.
_LAUNCHERS: Final = (
    "python",
    "python3",
    "node",
    "deno",
    "bun",
    "sh",
    "bash",
    "npx",
    "uv",
    "uvx",
    "env",
    "run",
    "ruby",
)

_NO_TRAFFIC: Final = (
    "no request reached mock-fal: the command does not call fal, its HTTP client ignores HTTPS_PROXY, "
    "or it runs where the environment does not reach it (a container, a daemon, a cleared environment)"
)


def check_program(options: argparse.Namespace, command: Sequence[str], on_result: OnResult) -> list[Result]:
    """Run a command and check it against the rules; its exit code goes into `options.command_code`. Raises CheckError.

    Each rule has one result: failed, or advice, when it has a finding in any run. Without any request the exit code is
    1 if `options.require_traffic`.
    """
    rules = _selected_rules(options.only)
    injections = stress.selected(options.stress)
    if options.list:
        sys.stdout.writelines(f"{rule.case.id:<28} {_level(rule)} {rule.case.title}\n" for rule in rules)
        return []
    with program_runner() as runner:
        runs = []
        for run in runner.runs(command, [stress.NO_FAULTS, *injections], options.timeout):
            _report_run(run, options.timeout)
            runs.append(run)
    options.command_code = runs[0].code
    results = [result_of(rule, program_name(command), runs, is_strict=options.strict) for rule in rules]
    for result in results:
        on_result(result, len(results))
    if not runs[0].record.exchanges:
        # After the results, where it is not scrolled away.
        level = "error" if options.require_traffic else "warning"
        sys.stderr.write(f"mock-fal check: {level}: {_NO_TRAFFIC}\n")
        options.command_code = 1 if options.require_traffic else options.command_code
    return results


def result_of(rule: Rule, subject: str, runs: Sequence[Run], *, is_strict: bool = False) -> Result:
    """The result of one rule for all runs of the program `subject`. With `is_strict`, advice is a failure too."""
    is_applicable, findings = False, []
    for run in runs:
        selection = rule.select(run.record)
        is_applicable = is_applicable or bool(selection)
        findings += [(run, finding) for finding in rule.find(run.record, selection)] if selection else []
    if findings:
        evidence = [item for _, finding in findings[:_MAX_FINDINGS] for item in finding.evidence]
        outcome = advised if rule.is_advice and not is_strict else failed
        return outcome(rule.case, subject, _message(findings), evidence)
    if is_applicable:
        return passed(rule.case, subject)
    return skipped(rule.case, subject, f"not applicable: no {rule.subject}")


def program_name(command: Sequence[str]) -> str:
    """The name of the program that a command runs, without its folder.

    >>> program_name(["/usr/bin/python3.11", "-u", "src/app.py"]), program_name(["python", "-m", "pytest", "tests"])
    ('app.py', 'pytest')
    """
    for word in command:
        name = Path(word).name
        if not word.startswith("-") and name.rstrip("0123456789.") not in _LAUNCHERS:
            return name
    return Path(command[0]).name


def _selected_rules(globs: Sequence[str]) -> list[Rule]:
    from mock_fal_contracts.usage_rules.catalogue import RULES

    rules = [rule for rule in RULES if not globs or any(fnmatchcase(rule.case.id, glob) for glob in globs)]
    if not rules:
        raise CheckError(f"--only {' '.join(globs)}: no rule has such an id; --list shows all ids")
    return rules


def _level(rule: Rule) -> str:
    return "advice" if rule.is_advice else "error "


def _message(findings: Sequence[tuple[Run, Finding]]) -> str:
    messages = [
        finding.message
        + (f" (seen with --stress {run.injection.name})" if run.injection is not stress.NO_FAULTS else "")
        for run, finding in findings
    ]
    unique = list(dict.fromkeys(messages))
    more = [f"… and {len(unique) - _MAX_FINDINGS} more"] if len(unique) > _MAX_FINDINGS else []
    return "\n".join([*unique[:_MAX_FINDINGS], *more])


def _report_run(run: Run, timeout_s: float) -> None:
    """Print on stderr, where the program's own output goes, how a run ended."""
    is_first = run.injection is stress.NO_FAULTS
    if run.record.killed_after_s is not None:
        end = f"was ended after {timeout_s:g} s (--timeout)"
    elif run.is_cut_short:
        end = "was ended early: it waits for a response that never comes, until its client's own timeout"
    else:
        end = f"ended with {run.code}"
    if run.code or not is_first:
        fault = "" if is_first else f", when {run.injection.description} (--stress {run.injection.name})"
        sys.stderr.write(f"mock-fal check: the command {end}{fault}\n")
