"""Realtime and WebSockets with the official clients, unmodified."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import fal_client
import httpx
import msgpack  # type: ignore[import-untyped]  # it brings no types
import pytest
from fal_client.client import RealtimeError
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

from mock_fal import Account
from tests.clients.programs import Node, mock_fal_run

LCM = "fal-ai/fast-lcm-diffusion"
CAT = {"prompt": "a cat", "seed": 7, "image_size": {"width": 64, "height": 48}}


def token(*apps: str) -> str:
    body = {"allowed_apps": apps, "token_expiration": 120}
    headers = {"authorization": f"Key {os.environ['FAL_KEY']}"}
    issued: str = httpx.post("https://rest.fal.ai/tokens/", json=body, headers=headers).json()
    return issued


# -- Python


@pytest.mark.parametrize("use_jwt", [True, False])
def test_python_gets_results_in_order(mock_fal: Account, use_jwt: bool) -> None:
    with fal_client.realtime(LCM, use_jwt=use_jwt, max_buffering=5) as connection:
        for seed in (1, 2):
            connection.send({**CAT, "seed": seed})
            result = connection.recv()
            assert result is not None and result["seed"] == seed
            assert result["images"][0]["content"].startswith(b"\xff\xd8")
    inputs = [exchange for exchange in mock_fal.requests if exchange.method == "WS"]
    assert [exchange.json["seed"] for exchange in inputs] == [1, 2]
    assert len(mock_fal.requests) == 2 + use_jwt


def test_pythons_async_client_gets_results(mock_fal: Account) -> None:
    async def session() -> Any:
        async with fal_client.realtime_async(LCM) as connection:
            await connection.send(CAT)
            return await connection.recv()

    assert asyncio.run(session())["seed"] == 7


def test_python_raises_for_an_input_that_fails(mock_fal: Account) -> None:
    with fal_client.realtime(LCM) as connection:
        connection.send({})
        with pytest.raises(RealtimeError, match="INTERNAL_ERROR: 1 validation error\nprompt\n") as failure:
            connection.recv()
        assert failure.value.error == "INTERNAL_ERROR"
        assert connection.recv() is None


def test_pythons_raw_websocket(mock_fal: Account) -> None:
    with fal_client.ws_connect(LCM, path="realtime") as socket:
        socket.send(msgpack.packb(CAT))
        frame = socket.recv()
        assert isinstance(frame, bytes) and msgpack.unpackb(frame)["seed"] == 7
        assert json.loads(socket.recv())["action"] == "timings"


def test_pythons_async_raw_websocket_is_rejected_at_other_paths(mock_fal: Account) -> None:
    async def session() -> None:
        async with fal_client.ws_connect_async("fal-ai/flux/schnell", path="realtime"):
            raise AssertionError("it connected")

    with pytest.raises(InvalidStatus) as refusal:
        asyncio.run(session())
    assert refusal.value.response.status_code == 404


def test_a_token_for_another_app_is_forbidden(mock_fal: Account) -> None:
    url = f"wss://fal.run/{LCM}/realtime?fal_jwt_token={token('flux')}"
    with connect(url) as socket, pytest.raises(ConnectionClosed, match="Forbidden"):
        socket.recv()


def test_http_over_websocket_responds_in_frames(mock_fal: Account) -> None:
    headers = {"Authorization": f"Key {os.environ['FAL_KEY']}"}
    with connect("wss://ws.fal.run/fal-ai/flux/schnell", additional_headers=headers) as socket:
        for seed in (1, 2):
            socket.send(json.dumps({**CAT, "seed": seed}))
            start, body, end = (socket.recv() for _ in range(3))
            assert (json.loads(start)["type"], json.loads(end)["type"]) == ("start", "end")
            assert json.loads(body)["seed"] == seed
    assert [exchange.json["seed"] for exchange in mock_fal.requests] == [1, 2]


def test_pythons_synchronous_handshake_never_hangs(tmp_path: Path) -> None:
    """With TLS 1.3 session tickets every second handshake hangs; these twenty use the gateway."""
    program = tmp_path / "often.py"
    program.write_text(
        f"""
import fal_client
for seed in range(20):
    with fal_client.realtime({LCM!r}) as connection:
        connection.send({{**{CAT!r}, "seed": seed}})
        assert connection.recv()["seed"] == seed
print("all")
"""
    )
    done = mock_fal_run([sys.executable, str(program)])
    assert (done.returncode, done.stdout) == (0, "all\n"), done.stderr


@pytest.mark.parametrize("kind", ["reset", "reset_after_headers"])
def test_python_raises_for_a_socket_that_breaks(mock_fal: Account, kind: str) -> None:
    mock_fal.scenario.add(f"connection={kind} operation=realtime nth=2")
    with fal_client.realtime(LCM) as connection:
        connection.send(CAT)
        assert connection.recv() is not None
        connection.send(CAT)
        with pytest.raises(RealtimeError, match="CONNECTION_CLOSED: no close frame received or sent"):
            connection.recv()
    assert mock_fal.requests[-1].status == (0 if kind == "reset" else 200)


def test_python_raises_for_a_handshake_that_is_reset(mock_fal: Account) -> None:
    mock_fal.scenario.add("connection=reset operation=handshake times=1")
    with pytest.raises((OSError, InvalidMessage)), fal_client.realtime(LCM):
        raise AssertionError("it connected")
    with fal_client.realtime(LCM) as connection:
        connection.send(CAT)
        assert connection.recv() is not None


def test_python_gets_a_result_that_is_throttled(mock_fal: Account) -> None:
    mock_fal.scenario.add("throttle=4000 operation=realtime")
    with fal_client.realtime(LCM) as connection:
        connection.send(CAT)
        result = connection.recv()
        assert result is not None and result["images"][0]["content"].startswith(b"\xff\xd8")


def test_python_gets_the_error_of_a_token_that_has_expired(mock_fal: Account) -> None:
    mock_fal.scenario.add("token=expired times=1")
    with fal_client.realtime(LCM) as connection:
        assert connection.recv() == {
            "status": "error",
            "error": "Unauthorized",
        }  # fal_client 1.0.3 returns it
        with pytest.raises(RealtimeError, match="1008.*Unauthorized"):
            connection.recv()
    assert [exchange.status for exchange in mock_fal.requests] == [200, 401]
    with fal_client.realtime(LCM) as connection:
        connection.send(CAT)
        assert connection.recv() is not None


# -- JavaScript


def test_javascript_hears_of_a_socket_that_breaks(node: Node, mock_fal: Account) -> None:
    mock_fal.scenario.add("connection=reset operation=realtime times=1")
    output = node("realtime.mjs", "again")
    assert output["errors"][-1]["status"] == 1006  # no close frame
    assert [result["seed"] for result in output["results"]] == [1]


def test_javascript_gets_a_new_token_when_it_has_expired(node: Node, mock_fal: Account) -> None:
    mock_fal.scenario.add("token=expired times=1")
    output = node("realtime.mjs", "again")
    assert output["errors"] == [
        {"message": "Error closing the connection: Unauthorized", "status": 1008, "body": None}
    ]
    assert [result["seed"] for result in output["results"]] == [1]


def test_javascript_gets_results_in_order(node: Node, mock_fal: Account) -> None:
    output = node("realtime.mjs", "results")
    assert output["error"] is None
    assert [result["seed"] for result in output["results"]] == [1, 2]
    assert output["results"][0]["request_id"] == "first"
    image = {"content_type": "image/jpeg", "height": 1024, "width": 1024, "isBytes": True, "head": [255, 216]}
    assert [result["images"] for result in output["results"]] == [[image], [image]]
    assert [exchange.method for exchange in mock_fal.requests] == ["POST", "WS", "WS"]


def test_javascript_gets_the_reason_of_a_failed_input(node: Node, mock_fal: Account) -> None:
    error = node("realtime.mjs", "invalid")["error"]
    assert error["message"].startswith("INTERNAL_ERROR: 1 validation error\nprompt\n")
    assert error["body"]["type"] == "x-fal-error"


def test_javascript_gets_the_error_of_a_token_for_another_app(node: Node, mock_fal: Account) -> None:
    error = node("realtime.mjs", "wrongToken")["error"]
    assert error == {"message": "Error closing the connection: Forbidden", "status": 1008, "body": None}


def test_javascript_may_provide_a_token(newest_node: Node, mock_fal: Account) -> None:
    assert len(newest_node("realtime.mjs", "provided")["results"]) == 1
    assert mock_fal.requests[0].path == "/tokens/realtime"
    assert "max_buffering=2" in mock_fal.requests[1].query
