"""Cassettes, temporary folders and text of others: what they can't read, block, fill or write."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.cassettes.cassette import MAX_DEPTH, parse_cassette
from mock_fal.cassettes.folder import file_chunks, read_cassettes
from mock_fal.cli import main
from mock_fal.errors import MockFalError, SettingsError
from mock_fal.files.file_store import FileStore
from mock_fal.files.temporary_folder import TemporaryFolder, remove_abandoned
from mock_fal.journal.exchanges import Exchange
from mock_fal.regular_file import read_regular_file
from mock_fal.summary import summary
from mock_fal.terminal import PrintableFilter, printable
from mock_fal.webhooks import receiver as receiver_module
from mock_fal.webhooks.receiver import Received, WebhookReceiver

CASSETTE: Mapping[str, Any] = {
    "mock_fal_cassette": 1,
    "request": {"method": "GET", "url": "https://v3b.fal.media/files/a/1.jpg", "headers": {}},
    "response": {"status": 200, "headers": {}, "file": "0001.jpg", "sha256": "0"},
}


def changed(**response: object) -> str:
    members = {**CASSETTE["response"], **response}
    return json.dumps(
        {**CASSETTE, "response": {key: value for key, value in members.items() if value is not None}}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001-a.json").write_text(json.dumps(CASSETTE))
    return tmp_path


def link_to_a_secret(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_text("password")
    path.symlink_to(secret)


def dev_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [link_to_a_secret, dev_zero, os.mkfifo, Path.mkdir])
def test_replay_reads_regular_files_of_its_folder_only(make: Callable[[Path], None], folder: Path) -> None:
    make(folder / "0001.jpg")
    with pytest.raises(SettingsError) as error:
        read_cassettes(str(folder))
    assert str(error.value).endswith(
        "0001-a.json: invalid cassette: 0001.jpg is not a regular file; links are not followed"
    )


def test_a_file_that_became_a_link_after_the_start_is_not_followed(folder: Path) -> None:
    (folder / "0001.jpg").write_bytes(b"picture")
    read_cassettes(str(folder))
    (folder / "0001.jpg").unlink()
    link_to_a_secret(folder / "0001.jpg")
    with pytest.raises(OSError, match="symbolic links"):
        list(file_chunks(folder / "0001.jpg"))


@pytest.mark.parametrize("make", [os.mkfifo, dev_zero])
def test_a_cassette_that_is_not_a_regular_file_is_one_line_and_blocks_nothing(
    make: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "0001-a.json")
    assert main(["run", "--replay", str(tmp_path), "--", "true"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"mock-fal: {tmp_path}/0001-a.json: invalid cassette: it is not a regular file"


def test_the_size_of_a_file_is_checked_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="it has 1099511627776 bytes, the limit is 1000"):
        read_regular_file(tmp_path / "sparse", 1000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed(headers={"content-length": "5"}), "the header content-length is '5', expected none"),
        (
            changed(headers={"content-length": "x"}, file=None, sha256=None),
            "content-length is 'x', expected digits",
        ),
        (changed(headers={"a b": "c"}), "the header name 'a b' has characters that HTTP does not allow"),
        (changed(headers={"": "c"}), "the header name '' has characters that HTTP does not allow"),
        (json.dumps(CASSETTE).replace("https://v3b", "https://[v3b"), "expected an absolute URL"),
        (json.dumps(CASSETTE).replace("v3b.fal.media", "v3b.fal.media:99999999"), "expected an absolute URL"),
        (
            changed(json=None, text=None)[:-1] + ', "deep": ' + "[" * 900 + "]" * 900 + "}",
            "nested more than 100 levels",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_fault_in_a_cassette_is_one_line_that_names_the_file(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "0001-a.json").write_text(text)
    (tmp_path / "0001.jpg").write_bytes(b"picture")
    assert main(["run", "--replay", str(tmp_path), "--", "true"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mock-fal: {tmp_path}/0001-a.json: invalid cassette: ")
    assert message in line


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(["request", "response", "mock_fal_cassette"]),
    st.sampled_from(["headers", "url", "status", "json", "file", "lines", "text", "method"]),
    json_values,
)
def test_any_change_of_a_cassette_parses_or_is_a_settings_error(
    part: str, member: str, value: object
) -> None:
    document = json.loads(json.dumps(CASSETTE))
    if isinstance(document[part], dict):
        document[part][member] = value
    else:
        document[part] = value
    try:
        parse_cassette(json.dumps(document), "a.json")
    except SettingsError as error:
        assert str(error).startswith("a.json: invalid cassette: ")


@given(st.text(max_size=200))
def test_any_text_is_a_cassette_or_a_settings_error(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^a\.json: invalid cassette: "):
        parse_cassette(text, "a.json")


def test_the_depth_of_a_cassette_is_bounded() -> None:
    deep = changed(json=None)[:-1] + ', "more": ' + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1) + "}"
    with pytest.raises(SettingsError, match="nested more than"):
        parse_cassette(deep, "a.json")


# -- temporary folders


def test_a_temporary_folder_is_private_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = TemporaryFolder("test")
    assert [path.stat().st_mode & 0o777 for path in (folder.path, folder.path.parent)] == [0o700, 0o700]
    folder.close()
    assert not folder.path.parent.exists()


def test_folders_of_ended_processes_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = TemporaryFolder("uploads")
    (tmp_path / "mock-fal-check-x").mkdir()  # without a lock: not known to be abandoned
    (tmp_path / "other").mkdir()
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
            "from mock_fal.files.temporary_folder import TemporaryFolder\n"
            "folder = TemporaryFolder('uploads'); (folder.path / 'upload').write_bytes(b'x')\n"
            "print(folder.path, flush=True); os.kill(os.getpid(), signal.SIGKILL)",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
    )
    abandoned = Path(killed.stdout.strip())
    assert killed.returncode == -signal.SIGKILL and abandoned.exists()
    assert remove_abandoned() == [abandoned.parent]
    assert not abandoned.exists() and mine.path.exists()
    assert {path.name for path in tmp_path.iterdir()} == {mine.path.parent.name, "mock-fal-check-x", "other"}
    mine.close()


def test_a_link_is_not_an_abandoned_folder(tmp_path: Path) -> None:
    target = tmp_path / "documents"
    target.mkdir()
    (target / ".lock").touch()
    (tmp_path / "mock-fal-uploads-x").symlink_to(target)
    assert remove_abandoned(str(tmp_path)) == []
    assert target.exists()


def test_uploads_are_in_a_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = FileStore(max_upload=10, max_disk=10)
    folder = store._folder_path()
    assert (folder.parent / ".lock").exists()
    store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM])
def test_a_server_ends_cleanly_at_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "mock_fal", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[3]
        upload(url)
        assert [path.name[:17] for path in tmp_path.iterdir()] == ["mock-fal-uploads-"]
        server.send_signal(number)
        assert server.wait(20) == 0
    assert list(tmp_path.iterdir()) == []


def upload(url: str) -> None:
    from urllib.request import ProxyHandler, Request, build_opener

    direct = build_opener(ProxyHandler({}))
    key = {"Authorization": "Key a:b", "Content-Type": "application/json"}
    body = b'{"content_type": "text/plain", "file_name": "a.txt"}'
    with direct.open(Request(f"{url}/rest.fal.ai/storage/upload/initiate", body, key)) as response:
        target = json.load(response)["upload_url"]
    direct.open(Request(target, b"data", {"Content-Type": "text/plain"}, method="PUT")).close()


# -- webhooks that are received


def test_the_receiver_keeps_a_bounded_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "MAX_KEPT_BYTES", 5000)
    receiver = WebhookReceiver("http://127.0.0.1:9/")
    monkeypatch.setattr(receiver, "_problem", lambda headers, body: "")
    for number in range(10):
        receiver._receive(f"/{number}", {}, b"x" * 1000)
    assert [received.path for received in receiver.received] == ["/8", "/9"]
    assert len(receiver.wait_for(10)) == 2


def test_a_body_above_the_limit_is_refused_before_it_is_read() -> None:
    import http.client

    with WebhookReceiver("http://127.0.0.1:9/") as receiver:
        for length in (str(1 << 40), "-5", "five"):
            connection = http.client.HTTPConnection(
                "127.0.0.1", int(receiver.url.split(":")[2].strip("/")), timeout=20
            )
            connection.putrequest("POST", "/")
            connection.putheader("content-length", length)
            connection.endheaders()
            assert connection.getresponse().status == 413
            connection.close()
        assert receiver.received == []


# -- terminals

CLEAR = "\x1b[2J\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a cat, é, 猫 ✓", "a cat, é, 猫 ✓"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\r\nmock-fal: forged", r"a\r\nmock-fal: forged"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202eexe.jpg\u2028", r"\u202eexe.jpg\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_shown_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_whatever_is_printed_controls_no_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown.encode()


def test_the_summary_shows_no_control_characters() -> None:
    exchange = Exchange(
        at=0.0,
        tenant="a",
        method="POST",
        host="fal.run",
        path=f"/fal-ai/flux{CLEAR}\nmock-fal: forged",
        query="",
        request_head=b"",
        request_body=b"",
        status=404,
        response_head=b"",
        response_body=f"{CLEAR}\nforged".encode(),
    )
    lines = summary([exchange], []).splitlines()
    assert all(line.startswith("mock-fal: ") and "\x1b" not in line for line in lines)
    assert not any(line.startswith("mock-fal: forged") for line in lines)


def test_a_received_webhook_is_one_printable_line() -> None:
    body = json.dumps({"status": "OK", "error": f"{CLEAR}\n", "request_id": "1\n2"}).encode()
    line = str(Received(0.0, f"/{CLEAR}", {}, body, "bad\n", 200))
    assert line.isprintable()


def test_log_messages_are_printable(caplog: pytest.LogCaptureFixture) -> None:
    record = logging.LogRecord(
        "mock_fal", logging.WARNING, "", 0, "webhook to %s failed", (f"http://x/{CLEAR}\n",), None
    )
    assert PrintableFilter().filter(record)
    assert record.getMessage() == r"webhook to http://x/\x1b[2J\x1b]0;title\x07\n failed"
    assert any(isinstance(one, PrintableFilter) for one in logging.getLogger("mock_fal").filters)


def test_an_error_of_the_command_line_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--scenario", f"{CLEAR}.json", "--", "true"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_broken_pipe_ends_quietly() -> None:
    read, write = os.pipe()
    os.close(read)  # the reader of `mock-fal explain … | head -0`
    command = [sys.executable, "-m", "mock_fal", "explain", "queue=600"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_these_are_our_own_errors() -> None:
    assert issubclass(SettingsError, MockFalError)
