"""The page at our own address: what was asked and answered, and the pictures, for a person to look at."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Final

from starlette.responses import HTMLResponse, Response

import mock_fal
from mock_fal.emulator import Emulator
from mock_fal.hosts import RESULT_HOST
from mock_fal.journal import Exchange
from mock_fal.line import Entry

# How much of the past the page shows.
EXCHANGES: Final = 100
PICTURES: Final = 12


def page(emulator: Emulator) -> Response:
    """The whole page; it fetches nothing but the pictures and loads itself anew every two seconds."""
    newest = emulator.store.exchanges.latest(EXCHANGES)
    entries = [entry for entry in reversed(emulator.store.entries.values()) if emulator.is_done(entry)]
    pictures = [_picture(entry, at) for entry in entries for at in range(len(entry.files))]
    text = _PAGE.format(
        version=mock_fal.__version__,
        pictures="".join(pictures[:PICTURES]) or "<p>No pictures yet.</p>",
        rows="".join(map(_row, newest)) or "<tr><td colspan=5>Nothing was asked yet.</td></tr>",
    )
    return HTMLResponse(text.encode("utf-8", "replace"))  # a prompt may hold half a surrogate pair


def _picture(entry: Entry, at: int) -> str:
    file = entry.files[at]
    text = escape(f"{entry.endpoint} · seed {file.recipe.seed} · {file.recipe.prompt}"[:160])
    url = escape(f"/{RESULT_HOST}{file.path}")
    return f'<a href="{url}" title="{text}"><img src="{url}" alt="{text}" loading="lazy"></a>'


def _row(each: Exchange) -> str:
    moment = datetime.fromtimestamp(each.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    kind = "bad" if each.status >= 400 else "good"
    cells = (moment, each.tenant, each.method, each.url[:200])
    row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr>{row}<td class="{kind}">{each.status}</td></tr>'


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="2">
<title>mock-fal</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }}
body {{ margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
h1 {{ margin-bottom: 0; }}
h2 {{ margin-top: 2rem; }}
code {{ background: #8882; padding: .1em .3em; border-radius: .2em; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; }}
.pictures img {{ width: 100%; aspect-ratio: 4/3; object-fit: contain; border-radius: .4rem; display: block; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font: 13px/1.5 ui-monospace, monospace; }}
td, th {{ text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #8884; white-space: nowrap; }}
.good {{ color: #2a9d4a; }}
.bad {{ color: #d64545; }}
</style>
</head>
<body>
<h1>mock-fal</h1>
<p>Version {version}. Hosts of fal are reached here as <code>/queue.fal.run/…</code>, <code>/fal.run/…</code>;
unmodified programs run under <code>mock-fal run -- CMD</code>.</p>
<h2>Pictures</h2>
<div class="pictures">{pictures}</div>
<h2>Exchanges</h2>
<div class="table"><table>
<tr><th>moment (UTC)</th><th>key</th><th>method</th><th>address</th><th>answer</th></tr>
{rows}
</table></div>
</body>
</html>
"""
