"""Polls without a pause.

Rule: usage.busy-polling
"""

import http.client
import json
import os
from urllib.parse import urlsplit

import fal

request = fal.submit({"prompt": "a cat [mock: run=1]"})
mock = urlsplit(os.environ["MOCK_FAL_URL"])
connection = http.client.HTTPConnection(mock.hostname, mock.port, timeout=10)
body = {"status": ""}
while body["status"] != "COMPLETED":
    connection.request("GET", request["status_url"].replace("https:/", ""))
    body = json.load(connection.getresponse())
fal.result(request)
