"""Real clients are recorded and replayed offline. A second mock-fal behind its gateway stands in for the live API."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_fal import MockFal
from tests.clients.programs import FOLDER, Node, run_program

KEY = "live:4fd1c0ffee4fd1c0ffee"
PYTHON = [sys.executable, "-m", "tests.clients.recorded"]


@pytest.fixture
def live() -> Iterator[MockFal]:
    with MockFal(key=(KEY,), speed=20) as fal:
        yield fal


def run_command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "mock_fal", "run", *flags, "--"]


def recorded(live: MockFal, folder: Path, command: list[str]) -> Any:
    """Record a program and return its output. The journal of the live API shows which keys it received."""
    added, removed = live.environment(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in removed} | added
    done = run_program(
        [*run_command("--record", str(folder), "--allow-egress"), *command],
        env=environ | {"MOCK_FAL_LIVE_KEY": KEY},
    )
    assert done.returncode == 0, done.stderr
    assert f"cassettes: {len(list(folder.glob('*.json')))} recorded" in done.stderr
    sent = {dict(exchange.request_headers).get(b"authorization", b"") for exchange in live.requests}
    # The live API accepts its own key only; the journal hides the secret.
    assert "Key live:•••".encode() in sent and not any(b"mock:" in authorization for authorization in sent)
    return json.loads(done.stdout.splitlines()[-1])


def session(folder: Path, command: list[str], *flags: str) -> tuple[Any, str]:
    """Replay a program and return its output and the summary."""
    done = run_program([*run_command("--replay", str(folder), "--speed", "20", *flags), *command])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def is_clean(folder: Path) -> bool:
    """Whether no file in a folder contains a secret: a key, a token or a signature."""
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    texts = "".join(path.read_text() for path in folder.glob("*.json"))
    assert '"Key REDACTED"' in texts and "4fd1c0ffee" not in texts
    signed = texts.count("signature=") == texts.count("signature=REDACTED")
    return signed and KEY.encode() not in held and b"4fd1c0ffee" not in held and '"token": "Wy' not in texts


def test_a_python_session_is_recorded_and_replayed_offline(live: MockFal, tmp_path: Path) -> None:
    folder = tmp_path / "cassettes"
    first = recorded(live, folder, [*PYTHON, "a cat"])
    live.stop()
    assert first["logs"] and len(first["stream"]) > 1 and first["error"][0] == 422
    assert is_clean(folder)
    replayed, summary = session(folder, [*PYTHON, "a cat"], "--strict", "--offline")
    assert replayed == first
    assert "without a cassette" not in summary and "unused cassettes" not in summary


def test_a_javascript_session_is_recorded_and_replayed_offline(
    live: MockFal, newest_node: Node, tmp_path: Path
) -> None:
    folder, command = tmp_path / "cassettes", [str(newest_node.binary), str(FOLDER / "record.mjs"), "a cat"]
    first = recorded(live, folder, command)
    live.stop()
    assert first["logs"] and len(first["events"]) > 1 and first["error"][0] == 422
    assert is_clean(folder)
    replayed, summary = session(folder, command, "--strict", "--offline")
    assert replayed == first
    assert "without a cassette" not in summary


def test_a_request_without_a_cassette_fails_or_gets_a_placeholder(live: MockFal, tmp_path: Path) -> None:
    folder = tmp_path / "cassettes"
    first = recorded(live, folder, [*PYTHON, "a cat"])
    live.stop()
    done = run_program([*run_command("--replay", str(folder), "--strict"), *PYTHON, "a dog"])
    assert done.returncode == 1
    assert (
        'the nearest: 0001-queue.fal.run-POST-fal-ai-flux-schnell.json has prompt "a cat", not "a dog"'
        in (done.stderr)
    )
    assert "cassettes: 1 without a cassette" in done.stderr  # it was not retried
    other, summary = session(folder, [*PYTHON, "a dog"])
    assert other["result"]["prompt"] == "a dog" and other["picture"] != first["picture"]
    assert other["changed"]["images"] and "unused cassettes: 0001-" in summary


def test_the_program_does_not_get_the_live_key(tmp_path: Path) -> None:
    program = "import os; print('MOCK_FAL_LIVE_KEY' in os.environ)"
    done = run_program(
        [*run_command("--record", str(tmp_path / "c"), "--allow-egress"), sys.executable, "-c", program],
        env=os.environ | {"MOCK_FAL_LIVE_KEY": KEY},
    )
    assert done.stdout == "False\n"
