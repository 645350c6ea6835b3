"""The command line of mock-fal."""

from __future__ import annotations

import argparse
import gc
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import mock_fal
from mock_fal.errors import MockFalError, ScenarioError, SettingsError
from mock_fal.settings import Settings, from_environment, read_setting
from mock_fal.terminal import printable

if TYPE_CHECKING:
    from mock_fal.server import MockFal

# A shell's exit codes for a command that was not found, can't be executed, or was ended by a signal.
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
KILLED_BY_SIGNAL: Final = 128

_EPILOG: Final = (
    "Each flag of serve and run has an environment variable: MOCK_FAL_QUEUE_DURATION=2 is --queue-duration 2."
)

_OPEN: Final = "open the inspector in a browser"

# Printed before the command, which may wait for the clock forever.
_MANUAL_CLOCK: Final = """\
mock-fal: with --clock manual, time stands still until you advance it (MOCK_FAL_URL is set for the command):
mock-fal:   curl {url}/_mock/clock/advance -d '{{"seconds": 600}}'"""


# Printed if other machines can connect. The hosts of fal are open to them.
_TOKEN: Final = """\
mock-fal: other machines can connect to {host}; for the control API and the inspector they need this control token:
mock-fal:   {token}"""

# Printed if other machines can connect to the proxy.
_PASSWORD: Final = """\
mock-fal: other machines can connect to the proxy; they need its password, which mock-fal env fetches:
mock-fal:   http://run:{password}@{host}:{port}"""

# Printed by `env` for a server on another machine whose gateway listens on that machine only.
_REMOTE: Final = """\
mock-fal: warning: {machine} is not this machine, and these addresses are valid on {machine} only:
mock-fal:   proxy {proxy} (HTTPS_PROXY), TLS port {tls} (MOCK_FAL_TLS),
mock-fal:   CA files {ca_file} and {bundle_file}
mock-fal: start the server with --gateway-host 0.0.0.0, or use a base URL instead, with fal's host first in the path:
mock-fal:   {url}/queue.fal.run/fal-ai/flux/schnell"""


def entry() -> NoReturn:
    """The entry point of the `mock-fal` script."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as in `mock-fal explain … | head -1`. What Python would still flush
        # at exit goes nowhere, so that it prints no traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = KILLED_BY_SIGNAL + signal.SIGPIPE
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. Invalid arguments: exit code 2 and one line on stderr."""
    try:
        flags, command = _split(arguments)
        if flags and flags[0] == "check":
            return check(flags[1:], command)
        options, rest = _parser(flags[0] if flags else "").parse_known_args(flags)
        if rest:
            hint = (
                " Put the command after --, as in: mock-fal run -- python app.py"
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
        print(f"mock-fal: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return KILLED_BY_SIGNAL + signal.SIGINT


def serve(options: argparse.Namespace) -> int:
    """Serve until SIGINT, SIGTERM, SIGHUP or SIGQUIT; with --attached also until stdin ends."""
    stop = _stop_event()
    settings = _settings(options, **({"port": 0} if options.attached else {}))
    with _started(settings) as fal:
        if options.attached:
            print(_environment_as_json(fal.url, *fal.environment(os.environ)), flush=True)
            threading.Thread(target=_stop_with_stdin, args=(stop,), daemon=True).start()
        else:
            print(f"mock-fal {mock_fal.__version__} at {fal.url} (stop with Ctrl+C)", flush=True)
            print(f'  for unmodified programs:  eval "$(mock-fal env --url {fal.url})"', flush=True)
            print(f"  to see what happens:      {fal.url}/", flush=True)
        _print_secrets(fal, settings)
        if options.open:
            _open_page(fal.url)
        stop.wait()
    return 0


def _open_page(url: str) -> None:
    from mock_fal.commands.browser import open_page

    open_page(f"{url}/", os.environ)


def run(options: argparse.Namespace) -> int:
    """Start a server, run one command against it, and return the command's exit code."""
    if not options.cmd:
        raise SettingsError("run: expected a command, as in: mock-fal run -- python app.py")
    settings = _settings(options, port=0)
    ended = threading.Event()
    with _started(settings) as fal:
        _print_secrets(fal, settings)
        if options.inspect:
            print(f"mock-fal: the inspector is at {fal.url}/", file=sys.stderr, flush=True)
        if options.open:
            _open_page(fal.url)
        environ = fal.child_environment(os.environ)
        if settings.clock == "manual":
            print(_MANUAL_CLOCK.format(url=fal.url), file=sys.stderr)
        code = _run(options.cmd, environ, ended)
        if code not in (NOT_FOUND, NOT_EXECUTABLE) or fal.requests:
            sys.stderr.write(fal.summary())
            if options.inspect and not ended.is_set():
                stop = _stop_event()
                print(
                    f"mock-fal: the inspector stays at {fal.url}/ until Ctrl+C", file=sys.stderr, flush=True
                )
                stop.wait()
    return code


@contextmanager
def _started(settings: Settings) -> Iterator[MockFal]:
    """A server that listens."""
    # Nothing is garbage before the start, and to look for it would take a tenth of the time.
    gc.disable()
    try:
        from mock_fal.server import MockFal

        fal = MockFal(settings).start()
        # Rare garbage collection: the server creates almost no reference cycles, and scanning the journal
        # again and again would take a tenth of the time. To scan 5,000 new objects takes some 5 ms; where each request
        # displaces another, more have come together, and it takes 25 ms.
        gc.freeze()
        gc.set_threshold(5_000, 2_000, 1000)
    finally:
        gc.enable()
    # A thread that renders gives way to the event loop after one millisecond, not after five.
    sys.setswitchinterval(0.001)
    try:
        yield fal
    finally:
        fal.stop()


def _print_secrets(fal: MockFal, given: Settings) -> None:
    """Print the control token and the password of the proxy if they are random ones that other machines need."""
    used = fal.settings
    if used.control_token != given.control_token:
        message = _TOKEN.format(host=used.host, token=used.control_token)
        print(message, file=sys.stderr, flush=True)
    if used.gateway_password != given.gateway_password:
        port = urlsplit(fal.env["HTTPS_PROXY"]).port
        host = "HOST" if used.gateway_host in ("0.0.0.0", "::") else used.gateway_host
        message = _PASSWORD.format(host=host, port=port, password=used.gateway_password)
        print(message, file=sys.stderr, flush=True)


def env(options: argparse.Namespace) -> int:
    """Print shell commands that set the environment for a running server."""
    from mock_fal.server import environment, open_remote_gateway

    token = read_setting("control_token", options.control_token, "--control-token")
    keys = read_setting("key", options.key, "--key")
    is_here = not options.remote and _is_loopback(options.url)
    addresses = open_remote_gateway(options.url, options.wait, token, is_here=is_here)
    if not is_here and "servers" not in addresses:
        print(_remote_warning(options.url, addresses), file=sys.stderr)
    added, removed = environment(addresses, os.environ, keys[0] if keys else None)
    if options.format == "json":
        print(_environment_as_json(options.url, added, removed))
        return 0
    if options.format == "env-file":
        print("\n".join(_env_file(added, removed)))
        return 0
    print(f"unset {' '.join(removed)}")
    for name, value in sorted(added.items()):
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _environment_as_json(url: str, added: Mapping[str, str], removed: Sequence[str]) -> str:
    """One line for a program that starts or joins a server: the variables to set and to unset."""
    import json

    return json.dumps({"version": mock_fal.__version__, "url": url, "set": added, "unset": removed})


def _stop_with_stdin(stop: threading.Event) -> None:
    """Set the event when stdin ends: the program that started the server has ended, however it ended."""
    try:
        # Not by sys.stdin, whose lock a thread that still waits would hold while Python shuts down.
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    stop.set()


def _env_file(added: Mapping[str, str], removed: Iterable[str]) -> Iterable[str]:
    """Lines NAME=VALUE. They can't unset a variable, so one of those gets an empty value if it is set.

    Raises SettingsError for a variable that such a file can't hold, or whose empty value has a meaning.
    """
    emptied = [name for name in removed if os.environ.get(name)]
    for name in emptied:
        if name.endswith("_HOST"):  # fal-client takes the empty name of a host for a name
            raise SettingsError(
                f"{name} is set, and an env file can't unset it; remove it from the environment"
            )
    for name, value in sorted({**added, **dict.fromkeys(emptied, "")}.items()):
        if "\n" in value or "\r" in value:
            raise SettingsError(f"{name} has a line break, which an env file can't hold; use --format shell")
        yield f"{name}={value}"


def _is_loopback(url: str) -> bool:
    """Whether a URL names this machine. Unspecified addresses (0.0.0.0) connect to this machine too."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _remote_warning(url: str, addresses: Mapping[str, Any]) -> str:
    """A server on another machine returns addresses that are valid on that machine only."""
    tls_host, tls_port = addresses["tls_address"]
    return _REMOTE.format(
        url=url.rstrip("/"),
        machine=urlsplit(url).hostname,
        proxy=addresses["proxy_url"],
        tls=f"{tls_host}:{tls_port}",
        ca_file=addresses["ca_file"],
        bundle_file=addresses["bundle_file"],
    )


def listen(options: argparse.Namespace) -> int:
    """Receive webhooks, verify them and print a line for each, until SIGINT or SIGTERM."""
    from mock_fal.webhooks.receiver import Received, WebhookReceiver

    def print_webhook(received: Received) -> None:
        print(received, flush=True)

    stop = _stop_event()
    keys_url = f"{options.url.rstrip('/')}/rest.fal.ai/.well-known/jwks.json"
    receiver = WebhookReceiver(
        keys_url, port=options.port, status=options.status, forward=options.forward, on_received=print_webhook
    )
    with receiver:
        print(f"mock-fal listens for webhooks at {receiver.url} (stop with Ctrl+C)", flush=True)
        stop.wait()
    return 0


def render(options: argparse.Namespace) -> int:
    """Write one placeholder picture, without a server."""
    from mock_fal.pictures.recipe import Recipe
    from mock_fal.pictures.render import render as draw

    width, height = _size(options.size)
    image_format = _format(options.output)
    recipe = Recipe(
        options.endpoint, options.prompt, options.seed, width, height, options.index, image_format
    )
    try:
        Path(options.output).write_bytes(draw(recipe))
    except OSError as error:
        raise SettingsError(f"render: can't write {options.output}: {error.strerror}") from None
    print(f"{options.output}: {width}x{height} {image_format}, seed {options.seed}")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Say what a directive will do, or what is wrong with it and where."""
    from mock_fal.scenario.explain import explain_text, texts_of, with_pointer

    for text in texts_of(options.directive):
        try:
            print("\n".join(explain_text(text)))
        except ScenarioError as error:
            lines = with_pointer(text, error).split("\n")
            print("\n".join(map(printable, [f"mock-fal: {lines[0]}", *lines[1:]])), file=sys.stderr)
            return 2
    return 0


def check(flags: Sequence[str], command: Sequence[str]) -> int:
    """Run the contract suite, which has its own flags."""
    from mock_fal_contracts.cli import main

    return main(flags, command)


def _parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; for the name of one, of that command only, since to make all takes some 10 ms.

    For another text it knows the names, and no flags.
    """
    parser = _Parser(prog="mock-fal", description=mock_fal.__doc__.partition("\n")[0], epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"mock-fal {mock_fal.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (help, add_arguments) in _COMMANDS.items():
        if command in (None, name) or command not in _COMMANDS:
            parser_of_command = commands.add_parser(name, help=help)
            if command in (None, name):
                add_arguments(parser_of_command)
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=serve)
    parser.epilog = _EPILOG
    parser.add_argument("--open", action="store_true", help=_OPEN)
    parser.add_argument(
        "--attached",
        action="store_true",
        help="for a program that starts the server: take a free port, print one line of JSON with the environment "
        "for its clients, and stop when stdin ends",
    )
    _add_settings(parser)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=run)
    parser.usage = "mock-fal run [FLAG ...] -- CMD [ARG ...]"
    parser.description = "The default port of run is a free one."
    parser.epilog = _EPILOG
    parser.add_argument(
        "--inspect",
        action="store_true",
        help="keep the server and its inspector after the command until Ctrl+C",
    )
    parser.add_argument("--open", action="store_true", help=_OPEN)
    _add_settings(parser)


def _add_env(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=env)
    parser.add_argument(
        "--url", default="http://127.0.0.1:8325", help="address of the server (default: %(default)s)"
    )
    parser.add_argument(
        "--wait", type=float, default=0.0, help="seconds to wait for the server to start (default: 0)"
    )
    parser.add_argument(
        "--format",
        choices=("shell", "env-file", "json"),
        default="shell",
        help="lines for eval, NAME=VALUE for GITHUB_ENV and docker --env-file, or JSON (default: %(default)s)",
    )
    parser.add_argument(
        "--control-token",
        metavar="TOKEN",
        default=os.environ.get("MOCK_FAL_CONTROL_TOKEN", ""),
        help="token of a server on another machine; prefer MOCK_FAL_CONTROL_TOKEN, other users can see flags",
    )
    parser.add_argument(
        "--key",
        metavar="ID:SECRET",
        default="",
        help="key of the programs (default: that of a server on this machine, else mock:fal)",
    )
    parser.add_argument(
        "--remote",
        action="store_true",
        help="the server is in a container or on another machine, although its address is of this one",
    )


def _add_listen(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=listen)
    parser.add_argument("--port", type=int, default=8326, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--url",
        default="http://127.0.0.1:8325",
        help="address of the server that signs the webhooks (default: %(default)s)",
    )
    parser.add_argument("--forward", metavar="URL", help="forward each webhook to URL and return its status")
    parser.add_argument(
        "--status", type=int, default=200, help="status of the response (default: %(default)s)"
    )


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=explain)
    parser.add_argument(
        "directive", nargs="+", help="a directive, a prompt that contains directives, or rules in JSON"
    )


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=render)
    parser.add_argument("prompt")
    parser.add_argument(
        "-o", "--output", default="mock-fal.jpg", help=".jpg or .png file (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the picture (default: %(default)s)")
    parser.add_argument("--size", default="landscape_4_3", help="preset or WxH (default: %(default)s)")
    parser.add_argument(
        "--index",
        type=int,
        default=0,
        help="index of the picture if the input requests several (default: %(default)s)",
    )
    parser.add_argument(
        "--endpoint", default="fal-ai/flux/schnell", help="endpoint id (default: %(default)s)"
    )


def _of_module(name: str) -> Callable[[argparse.ArgumentParser], None]:
    """Adds the arguments of a command that has a module of its own, which is imported for it only."""
    return lambda parser: import_module(f"mock_fal.commands.{name}").add_arguments(parser)


# Each command: what it does, and what adds its arguments.
_COMMANDS: Final[dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]] = {
    "serve": ("run the server until Ctrl+C", _add_serve),
    "run": ("run a command with a temporary server: mock-fal run -- CMD", _add_run),
    "env": ("print the environment variables for a running server", _add_env),
    "listen": ("receive webhooks, verify and print them", _add_listen),
    "check": (
        "run the contract suite for servers and clients; see mock-fal check --help",
        lambda parser: None,  # `check` parses its own
    ),
    "models": ("list the endpoints, show one, or import more", _of_module("models")),
    "webhook": ("send a signed webhook, without a request before it", _of_module("webhook")),
    "health": ("check that a server responds (exit code 0 or 1)", _of_module("health")),
    "ca": ("make or show a certificate authority for --ca-dir", _of_module("authority")),
    "explain": ("describe what a directive or a rule does", _add_explain),
    "render": ("write one placeholder picture", _add_render),
}


class _Parser(argparse.ArgumentParser):
    """Reports errors in one line, and accepts no abbreviated flags."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message} (see {self.prog} --help)")


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The flags of mock-fal, and the command after `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end + 1 :]


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for setting in fields(Settings):
        flag, help = "--" + setting.name.replace("_", "-"), str(setting.metadata["help"])
        if setting.default is False:
            parser.add_argument(flag, action="store_const", const="1", help=help)
        elif setting.default == ():
            parser.add_argument(flag, action="append", metavar="VALUE", help=help)
        else:
            default = "" if setting.default == "" else f" (default: {setting.default})"
            parser.add_argument(flag, metavar="VALUE", help=help + default)


def _settings(options: argparse.Namespace, **defaults: Any) -> Settings:
    """Settings from flags, then environment variables, then defaults."""
    values: dict[str, Any] = defaults | from_environment(os.environ)
    for setting in fields(Settings):
        value = getattr(options, setting.name)
        if value is not None:
            flag = "--" + setting.name.replace("_", "-")
            text = ",".join(value) if isinstance(value, list) else value
            values[setting.name] = read_setting(setting.name, text, flag)
    return Settings(**values)


# The signals that end a program; not every system has all of them.
_ENDING: Final = [
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
]


def _stop_event() -> threading.Event:
    """An event that the signals which end a program set: uploads and certificates are then removed."""
    stop = threading.Event()
    for number in _ENDING:
        signal.signal(number, lambda number, frame: stop.set())
    return stop


def _run(command: Sequence[str], environ: Mapping[str, str], ended: threading.Event) -> int:
    """Run a command and forward signals to it, including those that arrive while it starts.

    A signal that ends programs sets `ended`.
    """
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward_signal(number: int, frame: FrameType | None) -> None:
        if number in _ENDING:
            ended.set()
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    # A terminal sends Ctrl+C to this process and to the command, so it is only ignored here.
    terminal = sys.stdin is not None and sys.stdin.isatty()
    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, (lambda *_: None) if terminal else forward_signal)
    }
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            previous[signal.Signals[name]] = signal.signal(signal.Signals[name], forward_signal)
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
    return code if code >= 0 else KILLED_BY_SIGNAL - code


def _size(text: str) -> tuple[int, int]:
    from mock_fal.models.plan import PRESETS

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
