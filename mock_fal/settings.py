"""The settings of a server: default, flag, `MOCK_FAL_*` variable and help text of each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from mock_fal.errors import SettingsError


def _number(low: float, high: float = math.inf, *, whole: bool = False) -> Callable[[str], Any]:
    kind = "a whole number" if whole else "a number"
    expected = f"{kind} of at least {low:g}" if high == math.inf else f"{kind} from {low:g} to {high:g}"

    def parse(text: str) -> int | float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or value == math.inf:
            raise ValueError(f"expected {expected}")
        return value

    return parse


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected {' or '.join(choices)}")
        return text

    return parse


def _switch(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    if text.lower() not in values:
        raise ValueError("expected 1 or 0")
    return values[text.lower()]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.replace(",", " ").split() if name)


def _files(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _keys(text: str) -> tuple[str, ...]:
    keys = _names(text)
    if not all(key.partition(":")[0] and key.partition(":")[2] for key in keys):
        raise ValueError("expected id:secret")
    return keys


def _token(text: str) -> str:
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("expected printable ASCII without spaces")
    return text


def _bytes(text: str) -> int:
    units = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    digits = text.rstrip("kKmMgG")
    unit = text[len(digits) :].lower()
    if not digits.isdecimal() or unit not in units:
        raise ValueError("expected bytes, as in 500000, 64M or 2G")
    return int(digits) * units[unit]


def _login(text: str) -> str:
    if not _LOGIN.fullmatch(text):
        raise ValueError("expected letters, digits and -._~ only, at most 128: it is part of the proxy's URL")
    return text


_LOGIN: Final = re.compile(r"[\w.~-]{0,128}", re.ASCII)


def _base_url(text: str) -> str:
    if not _BASE_URL.fullmatch(text):
        raise ValueError("expected a URL with a host and without a query, as in http://localhost:8325")
    return text.rstrip("/")


_BASE_URL: Final = re.compile(
    r"|https?://(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?(?:/[\w./~-]*)?", re.ASCII
)


def _port(text: str) -> int:
    value: int = _number(0, 65535, whole=True)(text)
    return value


def _setting(default: Any, parse: Callable[[str], Any], help: str) -> Any:
    return field(default=default, metadata={"parse": parse, "help": help})


def _hidden(default: Any, parse: Callable[[str], Any], help: str) -> Any:
    """A setting with a secret. Neither the repr of the settings nor an error shows its value."""
    return field(default=default, repr=False, metadata={"parse": parse, "help": help})


# The longest time that a request waits or runs, in seconds: 31 years. `clock.END` counts on it.
MAX_DURATION_S: Final = 1e9

# The key of programs that mock-fal runs, unless --key sets others. While recording its secret is random.
DEFAULT_KEY: Final = "mock:fal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one server. Durations are seconds of the emulated clock."""

    host: str = _setting("127.0.0.1", str, "address to listen on")
    port: int = _setting(8325, _port, "port to listen on; 0 selects a free one")
    queue_duration: float = _setting(
        0.2, _number(0, MAX_DURATION_S), "seconds that a request waits in the queue"
    )
    run_duration: float = _setting(
        0.8,
        _number(0, MAX_DURATION_S),
        "seconds that a request for a picture runs; a video takes 5 times as long",
    )
    runners: int = _setting(
        0, _number(0, whole=True), "requests of one app that run at the same time; 0 means no limit"
    )
    concurrency: int = _setting(
        0, _number(0, whole=True), "requests of one key that run at the same time; 0 means no limit"
    )
    clock: str = _setting(
        "system", _choice("system", "manual", "auto-advance"), "system, manual or auto-advance"
    )
    speed: float = _setting(1.0, _number(0.001), "how much faster than real time the system clock runs")
    seed: int = _setting(
        0, _number(0, whole=True), "seed of all ids and file names, and of requests without a seed"
    )
    key: tuple[str, ...] = _hidden(
        (), _keys, "accept only this id:secret (may be repeated); default: any well-formed key"
    )
    retention: int = _setting(
        10_000, _number(1, whole=True), "number of requests, and of exchanges, that are kept"
    )
    max_memory: int = _setting(
        512 << 20, _bytes, "maximum memory for requests, results and exchanges; the oldest ones are forgotten"
    )
    max_body: int = _setting(64 << 20, _bytes, "maximum size of a request body")
    max_upload: int = _setting(1 << 30, _bytes, "maximum size of an uploaded file")
    max_disk: int = _setting(4 << 30, _bytes, "maximum size of all uploaded files together")
    request_attempts: int = _setting(
        10,
        _number(1, 10, whole=True),
        "attempts at a queued request whose runner fails; 1 means that it is not tried again",
    )
    webhook_retries: str = _setting(
        "fast", _choice("fast", "real", "none"), "how webhooks are retried: fast, real or none"
    )
    allow_egress: bool = _setting(
        False, _switch, "allow webhooks to other machines, and fetch the files that an input names"
    )
    scenario: str = _setting("", str, "JSON or YAML file with rules for failures and delays")
    models: tuple[str, ...] = _setting(
        (), _files, "JSON file with OpenAPI documents of more endpoints, or imported ones (may be repeated)"
    )
    guess_models: bool = _setting(
        False, _switch, "answer for unknown endpoints too, by what the words of their ids say"
    )
    signing_key: str = _setting(
        "", str, "PEM file with the Ed25519 key that signs webhooks; default: derived from --seed"
    )
    control_token: str = _hidden(
        "",
        _token,
        "token that other machines need for the control API and the inspector; default: a random one, if --host lets "
        "them connect",
    )
    local_media_urls: bool = _setting(False, _switch, "file URLs that any browser on this machine can open")
    public_url: str = _setting(
        "",
        _base_url,
        "address of this server that programs and browsers reach; the URLs of files begin with it",
    )
    gateway_host: str = _setting(
        "127.0.0.1", str, "address on which the proxy and the TLS port of unmodified programs listen"
    )
    gateway_port: int = _setting(0, _port, "port of the proxy; 0 selects a free one")
    gateway_tls_port: int = _setting(0, _port, "TLS port for fal's hosts; 0 selects a free one")
    gateway_password: str = _hidden(
        "", _login, "password of the proxy for other machines and other users; default: a random one"
    )
    ca_dir: str = _setting(
        "", str, "folder that keeps the certificate authority; default: a new one for each run"
    )
    offline: bool = _setting(False, _switch, "block every host that is not fal's")
    allow_host: tuple[str, ...] = _setting(
        (), _names, "host to forward in any case: with --offline, or a host of fal (may be repeated)"
    )
    record: str = _setting(
        "", str, "forward requests to the live API and record them as cassettes in this folder"
    )
    live_key: str = _hidden(
        "", str, "key for the live API, with --record; prefer MOCK_FAL_LIVE_KEY, other users can see flags"
    )
    replay: str = _setting(
        "", str, "respond from the cassettes in this folder; requests without one get a placeholder"
    )
    strict: bool = _setting(False, _switch, "with --replay: reject requests without a cassette")

    def __post_init__(self) -> None:
        if self.runners and self.concurrency:
            raise SettingsError(
                f"runners is {self.runners} and concurrency is {self.concurrency}: expected one of them; "
                "runners limits each app of a key, concurrency all apps of a key together"
            )
        if self.public_url and self.local_media_urls:
            raise SettingsError(
                f"public_url is {self.public_url} and local_media_urls is set: expected one of them"
            )
        if self.strict and not self.replay:
            raise SettingsError("strict: expected --replay DIR too")
        if self.record:
            self._check_recording()

    def _check_recording(self) -> None:
        if self.replay:
            raise SettingsError(f"record is {self.record} and replay is {self.replay}: expected one of them")
        if not self.allow_egress:
            raise SettingsError(
                "record: it sends billed requests to the live API; expected --allow-egress too"
            )
        if not self.live_key:
            raise SettingsError("record: no key for the live API; set MOCK_FAL_LIVE_KEY")
        if self.key:
            raise SettingsError(
                "record: the live key replaces only a random key, which mock-fal run and mock-fal env put into "
                "FAL_KEY; expected no --key"
            )
        # Programs get this key in place of their own, and it is never sent to the live API.
        if self.live_key == DEFAULT_KEY:
            raise SettingsError("live_key: this is the key of mock-fal itself; expected one for the live API")
        if not (self.live_key.isascii() and self.live_key.isprintable() and " " not in self.live_key):
            raise SettingsError("live_key: expected printable ASCII without spaces")

    @property
    def opens_gateway(self) -> bool:
        """Whether the gateway opens at the start, and not with its first program: others expect its ports or its CA."""
        return bool(
            self.gateway_host != "127.0.0.1" or self.gateway_port or self.gateway_tls_port or self.ca_dir
        )

    @property
    def own_key(self) -> str:
        """The key of programs that mock-fal runs, except while recording. Its id is the tenant in the journal."""
        return self.key[0] if self.key else DEFAULT_KEY


_PREFIX: Final = "MOCK_FAL_"

# Set by users, and no setting: how the npm package starts this program.
_COMMAND: Final = "MOCK_FAL_COMMAND"

# Variables that mock-fal sets for the programs it runs (gateway/environment.py). They are not settings, and a
# server that such a program starts ignores them.
PROGRAM_VARIABLES: Final = frozenset(
    {
        "MOCK_FAL_URL",
        "MOCK_FAL_PROXY",
        "MOCK_FAL_TLS",
        "MOCK_FAL_CA",
        "MOCK_FAL_HOSTS",
        "MOCK_FAL_DOMAINS",
        "MOCK_FAL_NODE",
    }
)


def read_setting(name: str, text: str, source: str) -> Any:
    """Parse the value of one setting. `source` is the flag or variable. Raises SettingsError."""
    setting = next(setting for setting in fields(Settings) if setting.name == name)
    try:
        return setting.metadata["parse"](text)
    except ValueError as error:
        shown = f"{text!r}: " if setting.repr else ""
        raise SettingsError(f"{source}: {shown}{error}") from None


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings in the environment: `MOCK_FAL_QUEUE_DURATION=2` is `--queue-duration 2`.

    Raises SettingsError, also for an unknown variable that begins with `MOCK_FAL_`.
    """
    names = {_PREFIX + setting.name.upper(): setting.name for setting in fields(Settings)}
    others = PROGRAM_VARIABLES | {_COMMAND}
    for variable in sorted(environ):
        if variable.startswith(_PREFIX) and variable not in names and variable not in others:
            raise SettingsError(f"{variable}: unknown setting; {_suggestion(variable, list(names))}")
    return {
        name: read_setting(name, environ[variable], variable)
        for variable, name in names.items()
        if variable in environ
    }


def _suggestion(variable: str, known: list[str]) -> str:
    from difflib import get_close_matches  # only needed for this message

    close = get_close_matches(variable, known, 1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"
