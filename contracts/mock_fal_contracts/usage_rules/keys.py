"""Rules about keys: how they are told, and to whom."""

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
        each
        for each in record.exchanges
        if each.request_header("authorization") is not None and not _is_file(each)
    ]


def _is_file(exchange: Exchange) -> bool:
    return exchange.operation in ("download", "upload")


def _credentials(exchange: Exchange) -> tuple[str, str]:
    """The scheme in lower case, and what stands behind it; without a scheme, all of it."""
    scheme, space, rest = (exchange.request_header("authorization") or "").partition(" ")
    if space or scheme.lower() in ("key", "bearer"):
        return scheme.lower(), rest
    return "", scheme


@rule(
    "key-scheme",
    "says Key before its key",
    "Authorization: Key {id}:{secret}. Bearer is for short-lived tokens, and a key alone is none.",
    AUTHENTICATION,
    about="key was sent",
    of=_authorized,
)
def key_scheme(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        scheme, rest = _credentials(each)
        if scheme != "key" and _PAIR.fullmatch(rest.strip()):
            seen = f"the scheme {scheme}" if scheme else "no scheme"
            yield Finding(
                f"{each.method} {each.url} has a key with {seen} in Authorization; expected Key {{id}}:{{secret}}.",
                (each,),
            )


@rule(
    "key-text",
    "sends its key as it was issued",
    "A key is id:secret, without quotes and spaces; a variable that isn't set is no key.",
    AUTHENTICATION,
    about="key was sent",
    of=lambda record: [each for each in _authorized(record) if _credentials(each)[0] == "key"],
)
def key_text(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        _, key = _credentials(each)
        if not _PAIR.fullmatch(key):
            yield Finding(
                f"{each.method} {each.url}: what stands behind Key is {_described(key)}; expected id:secret. Look at "
                "how FAL_KEY is set: a file of settings may have put quotes around it, or it is missing.",
                (each,),
            )


def _described(key: str) -> str:
    if not key.strip():
        return "nothing"
    if key.strip() in ("None", "undefined", "null", "your-api-key", "YOUR_FAL_KEY"):
        return f"the word {key.strip()}"
    if any(letter in key for letter in "\"'"):
        return "a key within quotes"
    if any(letter.isspace() for letter in key):
        return "a key with a space in it"
    return "no pair with a colon between its two parts"


@rule(
    "key-missing",
    "sends its key",
    "Whoever calls a model says who it is: Authorization: Key {id}:{secret}.",
    AUTHENTICATION,
    about="model was called",
    of=lambda record: record.calls,
)
def key_missing(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        unnamed = each.request_header("authorization") is None and "fal_jwt_token=" not in each.query
        if unnamed and each.status == 401 and each.request_header("x-fal-target-url") is None:
            yield Finding(
                f"{each.method} {each.url} came without a key and was answered 401; set the header Authorization.",
                (each,),
            )


@rule(
    "key-in-url",
    "keeps its key out of addresses",
    "A key stands in a header. Addresses are written into logs, histories and Referer headers.",
    f"{AUTHENTICATION}; RFC 9110, section 17.9",
    about="request was made",
    of=lambda record: record.exchanges,
)
def key_in_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    keys = {
        _credentials(each)[1].strip()
        for each in exchanges
        if each.request_header("authorization") is not None
    }
    pairs = {spelled for key in keys if _PAIR.fullmatch(key) for spelled in (key, key.replace(":", "%3A"))}
    for each in exchanges:
        named = [name for name, value in each.params if name.lower() in _KEY_NAMES and ":" in value]
        if named or any(pair in each.query or pair in each.path for pair in pairs):
            masked = replace(each, path=each.path if named else "/***", query="***")
            yield Finding(
                f"{each.method} {masked.url}: the key stands in the address. Send Authorization: Key … instead, "
                "and make a new key if this one was real.",
                (masked,),
            )


@rule(
    "key-to-cdn",
    "reads files without its key",
    "Result files are public or read with a CDN token; a key has no effect there, and is given away.",
    FILES,
    about="file was read",
    of=lambda record: record.exchanges_of("download"),
)
def key_to_cdn(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if _has_key(each):
            yield Finding(
                f"the key was sent along to {each.host}; read files without Authorization.",
                (each,),
            )


@rule(
    "key-to-storage",
    "uploads without its key",
    "A presigned address needs no Authorization, an upload to the CDN has a token of its own as Bearer.",
    FILES,
    about="file was uploaded",
    of=lambda record: record.exchanges_of("upload"),
)
def key_to_storage(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if _has_key(each):
            yield Finding(
                f"the key was sent along with {each.method} {each.host}; leave Authorization out of the upload.",
                (each,),
            )


def _has_key(exchange: Exchange) -> bool:
    scheme, rest = _credentials(exchange)
    return scheme == "key" or _PAIR.fullmatch(rest.strip()) is not None


@rule(
    "key-in-browser",
    "keeps its key out of browsers",
    "A page must not hold a key: everybody who opens it can read it. A server of yours adds it (proxyUrl).",
    "@fal-ai/server-proxy 1.2.1, and fal's documentation of it",
    about="question came from a page",
    of=lambda record: [each for each in record.exchanges if _from_page(each)],
)
def key_in_browser(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if each.request_header("authorization") is not None and _has_key(each):
            yield Finding(
                f"a page of {each.request_header('origin')} sent a key with {each.method} {each.url}; give the client a "
                "proxyUrl, as @fal-ai/server-proxy serves it, and keep the key there.",
                (each,),
            )


def _from_page(exchange: Exchange) -> bool:
    """Node's fetch sends Sec-Fetch-Mode too; Origin together with one of these only a browser does."""
    signs = exchange.request_header("sec-fetch-site"), exchange.request_header("sec-fetch-dest")
    agent = exchange.request_header("user-agent") or ""
    return bool(exchange.request_header("origin")) and (any(signs) or agent.startswith("Mozilla/"))
