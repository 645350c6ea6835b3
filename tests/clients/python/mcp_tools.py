"""An MCP client: starts a server, calls its tools and prints their results as JSON.

python mcp_tools.py MODULE:FUNCTION CALL...: the server is FUNCTION of MODULE, in the same Python, and speaks the
Model Context Protocol on stdin and stdout. A CALL is JSON: [TOOL, ARGUMENTS]. In a string of the arguments,
"$N.KEY" stands for a field of the result of call N, counted from 0.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

VERSION = "2025-06-18"


class Server:
    """A running MCP server."""

    def __init__(self, program: str) -> None:
        module, _, function = program.partition(":")
        command = [sys.executable, "-c", f"from {module} import {function}; {function}()"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.count = 0
        client = {"name": "mock-fal-tests", "version": "1"}
        self.request("initialize", protocolVersion=VERSION, capabilities={}, clientInfo=client)
        self.send({"method": "notifications/initialized"})

    def send(self, message: dict[str, object]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def request(self, method: str, **params: object) -> Any:
        """Send a request and return the result of its response. Notifications of the server are skipped."""
        self.count += 1
        self.send({"id": self.count, "method": method, "params": params})
        assert self.process.stdout
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == self.count:
                return message["result"]
        raise SystemExit(f"the server ended without a response to {method}")

    def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """Call a tool. Returns its result: JSON if it is JSON, or a list if there are several."""
        result = self.request("tools/call", name=tool, arguments=arguments)
        texts = [part["text"] for part in result["content"]]
        if result.get("isError"):
            raise SystemExit(f"{tool}: {texts}")
        values = [decoded(text) for text in texts]
        return values[0] if len(values) == 1 else values


def decoded(text: str) -> Any:
    """The value of a text that is JSON, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def filled(value: Any, results: list[Any]) -> Any:
    """`value` with each "$N.KEY" replaced by that field."""
    if isinstance(value, dict):
        return {key: filled(item, results) for key, item in value.items()}
    if isinstance(value, str) and (match := re.fullmatch(r"\$(\d+)\.(\w+)", value)):
        return results[int(match[1])][match[2]]
    return value


def main(program: str, *calls: str) -> None:
    server = Server(program)
    results: list[Any] = [sorted(tool["name"] for tool in server.request("tools/list")["tools"])]
    for call in calls:
        tool, arguments = json.loads(call)
        results.append(server.call(tool, filled(arguments, results)))
    print(json.dumps(results))
    assert server.process.stdin
    server.process.stdin.close()
    server.process.wait(10)


main(*sys.argv[1:])
