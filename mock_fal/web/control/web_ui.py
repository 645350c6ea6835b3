"""The page at our own address: what was asked and answered, webhooks and pictures, for a person to look at."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

import mock_fal
from mock_fal.emulator import Emulator
from mock_fal.hosts import RESULT_HOST
from mock_fal.journal.exchanges import Exchange, RawHeaders
from mock_fal.journal.har import response_bytes
from mock_fal.requests.queue import ModelRequest

if TYPE_CHECKING:
    from mock_fal.webhooks.outbox import Delivery

T = TypeVar("T", "Exchange", "Delivery")

# How much of the past the page shows, and of each body.
EXCHANGES: Final = 100
DELIVERIES: Final = 50
PICTURES: Final = 12
KEYS: Final = 20
LETTERS: Final = 4000


def page(emulator: Emulator, key: str | None = None) -> Response:
    """The whole page, of one key or of all. It fetches nothing but the pictures, and loads itself anew unless
    somebody has opened a part of it."""
    exchanges = _latest(emulator.store.exchanges.latest(len(emulator.store.exchanges)), key, EXCHANGES)
    deliveries = _latest(reversed(emulator.deliveries), key, DELIVERIES)
    text = _PAGE.format(
        version=mock_fal.__version__,
        keys=_keys(emulator, key),
        har=escape(f"/_mock/requests.har{_query(key)}"),
        pictures="".join(islice(_pictures(emulator, key), PICTURES)) or "<p>No pictures yet.</p>",
        exchanges="".join(map(_exchange, exchanges)) or "<p>Nothing was asked yet.</p>",
        deliveries="".join(map(_delivery, deliveries)) or "<p>No webhooks yet.</p>",
        script=_SCRIPT,
    )
    # A prompt may hold half a surrogate pair, and whatever it holds is no script.
    return HTMLResponse(text.encode("utf-8", "replace"), headers={"content-security-policy": _POLICY})


def _latest(all: Iterable[T], key: str | None, number: int) -> list[T]:
    return list(islice((each for each in all if key in (None, each.tenant)), number))


def _query(key: str | None) -> str:
    return "" if key is None else f"?key={quote(key, safe='', errors='replace')}"


def _keys(emulator: Emulator, chosen: str | None) -> str:
    """Links to the page of each key that is in the journal, the last one used first."""
    known = dict.fromkeys(
        each.tenant for each in emulator.store.exchanges.latest(len(emulator.store.exchanges))
    )
    links = []
    for key in [None, *islice(known, KEYS)]:
        name = escape("all keys" if key is None else key or "(no key)")
        mark = ' aria-current="page"' if key == chosen else ""
        links.append(f'<a href="{escape("/" + _query(key))}"{mark}>{name}</a>')
    return " ".join(links)


def _pictures(emulator: Emulator, key: str | None) -> Iterator[str]:
    for request in reversed(emulator.store.requests.values()):
        if key in (None, request.tenant) and emulator.is_done(request):
            yield from (_picture(request, at) for at in range(len(request.files)))


def _picture(request: ModelRequest, at: int) -> str:
    file = request.files[at]
    text = escape(f"{request.endpoint} · seed {file.recipe.seed} · {file.recipe.prompt}"[:160])
    url = escape(f"/{RESULT_HOST}{file.path}")
    return f'<a href="{url}" title="{text}"><img src="{url}" alt="{text}" loading="lazy"></a>'


def _exchange(each: Exchange) -> str:
    kind = "bad" if each.status >= 400 else "good"
    cells = _cells(_moment(each.at), each.tenant, each.method, each.url[:200])
    asked = _half("Request", each.request_headers, each.request_body, each.uploaded_bytes)
    answered = _half("Response", each.response_headers, each.response_body, response_bytes(each))
    return (
        f'<details><summary>{cells}<span class="{kind}">{each.status}</span></summary>'
        f"<div class=halves>{asked}{answered}</div></details>\n"
    )


def _half(title: str, headers: RawHeaders, body: bytes, size: int) -> str:
    head = "\n".join(f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in headers)
    text = _readable(body) if body else f"({size} bytes, not kept)" if size else "(no body)"
    return f"<div><h3>{title}</h3><pre>{escape(head)}\n\n{escape(text)}</pre></div>"


def _readable(body: bytes) -> str:
    """A body for a person, JSON line by line; not more of it than fits on a screen or two."""
    text = body[: 4 * LETTERS].decode("utf-8", "replace")
    if len(body) <= LETTERS:
        try:
            text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # what is no JSON is shown as it is
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}… ({len(body)} bytes)"


def _delivery(each: Delivery) -> str:
    state = each.state.value
    kind = {"delivered": "good", "failed": "bad"}.get(state, "")
    tries = "\n".join(
        f"{_moment(attempt.at)}  {attempt.status or attempt.error}  {1000 * attempt.duration_s:.0f} ms"
        for attempt in each.attempts
    )
    cells = _cells(each.request_id, each.tenant, f"{len(each.attempts)} tried", each.url[:200])
    return (
        f'<details><summary>{cells}<span class="{kind}">{state}</span></summary>'
        f"<pre>{escape(tries) or 'not tried yet'}\n\n{escape(_readable(each.body))}</pre></details>\n"
    )


def _cells(*texts: str) -> str:
    return "".join(f"<span>{escape(text)}</span>" for text in texts)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


# Every two seconds, but not under the hands of somebody who reads.
_SCRIPT: Final = """
setInterval(() => {
  if (!document.querySelector("details[open]") && !getSelection().toString()) location.reload();
}, 2000);
"""
_POLICY: Final = (
    "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "
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
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; }}
.pictures img {{ width: 100%; aspect-ratio: 4/3; object-fit: contain; border-radius: .4rem; display: block; }}
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
.halves {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); gap: 1rem; }}
.halves > div {{ min-width: 0; }}
pre {{ background: #8881; padding: .6rem; border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere;
  max-height: 30rem; overflow-y: auto; margin: .3rem 0 .8rem; }}
.good {{ color: #2a9d4a; }}
.bad {{ color: #d64545; }}
</style>
</head>
<body>
<h1>mock-fal</h1>
<p>Version {version}. Hosts of fal are reached here as <code>/queue.fal.run/…</code>, <code>/fal.run/…</code>;
unmodified programs run under <code>mock-fal run -- CMD</code>.</p>
<nav>{keys}</nav>
<h2>Pictures</h2>
<div class="pictures">{pictures}</div>
<h2>Exchanges</h2>
<p>Moment (UTC), key, method, address, answer; open one to read it. All of them:
<a href="{har}">HTTP Archive</a>, for the developer tools of a browser.</p>
<div class="exchanges">{exchanges}</div>
<h2>Webhooks</h2>
<div class="deliveries">{deliveries}</div>
<script>{script}</script>
</body>
</html>
"""
