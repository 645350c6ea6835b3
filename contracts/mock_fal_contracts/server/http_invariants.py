"""Checks that cost nothing: authentication, unknown requests and apps, methods, tokens, keys and the Platform API."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server import invariants
from mock_fal_contracts.server.budget import ENDPOINT
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.request_tracker import QUEUE

_APP = "/".join(ENDPOINT.split("/")[:2])
_UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"
_UNKNOWN_REQUEST = f"/{_APP}/requests/{_UNKNOWN_ID}"


def unknown_requests(context: Context) -> None:
    """Status, result and cancellation of an unknown request id."""
    table: list[tuple[str, str, Any]] = [
        ("GET", "/status", {"status": "NOT_FOUND"}),
        ("GET", "", {"detail": "Request not found"}),
        ("PUT", "/cancel", {"status": "NOT_FOUND"}),
    ]
    with context.http_client() as client:
        for method, suffix, body in table:
            response = client.send(method, QUEUE, _UNKNOWN_REQUEST + suffix)
            context.findings.expect_equal(
                invariants.UNKNOWN,
                (response.status, response.output),
                (404, body),
                f"the response to {method} …{suffix or '/{request_id}'} of an unknown request",
                response,
            )


def unknown_app(context: Context) -> None:
    """A submission and a direct run of an unknown app."""
    with context.http_client() as client:
        for host in (QUEUE, "fal.run"):
            response = client.send("POST", host, "/fal-ai/no-such-app", json={"prompt": "a"})
            context.findings.expect_equal(
                invariants.UNKNOWN_APP,
                (response.status, response.output),
                (404, {"detail": 'Application "no-such-app" not found'}),
                "the response",
                response,
            )


def wrong_methods(context: Context) -> None:
    """Methods that a path does not support."""
    table = [
        ("GET", QUEUE, f"/{ENDPOINT}", "POST"),
        ("GET", QUEUE, f"/{ENDPOINT}/requests/{_UNKNOWN_ID}/status", "POST"),
        ("POST", QUEUE, f"{_UNKNOWN_REQUEST}/status", "GET"),
        ("POST", QUEUE, f"{_UNKNOWN_REQUEST}/cancel", "PUT"),
        ("GET", "fal.run", f"/{ENDPOINT}", "POST"),
    ]
    with context.http_client() as client:
        for method, host, path, allowed in table:
            response = client.send(method, host, path)
            header = response.response_header("allow")
            methods = [name.strip() for name in (header or "").split(",")]
            context.findings.expect(
                invariants.METHODS,
                response.status == 405 and allowed in methods,
                f"{method} https://{host}{path}: {response.status} with Allow: {header!r}, "
                f"expected 405 with Allow: {allowed}",
                response,
            )


def without_key(context: Context) -> None:
    """Requests that need a key, sent without one."""
    denied = f'Cannot access application "{_APP}". Authentication is required to access this application.'
    required = "Authorization header is required"
    table = [
        (QUEUE, f"/{ENDPOINT}", denied),
        ("fal.run", f"/{ENDPOINT}", denied),
        ("rest.fal.ai", "/tokens/", required),
        ("rest.fal.ai", "/storage/upload/initiate", required),
    ]
    with context.http_client() as client:
        for host, path, detail in table:
            response = client.send("POST", host, path, json={"prompt": "a"}, key=False)
            context.findings.expect_equal(
                invariants.NO_KEY,
                (response.status, response.output),
                (401, {"detail": detail}),
                f"the response to POST https://{host}{path} without a key",
                response,
            )


def token(context: Context) -> None:
    """A token for a browser."""
    with context.http_client() as client:
        document = {"allowed_apps": ["flux"], "token_expiration": 60}
        response = client.send("POST", "rest.fal.ai", "/tokens/", json=document)
        context.findings.expect(
            invariants.TOKEN,
            response.status == 200 and isinstance(response.output, str) and bool(response.output),
            f"{response.status} {response.response_body[:200]!r}, expected 200 with a JSON string",
            response,
        )


def public_keys(context: Context) -> None:
    """The public keys for webhook signatures."""
    with context.http_client() as client:
        response = client.send("GET", "rest.fal.ai", "/.well-known/jwks.json", key=False)
        keys = keys_in(response)
        context.findings.expect(
            invariants.KEYS,
            response.status == 200 and bool(keys),
            f"{response.status} with {len(keys)} usable keys, expected 200 with at least one",
            response,
        )


def keys_in(response: Exchange) -> list[bytes]:
    """The Ed25519 keys of a JWKS, 32 bytes each."""
    document = response.output
    items = document.get("keys") if isinstance(document, dict) else None
    keys = []
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and (item.get("kty"), item.get("crv")) == ("OKP", "Ed25519"):
            text = str(item.get("x")).rstrip("=")
            try:
                keys.append(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            except ValueError:
                continue
    return [key for key in keys if len(key) == 32]


def platform(context: Context) -> None:
    """The endpoint's price, its entry in the list of models, and its OpenAPI document."""
    findings = context.findings
    query = {"endpoint_id": ENDPOINT}
    with context.http_client() as client:
        path = "/v1/models/pricing"
        pricing = client.send("GET", "api.fal.ai", path, query=query)
        findings.expect(
            invariants.PRICES,
            pricing.status == 200 and unit_price(pricing) is not None,
            f"{pricing.status} without a unit_price of {ENDPOINT}",
            pricing,
        )
        anonymous = client.send("GET", "api.fal.ai", path, query=query, key=False)
        findings.expect_equal(invariants.PRICES, anonymous.status, 401, "the status without a key", anonymous)
        models = client.send("GET", "api.fal.ai", "/v1/models", query=query)
        findings.expect_equal(
            invariants.MODELS,
            (models.status, _model_names(models)),
            (200, [ENDPOINT]),
            "status and models",
            models,
        )
        document = client.send("GET", "fal.ai", "/api/openapi/queue/openapi.json", query=query, key=False)
        paths = document.output.get("paths") if isinstance(document.output, dict) else None
        findings.expect(
            invariants.MODELS,
            document.status == 200 and isinstance(paths, dict) and f"/{ENDPOINT}" in paths,
            f"{document.status} with the paths {sorted(paths or {})}, expected 200 with /{ENDPOINT}",
            document,
        )


def _model_names(response: Exchange) -> list[Any]:
    models = response.output.get("models") if isinstance(response.output, dict) else None
    items = models if isinstance(models, list) else []
    return [model.get("endpoint_id") for model in items if isinstance(model, dict)]


def unit_price(response: Exchange) -> float | None:
    """The price of a unit of the endpoint, in a response of models/pricing."""
    prices = response.output.get("prices") if isinstance(response.output, dict) else None
    for item in prices if isinstance(prices, list) else []:
        if isinstance(item, dict) and item.get("endpoint_id") == ENDPOINT:
            price = item.get("unit_price")
            if isinstance(price, (int, float)) and price >= 0:
                return float(price)
    return None
