"""Rules about API keys: their format, and which hosts get them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import Record
from mock_fal_contracts.usage_rules.rule import AUTHENTICATION, FILES, Finding, rule

_PAIR: Final = re.compile(r"[^\s:\"']+:[^\s:\"']+")
_KEY_NAMES: Final = ("key", "api_key", "apikey", "api-key", "fal_key", "authorization", "access_token")


def _authorized(record: Record) -> list[Exchange]:
    return [
        exchange
        for exchange in record.exchanges
        if exchange.request_header("authorization") is not None and not _is_file_transfer(exchange)
    ]


def _is_file_transfer(exchange: Exchange) -> bool:
    return exchange.operation in ("download", "upload")


def _credentials(exchange: Exchange) -> tuple[str, str]:
    """The scheme in lower case and the credentials after it; an empty scheme when there is none."""
    scheme, space, rest = (exchange.request_header("authorization") or "").partition(" ")
    if space or scheme.lower() in ("key", "bearer"):
        return scheme.lower(), rest
    return "", scheme


@rule(
    "key-scheme",
    "uses the scheme Key",
    "Authorization: Key {id}:{secret}. The scheme Bearer is for short-lived tokens; a key without a scheme is invalid.",
    AUTHENTICATION,
    subject="key was sent",
    select=_authorized,
)
def key_scheme(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        scheme, rest = _credentials(exchange)
        if scheme != "key" and _PAIR.fullmatch(rest.strip()):
            seen = f"the scheme {scheme}" if scheme else "no scheme"
            yield Finding(
                f"{exchange.method} {exchange.url} has a key with {seen} in Authorization; "
                "expected Key {id}:{secret}.",
                (exchange,),
            )


@rule(
    "key-text",
    "sends its key as it was issued",
    "A key is id:secret, without quotes and spaces. An unset variable is not a key.",
    AUTHENTICATION,
    subject="key was sent",
    select=lambda record: [
        exchange for exchange in _authorized(record) if _credentials(exchange)[0] == "key"
    ],
)
def key_text(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        _, key = _credentials(exchange)
        if not _PAIR.fullmatch(key):
            yield Finding(
                f"{exchange.method} {exchange.url}: the value after Key is {_described(key)}; expected id:secret. "
                "Check FAL_KEY: it may be unset, or a settings file may have added quotes.",
                (exchange,),
            )


def _described(key: str) -> str:
    if not key.strip():
        return "empty"
    if key.strip() in ("None", "undefined", "null", "your-api-key", "YOUR_FAL_KEY"):
        return f"the text {key.strip()}"
    if any(letter in key for letter in "\"'"):
        return "a key in quotes"
    if any(letter.isspace() for letter in key):
        return "a key with a space in it"
    return "not two parts separated by a colon"


@rule(
    "key-missing",
    "sends its key",
    "Every call of a model is authenticated: Authorization: Key {id}:{secret}.",
    AUTHENTICATION,
    subject="model was called",
    select=lambda record: record.calls,
)
def key_missing(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        is_anonymous = (
            exchange.request_header("authorization") is None and "fal_jwt_token=" not in exchange.query
        )
        if is_anonymous and exchange.status == 401 and exchange.request_header("x-fal-target-url") is None:
            yield Finding(
                f"{exchange.method} {exchange.url} was sent without a key and answered 401; "
                "set the header Authorization.",
                (exchange,),
            )


@rule(
    "key-in-url",
    "keeps its key out of URLs",
    "A key is sent in a header. URLs appear in logs, histories and Referer headers.",
    f"{AUTHENTICATION}; RFC 9110, section 17.9",
    subject="request was sent",
    select=lambda record: record.exchanges,
)
def key_in_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    keys = {
        _credentials(exchange)[1].strip()
        for exchange in exchanges
        if exchange.request_header("authorization") is not None
    }
    pairs = {form for key in keys if _PAIR.fullmatch(key) for form in (key, key.replace(":", "%3A"))}
    for exchange in exchanges:
        names = [name for name, value in exchange.params if name.lower() in _KEY_NAMES and ":" in value]
        if names or any(pair in exchange.query or pair in exchange.path for pair in pairs):
            masked = replace(exchange, path=exchange.path if names else "/***", query="***")
            yield Finding(
                f"{exchange.method} {masked.url}: the key is in the URL. Send Authorization: Key … instead, and "
                "replace the key if it was a real one.",
                (masked,),
            )


@rule(
    "key-to-cdn",
    "downloads files without its key",
    "Result files are public or need a CDN token. A key has no effect there, and is leaked.",
    FILES,
    subject="file was downloaded",
    select=lambda record: record.exchanges_of("download"),
)
def key_to_cdn(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if _has_key(exchange):
            yield Finding(
                f"the key was sent to {exchange.host}; download files without Authorization.",
                (exchange,),
            )


@rule(
    "key-to-storage",
    "uploads files without its key",
    "A presigned URL needs no Authorization; an upload to the CDN takes a separate Bearer token. It takes the key too.",
    FILES,
    subject="file was uploaded",
    select=lambda record: record.exchanges_of("upload"),
    is_advice=True,
)
def key_to_storage(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if _has_key(exchange):
            yield Finding(
                f"the key was sent with {exchange.method} {exchange.host}, which accepts it; a token of "
                "POST rest.fal.ai/storage/auth/token expires, and can do nothing but upload.",
                (exchange,),
            )


def _has_key(exchange: Exchange) -> bool:
    scheme, rest = _credentials(exchange)
    return scheme == "key" or _PAIR.fullmatch(rest.strip()) is not None


@rule(
    "key-in-browser",
    "keeps its key out of browsers",
    "A web page must not contain a key, because every visitor can read it. A proxy on your server adds it (proxyUrl).",
    "@fal-ai/server-proxy 1.2.1, and its documentation by fal",
    subject="request came from a web page",
    select=lambda record: [exchange for exchange in record.exchanges if _from_page(exchange)],
)
def key_in_browser(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if exchange.request_header("authorization") is not None and _has_key(exchange):
            yield Finding(
                f"a web page of {exchange.request_header('origin')} sent a key with {exchange.method} {exchange.url}; "
                "configure proxyUrl in the client, serve it with @fal-ai/server-proxy, and keep the key there.",
                (exchange,),
            )


def _from_page(exchange: Exchange) -> bool:
    """Only a browser sends Origin together with one of these headers; Node's fetch sends Sec-Fetch-Mode too."""
    fetch_metadata = exchange.request_header("sec-fetch-site"), exchange.request_header("sec-fetch-dest")
    agent = exchange.request_header("user-agent") or ""
    return bool(exchange.request_header("origin")) and (any(fetch_metadata) or agent.startswith("Mozilla/"))
