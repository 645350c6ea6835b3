"""Web UI: an HTML page with requests, responses, webhooks and files of results."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import mock_fal
from mock_fal.accounts.secrets import header_text
from mock_fal.clock import date
from mock_fal.emulator import Emulator
from mock_fal.hosts import RESULT_HOST
from mock_fal.journal.exchanges import Exchange, RawHeaders
from mock_fal.journal.har import response_size
from mock_fal.media.recipe import OwnFile
from mock_fal.models.catalog import WAYS_ON
from mock_fal.requests.outcome import MediaFile
from mock_fal.requests.queue import ModelRequest
from mock_fal.web.control.wire import shown, slices

if TYPE_CHECKING:
    from mock_fal.webhooks.outbox import Delivery

T = TypeVar("T", "Exchange", "Delivery")

# How many items the page shows at most, and how many characters of each body.
MAX_EXCHANGES: Final = 100
MAX_DELIVERIES: Final = 50
MAX_FILES: Final = 12
MAX_KEYS: Final = 20
MAX_BODY_CHARS: Final = 4000

# The items that are written before other requests get a turn: a millisecond.
_SLICE: Final = 5


async def page(request: Request, emulator: Emulator, key: str | None = None) -> Response:
    """The page for one key or for all keys, written in slices, so that other requests don't wait.

    It loads nothing but files of results, and reloads itself while no item is open and nothing plays.
    """
    exchanges = _latest(emulator.store.exchanges.latest(len(emulator.store.exchanges)), key, MAX_EXCHANGES)
    deliveries = _latest(reversed(emulator.deliveries), key, MAX_DELIVERIES)
    text = _PAGE.format(
        version=mock_fal.__version__,
        keys=_keys(emulator, key),
        har=escape(f"/_mock/requests.har{_query(key)}"),
        files="".join(islice(_files(emulator, key), MAX_FILES)) or "<p>No files yet.</p>",
        exchanges="".join(
            [
                _exchange(emulator, await shown(request, exchange))
                async for exchange in slices(exchanges, _SLICE)
            ]
        )
        or "<p>No requests yet.</p>",
        deliveries="".join([_delivery(delivery) async for delivery in slices(deliveries, _SLICE)])
        or "<p>No webhooks yet.</p>",
        script=_SCRIPT,
    )
    # A prompt may contain lone surrogates. The policy prevents that scripts in a prompt run.
    data = emulator.keys.secrets.plain(text.encode("utf-8", "replace"))
    return HTMLResponse(data, headers={"content-security-policy": _POLICY})


def _latest(items: Iterable[T], key: str | None, number: int) -> list[T]:
    return list(islice((item for item in items if key in (None, item.tenant)), number))


def _query(key: str | None) -> str:
    return "" if key is None else f"?key={quote(key, safe='', errors='replace')}"


def _keys(emulator: Emulator, chosen: str | None) -> str:
    """Links to the page of each key in the journal, the last used key first."""
    known = dict.fromkeys(
        exchange.tenant for exchange in emulator.store.exchanges.latest(len(emulator.store.exchanges))
    )
    links = []
    for key in [None, *islice(known, MAX_KEYS)]:
        name = escape("all keys" if key is None else key or "(no key)")
        current = ' aria-current="page"' if key == chosen else ""
        links.append(f'<a href="{escape("/" + _query(key))}"{current}>{name}</a>')
    return " ".join(links)


def _files(emulator: Emulator, key: str | None) -> Iterator[str]:
    for request in reversed(emulator.store.requests.values()):
        if key in (None, request.tenant) and emulator.is_done(request):
            yield from (_file(request, file) for file in request.files)


def _file(request: ModelRequest, file: MediaFile) -> str:
    """A file of a result: shown, as a player, or as a link that saves it."""
    recipe = file.recipe
    seed = "" if isinstance(recipe, OwnFile) else f" · seed {recipe.seed}"
    text = escape(f"{request.endpoint}{seed} · {recipe.text}"[:160])
    url = escape(f"/{RESULT_HOST}{file.path}")
    match recipe.content_type.partition("/")[0]:
        case "image":
            return f'<a href="{url}" title="{text}"><img src="{url}" alt="{text}" loading="lazy"></a>'
        case "video":
            return f'<video src="{url}" title="{text}" controls loop preload="metadata"></video>'
        case "audio":
            return f'<div title="{text}"><audio src="{url}" controls preload="none"></audio>{text}</div>'
        case _:
            name = escape(file.path.rpartition("/")[2])
            return f'<div title="{text}"><a href="{url}" download>{name}</a><br>{text}</div>'


def _exchange(emulator: Emulator, exchange: Exchange) -> str:
    kind = "bad" if exchange.status >= 400 else "good"
    cells = _cells(_time(exchange.at), exchange.tenant, exchange.method, exchange.url[:200])
    request_html = _message(
        "Request", exchange.request_headers, exchange.request_body, exchange.uploaded_bytes
    )
    response_html = _message(
        "Response", exchange.response_headers, exchange.response_body, response_size(exchange)
    )
    return (
        f'<details><summary>{cells}<span class="{kind}">{exchange.status}</span></summary>'
        f"{_unknown(exchange)}{_tries(emulator, exchange)}"
        f"<div class=messages>{request_html}{response_html}</div></details>\n"
    )


def _unknown(exchange: Exchange) -> str:
    """That the endpoint is not emulated, and what to do: fal's own 404 does not say so."""
    hint = exchange.unknown_endpoint
    return f"<p>Not emulated: {escape(hint)}. You can {escape(WAYS_ON)}.</p>" if hint else ""


def _tries(emulator: Emulator, exchange: Exchange) -> str:
    """The attempts at a submitted request, if there were several."""
    attempts = emulator.attempts(exchange) if exchange.is_submission else []
    if len(attempts) < 2:
        return ""
    lines = [
        f"attempt {number}  {_time(attempt.starts_at)}  {attempt.status or 'running'}  "
        f"{attempt.error_type or ''}  {attempt.id}"
        for number, attempt in enumerate(attempts, 1)
    ]
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def _message(title: str, headers: RawHeaders, body: bytes, size: int) -> str:
    header_lines = "\n".join(f"{name.decode('latin-1')}: {header_text(value)}" for name, value in headers)
    text = _formatted(body) if body else f"({size} bytes, not kept)" if size else "(no body)"
    return f"<div><h3>{title}</h3><pre>{escape(header_lines)}\n\n{escape(text)}</pre></div>"


def _formatted(body: bytes) -> str:
    """A body as text, with JSON indented, cut off after MAX_BODY_CHARS."""
    text = body[: 4 * MAX_BODY_CHARS].decode("utf-8", "replace")
    if len(body) <= MAX_BODY_CHARS:
        try:
            text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # not JSON: shown unchanged
    return text if len(text) <= MAX_BODY_CHARS else f"{text[:MAX_BODY_CHARS]}… ({len(body)} bytes)"


def _delivery(delivery: Delivery) -> str:
    state = delivery.state.value
    kind = {"delivered": "good", "failed": "bad"}.get(state, "")
    attempts = "\n".join(
        f"{_time(attempt.at)}  {attempt.status or attempt.error}  {1000 * attempt.duration_s:.0f} ms"
        for attempt in delivery.attempts
    )
    cells = _cells(
        delivery.request_id, delivery.tenant, _attempts(len(delivery.attempts)), delivery.url[:200]
    )
    return (
        f'<details><summary>{cells}<span class="{kind}">{state}</span></summary>'
        f"<pre>{escape(attempts) or 'no attempts yet'}\n\n{escape(_formatted(delivery.body))}</pre></details>\n"
    )


def _attempts(number: int) -> str:
    return f"{number} attempt{'' if number == 1 else 's'}"


def _cells(*texts: str) -> str:
    return "".join(f"<span>{escape(text)}</span>" for text in texts)


def _time(at: float) -> str:
    return date(at).strftime("%H:%M:%S.%f")[:-3]


# Reloads the page every two seconds, unless an item is open, a file plays or text is selected.
_SCRIPT: Final = """
setInterval(() => {
  const playing = [...document.querySelectorAll("video, audio")].some(player => !player.paused);
  if (!playing && !document.querySelector("details[open]") && !getSelection().toString()) location.reload();
}, 2000);
"""
_POLICY: Final = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; "
    f"script-src 'sha256-{b64encode(sha256(_SCRIPT.encode()).digest()).decode()}'"
)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mock-fal</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }}
body {{ margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }}
h1 {{ margin-bottom: 0; }}
h2 {{ margin: 2rem 0 .5rem; }}
h3 {{ margin: .5rem 0 0; font-size: inherit; }}
code {{ background: #8882; padding: .1em .3em; border-radius: .2em; }}
nav a {{ margin-right: .8rem; }}
nav a[aria-current] {{ font-weight: bold; color: inherit; text-decoration: none; }}
.files {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; }}
.files img, .files video {{ width: 100%; aspect-ratio: 4/3; object-fit: contain; display: block; }}
.files img, .files video {{ border-radius: .4rem; }}
.files audio {{ width: 100%; }}
.files div {{ overflow: hidden; overflow-wrap: anywhere; font-size: .8rem; max-height: 9rem; }}
details {{ min-width: 45rem; border-bottom: 1px solid #8884; font: 13px/1.5 ui-monospace, monospace; }}
summary {{ display: grid; grid-template-columns: 1rem 7rem 9rem 4.5rem 1fr 6rem; gap: .8rem; padding: .2rem 0; }}
summary {{ cursor: pointer; }}
summary::before {{ content: "▸"; }}
details[open] > summary::before {{ content: "▾"; }}
.exchanges, .deliveries {{ overflow-x: auto; }}
summary:hover {{ background: #8881; }}
.deliveries summary {{ grid-template-columns: 1rem 19rem 9rem 5rem 1fr 6rem; }}
summary span {{ overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
summary span:last-child {{ text-align: right; }}
.messages {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1rem; }}
.messages > div {{ min-width: 0; }}
pre {{ background: #8881; padding: .6rem; border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere;
  max-height: 30rem; overflow-y: auto; margin: .3rem 0 .8rem; }}
.good {{ color: #2a9d4a; }}
.bad {{ color: #d64545; }}
</style>
</head>
<body>
<h1>mock-fal</h1>
<p>Version {version}. fal's hosts are at <code>/queue.fal.run/…</code> and <code>/fal.run/…</code>;
unmodified programs are run with <code>mock-fal run -- CMD</code>.</p>
<nav>{keys}</nav>
<h2>Files</h2>
<div class="files">{files}</div>
<h2>Requests</h2>
<p>Time (UTC), key, method, URL, status; open a request to see headers and bodies. Download all requests as an
<a href="{har}">HTTP Archive (HAR)</a> for browser developer tools.</p>
<div class="exchanges">{exchanges}</div>
<h2>Webhooks</h2>
<div class="deliveries">{deliveries}</div>
<script>{script}</script>
</body>
</html>
"""
