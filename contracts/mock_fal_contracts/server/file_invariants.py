"""Checks of files: result pictures, uploads, range requests and ETags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case
from mock_fal_contracts.server import invariants
from mock_fal_contracts.server.budget import ENDPOINT
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import Violation
from mock_fal_contracts.server.http_client import HttpClient
from mock_fal_contracts.server.request_tracker import RequestTracker

_REST, _MEDIA = "rest.fal.ai", "v3.fal.media"
_INPUT: dict[str, Any] = {"prompt": "a red cube", "image_size": "square", "output_format": "png"}
_BINARY = {"content-type": "application/octet-stream"}


def same_seed(context: Context) -> None:
    """The same input on the queue and as a direct run gives the same picture."""
    context.require_direct_runs()
    findings = context.findings
    seeds = [1234] if context.budget.is_limited else [0, 1234, 2**32 - 1]
    with context.http_client() as client:
        for seed in seeds:
            document = {**_INPUT, "seed": seed}
            context.budget.reserve(2)
            direct = client.send("POST", "fal.run", f"/{ENDPOINT}", json=document)
            tracker = RequestTracker(context)
            request = tracker.submit(client, document)
            tracker.finish(client, request)
            queued = tracker.collect(client, request)
            pictures = []
            for result in (direct, queued):
                body = _body_with_image(invariants.SEED, result)
                findings.expect_equal(
                    invariants.SEED, body.get("seed"), seed, "the seed of the result", result
                )
                pictures.append(_check_picture(context, client, body["images"][0], result))
            findings.expect(
                invariants.SEED,
                pictures[0].response_body == pictures[1].response_body,
                f"the pictures of the seed {seed} differ: {len(pictures[0].response_body)} and "
                f"{len(pictures[1].response_body)} bytes",
                direct,
                queued,
            )


def _body_with_image(case: Case, result: Exchange) -> dict[str, Any]:
    body = result.output
    images = body.get("images") if isinstance(body, dict) else None
    if (
        result.status != 200
        or not isinstance(images, list)
        or not images
        or not isinstance(images[0], dict)
        or "url" not in images[0]
    ):
        raise Violation(case, f"{result.status} without images, expected 200 with one", [result])
    return dict(body)


def _check_picture(context: Context, client: HttpClient, image: dict[str, Any], result: Exchange) -> Exchange:
    """Download a picture and compare it with its description in the result."""
    from PIL import Image

    findings = context.findings
    picture = client.send_to_url("GET", str(image["url"]), key=False)
    findings.expect_equal(
        invariants.PICTURE, picture.status, 200, "the status of the picture", result, picture
    )
    findings.expect_equal(
        invariants.PICTURE,
        picture.response_header("content-type"),
        image.get("content_type"),
        "the content type of the picture",
        result,
        picture,
    )
    try:
        size = Image.open(BytesIO(picture.response_body)).size
    except OSError as error:
        findings.expect(invariants.PICTURE, False, f"the picture can't be opened: {error}", result, picture)
        return picture
    stated = (image.get("width"), image.get("height"))
    findings.expect_equal(invariants.PICTURE, stated, size, "width and height in the result", result, picture)
    return picture


def uploads(context: Context) -> None:
    """Files of any content, uploaded in any number of parts by each method."""

    @hypothesis.seed(context.seed)
    @settings(
        max_examples=4 if context.budget.is_limited else max(context.examples // 2, 4),
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate] if context.is_real_time else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=6),
        st.sampled_from([_with_token, _presigned, _presigned_multipart, _multipart_with_token]),
        st.sampled_from([1, 40]),
    )
    def check_round_trip(parts: list[bytes], upload: Callable[..., Exchange | str], repeat: int) -> None:
        parts = [part * repeat for part in parts]
        with context.http_client() as client:
            url = _uploaded_url(upload(client, parts))
            download = client.send_to_url("GET", url, key=False)
            sent, received = b"".join(parts), download.response_body
            context.findings.expect(
                invariants.UPLOAD,
                download.status == 200 and received == sent,
                f"{upload.__name__.strip('_')}: {len(sent)} bytes were sent in {len(parts)} parts, "
                f"{len(received)} bytes came back with status {download.status}"
                + (", and their content differs" if len(sent) == len(received) else ""),
                *client.recent,
            )

    check_round_trip()


def _uploaded_url(url_or_error: Exchange | str) -> str:
    """The URL of an upload. Raises Violation where the upload returned an error."""
    if isinstance(url_or_error, Exchange):
        message = f"the upload was answered with {url_or_error.status}"
        raise Violation(invariants.UPLOAD, message, [url_or_error])
    return url_or_error


# Each upload function returns the URL of the file, or the response that ended the upload.


def _with_token(client: HttpClient, parts: list[bytes]) -> Exchange | str:
    bearer = _bearer_token(client)
    if isinstance(bearer, Exchange):
        return bearer
    headers = {**bearer, "x-fal-file-name": "a.bin"}
    response = client.send("POST", _MEDIA, "/files/upload", headers=headers, content=iter(parts))
    return _string_member(response, "access_url")


def _presigned(client: HttpClient, parts: list[bytes]) -> Exchange | str:
    initiated = _initiate(client, "/storage/upload/initiate")
    url = _string_member(initiated, "upload_url")
    if isinstance(url, Exchange):
        return url
    response = client.send_to_url("PUT", url, headers=_BINARY, content=iter(parts), key=False)
    return response if response.status >= 300 else str(initiated.output["file_url"])


def _presigned_multipart(client: HttpClient, parts: list[bytes]) -> Exchange | str:
    initiated = _initiate(client, "/storage/upload/initiate-multipart")
    url = _string_member(initiated, "upload_url")
    if isinstance(url, Exchange):
        return url
    base, _, query = url.partition("?")
    etags = []
    for number, response in _upload_parts(client, parts, lambda number: f"{base}/{number}?{query}", {}):
        if response.status >= 300:
            return response
        etags.append({"partNumber": number, "etag": response.response_header("etag")})
    completed = client.send_to_url("POST", f"{base}/complete?{query}", json={"parts": etags}, key=False)
    return completed if completed.status >= 300 else str(initiated.output["file_url"])


def _multipart_with_token(client: HttpClient, parts: list[bytes]) -> Exchange | str:
    bearer = _bearer_token(client)
    if isinstance(bearer, Exchange):
        return bearer
    headers = {**bearer, **_BINARY, "x-fal-file-name": "a.bin"}
    initiated = client.send("POST", _MEDIA, "/files/upload/multipart", headers=headers)
    url = _string_member(initiated, "access_url")
    if isinstance(url, Exchange):
        return url
    base = f"{url}/multipart/{initiated.output.get('uploadId')}"
    etags = []
    for number, response in _upload_parts(client, parts, lambda number: f"{base}/{number}", bearer):
        if response.status >= 300:
            return response
        etags.append({"partNumber": number, "etag": response.response_header("etag")})
    completed = client.send_to_url("POST", f"{base}/complete", headers=bearer, json={"parts": etags})
    return completed if completed.status >= 300 else url


def _upload_parts(
    client: HttpClient, parts: list[bytes], url_of: Callable[[int], str], headers: dict[str, str]
) -> Iterator[tuple[int, Exchange]]:
    for number, part in enumerate(parts, 1):
        all_headers = {**_BINARY, **headers}
        yield number, client.send_to_url("PUT", url_of(number), headers=all_headers, content=part, key=False)


def _bearer_token(client: HttpClient) -> Exchange | dict[str, str]:
    """The Authorization header with an upload token, or the response that has none."""
    query = {"storage_type": "fal-cdn-v3"}
    response = client.send("POST", _REST, "/storage/auth/token", query=query, json={})
    token = _string_member(response, "token")
    return token if isinstance(token, Exchange) else {"authorization": f"Bearer {token}"}


def _initiate(client: HttpClient, path: str) -> Exchange:
    return client.send(
        "POST",
        _REST,
        path,
        query={"storage_type": "fal-cdn-v3"},
        json={"content_type": _BINARY["content-type"], "file_name": "a.bin"},
    )


def _string_member(response: Exchange, name: str) -> Exchange | str:
    """A string member of a response's body, or the response itself where it has no such member."""
    body = response.output
    value = body.get(name) if isinstance(body, dict) and response.status == 200 else None
    return value if isinstance(value, str) else response


def downloads(context: Context) -> None:
    """Range requests and ETags of a file."""
    data = bytes(range(256)) * 20
    findings = context.findings
    with context.http_client() as client:
        url = _uploaded_url(_with_token(client, [data]))
        for text, first, last in [
            ("0-9", 0, 9),
            ("100-1099", 100, 1099),
            ("5000-", 5000, 5119),
            ("-7", 5113, 5119),
        ]:
            part = client.send_to_url("GET", url, headers={"range": f"bytes={text}"}, key=False)
            expected = f"bytes {first}-{last}/{len(data)}"
            findings.expect(
                invariants.RANGE,
                part.status == 206
                and part.response_body == data[first : last + 1]
                and part.response_header("content-range") == expected,
                f"bytes={text}: {part.status}, {len(part.response_body)} bytes, "
                f"Content-Range {part.response_header('content-range')!r}; expected 206 with {expected}",
                part,
            )
        first_read, second_read = (client.send_to_url("GET", url, key=False) for _ in range(2))
        etag = first_read.response_header("etag")
        findings.expect(
            invariants.ETAG,
            bool(etag) and etag == second_read.response_header("etag"),
            f"the ETag was {etag!r}, then {second_read.response_header('etag')!r}",
            first_read,
            second_read,
        )
        conditional = client.send_to_url("GET", url, headers={"if-none-match": etag or '"none"'}, key=False)
        subject = "the status with If-None-Match"
        findings.expect_equal(invariants.ETAG, conditional.status, 304, subject, conditional)
