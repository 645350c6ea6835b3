"""Access to the control API and the inspector: programs of this machine, and others with the control token."""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mock_fal.accounts.secrets import basic_credentials
from mock_fal.web.control.wire import error_response
from mock_fal.web.isolation import is_local_host, split

# A browser asks for it: any user, with the token as password. It sends it to this address and port only, unlike a
# cookie, and it is in no URL.
_CHALLENGE: Final = 'Basic realm="mock-fal control token", charset="UTF-8"'

# In every webhook that mock-fal sends.
_WEBHOOK_HEADER: Final = "x-fal-webhook-signature"


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """Rejects requests without permission.

    - From other machines: those without the token. The address is that of the connection, never that of a header.
      All connections to the TLS port count as such: other machines come there through the proxy.
    - From web pages: those of other sites, by Origin.
    - Through a public name in Host (DNS rebinding), if they have no token: no page knows it.
    - mock-fal's own webhooks: their addresses are chosen by whoever submits a request.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        status, reason = _rejection(request, token)
        if status:
            response = error_response(status, reason)
            if status == 401:
                response.headers["www-authenticate"] = _CHALLENGE
            await response(scope, receive, send)
            return
        await app(scope, receive, send)

    return guard


def _rejection(request: Request, token: str) -> tuple[int, str]:
    """The status and reason of a rejection; status 0 for a request with permission."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    has_token = presents_token(request, token)
    if not has_token and not is_this_machine(request):
        return 401, (
            "the control API needs the control token from other machines, as 'Authorization: Bearer TOKEN' or "
            "'X-Mock-Fal-Token: TOKEN'; the server prints it at its start, or set --control-token"
        )
    if (not has_token and not is_local_host(host)) or (origin is not None and split(origin).netloc != host):
        return 403, f"the control API accepts local requests only; Host is {host!r}, Origin is {origin!r}"
    if _WEBHOOK_HEADER in request.headers:
        return 403, "the control API accepts no webhooks"
    return 0, ""


def presents_token(request: Request, token: str) -> bool:
    """Whether a request has the control token. None has it if it is empty."""
    return token != "" and any(
        compare_digest(seen.encode("utf-8", "replace"), token.encode()) for seen in _tokens(request)
    )


def is_this_machine(request: Request) -> bool:
    """Whether the other end of the connection is this machine, by a loopback address. An unknown one is not.

    Nor is one at the TLS port: the proxy connects there for other machines too.
    """
    if request.client is None or request.scope["scheme"] == "https":
        return False
    try:
        address = ip_address(request.client.host.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _tokens(request: Request) -> list[str]:
    """The tokens that a request presents."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    tokens = [request.headers.get("x-mock-fal-token", "")]
    if scheme.lower() == "bearer":
        tokens.append(credentials.strip())
    elif scheme.lower() == "basic":
        tokens.append(basic_credentials(credentials).partition(":")[2])
    return tokens
