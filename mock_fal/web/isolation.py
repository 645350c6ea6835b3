"""Isolation from web pages: response headers on mock-fal's own address, and which origins and hosts are foreign.

For a browser, mock-fal's own address is one origin: the control API, the inspector and, by path, all hosts of fal.
Uploads, directives and recorded responses decide what the hosts of fal respond, and any web page may send the first
two. So on this address a browser takes their responses for pages without an origin (`sandbox`) and never guesses a
content type (`nosniff`). It shows only types that can't hold scripts, and saves all others as files.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from mock_fal.journal.exchanges import RawHeaders, pack_headers, unpack_headers

if TYPE_CHECKING:
    from starlette.types import Message, Send

# -- responses

_HEADS: Final = ("http.response.start", "websocket.http.response.start")

# deviation: by path and by proxy, responses of fal's hosts have these headers and set no cookies, and a browser saves
# most types as files. Through the gateway the headers are fal's.
_SANDBOX: Final = [(b"content-security-policy", b"sandbox"), (b"x-content-type-options", b"nosniff")]
_ATTACHMENT: Final = (b"content-disposition", b"attachment")

# Headers of a rule or of the live service that would weaken the two above, or that have an effect on all ports of this
# machine's name: a browser keeps cookies and other site data for a name, not for a port.
_REMOVED: Final = frozenset(
    (b"content-security-policy", b"x-content-type-options", b"set-cookie", b"clear-site-data")
)

# Types that a browser shows as pixels, sound or plain text. Not among them: SVG and all other XML, which may hold
# scripts; PDF, which may too, and which Chromium does not show in a sandbox anyway; and `multipart/x-mixed-replace`,
# whose parts have types of their own. The names are listed, since any name that ends in `+xml` is XML.
INLINE_TYPES: Final = frozenset(
    [f"image/{name}".encode() for name in ("png", "jpeg", "gif", "webp", "avif", "bmp", "apng", "x-icon")]
    + [f"video/{name}".encode() for name in ("mp4", "webm", "ogg", "quicktime")]
    + [f"audio/{name}".encode() for name in ("mpeg", "mp4", "wav", "x-wav", "ogg", "webm", "aac", "flac")]
    + [b"application/json", b"text/plain", b"text/event-stream"]
)

# Statuses without a body (RFC 9110, 6.4.1). A 304 without a type leaves that of the stored response as it is.
_BODILESS: Final = (204, 205, 304)

_CONTROL: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# The page has its own policy, which allows its script.
_CONTROL_POLICY: Final = (
    b"content-security-policy",
    b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
)


def sandboxed(send: Send) -> Send:
    """A send function for a host of fal on mock-fal's own address."""

    # Not a coroutine function: each message would take half a microsecond more.
    def send_sandboxed(message: Message) -> Awaitable[None]:
        if message["type"] in _HEADS:
            message["headers"] = sandboxed_headers(message["status"], message["headers"])
        return send(message)

    return send_sandboxed


def restricted(send: Send) -> Send:
    """A send function for the control API and the inspector."""

    async def send_restricted(message: Message) -> None:
        if message["type"] in _HEADS:
            headers = [*message["headers"], *_CONTROL]
            if not any(name == _CONTROL_POLICY[0] for name, _ in headers):
                headers.append(_CONTROL_POLICY)
            message = {**message, "headers": headers}
        await send(message)

    return send_restricted


def sandboxed_headers(status: int, headers: RawHeaders) -> RawHeaders:
    """The response headers of a host of fal on mock-fal's own address."""
    content_types: list[bytes] = []
    kept: RawHeaders = []
    for header in headers:
        name = header[0].lower()
        if name == b"content-type":
            content_types.append(header[1])
        if name not in _REMOVED:
            kept.append(header)
    kept += _SANDBOX
    inline = len(content_types) == 1 and is_inline(content_types[0])
    if not inline and (content_types or status not in _BODILESS):
        kept = [header for header in kept if header[0].lower() != b"content-disposition"]
        kept.append(_ATTACHMENT)
    return kept


def sandboxed_head(status: int, head: bytes, is_plain: bool) -> bytes:
    """The same for headers in the form of `pack_headers`. Of a plain one, as in `Reply`, nothing has to be removed."""
    if is_plain:
        return head + _SANDBOX_LINES
    return (_sandboxed_head if len(head) <= _MAX_CACHED_BYTES else _sandboxed_head.__wrapped__)(status, head)


# Others are of files, which are read again and again. Longer heads are not cached; so the cache is bounded.
_MAX_CACHED_BYTES: Final = 1024


@lru_cache(maxsize=256)
def _sandboxed_head(status: int, head: bytes) -> bytes:
    return pack_headers(sandboxed_headers(status, unpack_headers(head)))


_SANDBOX_LINES: Final = b"\r\n" + pack_headers(_SANDBOX)

# Longer types are not shown; so the cache is bounded.
_MAX_TYPE_BYTES: Final = 256


def is_inline(content_type: bytes) -> bool:
    """Whether a browser may show a type that somebody else chose."""
    return len(content_type) <= _MAX_TYPE_BYTES and _is_inline(content_type)


@lru_cache(maxsize=256)
def _is_inline(content_type: bytes) -> bool:
    """Whether a browser may show a type. It would read the last one of a list, so a list is not shown."""
    return b"," not in content_type and content_type.partition(b";")[0].strip().lower() in INLINE_TYPES


# -- requests


def is_local_host(host: str) -> bool:
    """Whether a Host cannot be a public name: it is an IP address, has no dots, or ends in .localhost or .internal."""
    name = split(f"//{host}").hostname or ""
    try:
        ip_address(name)
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".internal"))
    return True


def foreign_origin(origin: bytes | None, host: bytes) -> str:
    """The Origin of a request if a page of another machine sent it; else an empty string. `host` is its Host.

    Programs send no Origin; browsers add it to every request that is not a plain GET, and no page can change it. These
    origins are not foreign:

    - mock-fal's own address: the Origin names the same host and port as the Host, and that can't be a public name;
    - an origin on this machine, on any port, such as the development server of an app, `http://localhost:3000`. A
      program of this machine serves that page, and it could do all that mock-fal does without a browser.

    All others are foreign, also `null`, which every site can have with a sandboxed frame, and other machines of a
    private network. A name that resolves to this machine is foreign too, because the owner of a name sets where it
    resolves to (DNS rebinding).
    """
    if origin is None:
        return ""
    text, own = origin.decode("latin-1"), host.decode("latin-1").lower()
    parts = split(text)
    is_own = own != "" and parts.netloc == own and is_local_host(own)
    return "" if is_own or _is_this_machine(parts.hostname or "") else text or "null"


def _is_this_machine(name: str) -> bool:
    """Whether a host of a URL is this machine. A page at an unspecified address (0.0.0.0) comes from here too."""
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def split(address: str) -> SplitResult:
    """The parts of a URL. An invalid one gets a host that is never local."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("//invalid.url")
