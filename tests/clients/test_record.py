"""Real clients are recorded, and answered again offline. A second mock-fal, behind its gateway, is the live API."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_fal import MockFal
from tests.clients.programs import FOLDER, Node, finished

KEY = "live:4fd1c0ffee4fd1c0ffee"
PYTHON = [sys.executable, "-m", "tests.clients.recorded"]


@pytest.fixture
def live() -> Iterator[MockFal]:
    with MockFal(key=(KEY,), speed=20) as fal:
        yield fal


def ours(*flags: str) -> list[str]:
    return [sys.executable, "-m", "mock_fal", "run", *flags, "--"]


def recorded(live: MockFal, folder: Path, command: list[str]) -> Any:
    """What a program tells whose session is recorded; the live API's own journal says whom it saw."""
    added, removed = live.environment(os.environ)
    environ = {name: value for name, value in os.environ.items() if name not in removed} | added
    done = finished(
        [*ours("--record", str(folder), "--allow-egress"), *command],
        env=environ | {"MOCK_FAL_LIVE_KEY": KEY},
    )
    assert done.returncode == 0, done.stderr
    assert f"cassettes: {len(list(folder.glob('*.json')))} recorded" in done.stderr
    sent = {dict(each.request_headers).get(b"authorization", b"") for each in live.requests}
    assert f"Key {KEY}".encode() in sent and not any(b"mock:fal" in each for each in sent)
    return json.loads(done.stdout.splitlines()[-1])


def session(folder: Path, command: list[str], *flags: str) -> tuple[Any, str]:
    """What a program tells whose questions are answered from cassettes, and what the run says of it."""
    done = finished([*ours("--replay", str(folder), "--speed", "20", *flags), *command])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def is_clean(folder: Path) -> bool:
    """Whether no secret stands anywhere in a folder: keys, tokens, signatures."""
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
    again, told = session(folder, [*PYTHON, "a cat"], "--strict", "--offline")
    assert again == first
    assert "without a cassette" not in told and "never used" not in told


def test_a_javascript_session_is_recorded_and_replayed_offline(
    live: MockFal, newest_node: Node, tmp_path: Path
) -> None:
    folder, command = tmp_path / "cassettes", [str(newest_node.binary), str(FOLDER / "record.mjs"), "a cat"]
    first = recorded(live, folder, command)
    live.stop()
    assert first["logs"] and len(first["events"]) > 1 and first["error"][0] == 422
    assert is_clean(folder)
    again, told = session(folder, command, "--strict", "--offline")
    assert again == first
    assert "without a cassette" not in told


def test_what_was_not_recorded_is_refused_or_a_placeholder(live: MockFal, tmp_path: Path) -> None:
    folder = tmp_path / "cassettes"
    first = recorded(live, folder, [*PYTHON, "a cat"])
    live.stop()
    done = finished([*ours("--replay", str(folder), "--strict"), *PYTHON, "a dog"])
    assert done.returncode == 1
    assert (
        'the nearest: 0001-queue.fal.run-POST-fal-ai-flux-schnell.json has prompt "a cat", not "a dog"'
        in (done.stderr)
    )
    assert "cassettes: 1 without a cassette" in done.stderr  # it was not asked again
    other, told = session(folder, [*PYTHON, "a dog"])
    assert other["result"]["prompt"] == "a dog" and other["picture"] != first["picture"]
    assert other["changed"]["images"] and "never used: 0001-" in told


def test_the_program_does_not_see_the_live_key(tmp_path: Path) -> None:
    program = "import os; print('MOCK_FAL_LIVE_KEY' in os.environ)"
    done = finished(
        [*ours("--record", str(tmp_path / "c"), "--allow-egress"), sys.executable, "-c", program],
        env=os.environ | {"MOCK_FAL_LIVE_KEY": KEY},
    )
    assert done.stdout == "False\n"
