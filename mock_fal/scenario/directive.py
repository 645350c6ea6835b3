"""A directive: the options of one injected outcome or fault. One grammar for prompts, headers, rules and files.

    conditions   endpoint= prompt= key= nth= after= times= operation=
    outcome      queue= run= position= logs= nsfw cancel= output= billed= error= (msg= loc= ctx.NAME= retry=) webhook=
    response     status= (detail= body=) ingress= account= (reason= reads=) result= file= token=
                 header.NAME= retry_after= merge= set_null= json= throttle= connection=
    webhook      status= payload= late=, with operation=webhook

Options of the outcome apply to a request when it is submitted. Options of the response apply to one HTTP response:
that to the POST, unless `operation=` names another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, InjectedFault, ScenarioError, is_deeper
from mock_fal.scenario.options import (
    CONCURRENCY_ERROR,
    DIRECT_OPERATIONS,
    NAMED_OPTIONS,
    OPTIONS,
    SUBMIT_OPERATIONS,
    OptionGroup,
    format_ctx,
    suggestion,
)
from mock_fal.scenario.output import Output, output_of
from mock_fal.scenario.syntax import (
    MAX_DEPTH,
    MAX_OPTIONS,
    MAX_RULE_TEXT,
    MAX_TEXT,
    Option,
    cut,
    format_option,
    read_options,
    shown,
)

Members = tuple[tuple[str, JSON], ...]


class Directive(NamedTuple):
    """The options of a directive, one field each. Times are in seconds; an option that is not set is empty or None."""

    endpoint: str = ""
    prompt: str = ""
    key: str = ""
    nth: int | None = None
    after: int | None = None
    times: int | None = None
    operation: str = ""

    queue: float | None = None
    run: float | None = None
    position: int | None = None
    logs: int | None = None
    nsfw: bool = False
    cancel: str = ""
    output: Output | None = None
    billed: float | None = None
    error: str = ""
    msg: str | None = None
    loc: tuple[str | int, ...] = ()
    ctx: Members = ()
    retry: bool | None = None
    webhook: str = ""

    status: int | None = None
    detail: str | None = None
    body: str | None = None
    ingress: int | None = None
    account: str = ""
    reason: str = ""
    reads: str = ""
    result: str = ""
    file: str = ""
    token: str = ""
    header: Members = ()
    retry_after: int | None = None
    merge: JSON = None
    set_null: tuple[str | int, ...] = ()
    json: str = ""
    payload: str | None = None
    late: float | None = None
    throttle: int | None = None
    connection: str = ""

    @property
    def affects_outcome(self) -> bool:
        """Whether it sets the outcome of a request."""
        return bool(self._in_group(OptionGroup.OUTCOME))

    @property
    def affects_response(self) -> bool:
        """Whether it changes or replaces an HTTP response."""
        names = self._in_group(OptionGroup.REPLACEMENT) + self._in_group(OptionGroup.MODIFICATION)
        return names != ["retry_after"] or not self.error if names else False

    @property
    def replaces_response(self) -> bool:
        """Whether it replaces the real response, so that the operation is not executed."""
        return bool(self._in_group(OptionGroup.REPLACEMENT)) or self.connection in ("reset", "hang")

    @property
    def is_counted(self) -> bool:
        """Whether it depends on the number of earlier matching calls."""
        return not (self.nth is None and self.after is None and self.times is None)

    @property
    def outcome_operations(self) -> frozenset[str]:
        """The operations to which its options about the outcome apply."""
        if not self.affects_outcome:
            return _NONE
        return (
            frozenset({self.operation}) if self.operation in SUBMIT_OPERATIONS else self._default_operations
        )

    @property
    def response_operations(self) -> frozenset[str]:
        """The operations to which its options about the response apply."""
        if not self.affects_response:
            return _NONE
        if self.operation:
            return frozenset({self.operation})
        replacements = self._in_group(OptionGroup.REPLACEMENT)
        operations = OPTIONS[replacements[0]].operations if replacements else self._default_operations
        return operations - _READS if self.reads == "allowed" else operations

    @property
    def _default_operations(self) -> frozenset[str]:
        # fal: at the limit direct requests are refused and queued ones wait (documentation of concurrency, 2026).
        return DIRECT_OPERATIONS if self.error == CONCURRENCY_ERROR else SUBMIT_OPERATIONS

    @property
    def option_names(self) -> list[str]:
        """The names of the options that are set, in the order of OPTIONS."""
        # Each rule and directive asks for these several times in every call; the fields have the order of OPTIONS.
        return [
            name
            for name, value, default in zip(OPTIONS, self, NO_DIRECTIVE, strict=True)
            if value is not default and (value != default or type(value) is not type(default))
        ]

    def __repr__(self) -> str:
        return f"parse_directive({str(self)!r})"

    def __str__(self) -> str:
        """The directive as text; `parse_directive` makes an equal one of it."""
        return " ".join(format_option(name, value) for name, value in _option_texts(self))

    @property
    def shown(self) -> str:
        """The directive as text for a person: values beyond MAX_TEXT are cut."""
        return " ".join(text for _, text in self.words)

    @property
    def words(self) -> list[tuple[str, str]]:
        """The options that are set: the name of each and its text; values beyond MAX_TEXT are cut."""
        return [
            (
                name,
                format_option(
                    name, value if value is None or len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}…"
                ),
            )
            for name, value in _option_texts(self)
        ]

    def _in_group(self, group: OptionGroup) -> list[str]:
        return [name for name in self.option_names if OPTIONS[name].group is group]


_NONE: Final[frozenset[str]] = frozenset()
# What a locked account can read in one of two reported behaviours.
_READS: Final = frozenset({"status", "result"})
_ERROR_DETAILS: Final = [name for name, spec in OPTIONS.items() if spec.group is OptionGroup.ERROR_DETAIL]

NO_DIRECTIVE: Final = Directive()


def injected_fault(directive: Directive) -> InjectedFault:
    """The exception that makes a directive's response replace the real one."""
    status = directive.status or directive.ingress or 503
    return InjectedFault(directive, status, directive.detail or reason_phrase(status))


def reason_phrase(status: int) -> str:
    """The reason phrase of an HTTP status, such as `Not Found`."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP {status}"


def parse_directive(text: str) -> Directive:
    """Parse a directive. Raises ScenarioError with the column.

    >>> str(parse_directive("error=image_too_small   ctx.min_width=512 times=2"))
    'times=2 error=image_too_small ctx.min_width=512'
    """
    return _parsed_short(text) if len(text) <= _MAX_CACHED_LENGTH else directive_of(read_options(text)[0])


# A client sends the same short header with every request; long texts would fill the memory.
_MAX_CACHED_LENGTH: Final = 500


@lru_cache(maxsize=1024)
def _parsed_short(text: str) -> Directive:
    return directive_of(read_options(text)[0])


def parse_rule(text: str, keywords: Mapping[str, JSON]) -> Directive:
    """Parse a directive from text and from options as keywords. Raises ScenarioError.

    The keyword `output` may be a callable, and may hold `File` objects.
    """
    if not keywords:
        return parse_directive(text)
    if "output" not in keywords:
        return directive_of([*read_options(text)[0], *options_of(keywords)], MAX_RULE_TEXT)
    output = output_of(keywords["output"])
    others = {name: value for name, value in keywords.items() if name != "output"}
    options = [*read_options(text)[0], *options_of(others)]
    return directive_of(options, MAX_RULE_TEXT, output=output)


def options_of(members: Mapping[str, JSON], where: Callable[[str], str] = lambda name: "") -> list[Option]:
    """The options that the members of an object set; `where(name)` is a member's position."""
    options: list[Option] = []
    for key, value in members.items():
        name = _ALIASES.get(key, key)
        is_flag = name in OPTIONS and OPTIONS[name].is_flag
        parts: Mapping[str, JSON] = {name: value}
        if name in NAMED_OPTIONS and isinstance(value, dict):
            parts = {f"{name}.{inner}": part for inner, part in value.items()}
        elif value is None or (value is False and is_flag):
            continue
        if len(options) + len(parts) > MAX_OPTIONS:
            raise _error(where(key), f"more than {MAX_OPTIONS} options")
        if value is True and is_flag:
            options.append(Option(name, None, where(key)))
            continue
        options += [_member(full_name, part, where(key)) for full_name, part in parts.items()]
    return options


# Other names for options, as members of an object.
_ALIASES: Final = {"headers": "header"}


def _member(name: str, value: JSON, where: str) -> Option:
    if is_deeper(value, MAX_DEPTH):
        raise _error(where, f"{shown(name)}: lists and objects are nested too deeply")
    try:
        return Option(name, _text(name, value), where)
    except ValueError as error:  # a number with thousands of digits
        raise _error(where, f"{shown(name)}: {error}") from None


def _text(name: str, value: JSON) -> str:
    """A member's value as in the text grammar."""
    if name == "payload":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
    if name == "output":
        return (
            value.text
            if isinstance(value, Output)
            else json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
        )
    if name in ("loc", "set_null") and isinstance(value, list | tuple):
        return ".".join(map(str, value))
    if isinstance(value, str):
        return format_ctx(value) if name.partition(".")[0] == "ctx" else value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, separators=(",", ":"), default=str)


def directive_of(
    options: Sequence[Option], max_text: int = MAX_TEXT, output: Output | None = None
) -> Directive:
    """The directive with these options, and with `output` if it is given. Raises ScenarioError with the position of
    the wrong one. `max_text` is in characters.
    """
    length = _check_size(options, max_text)
    values: dict[str, JSON] = {} if output is None else {"output": output}
    where: dict[str, str] = {} if output is None else {"output": ""}
    members: dict[str, dict[str, JSON]] = {}  # of the options in NAMED_OPTIONS
    for option in options:
        name, dot, inner = option.name.partition(".")
        spec = OPTIONS.get(name)
        if spec is None or (dot and name not in NAMED_OPTIONS):
            raise _error(
                option.where, f"unknown option {shown(option.name)}{suggestion(option.name, OPTIONS)}"
            )
        where[name] = option.where
        try:
            if name in NAMED_OPTIONS:
                value = spec.read(_required_value(option, spec.value_format))
                members.setdefault(name, {})[_inner_name(name, dot, inner)] = value
            elif spec.is_flag:
                values[name] = _flag(option.value)
            else:
                values[name] = spec.read(_required_value(option, spec.value_format))
        except ValueError as error:
            raise _error(option.where, f"{cut(option.name)}: {error}") from None
    for name, parts in members.items():
        values[name] = tuple(parts.items())
    directive = Directive(**values)
    _check(directive, where)
    # Printing doubles quotes and escapes letters; a directive that is printed must be readable again.
    if (length + 4 * len(options)) * _MAX_GROWTH > max_text and len(str(directive)) > max_text:
        raise _error(options[0].where, f"more than {max_text} characters when it is printed")
    return directive


# How much longer a value can become when it is printed: a character of four bytes becomes \ud83d\ude00.
_MAX_GROWTH: Final = 12


def _check_size(options: Sequence[Option], max_text: int) -> int:
    """The characters of the options. Raises ScenarioError for too many options or characters."""
    length = 0
    for number, option in enumerate(options):
        length += len(option.name) + len(option.value or "")
        if number >= MAX_OPTIONS:
            raise _error(option.where, f"more than {MAX_OPTIONS} options")
        if length > max_text:
            raise _error(option.where, f"more than {max_text} characters")
    return length


def merge_outcomes(lower: Directive, upper: Directive) -> Directive:
    """The outcome options of both; those of `upper` take precedence."""
    names = upper._in_group(OptionGroup.OUTCOME)
    if upper.error:
        names = [*names, *_ERROR_DETAILS, "retry_after"]
    return lower._replace(**{name: getattr(upper, name) for name in names}) if names else lower


def _inner_name(name: str, dot: str, inner: str) -> str:
    if not dot:
        raise ValueError(f"a name is missing, as in {name}.NAME=VALUE")
    return NAMED_OPTIONS[name](inner)


def _required_value(option: Option, value_format: str) -> str:
    if option.value is None:
        raise ValueError(
            f"a value is missing, expected {cut(option.name)}={value_format} (no space around =)"
        )
    return option.value


def _flag(value: str | None) -> bool:
    if value is not None:
        raise ValueError(f"takes no value, got {shown(value)}")
    return True


def _error(where: str, message: str) -> ScenarioError:
    return ScenarioError(f"{where}: {message}" if where else message)


def _check(directive: Directive, where: Mapping[str, str]) -> None:
    """Check that the options fit together. Raises ScenarioError."""

    def refuse(name: str, reason: str) -> None:
        raise _error(where[name], f"{name}: {reason}")

    for name in directive._in_group(OptionGroup.ERROR_DETAIL):
        if not directive.error:
            refuse(name, "describes an error, but error=TYPE is missing")
        if name in ("loc", "ctx") and directive.error in REQUEST_ERRORS:
            refuse(name, f"{directive.error} is a request error, which has no {name}")
    if directive.billed and directive.error:
        kind = MODEL_ERRORS.get(directive.error) or REQUEST_ERRORS[directive.error]
        if directive.error in REQUEST_ERRORS or kind.status >= 500:
            refuse(
                "billed", f"{directive.error} is HTTP {kind.status} without a result, which fal never bills"
            )
    for name in directive._in_group(OptionGroup.REPLACEMENT_BODY):
        if directive.status is None:
            refuse(name, "describes a response, but status=CODE is missing")
    for name in directive._in_group(OptionGroup.LOCK_DETAIL):
        if directive.account != "locked":
            refuse(name, "describes a lock, but account=locked is missing")
    if directive.detail is not None and directive.body is not None:
        refuse("body", "can't be combined with detail")
    for name in ("payload", "late"):
        if getattr(directive, name) is not None and directive.operation != "webhook":
            refuse(name, "acts on webhooks, but operation=webhook is missing")
    _check_replacements(directive, refuse)
    if directive.operation:
        _check_operation(directive, refuse)
    if directive.retry_after is not None and directive.error and directive.error not in REQUEST_ERRORS:
        refuse("retry_after", f"{directive.error} is a model error, which has no Retry-After")
    if (
        directive.is_counted
        and directive.affects_outcome
        and directive.affects_response
        and directive.outcome_operations != directive.response_operations
    ):
        counted = next(name for name in ("nth", "after", "times") if getattr(directive, name) is not None)
        refuse(counted, "the options apply to different operations; write one directive for each")
    if where and not (directive.affects_outcome or directive.affects_response):
        refuse(next(iter(where)), "is a condition, but no option sets an outcome or a response")


def _check_replacements(directive: Directive, refuse: Callable[[str, str], None]) -> None:
    names = directive._in_group(OptionGroup.REPLACEMENT)
    if directive.connection in ("reset", "hang"):
        names.append("connection")
    if len(names) > 1:
        refuse(names[1], f"can't be combined with {names[0]}: both replace the response")


# The options that act on a webhook.
_OF_WEBHOOKS: Final = frozenset({"status", "payload", "late"})


def _check_operation(directive: Directive, refuse: Callable[[str, str], None]) -> None:
    if directive.operation == "webhook":
        groups = (OptionGroup.REPLACEMENT, OptionGroup.REPLACEMENT_BODY, OptionGroup.MODIFICATION)
        for name in [name for group in groups for name in directive._in_group(group)]:
            if name not in _OF_WEBHOOKS:
                refuse(
                    "operation", f"{name}= does not apply to webhooks; expected status=, payload= or late="
                )
    if directive.operation == "submit" and directive.error == CONCURRENCY_ERROR:
        refuse(
            "error",
            f"queued requests wait at the limit, so no submission receives {CONCURRENCY_ERROR}; "
            "to refuse a submission, use status=429 retry_after=1 times=1",
        )
    for name in directive._in_group(OptionGroup.REPLACEMENT):
        if (
            name in ("result", "file", "token", "account")
            and directive.operation not in OPTIONS[name].operations
        ):
            allowed = " or ".join(sorted(OPTIONS[name].operations))
            refuse("operation", f"{name}= applies to {allowed}, not to {directive.operation}")
    if directive.operation not in SUBMIT_OPERATIONS and not directive.affects_response:
        outcome = directive._in_group(OptionGroup.OUTCOME)
        if outcome:
            refuse(
                "operation",
                f"{outcome[0]}= applies to submit, run, stream or realtime, not to {directive.operation}",
            )
    for name in ("merge", "set_null", "json"):
        if directive.operation == "download" and getattr(directive, name):
            refuse(name, "a downloaded file is not JSON")
    if directive.operation == "handshake" and not directive.replaces_response:
        for name in directive._in_group(OptionGroup.MODIFICATION):
            refuse(
                name,
                "an accepted handshake has no response to change; expected operation=realtime for its messages, "
                "or status=CODE to reject it",
            )


def _option_texts(directive: Directive) -> Iterable[tuple[str, str | None]]:
    for name in directive.option_names:
        value = getattr(directive, name)
        if name in NAMED_OPTIONS:
            yield from (
                (f"{name}.{inner}", format_ctx(part) if name == "ctx" else part) for inner, part in value
            )
        elif OPTIONS[name].is_flag:
            yield name, None
        else:
            yield name, _text(name, value)
