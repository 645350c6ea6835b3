"""The verdict: what is wrong with a program, told from what it asks, without a change to it and without a driver.

The program is run against a mock: once as it is, and with `--stress` again for each kind of trouble. Each rule looks
at what was asked in each run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mock_fal_contracts.results import Result, Tell, failed, passed, skipped
from mock_fal_contracts.target import CheckError
from mock_fal_contracts.usage_rules import stress as trials
from mock_fal_contracts.usage_rules.program import Run, opened
from mock_fal_contracts.usage_rules.rule import Finding, Rule

# Findings of one rule that are told in full.
_TOLD: Final = 3

# Programs that run others: the subject is what they run.
_RUNNERS: Final = (
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


def judge(options: argparse.Namespace, command: Sequence[str], tell: Tell) -> list[Result]:
    """Run a command and judge it. Its exit code goes into `options.command_code`. Raises CheckError.

    Each rule has one result: failed as soon as it finds something in any run.
    """
    rules = _chosen(options.only)
    troubles = trials.chosen(options.stress)
    if options.list:
        sys.stdout.writelines(f"{each.case.id:<28} {each.case.title}\n" for each in rules)
        return []
    with opened() as bench:
        runs = []
        for run in bench.runs(command, [trials.BASELINE, *troubles], options.timeout):
            _tell_run(run, options.timeout)
            runs.append(run)
    options.command_code = runs[0].code
    results = [judged(each, subject(command), runs) for each in rules]
    for result in results:
        tell(result, len(results))
    return results


def judged(rule: Rule, subject: str, runs: Sequence[Run]) -> Result:
    """What one rule says of all runs."""
    looked, found = False, []
    for run in runs:
        subjects = rule.subjects(run.record)
        looked = looked or bool(subjects)
        found += [(run, finding) for finding in rule.judge(run.record, subjects)] if subjects else []
    if found:
        evidence = [each for _, finding in found[:_TOLD] for each in finding.evidence]
        return failed(rule.case, subject, _message(found), evidence)
    return (
        passed(rule.case, subject)
        if looked
        else skipped(rule.case, subject, f"nothing to judge: no {rule.about}")
    )


def subject(command: Sequence[str]) -> str:
    """What a program is called, wherever it lies.

    >>> subject(["/usr/bin/python3.11", "-u", "src/app.py"]), subject(["python", "-m", "pytest", "tests"])
    ('app.py', 'pytest')
    """
    for word in command:
        name = Path(word).name
        if not word.startswith("-") and name.rstrip("0123456789.") not in _RUNNERS:
            return name
    return Path(command[0]).name


def _chosen(globs: Sequence[str]) -> list[Rule]:
    from mock_fal_contracts.usage_rules.catalogue import RULES

    chosen = [each for each in RULES if not globs or any(fnmatchcase(each.case.id, glob) for glob in globs)]
    if not chosen:
        raise CheckError(f"--only {' '.join(globs)}: no rule has such an id; --list tells all of them")
    return chosen


def _message(found: Sequence[tuple[Run, Finding]]) -> str:
    texts = [
        finding.message
        + (f" (seen with --stress {run.trial.name})" if run.trial is not trials.BASELINE else "")
        for run, finding in found
    ]
    unique = list(dict.fromkeys(texts))
    more = [f"… and {len(unique) - _TOLD} more of the kind"] if len(unique) > _TOLD else []
    return "\n".join([*unique[:_TOLD], *more])


def _tell_run(run: Run, timeout_s: float) -> None:
    """Say on stderr, where the program's own words go, what became of a run."""
    baseline = run.trial is trials.BASELINE
    under = "" if baseline else f", when {run.trial.says} (--stress {run.trial.name})"
    if run.record.killed_after_s is not None:
        ended = f"was ended after {timeout_s:g} s (--timeout)"
    elif run.is_cut_short:
        ended = "waits for an answer that never comes, with a client that gives up by itself later"
    else:
        ended = f"ended with {run.code}"
    if run.code or not baseline:
        sys.stderr.write(f"mock-fal check: the command {ended}{under}\n")
    if baseline and not run.record.exchanges:
        sys.stderr.write(
            "mock-fal check: no request came; does the program call fal, and honour HTTPS_PROXY?\n"
        )
