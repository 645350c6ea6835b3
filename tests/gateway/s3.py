"""A local S3: takes presigned POSTs, and checks their signature, their policy and their form as Amazon's does."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from typing import Any

from mock_fal.clock import date, real_time
from tests.gateway.servers import Loop

MOMENT = "%Y-%m-%dT%H:%M:%SZ"
SECRET = b"AWS4secret"
CREDENTIAL = "AKIDEXAMPLE/20261127/us-east-1/s3/aws4_request"
# What a policy need not mention.
EXEMPT = {"policy", "x-amz-signature", "file"}


class S3:
    """The stored objects by key, each with its content type and content; and the codes of refused uploads."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.refused: list[str] = []
        self.port = 0
        # The status of every answer, if it is not that of S3.
        self.status = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bucket"

    def presigned(self, key: str = "outputs/${filename}", *conditions: Any, **fields: str) -> dict[str, Any]:
        """The policy of a presigned POST, as `generate_presigned_post` of boto3 makes it."""
        signed = {"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": CREDENTIAL, **fields}
        document = {
            "expiration": date(real_time() + 300).strftime(MOMENT),
            "conditions": [
                {"bucket": "bucket"},
                ["starts-with", "$key", key.partition("${filename}")[0]],
                *({name: value} for name, value in signed.items()),
                *(conditions or [["starts-with", "$Content-Type", "image/"]]),
            ],
        }
        policy = b64encode(json.dumps(document).encode()).decode()
        return {
            "url": self.url,
            "fields": {**signed, "key": key, "policy": policy, "x-amz-signature": signature(policy)},
        }

    def post(self, path: str, content_type: str, body: bytes) -> tuple[int, str]:
        """The answer to a POST: its status and the code of an error."""
        if path != "/bucket":
            return 405, "MethodNotAllowed"
        form, name, media_type, content = parsed(content_type, body)
        if form.get("x-amz-signature") != signature(form.get("policy", "")):
            return 403, "SignatureDoesNotMatch"
        policy = json.loads(b64decode(form["policy"]))
        if policy["expiration"] < date(real_time()).strftime(MOMENT):
            return 403, "AccessDenied"
        code = violation(policy["conditions"], form, len(content))
        if code:
            return 403, code
        self.objects[form["key"].replace("${filename}", name)] = (form.get("content-type", ""), content)
        return 204, ""


def signature(policy: str) -> str:
    """Version 4 of Amazon's signatures."""
    key = SECRET
    for part in CREDENTIAL.split("/")[1:]:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, policy.encode(), "sha256").hex()


def violation(conditions: list[Any], form: dict[str, str], size: int) -> str:
    """The code of a form that breaks a policy; empty if it keeps it."""
    covered = set(EXEMPT)
    for condition in conditions:
        if isinstance(condition, dict):
            [(name, expected)] = condition.items()
            is_kept = name == "bucket" or form.get(name.lower()) == expected
        elif condition[0] == "content-length-range":
            if not condition[1] <= size <= condition[2]:
                return "EntityTooLarge"
            continue
        else:
            verb, name, expected = condition[0], condition[1].removeprefix("$"), condition[2]
            value = form.get(name.lower(), "")
            is_kept = value.startswith(expected) if verb == "starts-with" else value == expected
        if not is_kept:
            return "AccessDenied"
        covered.add(name.lower())
    return "" if covered >= form.keys() else "AccessDenied"  # extra input fields


def parsed(content_type: str, body: bytes) -> tuple[dict[str, str], str, str, bytes]:
    """The fields of a form by lower-case name, and the name, type and content of its file, which is the last part."""
    message = BytesParser().parsebytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
    assert message.is_multipart()
    parts: list[Any] = message.get_payload()  # type: ignore[assignment]
    named = [(part.get_param("name", header="content-disposition"), part) for part in parts]
    form = {str(name).lower(): part.get_payload(decode=True).decode() for name, part in named[:-1]}
    assert len(form) == len(named) - 1
    name, file = named[-1]
    assert name == "file"
    return form, str(file.get_filename()), file.get_content_type(), file.get_payload(decode=True)


@contextmanager
def serving(loop: Loop) -> Iterator[S3]:
    """An S3 on loopback."""
    s3 = S3()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request_line, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        status, code = s3.post(request_line.split(" ")[1], headers["content-type"], body)
        if s3.status:
            status, code = s3.status, "InternalError"
        if code:
            s3.refused.append(code)
        xml = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
        writer.write(b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n%b" % (status, len(xml), xml))
        await writer.drain()

    with loop.serving(handle) as s3.port:
        yield s3
