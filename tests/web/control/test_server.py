"""Who uses the server, and what its gateway did with connections."""

from __future__ import annotations

from mock_fal.gateway.connect import Event
from tests.web.conftest import DEV, OURS, SCHNELL, Fal


def test_keys_and_endpoints_are_listed_by_their_calls(fal: Fal) -> None:
    fal.submit().status()
    fal.submit(key="bob:secret")
    fal.submit(key="bob:secret", endpoint=DEV)
    fal.request("PUT", f"{OURS}/_mock/scenario?key=eve", body=b'["queue=1", "run=1"]')
    fal.request("GET", "https://queue.fal.run/x/y/requests/z", key="dave:secret")
    assert fal.request("GET", f"{OURS}/_mock/keys", key=None).json() == {
        "keys": [
            {"key": "bob", "calls": 2, "exchanges": 2, "rules": 0},
            {"key": "alice", "calls": 1, "exchanges": 2, "rules": 0},
            {"key": "dave", "calls": 0, "exchanges": 1, "rules": 0},
            {"key": "eve", "calls": 0, "exchanges": 0, "rules": 2},
        ],
        "endpoints": [{"endpoint": SCHNELL, "calls": 2}, {"endpoint": DEV, "calls": 1}],
    }


def test_connections_are_counted_the_latest_first(fal: Fal) -> None:
    blocked = Event("blocked", "wma.fal.run", 443, "mock-fal does not emulate it", "Allow it.")
    fal.app.connections = [
        Event("fal", "fal.run", 443),
        blocked,
        Event("forwarded", "pypi.org", 443),
        blocked,
    ]
    listed = fal.request("GET", f"{OURS}/_mock/connections", key=None).json()["connections"]
    assert [(item["decision"], item["host"], item["count"]) for item in listed] == [
        ("blocked", "wma.fal.run", 2),
        ("forwarded", "pypi.org", 1),
        ("fal", "fal.run", 1),
    ]
    assert (listed[0]["reason"], listed[1]["reason"]) == ("mock-fal does not emulate it", None)
