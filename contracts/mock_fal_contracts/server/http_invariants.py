"""Laws that cost nothing to try: who may ask what, and what is said of what does not exist."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server import invariants as invariants
from mock_fal_contracts.server.budget import ENDPOINT
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.request_tracker import QUEUE

_APP = "/".join(ENDPOINT.split("/")[:2])
_NOBODY = f"/{_APP}/requests/00000000-0000-7000-8000-000000000000"


def unknown_requests(context: Context) -> None:
    """An id that nobody has."""
    table: list[tuple[str, str, Any]] = [
        ("GET", "/status", {"status": "NOT_FOUND"}),
        ("GET", "", {"detail": "Request not found"}),
        ("PUT", "/cancel", {"status": "NOT_FOUND"}),
    ]
    with context.http_client() as client:
        for method, tail, body in table:
            answer = client.ask(method, QUEUE, _NOBODY + tail)
            what = f"the answer to {method} …{tail or '/{request_id}'} of an unknown request"
            context.findings.same(
                invariants.UNKNOWN, (answer.status, answer.output), (404, body), what, answer
            )


def unknown_app(context: Context) -> None:
    """An app that nobody has."""
    with context.http_client() as client:
        for host in (QUEUE, "fal.run"):
            answer = client.ask("POST", host, "/fal-ai/no-such-app", json={"prompt": "a"})
            expected = (404, {"detail": 'Application "no-such-app" not found'})
            context.findings.same(
                invariants.UNKNOWN_APP, (answer.status, answer.output), expected, "the answer", answer
            )


def wrong_methods(context: Context) -> None:
    """Methods that an address does not have."""
    table = [
        ("GET", QUEUE, f"/{ENDPOINT}", "POST"),
        ("GET", QUEUE, f"/{ENDPOINT}/requests/{_NOBODY[-36:]}/status", "POST"),
        ("POST", QUEUE, f"{_NOBODY}/status", "GET"),
        ("POST", QUEUE, f"{_NOBODY}/cancel", "PUT"),
        ("GET", "fal.run", f"/{ENDPOINT}", "POST"),
    ]
    with context.http_client() as client:
        for method, host, path, allowed in table:
            answer = client.ask(method, host, path)
            listed = [each.strip() for each in (answer.response_header("allow") or "").split(",")]
            context.findings.expect(
                invariants.METHODS,
                answer.status == 405 and allowed in listed,
                f"{method} https://{host}{path}: {answer.status} with Allow: {answer.response_header('allow')!r}, "
                f"expected 405 with Allow: {allowed}",
                answer,
            )


def without_key(context: Context) -> None:
    """Questions that need a key, without one."""
    denied = f'Cannot access application "{_APP}". Authentication is required to access this application.'
    table = [
        ("POST", QUEUE, f"/{ENDPOINT}", {"detail": denied}),
        ("POST", "fal.run", f"/{ENDPOINT}", {"detail": denied}),
        ("POST", "rest.fal.ai", "/tokens/", {"detail": "Authorization header is required"}),
        (
            "POST",
            "rest.fal.ai",
            "/storage/upload/initiate",
            {"detail": "Authorization header is required"},
        ),
    ]
    with context.http_client() as client:
        for method, host, path, body in table:
            answer = client.ask(method, host, path, json={"prompt": "a"}, key=False)
            what = f"the answer to {method} https://{host}{path} without a key"
            context.findings.same(
                invariants.NO_KEY, (answer.status, answer.output), (401, body), what, answer
            )


def token(context: Context) -> None:
    """A token for a browser."""
    with context.http_client() as client:
        answer = client.ask(
            "POST", "rest.fal.ai", "/tokens/", json={"allowed_apps": ["flux"], "token_expiration": 60}
        )
        context.findings.expect(
            invariants.TOKEN,
            answer.status == 200 and isinstance(answer.output, str) and bool(answer.output),
            f"{answer.status} {answer.response_body[:200]!r}, expected 200 with a JSON string",
            answer,
        )


def public_keys(context: Context) -> None:
    """The keys that webhooks are signed with."""
    with context.http_client() as client:
        answer = client.ask("GET", "rest.fal.ai", "/.well-known/jwks.json", key=False)
        found = keys_in(answer)
        context.findings.expect(
            invariants.KEYS,
            answer.status == 200 and bool(found),
            f"{answer.status} with {len(found)} usable keys, expected 200 with one or more",
            answer,
        )


def keys_in(answer: Exchange) -> list[bytes]:
    """The Ed25519 keys of a JWKS, 32 bytes each."""
    document = answer.output
    listed = document.get("keys") if isinstance(document, dict) else None
    found = []
    for key in listed if isinstance(listed, list) else []:
        if isinstance(key, dict) and (key.get("kty"), key.get("crv")) == ("OKP", "Ed25519"):
            text = str(key.get("x")).rstrip("=")
            try:
                found.append(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            except ValueError:
                continue
    return [each for each in found if len(each) == 32]


def platform(context: Context) -> None:
    """What the Platform API says of the endpoint, and its document."""
    its = context.findings
    with context.http_client() as client:
        path = "/v1/models/pricing"
        priced = client.ask("GET", "api.fal.ai", path, query={"endpoint_id": ENDPOINT})
        its.expect(
            invariants.PRICES,
            priced.status == 200 and unit_price(priced) is not None,
            f"{priced.status} without a unit_price of {ENDPOINT}",
            priced,
        )
        anonymous = client.ask("GET", "api.fal.ai", path, query={"endpoint_id": ENDPOINT}, key=False)
        its.same(invariants.PRICES, anonymous.status, 401, "the status without a key", anonymous)
        listed = client.ask("GET", "api.fal.ai", "/v1/models", query={"endpoint_id": ENDPOINT})
        models = listed.output.get("models") if isinstance(listed.output, dict) else None
        names = [
            each.get("endpoint_id") for each in models if isinstance(each, dict)
        ] if isinstance(models, list) else []  # fmt: skip
        its.same(invariants.MODELS, (listed.status, names), (200, [ENDPOINT]), "status and models", listed)
        document = client.ask(
            "GET",
            "fal.ai",
            "/api/openapi/queue/openapi.json",
            query={"endpoint_id": ENDPOINT},
            key=False,
        )
        paths = document.output.get("paths") if isinstance(document.output, dict) else None
        its.expect(
            invariants.MODELS,
            document.status == 200 and isinstance(paths, dict) and f"/{ENDPOINT}" in paths,
            f"{document.status} with the paths {sorted(paths or {})}, expected 200 with /{ENDPOINT}",
            document,
        )


def unit_price(answer: Exchange) -> float | None:
    """The price of a unit of the endpoint, in an answer of models/pricing."""
    prices = answer.output.get("prices") if isinstance(answer.output, dict) else None
    for each in prices if isinstance(prices, list) else []:
        if isinstance(each, dict) and each.get("endpoint_id") == ENDPOINT:
            price = each.get("unit_price")
            if isinstance(price, (int, float)) and price >= 0:
                return float(price)
    return None
