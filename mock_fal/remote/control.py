"""A client of the control API of a server in another process on this machine."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from mock_fal.errors import MockFalError

# How long the server may take. It answers at once, but a debugger may have stopped it.
_PATIENCE_S: Final = 60.0


class Refused(Exception):
    """The server's answer to a request that it cannot process: the status, and the message for the user."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Control:
    """The control API at a URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        # This machine is reached without the proxy of the environment, which may be the server's own.
        self._opener = build_opener(ProxyHandler({}))

    def get(self, path: str, **query: object) -> Any:
        """The JSON document at `/_mock/{path}`. Raises Refused, or MockFalError for a server that has gone."""
        return self.send("GET", path, **query)

    def send(self, method: str, path: str, body: Any = None, **query: object) -> Any:
        """Send a request with a JSON body; the JSON of the answer, or None. Raises Refused and MockFalError."""
        parameters = urlencode({name: value for name, value in query.items() if value is not None})
        url = f"{self.url}/_mock/{path}{'?' if parameters else ''}{parameters}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data, {"content-type": "application/json"}, method=method)
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as response:
                text = response.read()
            return json.loads(text) if text else None
        except HTTPError as error:
            with error:
                raise Refused(error.code, _detail(error.read())) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise MockFalError(f"the mock-fal at {self.url} does not answer ({reason})") from None


def _detail(body: bytes) -> str:
    """The message of an error, without the prefix that says whose it is."""
    try:
        return str(json.loads(body)["detail"]).removeprefix("mock-fal: ")
    except (ValueError, TypeError, KeyError):
        return body.decode("utf-8", "replace")
