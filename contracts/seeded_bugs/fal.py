"""A correct client of fal with the standard library only; the seeded bugs and correct.py are built on it."""

import json
import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

QUEUE, RUN = "https://queue.fal.run", "https://fal.run"
SCHNELL = "fal-ai/flux/schnell"
AUTHORIZATION = "Key " + os.environ["FAL_KEY"]


def send(method, url, body=None, headers=None, timeout=10, key=AUTHORIZATION):
    """Send a request; a body that is not bytes is sent as JSON.

    Returns the status, the headers, and the body as JSON, or as bytes where it is not JSON.
    """
    headers = dict(headers or {})
    if key:
        headers["Authorization"] = key
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.headers, parse(response.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, parse(error.read())


def parse(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def call(url, document, headers=None, key=AUTHORIZATION):
    """Call a model; after a 429 wait as long as Retry-After says. Raises SystemExit for an error."""
    for _ in range(5):
        status, response_headers, body = send("POST", url, document, headers, key=key)
        if status != 429:
            break
        time.sleep(float(response_headers.get("Retry-After", 1)))
    if status != 200:
        raise SystemExit(f"rejected: {status} {body}")
    return body


def submit(document, endpoint=SCHNELL, query="", headers=None):
    """Submit to the queue; the response has the URLs of the request."""
    return call(f"{QUEUE}/{endpoint}{query}", document, headers)


def wait(request, timeout_s=8):
    """Poll until the request is completed. After the timeout, cancel it and raise SystemExit."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            status, _, body = send("GET", request["status_url"], timeout=1)
        except OSError:
            deadline -= 4  # a lost connection: one more attempt fits into the timeout
            continue
        if status == 200:
            return
        if status != 202:
            raise SystemExit(f"no status: {status} {body}")
        time.sleep(0.1)
    send("PUT", request["cancel_url"])
    raise SystemExit("timed out; cancelled")


def result(request):
    """The result of a completed request. Raises SystemExit for an error."""
    status, _, body = send("GET", request["response_url"])
    if status != 200:
        raise SystemExit(f"failed: {status} {body}")
    return body


def generate(document, endpoint=SCHNELL, query="", headers=None):
    """Submit an input, wait, and return the result."""
    request = submit(document, endpoint, query, headers)
    wait(request)
    return result(request)


def receiver(respond):
    """A webhook receiver on this machine; `respond` takes headers and body and returns a status.

    Returns its URL, and a function that receives a number of webhooks: the first within 5 s, each other within 0.7 s.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            status = respond(self.headers, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)

    def receive(count):
        for number in range(count):
            server.timeout = 0.7 if number else 5
            server.handle_request()

    return f"http://127.0.0.1:{server.server_port}/hook", receive
