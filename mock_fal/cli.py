"""The command line: flags to MockFal, and back to an exit code."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import mock_fal
from mock_fal.errors import MockFalError, ScenarioError, SettingsError
from mock_fal.settings import Settings, from_environment, read_setting

# What a shell answers for a command that it can't find, can't execute, or that a signal ended.
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
SIGNALLED: Final = 128

_EPILOG: Final = (
    "Every flag of serve and run is also a variable: MOCK_FAL_QUEUE_DURATION=2 is --queue-duration 2."
)

# Said before a command that would otherwise wait for ever, and nobody would know why.
_STANDSTILL: Final = """\
mock-fal: the clock stands still until somebody moves it (MOCK_FAL_URL is in the command's environment):
mock-fal:   curl {url}/_mock/clock/advance -d '{{"seconds": 600}}'"""


def entry() -> NoReturn:
    """The script `mock-fal`."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 2 for what can't be understood, with one line on stderr."""
    try:
        flags, command = _split(arguments)
        if flags and flags[0] == "check":
            return check(flags[1:], command)
        options, rest = _parser().parse_known_args(flags)
        if rest:
            hint = (
                " A command stands behind --, as in: mock-fal run -- python app.py"
                if options.command is run
                else ""
            )
            raise SettingsError(
                f"unrecognized arguments: {' '.join(rest)} (see mock-fal {flags[0]} --help).{hint}"
            )
        if command and options.command is not run:
            raise SettingsError(f"only run takes a command, seen: -- {shlex.join(command)}")
        options.cmd = command
        code: int = options.command(options)
        return code
    except MockFalError as error:
        print(f"mock-fal: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT


def serve(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    import gc
    import threading

    from mock_fal.server import MockFal

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop.set())
    with MockFal(_settings(options)) as fal:
        # This process does nothing else, and leaves next to no circles behind: what was made so far stays, and
        # what is remembered need not be looked through again and again (it cost a tenth of the speed).
        gc.freeze()
        gc.set_threshold(20_000, 500, 1000)
        print(f"mock-fal {mock_fal.__version__} at {fal.url} (Ctrl+C ends it)", flush=True)
        print(f'  unmodified programs:  eval "$(mock-fal env --url {fal.url})"', flush=True)
        stop.wait()
    return 0


def run(options: argparse.Namespace) -> int:
    """Run one command against a server of its own, and return its exit code."""
    from mock_fal.server import MockFal
    from mock_fal.summary import summary

    if not options.cmd:
        raise SettingsError("run: expected a command, as in: mock-fal run -- python app.py")
    settings = _settings(options, port=0)
    with MockFal(settings) as fal:
        added, removed = fal.environment(os.environ)
        removed.append("MOCK_FAL_LIVE_KEY")  # ours to spend, and not the command's
        environ = {name: value for name, value in os.environ.items() if name not in removed} | added
        if settings.clock == "manual":
            print(_STANDSTILL.format(url=fal.url), file=sys.stderr)
        code = _run(options.cmd, environ)
        if code not in (NOT_FOUND, NOT_EXECUTABLE) or fal.requests:
            sys.stderr.write(summary(fal.requests, fal.gateway_events, fal.usage, fal.unused_cassettes))
    return code


def env(options: argparse.Namespace) -> int:
    """Print what a shell must know to reach a server that is running."""
    from mock_fal.server import ask_gateway, environment

    added, removed = environment(ask_gateway(options.url, options.wait), os.environ)
    print(f"unset {' '.join(removed)}")
    for name, value in sorted(added.items()):
        print(f"export {name}={shlex.quote(value)}")
    return 0


def listen(options: argparse.Namespace) -> int:
    """Receive webhooks, verify them and print a line for each, until a signal comes."""
    import threading

    from mock_fal.webhooks.receiver import Received, WebhookReceiver

    def tell(received: Received) -> None:
        print(received, flush=True)

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stop.set())
    keys_url = f"{options.url.rstrip('/')}/rest.fal.ai/.well-known/jwks.json"
    receiver = WebhookReceiver(
        keys_url, port=options.port, status=options.status, forward=options.forward, tell=tell
    )
    with receiver:
        print(f"mock-fal listens for webhooks at {receiver.url} (Ctrl+C ends it)", flush=True)
        stop.wait()
    return 0


def render(options: argparse.Namespace) -> int:
    """Write one placeholder; no server is needed."""
    from mock_fal.pictures.recipe import Recipe
    from mock_fal.pictures.render import render as draw

    width, height = _size(options.size)
    form = _format(options.output)
    recipe = Recipe(options.endpoint, options.prompt, options.seed, width, height, options.index, form)
    try:
        Path(options.output).write_bytes(draw(recipe))
    except OSError as error:
        raise SettingsError(f"render: can't write {options.output}: {error.strerror}") from None
    print(f"{options.output}: {width}x{height} {form}, seed {options.seed}")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Say what a directive will do, or what is wrong with it and where."""
    from mock_fal.scenario.explain import explained, pointed

    text = " ".join(options.directive)
    try:
        print("\n".join(explained(text)))
    except ScenarioError as error:
        raise ScenarioError(pointed(text, error)) from None
    return 0


def check(flags: Sequence[str], command: Sequence[str]) -> int:
    """The contract suite, which has flags of its own."""
    from mock_fal_contracts.cli import main

    return main(flags, command)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mock-fal", description=mock_fal.__doc__.partition("\n")[0], epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"mock-fal {mock_fal.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serving = commands.add_parser("serve", help="serve until Ctrl+C", epilog=_EPILOG)
    serving.set_defaults(command=serve)
    _add_settings(serving)

    running = commands.add_parser(
        "run",
        help="serve for one command: mock-fal run -- CMD",
        usage="mock-fal run [FLAG ...] -- CMD [ARG ...]",
        description="Without --port, any free one is taken.",
        epilog=_EPILOG,
    )
    running.set_defaults(command=run)
    _add_settings(running)

    exporting = commands.add_parser("env", help="print the exports for a server that is running")
    exporting.add_argument(
        "--url", default="http://127.0.0.1:8325", help="where it is (default: %(default)s)"
    )
    exporting.add_argument(
        "--wait", type=float, default=0.0, help="seconds to wait for it to start (default: 0)"
    )
    exporting.set_defaults(command=env)

    listening = commands.add_parser("listen", help="receive webhooks, verify and print them")
    listening.add_argument("--port", type=int, default=8326, help="port to listen on (default: %(default)s)")
    listening.add_argument(
        "--url", default="http://127.0.0.1:8325", help="the server that signs (default: %(default)s)"
    )
    listening.add_argument("--forward", metavar="URL", help="pass each on to URL, and answer what that says")
    listening.add_argument("--status", type=int, default=200, help="what to answer (default: %(default)s)")
    listening.set_defaults(command=listen)

    commands.add_parser(
        "check", help="the contract suite, for servers and clients; see mock-fal check --help"
    )

    explaining = commands.add_parser("explain", help="say what a directive or a rule will do")
    explaining.add_argument(
        "directive", nargs="+", help="the words, a prompt with a directive in it, or rules in JSON"
    )
    explaining.set_defaults(command=explain)

    drawing = commands.add_parser("render", help="write one placeholder picture")
    drawing.add_argument("prompt")
    drawing.add_argument(
        "-o", "--output", default="mock-fal.jpg", help="a .jpg or .png file (default: %(default)s)"
    )
    drawing.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    drawing.add_argument("--size", default="landscape_4_3", help="a preset or WxH (default: %(default)s)")
    drawing.add_argument(
        "--index", type=int, default=0, help="which of several pictures (default: %(default)s)"
    )
    drawing.add_argument("--endpoint", default="fal-ai/flux/schnell", help="default: %(default)s")
    drawing.set_defaults(command=render)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and takes no flag by half its name."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message} (see {self.prog} --help)")


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Our own flags, and what stands behind `--`."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for setting in fields(Settings):
        flag, help = "--" + setting.name.replace("_", "-"), str(setting.metadata["help"])
        if setting.default is False:
            parser.add_argument(flag, action="store_const", const="1", help=help)
        elif setting.default == ():
            parser.add_argument(flag, action="append", metavar="VALUE", help=help)
        else:
            parser.add_argument(flag, metavar="VALUE", help=f"{help} (default: {setting.default})")


def _settings(options: argparse.Namespace, **defaults: Any) -> Settings:
    """Flags, then variables, then defaults."""
    values: dict[str, Any] = defaults | from_environment(os.environ)
    for setting in fields(Settings):
        given = getattr(options, setting.name)
        if given is not None:
            flag = "--" + setting.name.replace("_", "-")
            text = ",".join(given) if isinstance(given, list) else given
            values[setting.name] = read_setting(setting.name, text, flag)
    return Settings(**values)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command; signals that we get are passed on to it, also those that come while it is being started."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    # A terminal sends Ctrl+C to the command as well as to us: then we only have to outlive it.
    terminal = sys.stdin is not None and sys.stdin.isatty()
    previous = {signal.SIGINT: signal.signal(signal.SIGINT, (lambda *_: None) if terminal else pass_on)}
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            previous[signal.Signals[name]] = signal.signal(signal.Signals[name], pass_on)
    try:
        process = subprocess.Popen(command, env=environ)
        for number in early:
            process.send_signal(number)
        code = process.wait()
    except FileNotFoundError:
        print(f"mock-fal: {command[0]}: command not found", file=sys.stderr)
        return NOT_FOUND
    except OSError as error:
        print(f"mock-fal: {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_EXECUTABLE
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code if code >= 0 else SIGNALLED - code


def _size(text: str) -> tuple[int, int]:
    from mock_fal.models.flux import PRESETS

    width, cross, height = text.lower().partition("x")
    if text in PRESETS:
        return PRESETS[text]
    if (
        cross
        and width.isdecimal()
        and height.isdecimal()
        and 0 < int(width) <= 14142
        and 0 < int(height) <= 14142
    ):
        return int(width), int(height)
    raise SettingsError(
        f"--size: {text!r}: expected WxH of at most 14142x14142, or one of {', '.join(PRESETS)}"
    )


def _format(output: str) -> Any:
    suffix = Path(output).suffix.lower()
    formats = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}
    if suffix not in formats:
        raise SettingsError(f"--output: {output!r}: expected a name that ends in .jpg, .jpeg or .png")
    return formats[suffix]
