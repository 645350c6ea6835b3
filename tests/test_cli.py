"""The command line: mostly as a call, and as a process where signals and shells count."""

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

import pytest
from PIL import Image

import mock_fal
from mock_fal.cli import main
from tests.clients.programs import finished, tool

OURS = [sys.executable, "-m", "mock_fal"]
PATIENCE_S = 60.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and shells of Unix")


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of their own."""
    for name in [name for name in os.environ if name.startswith("MOCK_FAL_")]:
        monkeypatch.delenv(name)


@contextmanager
def started(arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that has nothing to read and runs on until it is told otherwise."""
    process = subprocess.Popen(
        [*OURS, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline()


# -- what can't be understood


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the following arguments are required: COMMAND (see mock-fal --help)"),
        (["servee"], "argument COMMAND: invalid choice: 'servee'"),
        (["serve", "--prot", "1"], "unrecognized arguments: --prot 1 (see mock-fal serve --help)."),
        (["serve", "--port"], "argument --port: expected one argument (see mock-fal serve --help)"),
        (["serve", "--port", "x"], "--port: 'x': expected a whole number from 0 to 65535"),
        (["serve", "--port", "65536"], "--port: '65536': expected a whole number from 0 to 65535"),
        (["serve", "--queue-duration", "-1"], "--queue-duration: '-1': expected a number of at least 0"),
        (["serve", "--queue-duration", "nan"], "--queue-duration: 'nan': expected a number of at least 0"),
        (["serve", "--clock", "sundial"], "--clock: 'sundial': expected system or manual or auto-advance"),
        (["serve", "--key", "alice"], "--key: 'alice': expected id:secret"),
        (["serve", "--max-body", "1T"], "--max-body: '1T': expected bytes, as in 500000, 64M or 2G"),
        (["serve", "--", "true"], "only run takes a command, seen: -- true"),
        (["run"], "run: expected a command, as in: mock-fal run -- python app.py"),
        (["run", "--"], "run: expected a command, as in: mock-fal run -- python app.py"),
        (
            ["run", "true"],
            "unrecognized arguments: true (see mock-fal run --help)."
            " A command stands behind --, as in: mock-fal run -- python app.py",
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
def test_what_is_not_understood_is_told_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"mock-fal: {line}")


@pytest.mark.parametrize("command", ["serve", "run"])
def test_a_variable_that_is_wrong_is_named(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOCK_FAL_QUEUE_DURATION", "soon")
    assert main([command, *(["--", "true"] if command == "run" else [])]) == 2
    wrong = "mock-fal: MOCK_FAL_QUEUE_DURATION: 'soon': expected a number of at least 0\n"
    assert capsys.readouterr().err == wrong


def test_a_port_in_use_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    expected = (
        f"mock-fal: can't listen on 127.0.0.1 port {port}: Address already in use; "
        "choose another with --port, or --port 0 for a free one\n"
    )
    assert capsys.readouterr().err == expected


def test_env_without_a_server_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["env", "--url", f"http://127.0.0.1:{port}"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search(r"no mock-fal answers at .*; start one with: mock-fal serve$", err)


# -- what is asked about ourselves


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
def test_the_exit_code_is_the_commands(code: int) -> None:
    assert main(["run", "--", *python(f"raise SystemExit({code})")]) == code


def test_a_command_that_a_signal_ended_is_told_as_a_shell_does() -> None:
    end = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert main(["run", "--", *python(end)]) == 128 + signal.SIGKILL


def test_a_command_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--", "no-such-command"]) == 127
    assert capfd.readouterr().err.startswith("mock-fal: no-such-command: command not found\n")


def test_a_command_that_can_not_be_executed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app").write_text("")
    assert main(["run", "--", str(tmp_path / "app")]) == 126
    assert capfd.readouterr().err.startswith(f"mock-fal: {tmp_path / 'app'}: Permission denied\n")


def test_flags_behind_the_dashes_are_the_commands(capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; print(sys.argv[1:])"
    assert main(["run", "--seed", "1", "--", *python(program), "--seed", "2", "--", "--version"]) == 0
    assert capfd.readouterr().out == "['--seed', '2', '--', '--version']\n"


def test_where_the_clock_stands_still_the_user_is_told_how_to_move_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    show = "import os; print(os.environ['MOCK_FAL_URL'])"
    assert main(["run", "--clock", "manual", "--", *python(show)]) == 0
    out, err = capfd.readouterr()
    hint = f"mock-fal:   curl {out.strip()}/_mock/clock/advance -d '{{\"seconds\": 600}}'"
    assert err.splitlines()[:2] == [
        "mock-fal: the clock stands still until somebody moves it "
        "(MOCK_FAL_URL is in the command's environment):",
        hint,
    ]


@pytest.mark.parametrize("clock", ["system", "auto-advance"])
def test_where_the_clock_goes_on_nothing_is_said_of_it(clock: str, capfd: pytest.CaptureFixture[str]) -> None:
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


def test_the_summary_tells_what_was_called_and_what_failed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--clock", "auto-advance", "--", *python(PROGRAM)]) == 0
    out, err = capfd.readouterr()
    assert (out, err) == (
        "",
        "mock-fal: 7 requests answered\n"
        "mock-fal:   POST   queue.fal.run/fal-ai/flux/schnell  200\n"
        "mock-fal:   GET    queue.fal.run/fal-ai/flux/requests/…/status  202 ×2, 200\n"
        "mock-fal:   GET    queue.fal.run/fal-ai/flux/requests/…  200\n"
        "mock-fal:   POST   fal.run/fal-ai/flux/schnell  422\n"
        "mock-fal:   POST   fal.run/fal-ai/fluxx  404\n"
        "mock-fal:   would have cost $0.003: 1 × fal-ai/flux/schnell\n"
        "mock-fal:   failed: 422 POST fal.run/fal-ai/flux/schnell: "
        '{"detail":[{"type":"missing","loc":["body","prompt"],"msg":"Field required","input":{}}]}\n'
        "mock-fal:   failed: 404 POST fal.run/fal-ai/fluxx: "
        '{"detail":"Application \\"fluxx\\" not found"}\n'
        "mock-fal:   not emulated: fal-ai/fluxx; did you mean fal-ai/flux-2?\n",
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


def test_what_would_lead_past_us_is_taken_away(
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
def test_a_signal_is_passed_on(number: signal.Signals) -> None:
    program = (
        "import signal, sys\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    with started(["run", "--", *python(program)]) as process:
        assert said(process) == "ready\n"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 5


def test_a_signal_that_ends_the_command_ends_us() -> None:
    program = "import signal; signal.signal(2, signal.SIG_DFL); print('ready', flush=True)\nwhile True: signal.pause()"
    with started(["run", "--", *python(program)]) as process:
        assert said(process) == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGINT


def test_in_a_terminal_we_outlive_the_command() -> None:
    """There Ctrl+C goes to both, and the command says what comes of it."""
    program = "import signal, sys\nsignal.signal(2, lambda *_: sys.exit(7))\nprint('ready', flush=True)\nsignal.pause()"
    ours, theirs = os.openpty()
    command = [*OURS, "run", "--", *python(program)]
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        assert said(process) == "ready\n"
        os.write(ours, b"\x03")
        _, err = process.communicate(timeout=PATIENCE_S)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, err.startswith("mock-fal: no request came")) == (7, True)


def test_the_command_reads_our_stdin() -> None:
    done = finished([*OURS, "run", "--", *python("print(input()[::-1])")], given="abc\n")
    assert (done.returncode, done.stdout) == (0, "cba\n")


# -- serve and env


@contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    with started(["serve", "--port", "0", *flags]) as process:
        line = said(process)
        found = re.fullmatch(r"mock-fal (\S+) at (http://127\.0\.0\.1:\d+) \(Ctrl\+C ends it\)\n", line)
        assert found, line
        yield process, found[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_well_at_a_signal(number: signal.Signals) -> None:
    with serving() as (process, url):
        assert said(process) == f'  unmodified programs:  eval "$(mock-fal env --url {url})"\n'
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, err) == (0, "")


def test_env_leads_a_shell_and_its_programs_to_a_server() -> None:
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
        done = finished([tool("sh"), "-eu", "-c", script], env={**os.environ, "FAL_KEY_ID": "real"})
    assert (done.returncode, done.stderr) == (0, "")
    drawn, dog = done.stdout.splitlines()
    assert (json.loads(drawn)["prompt"], dog) == ("a cat", "a dog")


def test_env_waits_for_a_server_that_is_being_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with started(["serve", "--port", str(port)]):
        done = finished([*OURS, "env", "--url", url, "--wait", "60"])
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search("^export FAL_KEY=mock:fal$", done.stdout, re.MULTILINE)
    assert re.match("unset ALL_PROXY .*FAL_RUN_HOST", done.stdout)


# -- render


def test_render_writes_a_picture_of_the_asked_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cat.png"
    assert main(["render", "a cat", "--seed", "7", "--size", "300x200", "-o", str(path)]) == 0
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (300, 200))
    assert capsys.readouterr().out == f"{path}: 300x200 png, seed 7\n"


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_render_takes_presets_and_repeats_itself(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    assert [main(["render", "a cat", "--size", "square", "-o", str(path)]) for path in paths] == [0, 0]
    with Image.open(paths[0]) as image:
        assert (image.format, image.size) == ("JPEG", (512, 512))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_render_draws_what_the_server_would(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys, httpx, fal_client\n"
        "result = fal_client.run('fal-ai/flux/schnell', {'prompt': 'a cat', 'seed': 7})\n"
        "open(sys.argv[1], 'wb').write(httpx.get(result['images'][0]['url']).content)"
    )
    served, drawn = tmp_path / "served.jpg", tmp_path / "drawn.jpg"
    assert main(["run", "--clock", "auto-advance", "--", *python(program), str(served)]) == 0
    assert main(["render", "a cat", "--seed", "7", "-o", str(drawn)]) == 0
    assert served.read_bytes() == drawn.read_bytes()
