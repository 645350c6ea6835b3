"""Every knob, once: its default, its flag, its `MOCK_FAL_*` variable and what it means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from mock_fal.errors import SettingsError


def _number(low: float, high: float = math.inf, *, whole: bool = False) -> Callable[[str], Any]:
    what = "a whole number" if whole else "a number"
    bounds = f"{what} of at least {low:g}" if high == math.inf else f"{what} from {low:g} to {high:g}"

    def read(text: str) -> int | float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or value == math.inf:
            raise ValueError(f"expected {bounds}")
        return value

    return read


def _choice(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected {' or '.join(names)}")
        return text

    return read


def _switch(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}
    if text.lower() not in known:
        raise ValueError("expected 1 or 0")
    return known[text.lower()]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.replace(",", " ").split() if name)


def _keys(text: str) -> tuple[str, ...]:
    keys = _names(text)
    if not all(key.partition(":")[0] and key.partition(":")[2] for key in keys):
        raise ValueError("expected id:secret")
    return keys


def _bytes(text: str) -> int:
    units = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    digits = text.rstrip("kKmMgG")
    unit = text[len(digits) :].lower()
    if not digits.isdecimal() or unit not in units:
        raise ValueError("expected bytes, as in 500000, 64M or 2G")
    return int(digits) * units[unit]


def _port(text: str) -> int:
    value: int = _number(0, 65535, whole=True)(text)
    return value


def _setting(default: Any, read: Callable[[str], Any], help: str) -> Any:
    return field(default=default, metadata={"read": read, "help": help})


def _hidden(help: str) -> Any:
    return field(default="", repr=False, metadata={"read": str, "help": help})


# What programs are given where any key is good.
KEY: Final = "mock:fal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server is to behave. Spans are seconds of the emulated clock."""

    host: str = _setting("127.0.0.1", str, "address to listen on")
    port: int = _setting(8325, _port, "port to listen on; 0 takes a free one (F-A-L on a phone)")
    queue_duration: float = _setting(0.2, _number(0), "seconds that a request waits in the queue")
    run_duration: float = _setting(0.8, _number(0), "seconds that a request runs")
    runners: int = _setting(
        0, _number(0, whole=True), "requests of one app that run at a time; 0 means no limit"
    )
    concurrency: int = _setting(
        0, _number(0, whole=True), "requests of one key that run at a time; 0 means no limit"
    )
    clock: str = _setting(
        "system", _choice("system", "manual", "auto-advance"), "system, manual or auto-advance"
    )
    speed: float = _setting(1.0, _number(0.001), "how much faster than real time the system clock runs")
    seed: int = _setting(0, _number(0, whole=True), "from it come all ids, file names and unasked seeds")
    key: tuple[str, ...] = _setting(
        (), _keys, "accept only this id:secret (may be repeated); else any good one"
    )
    retention: int = _setting(10_000, _number(1, whole=True), "requests, and exchanges, that are remembered")
    max_body: int = _setting(64 << 20, _bytes, "largest body of a request")
    max_upload: int = _setting(1 << 30, _bytes, "largest file that is uploaded")
    max_disk: int = _setting(4 << 30, _bytes, "what all uploaded files together may take")
    webhook_retries: str = _setting("fast", _choice("fast", "real", "none"), "how webhooks are tried again")
    allow_egress: bool = _setting(
        False, _switch, "webhooks may leave this machine, and files that an input names are fetched"
    )
    scenario: str = _setting("", str, "file with rules, in JSON or YAML: failures and delays on demand")
    signing_key: str = _setting(
        "", str, "PEM file with the Ed25519 key that signs webhooks; else one of --seed"
    )
    local_media_urls: bool = _setting(False, _switch, "file URLs that any browser on this machine reaches")
    offline: bool = _setting(False, _switch, "the gateway refuses every host that is not fal's")
    allow_host: tuple[str, ...] = _setting((), _names, "a host that passes all the same (may be repeated)")
    record: str = _setting(
        "", str, "folder: forward to the live API, and keep each exchange there as a cassette"
    )
    live_key: str = _hidden("key for the live API, with --record; better in MOCK_FAL_LIVE_KEY")
    replay: str = _setting("", str, "folder with cassettes: answer from them, else with placeholders")
    strict: bool = _setting(False, _switch, "with --replay: refuse what has no cassette")

    def __post_init__(self) -> None:
        if self.runners and self.concurrency:
            raise SettingsError(
                f"runners is {self.runners} and concurrency is {self.concurrency}: expected one of them; "
                "the first limits each app of a key, the second all of them together"
            )
        if self.strict and not self.replay:
            raise SettingsError("strict: expected --replay DIR with it")
        if self.record:
            self._check_recording()

    def _check_recording(self) -> None:
        if self.replay:
            raise SettingsError(f"record is {self.record} and replay is {self.replay}: expected one of them")
        if not self.allow_egress:
            raise SettingsError("record: it asks the live API, and pays; allow that by --allow-egress")
        if not self.live_key:
            raise SettingsError("record: a key for the live API is missing; set MOCK_FAL_LIVE_KEY to one")
        # Programs are given ours in the place of theirs, and no key of ours is sent.
        if self.live_key in (KEY, *self.key):
            raise SettingsError("live_key: it is the key for mock-fal itself; expected one for the live API")
        if not (self.live_key.isascii() and self.live_key.isprintable() and " " not in self.live_key):
            raise SettingsError("live_key: expected a key in one word of ASCII")

    @property
    def own_key(self) -> str:
        """The key that programs are given. Its id is the name of the account that the journal shows."""
        return self.key[0] if self.key else KEY


def read_setting(name: str, text: str, source: str) -> Any:
    """The value that `text` spells for one setting. Raises SettingsError, naming the source."""
    setting = next(setting for setting in fields(Settings) if setting.name == name)
    try:
        return setting.metadata["read"](text)
    except ValueError as error:
        raise SettingsError(f"{source}: {text!r}: {error}") from None


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that the environment names: `MOCK_FAL_QUEUE_DURATION=2` is `--queue-duration 2`."""
    return {
        setting.name: read_setting(setting.name, environ[variable], variable)
        for setting in fields(Settings)
        if (variable := "MOCK_FAL_" + setting.name.upper()) in environ
    }
