"""What the mutants share with their good twin: a careful client of fal, with the standard library only."""

import json
import os
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

QUEUE, RUN = "https://queue.fal.run", "https://fal.run"
SCHNELL = "fal-ai/flux/schnell"
AUTHORIZATION = "Key " + os.environ["FAL_KEY"]


def ask(method, url, body=None, headers=None, timeout=10, key=AUTHORIZATION):
    """The status, the headers and the body as JSON, or as bytes where it is none. A body is sent as JSON, too."""
    headers = dict(headers or {})
    if key:
        headers["Authorization"] = key
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    question = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(question, timeout=timeout) as answer:
            return answer.status, answer.headers, read(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, read(error.read())


def read(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def call(url, document, headers=None, key=AUTHORIZATION):
    """Call a model; who is refused for the moment comes back when he is told to. Raises SystemExit for an error."""
    for _ in range(5):
        status, said, answer = ask("POST", url, document, headers, key=key)
        if status != 429:
            break
        time.sleep(float(said.get("Retry-After", 1)))
    if status != 200:
        raise SystemExit(f"refused: {status} {answer}")
    return answer


def submit(document, endpoint=SCHNELL, query="", headers=None):
    """Submit to the queue; the answer has the addresses to go on with."""
    return call(f"{QUEUE}/{endpoint}{query}", document, headers)


def wait(request, deadline_s=20):
    """Look until the request is over. Cancels it and raises SystemExit when that takes too long."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        try:
            status, _, answer = ask("GET", request["status_url"], timeout=1)
        except OSError:
            until -= 10  # lost: a second try, and then it is enough
            continue
        if status == 200:
            return
        if status != 202:
            raise SystemExit(f"no status: {status} {answer}")
        time.sleep(0.1)
    ask("PUT", request["cancel_url"])
    raise SystemExit("it took too long; cancelled")


def result(request):
    """The result of a request that is over. Raises SystemExit for an error."""
    status, _, answer = ask("GET", request["response_url"])
    if status != 200:
        raise SystemExit(f"failed: {status} {answer}")
    return answer


def generate(document, endpoint=SCHNELL, query="", headers=None):
    """From the input to the result."""
    request = submit(document, endpoint, query, headers)
    wait(request)
    return result(request)


def receiver(answer):
    """Listen for webhooks on this machine; `answer` takes headers and body and gives a status.

    Returns the URL, and a function that takes so many webhooks: the first within 5 s, each other soon after it.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            status = answer(self.headers, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)

    def receive(count):
        for number in range(count):
            server.timeout = 0.7 if number else 5
            server.handle_request()

    return f"http://127.0.0.1:{server.server_port}/hook", receive
