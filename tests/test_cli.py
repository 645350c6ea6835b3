"""The command line: called as a function, and as a process for signals and shells."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image

import mock_fal
from mock_fal import MockFal
from mock_fal.cli import main
from mock_fal.models.catalog import WAYS_ON
from tests.clients.programs import run_program, tool

COMMAND = [sys.executable, "-m", "mock_fal"]
PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and shells of Unix")


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove settings from the environment of the test run."""
    for name in [name for name in os.environ if name.startswith("MOCK_FAL_")]:
        monkeypatch.delenv(name)


@contextmanager
def started(arguments: Sequence[str], *, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A process, by default without stdin, which is killed at the end of the block."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line of a process's stdout."""
    assert process.stdout is not None
    return process.stdout.readline()


# -- invalid arguments


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the following arguments are required: COMMAND (see mock-fal --help)"),
        (["servee"], "argument COMMAND: invalid choice: 'servee'"),
        (["serve", "--prot", "1"], "unrecognized arguments: --prot 1 (see mock-fal serve --help)."),
        (["serve", "--port"], "argument --port: expected one argument (see mock-fal serve --help)"),
        (["serve", "--port", "x"], "--port: 'x': expected a whole number from 0 to 65535"),
        (["serve", "--port", "65536"], "--port: '65536': expected a whole number from 0 to 65535"),
        (["serve", "--queue-duration", "-1"], "--queue-duration: '-1': expected a number from 0 to 1e+09"),
        (["serve", "--queue-duration", "nan"], "--queue-duration: 'nan': expected a number from 0 to 1e+09"),
        (["serve", "--clock", "sundial"], "--clock: 'sundial': expected system or manual or auto-advance"),
        (["serve", "--key", "alice"], "--key: expected id:secret"),
        (["serve", "--max-body", "1T"], "--max-body: '1T': expected bytes, as in 500000, 64M or 2G"),
        (["serve", "--", "true"], "only run takes a command, seen: -- true"),
        (["run"], "run: expected a command, as in: mock-fal run -- python app.py"),
        (["run", "--"], "run: expected a command, as in: mock-fal run -- python app.py"),
        (
            ["run", "true"],
            "unrecognized arguments: true (see mock-fal run --help)."
            " Put the command after --, as in: mock-fal run -- python app.py",
        ),
        (["render"], "the following arguments are required: prompt (see mock-fal render --help)"),
        (
            ["render", "a cat", "--size", "huge"],
            "--size: 'huge': expected WxH of at most 14142x14142, or one",
        ),
        (["render", "a cat", "--size", "0x1"], "--size: '0x1': expected WxH of at most 14142x14142, or one"),
        (["render", "a cat", "-o", "cat.gif"], "--output: 'cat.gif': expected a name that ends in .jpg, "),
        (["render", "a cat", "-o", "/nowhere/cat.jpg"], "render: can't write /nowhere/cat.jpg: No such file"),
    ],
)
def test_invalid_arguments_are_a_one_line_error(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"mock-fal: {line}")


@pytest.mark.parametrize("command", ["serve", "run"])
def test_an_invalid_variable_is_named(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOCK_FAL_QUEUE_DURATION", "soon")
    assert main([command, *(["--", "true"] if command == "run" else [])]) == 2
    message = "mock-fal: MOCK_FAL_QUEUE_DURATION: 'soon': expected a number from 0 to 1e+09\n"
    assert capsys.readouterr().err == message


def test_a_port_in_use_is_a_one_line_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    expected = (
        f"mock-fal: can't listen on 127.0.0.1 port {port}: Address already in use; "
        "choose another with --port, or --port 0 for a free one\n"
    )
    assert capsys.readouterr().err == expected


def test_env_without_a_server_names_the_command_that_starts_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["env", "--url", f"http://127.0.0.1:{port}"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search(r"no mock-fal at .*; start one with: mock-fal serve$", err)


# -- version and help


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"mock-fal {mock_fal.__version__}\n"


@pytest.mark.parametrize("command", [[], ["serve"], ["run"], ["env"], ["render"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {' '.join(['mock-fal', *command])} ")


# -- run


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_that_of_the_command(code: int) -> None:
    assert main(["run", "--", *python(f"raise SystemExit({code})")]) == code


def test_a_command_that_was_killed_has_the_exit_code_of_a_shell() -> None:
    end = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert main(["run", "--", *python(end)]) == 128 + signal.SIGKILL


def test_a_command_that_is_not_found(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--", "no-such-command"]) == 127
    assert capfd.readouterr().err.startswith("mock-fal: no-such-command: command not found\n")


def test_a_command_that_can_not_be_executed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app").write_text("")
    assert main(["run", "--", str(tmp_path / "app")]) == 126
    assert capfd.readouterr().err.startswith(f"mock-fal: {tmp_path / 'app'}: Permission denied\n")


def test_flags_after_the_dashes_belong_to_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print(sys.argv[1:])"
    assert main(["run", "--seed", "1", "--", *python(program), "--seed", "2", "--", "--version"]) == 0
    assert capfd.readouterr().out == "['--seed', '2', '--', '--version']\n"


def test_with_a_manual_clock_the_user_is_shown_how_to_advance_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    show = "import os; print(os.environ['MOCK_FAL_URL'])"
    assert main(["run", "--clock", "manual", "--", *python(show)]) == 0
    out, err = capfd.readouterr()
    hint = f"mock-fal:   curl {out.strip()}/_mock/clock/advance -d '{{\"seconds\": 600}}'"
    assert err.splitlines()[:2] == [
        "mock-fal: with --clock manual, time stands still until you advance it "
        "(MOCK_FAL_URL is set for the command):",
        hint,
    ]


@pytest.mark.parametrize("clock", ["system", "auto-advance"])
def test_other_clocks_have_no_message(clock: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--clock", clock, "--", *python("pass")]) == 0
    assert "clock" not in capfd.readouterr().err


PROGRAM = """
import fal_client
fal_client.subscribe("fal-ai/flux/schnell", {"prompt": "a cat"})
try:
    fal_client.run("fal-ai/flux/schnell", {})
except fal_client.FalClientHTTPError:
    pass
try:
    fal_client.run("fal-ai/fluxx", {"prompt": "a cat"})
except fal_client.FalClientHTTPError:
    pass
"""


def test_the_summary_lists_calls_and_failures(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--clock", "auto-advance", "--", *python(PROGRAM)]) == 0
    out, err = capfd.readouterr()
    assert (out, err) == (
        "",
        "mock-fal: 7 requests received\n"
        "mock-fal:   POST   queue.fal.run/fal-ai/flux/schnell  200\n"
        "mock-fal:   GET    queue.fal.run/fal-ai/flux/requests/…/status  202 ×2, 200\n"
        "mock-fal:   GET    queue.fal.run/fal-ai/flux/requests/…  200\n"
        "mock-fal:   POST   fal.run/fal-ai/flux/schnell  422\n"
        "mock-fal:   POST   fal.run/fal-ai/fluxx  404\n"
        "mock-fal:   estimated cost $0.003: 1 × fal-ai/flux/schnell\n"
        "mock-fal:   failed: 422 POST fal.run/fal-ai/flux/schnell: "
        '{"detail":[{"type":"missing","loc":["body","prompt"],"msg":"Field required","input":{}}]}\n'
        "mock-fal:   failed: 404 POST fal.run/fal-ai/fluxx: "
        '{"detail":"Application \\"fluxx\\" not found"}\n'
        "mock-fal:   not emulated: fal-ai/fluxx; did you mean fal-ai/flux-2, fal-ai/flux-2-max or fal-ai/flux/dev?\n"
        f"mock-fal:   for what is not emulated: {WAYS_ON}\n",
    )


def test_settings_come_from_flags_then_variables(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOCK_FAL_CLOCK", "auto-advance")
    monkeypatch.setenv("MOCK_FAL_KEY", "other:secret")
    program = (
        "import fal_client; print(fal_client.run('fal-ai/flux/schnell', {'prompt': 'a'})['timings'])\n"
        "import os; print(os.environ['FAL_KEY'])"
    )
    assert main(["run", "--run-duration", "100", "--key", "mock:fal", "--", *python(program)]) == 0
    assert capfd.readouterr().out == "{'inference': 96.0}\nmock:fal\n"


def test_variables_that_bypass_mock_fal_are_removed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAL_RUN_HOST", "elsewhere.example")
    monkeypatch.setenv("FAL_KEY", "real:key")
    assert (
        main(["run", "--", *python("import os; print('FAL_RUN_HOST' in os.environ, os.environ['FAL_KEY'])")])
        == 0
    )
    assert capfd.readouterr().out == "False mock:fal\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_is_forwarded(number: signal.Signals) -> None:
    program = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    with started(["run", "--", *python(program)]) as process:
        assert read_line(process) == "ready\n"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 5


def test_a_signal_that_ends_the_command_ends_run() -> None:
    program = "import signal; signal.signal(2, signal.SIG_DFL); print('ready', flush=True)\nwhile True: signal.pause()"
    with started(["run", "--", *python(program)]) as process:
        assert read_line(process) == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGINT


def test_with_inspect_the_server_stays_until_a_signal() -> None:
    """The exit code is that of the command."""
    with started(["run", "--inspect", "--", *python("raise SystemExit(3)")]) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert next(lines).startswith("mock-fal: the inspector is at http://127.0.0.1:")
        line = next(line for line in lines if "stays at" in line)
        match = re.fullmatch(r"mock-fal: the inspector stays at (\S+) until Ctrl\+C\n", line)
        assert match
        with urlopen(match[1]) as page:
            assert page.headers["content-type"] == "text/html; charset=utf-8"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 3


def test_with_inspect_a_signal_to_the_command_ends_run_too() -> None:
    program = "import signal, sys\nsignal.signal(15, lambda *_: sys.exit(4))\nprint('ready', flush=True)\n"
    program += "signal.pause()"
    with started(["run", "--inspect", "--", *python(program)]) as process:
        assert read_line(process) == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 4


def test_with_inspect_a_command_that_is_not_found_ends_run() -> None:
    with started(["run", "--inspect", "--", "no-such-command"]) as process:
        assert process.wait(PATIENCE_S) == 127


def test_without_a_display_open_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with started(["run", "--open", "--", *python("")]) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert "mock-fal: --open: this is CI, so no browser was opened\n" in err


def test_in_a_terminal_run_waits_for_the_command() -> None:
    """Ctrl+C is sent to both processes, and the command decides the exit code."""
    program = "import signal, sys\nsignal.signal(2, lambda *_: sys.exit(7))\nprint('ready', flush=True)\nsignal.pause()"
    controller, terminal = os.openpty()
    command = [*COMMAND, "run", "--", *python(program)]
    with subprocess.Popen(
        command,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        assert read_line(process) == "ready\n"
        os.write(controller, b"\x03")
        _, err = process.communicate(timeout=PATIENCE_S)
    os.close(controller)
    os.close(terminal)
    assert (process.returncode, err.startswith("mock-fal: no request received")) == (7, True)


def test_the_command_reads_stdin() -> None:
    done = run_program([*COMMAND, "run", "--", *python("print(input()[::-1])")], stdin="abc\n")
    assert (done.returncode, done.stdout) == (0, "cba\n")


# -- serve and env


@contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a separate process, and its address."""
    with started(["serve", "--port", "0", *flags]) as process:
        line = read_line(process)
        match = re.fullmatch(r"mock-fal (\S+) at (http://127\.0\.0\.1:\d+) \(stop with Ctrl\+C\)\n", line)
        assert match, line
        yield process, match[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_at_a_signal(number: signal.Signals) -> None:
    with serving() as (process, url):
        assert read_line(process) == f'  for unmodified programs:  eval "$(mock-fal env --url {url})"\n'
        assert read_line(process) == f"  to see what happens:      {url}/\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err) == (0, "")


def test_env_makes_a_shell_and_its_programs_use_a_server() -> None:
    python_program = (
        "import fal_client; print(fal_client.run('fal-ai/flux/dev', {'prompt': 'a dog'})['prompt'])"
    )
    curl = (
        'curl -s -H "Authorization: Key $FAL_KEY" -d \'{"prompt":"a cat"}\' https://fal.run/fal-ai/flux/dev'
    )
    tool("curl")
    with serving("--clock", "auto-advance") as (_, url):
        script = (
            f'eval "$({sys.executable} -m mock_fal env --url {url})"\n'
            f'{curl}; echo\n{sys.executable} -c "{python_program}"'
        )
        done = run_program([tool("sh"), "-eu", "-c", script], env={**os.environ, "FAL_KEY_ID": "real"})
    assert (done.returncode, done.stderr) == (0, "")
    cat, dog = done.stdout.splitlines()
    assert (json.loads(cat)["prompt"], dog) == ("a cat", "a dog")


def test_env_prints_the_lines_of_an_env_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAL_KEY_ID", "real")
    monkeypatch.delenv("FAL_KEY_SECRET", raising=False)
    with MockFal() as fal:
        command = ["env", "--url", fal.url, "--format", "env-file"]
        assert main(command) == 0
        printed = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
        assert (printed["FAL_KEY"], printed["FAL_KEY_ID"], printed["MOCK_FAL_URL"]) == (
            "mock:fal",
            "",
            fal.url,
        )
        assert "FAL_KEY_SECRET" not in printed
        monkeypatch.setenv("FAL_RUN_HOST", "fal.example")
        assert (main(command), capsys.readouterr().err) == (
            2,
            "mock-fal: FAL_RUN_HOST is set, and an env file can't unset it; remove it from the environment\n",
        )
        monkeypatch.delenv("FAL_RUN_HOST")
        monkeypatch.setenv("PYTHONPATH", "a\nb")
        assert main(command) == 2
        assert "PYTHONPATH has a line break" in capsys.readouterr().err


def test_env_waits_for_a_server_to_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with started(["serve", "--port", str(port)]):
        done = run_program([*COMMAND, "env", "--url", url, "--wait", "60"])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search("^export FAL_KEY=mock:fal$", done.stdout, re.MULTILINE)
    assert re.match("unset ALL_PROXY .*FAL_RUN_HOST", done.stdout)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The port of a server that is reached by names and addresses of other machines."""
    with MockFal() as fal:
        create_connection = socket.create_connection

        def connect(address: tuple[str, int], *options: Any, **keywords: Any) -> socket.socket:
            return create_connection(("127.0.0.1", address[1]), *options, **keywords)

        monkeypatch.setattr(socket, "create_connection", connect)
        yield fal.url.rpartition(":")[2]


@pytest.mark.parametrize("host", ["mock-fal", "192.0.2.7", "[2001:db8::7]"])
def test_env_warns_about_addresses_that_are_valid_on_another_machine_only(
    remote: str, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["env", "--url", f"http://{host}:{remote}/"]) == 0
    out, err = capsys.readouterr()
    exports = dict(re.findall(r"^export (\w+)=(.*)$", out, re.MULTILINE))
    machine = host.strip("[]")
    assert err.splitlines() == [
        f"mock-fal: warning: {machine} is not this machine, and these addresses are valid on {machine} only:",
        f"mock-fal:   proxy {exports['HTTPS_PROXY']} (HTTPS_PROXY), TLS port {exports['MOCK_FAL_TLS']} (MOCK_FAL_TLS),",
        f"mock-fal:   CA files {exports['MOCK_FAL_CA']} and {exports['SSL_CERT_FILE']}",
        "mock-fal: start the server with --gateway-host 0.0.0.0, or use a base URL instead, with fal's host first in "
        "the path:",
        f"mock-fal:   http://{host}:{remote}/queue.fal.run/fal-ai/flux/schnell",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "app.localhost", "[::1]", "0.0.0.0"])
def test_env_has_no_warning_about_this_machine(
    remote: str, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["env", "--url", f"http://{host}:{remote}"]) == 0
    assert capsys.readouterr().err == ""


# -- for programs that start or join a server


@pytest.mark.parametrize("variables", [{}, {"FAL_API_KEY": "real:key", "NODE_OPTIONS": "--no-warnings"}])
def test_attached_serve_prints_its_environment_and_stops_with_stdin(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with started(["serve", "--attached"], stdin=subprocess.PIPE) as process:
        line = json.loads(read_line(process))
        assert (line["version"], line["url"]) == (mock_fal.__version__, line["set"]["MOCK_FAL_URL"])
        assert {"FAL_KEY", "HTTPS_PROXY", "MOCK_FAL_TLS", "MOCK_FAL_NODE", *variables} <= line["set"].keys()
        assert "FAL_KEY_SECRET" in line["unset"]
        # What `env` prints for a server that runs is the same.
        done = run_program([*COMMAND, "env", "--url", line["url"], "--format", "json"])
        assert (json.loads(done.stdout), done.stderr) == (line, "")
        _, err = process.communicate(timeout=PATIENCE_S)  # closes its stdin
        assert (process.returncode, err) == (0, "")


def test_attached_serve_stops_at_a_signal_too() -> None:
    with started(["serve", "--attached"], stdin=subprocess.PIPE) as process:
        read_line(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0


# -- render


def test_render_writes_a_picture_of_the_given_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cat.png"
    assert main(["render", "a cat", "--seed", "7", "--size", "300x200", "-o", str(path)]) == 0
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (300, 200))
    assert capsys.readouterr().out == f"{path}: 300x200 png, seed 7\n"


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_render_accepts_presets_and_is_reproducible(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    assert [main(["render", "a cat", "--size", "square", "-o", str(path)]) for path in paths] == [0, 0]
    with Image.open(paths[0]) as image:
        assert (image.format, image.size) == ("JPEG", (512, 512))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_render_writes_the_same_picture_as_the_server(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import sys, httpx, fal_client\n"
        "result = fal_client.run('fal-ai/flux/schnell', {'prompt': 'a cat', 'seed': 7})\n"
        "open(sys.argv[1], 'wb').write(httpx.get(result['images'][0]['url']).content)"
    )
    served, rendered = tmp_path / "served.jpg", tmp_path / "rendered.jpg"
    assert main(["run", "--clock", "auto-advance", "--", *python(program), str(served)]) == 0
    assert main(["render", "a cat", "--seed", "7", "-o", str(rendered)]) == 0
    assert served.read_bytes() == rendered.read_bytes()
