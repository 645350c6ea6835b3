from __future__ import annotations

import json
from typing import Any

import pytest

from mock_fal.requests.upload_policy import MAX_BYTES, InvalidPolicy, parse

BUCKET = "https://bucket.s3.eu-west-1.amazonaws.com/"
FIELDS = {"key": "out/${filename}", "policy": "e30="}
PATH = "/files/b/0aa27c72/phb6VWYUMKND0-gyZN-ul.jpg"


def text(url: Any = BUCKET, fields: Any = FIELDS) -> str:
    return json.dumps({"url": url, "fields": fields})


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        (BUCKET, False),
        ("https://s3.amazonaws.com/bucket", False),
        ("https://s3.us-east-1.amazonaws.com/bucket/", False),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn", False),
        ("https://bucket.s3.dualstack.eu-west-1.amazonaws.com", False),
        ("http://127.0.0.1:9000/bucket", True),
        ("https://localhost:9000/bucket/", True),
        ("http://bucket.localhost:9000", True),
        ("http://[::1]:9000/bucket", True),
    ],
)
def test_a_bucket_is_at_amazon_or_on_this_machine(url: str, is_local: bool) -> None:
    policy = parse(text(url))
    name = policy.file_name(PATH)
    assert (policy.is_local, policy.content_type) == (is_local, None)
    assert policy.address(PATH) == f"{url.rstrip('/')}/out/{name}"
    assert name.endswith("-phb6VWYUMKND0-gyZN-ul.jpg") and len(name) == 33 + 25


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://bucket.s3.amazonaws.com", "must be an HTTPS S3 upload URL"),
        ("https://minio.example.com/bucket", "must be an HTTPS S3 upload URL"),
        ("http://192.168.0.7:9000/bucket", "must be an HTTPS S3 upload URL"),
        ("http://169.254.169.254/bucket", "must be an HTTPS S3 upload URL"),
        ("https://bucket.s3.amazonaws.com.evil.example/", "must be an HTTPS S3 upload URL"),
        ("https://bucket.s3.amazonaws.com:8443/", "port 8443 is not allowed"),
        ("https://a:b@bucket.s3.amazonaws.com/", "must not contain credentials"),
        ("https://bucket.s3.amazonaws.com/?x=1", "must not have a query or fragment"),
        ("https://bucket.s3.amazonaws.com/deeper", "must point at the bucket root, not '/deeper'"),
        ("https://s3.amazonaws.com/", "must name a bucket"),
        ("http://localhost:9000/a/../b", "must not contain '.', '..' or empty path segments"),
        ("http://localhost:9000/a/%2e%2e", "must not contain '.', '..' or empty path segments"),
        ("http://localhost:9000//a", "must not contain '.', '..' or empty path segments"),
        ("http://localhost:9000/a b", "must not contain control characters or spaces"),
        ("http://localhost:port/", "could not be parsed"),
        ("http://localhost/" + "a" * 2048, "longer than 2048 characters"),
        ("ftp://localhost/a", "must be an HTTPS S3 upload URL"),
        ("\ud800", "could not be parsed"),
    ],
)
def test_other_addresses_are_rejected(url: str, why: str) -> None:
    with pytest.raises(InvalidPolicy) as error:
        parse(text(url))
    assert str(error.value).startswith("Invalid x-app-fal-upload-policy 'url': ") and why in str(error.value)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("", "not valid JSON"),
        ("nonsense", "not valid JSON"),
        ("[" * 5000, "not valid JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "must contain string 'url'"),
        (text(fields=[]), "must contain object 'fields'"),
        (text(fields={"policy": "x"}), "fields.key must contain '${filename}'"),
        (text(fields={"key": "a.jpg"}), "fields.key must contain '${filename}'"),
        (text(fields={"key": 1}), "fields.'key' must be a string"),
        (text(fields={"key": "/${filename}"}), "fields.key must not start with '/'"),
        (text(fields={"key": "../${filename}"}), "fields.key must not start with '/'"),
        (text(fields={**FIELDS, "Key": "b"}), "duplicate 'key' fields ['Key', 'key']"),
        (text(fields={**FIELDS, "a": {}}), "fields.'a' must be a string"),
        (text(fields={**FIELDS, "a": [[1]]}), "fields.'a' must not contain nested values"),
        (text(fields={**FIELDS, "a": "\ud800"}), "not encodable as UTF-8"),
        (text(fields={**FIELDS, "Content-Type": "a\r\nb: c"}), "contains a control character"),
        (text(fields={str(number): "" for number in range(101)}), "101 fields"),
        (" " * (MAX_BYTES + 1), "longer than"),
    ],
)
def test_an_invalid_policy_is_rejected_with_the_reason(header: str, why: str) -> None:
    with pytest.raises(InvalidPolicy) as error:
        parse(header)
    assert str(error.value).startswith("Invalid x-app-fal-upload-policy header: ") and why in str(error.value)


def test_the_form_has_the_fields_the_name_and_the_content_type() -> None:
    policy = parse(text(fields={**FIELDS, "a": [1, True, None], "b": 2.5}))
    form = policy.form(PATH, "image/jpeg")
    assert form == [
        ("key", f"out/{policy.file_name(PATH)}"),
        ("policy", "e30="),
        ("a", "1"),
        ("a", "true"),
        ("a", ""),
        ("b", "2.5"),
        ("Content-Type", "image/jpeg"),
    ]
    named = parse(text(fields={**FIELDS, "content-type": "image/jpeg"}))
    assert named.form(PATH, "image/jpeg")[-1] == ("content-type", "image/jpeg")


def test_an_address_is_quoted() -> None:
    policy = parse(text(fields={"key": "grün & ~/${filename}"}))
    assert policy.address(PATH).startswith(f"{BUCKET}gr%C3%BCn%20%26%20~/")
