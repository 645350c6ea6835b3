"""The laws of pictures and uploads: what comes back is what was asked for, or what was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server import invariants as invariants
from mock_fal_contracts.server.budget import ENDPOINT
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.findings import Violation
from mock_fal_contracts.server.http_client import HttpClient
from mock_fal_contracts.server.request_tracker import RequestTracker

_REST, _MEDIA = "rest.fal.ai", "v3.fal.media"
_INPUT: dict[str, Any] = {"prompt": "a red cube", "image_size": "square", "output_format": "png"}


def same_seed(context: Context) -> None:
    """The same input by the queue and directly, and what its picture is."""
    context.needs_direct_runs()
    its = context.findings
    seeds = [1234] if context.budget.is_counted else [0, 1234, 2**32 - 1]
    with context.http_client() as client:
        for seed in seeds:
            document = {**_INPUT, "seed": seed}
            context.budget.reserve(2)
            direct = client.ask("POST", "fal.run", f"/{ENDPOINT}", json=document)
            tracker = RequestTracker(context)
            request = tracker.submit(client, document)
            tracker.finish(client, request)
            queued = tracker.collect(client, request)
            pictures = []
            for answer in (direct, queued):
                body = _result(invariants.SEED, answer)
                its.same(invariants.SEED, body.get("seed"), seed, "the seed of the answer", answer)
                pictures.append(_picture(context, client, body["images"][0], answer))
            its.expect(
                invariants.SEED,
                pictures[0].response_body == pictures[1].response_body,
                f"the pictures of the seed {seed} differ: {len(pictures[0].response_body)} and "
                f"{len(pictures[1].response_body)} bytes",
                direct,
                queued,
            )


def _result(case: Any, answer: Exchange) -> dict[str, Any]:
    body = answer.output
    images = body.get("images") if isinstance(body, dict) else None
    if (
        answer.status != 200
        or not isinstance(images, list)
        or not images
        or not isinstance(images[0], dict)
        or "url" not in images[0]
    ):
        raise Violation(case, f"{answer.status} without images, expected 200 with one", [answer])
    return dict(body)


def _picture(context: Context, client: HttpClient, image: dict[str, Any], answer: Exchange) -> Exchange:
    from PIL import Image

    its = context.findings
    picture = client.follow("GET", str(image["url"]), key=False)
    its.same(invariants.PICTURE, picture.status, 200, "the status of the picture", answer, picture)
    kind = picture.response_header("content-type")
    its.same(invariants.PICTURE, kind, image.get("content_type"), "its content type", answer, picture)
    try:
        size = Image.open(BytesIO(picture.response_body)).size
    except OSError as error:
        its.expect(invariants.PICTURE, False, f"it can't be opened: {error}", answer, picture)
        return picture
    said = (image.get("width"), image.get("height"))
    its.same(invariants.PICTURE, said, size, "the answer's width and height", answer, picture)
    return picture


def uploads(context: Context) -> None:
    """Files of any content, sent in any pieces, by each way there is."""

    @hypothesis.seed(context.seed)
    @settings(
        max_examples=4 if context.budget.is_counted else max(context.examples // 2, 4),
        database=None,
        deadline=None,
        print_blob=False,
        phases=[Phase.generate] if context.is_real_time else [Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=6),
        st.sampled_from([_by_token, _presigned, _presigned_in_parts, _by_token_in_parts]),
        st.sampled_from([1, 40]),
    )
    def come_back(pieces: list[bytes], way: Callable[..., Exchange | str], times: int) -> None:
        pieces = [piece * times for piece in pieces]
        with context.http_client() as client:
            url = way(client, pieces)
            if isinstance(url, Exchange):
                raise Violation(invariants.UPLOAD, f"the upload was answered with {url.status}", [url])
            read = client.follow("GET", url, key=False)
            sent = b"".join(pieces)
            context.findings.expect(
                invariants.UPLOAD,
                read.status == 200 and read.response_body == sent,
                f"{way.__name__.strip('_')}: {len(sent)} bytes in {len(pieces)} pieces were sent, "
                f"{len(read.response_body)} came back with status {read.status}"
                + ("" if len(sent) != len(read.response_body) else ", and they are others"),
                *client.recent,
            )

    come_back()


def _by_token(client: HttpClient, pieces: list[bytes]) -> Exchange | str:
    bearer = _token(client)
    if isinstance(bearer, Exchange):
        return bearer
    answer = client.ask(
        "POST", _MEDIA, "/files/upload", headers={**bearer, "x-fal-file-name": "a.bin"}, content=iter(pieces)
    )
    return _member(answer, "access_url")


def _presigned(client: HttpClient, pieces: list[bytes]) -> Exchange | str:
    promised = _initiate(client, "/storage/upload/initiate")
    if _member(promised, "upload_url") is promised:
        return promised
    answer = client.follow(
        "PUT", promised.output["upload_url"], headers=_BYTES, content=iter(pieces), key=False
    )
    return answer if answer.status >= 300 else str(promised.output["file_url"])


def _presigned_in_parts(client: HttpClient, pieces: list[bytes]) -> Exchange | str:
    promised = _initiate(client, "/storage/upload/initiate-multipart")
    url = _member(promised, "upload_url")
    if isinstance(url, Exchange):
        return url
    base, _, query = url.partition("?")
    parts = []
    for number, answer in _parts(client, pieces, lambda n: f"{base}/{n}?{query}", {}):
        if answer.status >= 300:
            return answer
        parts.append({"partNumber": number, "etag": answer.response_header("etag")})
    done = client.follow("POST", f"{base}/complete?{query}", json={"parts": parts}, key=False)
    return done if done.status >= 300 else str(promised.output["file_url"])


def _by_token_in_parts(client: HttpClient, pieces: list[bytes]) -> Exchange | str:
    bearer = _token(client)
    if isinstance(bearer, Exchange):
        return bearer
    begun = client.ask(
        "POST", _MEDIA, "/files/upload/multipart", headers={**bearer, **_BYTES, "x-fal-file-name": "a.bin"}
    )
    url = _member(begun, "access_url")
    if isinstance(url, Exchange):
        return url
    base = f"{url}/multipart/{begun.output.get('uploadId')}"
    parts = []
    for number, answer in _parts(client, pieces, lambda n: f"{base}/{n}", bearer):
        if answer.status >= 300:
            return answer
        parts.append({"partNumber": number, "etag": answer.response_header("etag")})
    done = client.follow("POST", f"{base}/complete", headers=bearer, json={"parts": parts})
    return done if done.status >= 300 else url


_BYTES = {"content-type": "application/octet-stream"}


def _parts(
    client: HttpClient, pieces: list[bytes], url: Callable[[int], str], headers: dict[str, str]
) -> Iterator[tuple[int, Exchange]]:
    for number, piece in enumerate(pieces, 1):
        yield (
            number,
            client.follow("PUT", url(number), headers={**_BYTES, **headers}, content=piece, key=False),
        )


def _token(client: HttpClient) -> Exchange | dict[str, str]:
    answer = client.ask("POST", _REST, "/storage/auth/token", query={"storage_type": "fal-cdn-v3"}, json={})
    token = _member(answer, "token")
    return token if isinstance(token, Exchange) else {"authorization": f"Bearer {token}"}


def _initiate(client: HttpClient, path: str) -> Exchange:
    return client.ask(
        "POST",
        _REST,
        path,
        query={"storage_type": "fal-cdn-v3"},
        json={"content_type": _BYTES["content-type"], "file_name": "a.bin"},
    )


def _member(answer: Exchange, name: str) -> Exchange | str:
    """A text of an answer; the answer itself where it has none."""
    body = answer.output
    value = body.get(name) if isinstance(body, dict) and answer.status == 200 else None
    return value if isinstance(value, str) else answer


def reading(context: Context) -> None:
    """Ranges and ETags of a file."""
    data = bytes(range(256)) * 20
    its = context.findings
    with context.http_client() as client:
        url = _by_token(client, [data])
        if isinstance(url, Exchange):
            raise Violation(invariants.UPLOAD, f"the upload was answered with {url.status}", [url])
        for text, first, last in [
            ("0-9", 0, 9),
            ("100-1099", 100, 1099),
            ("5000-", 5000, 5119),
            ("-7", 5113, 5119),
        ]:
            part = client.follow("GET", url, headers={"range": f"bytes={text}"}, key=False)
            its.expect(
                invariants.RANGE,
                part.status == 206
                and part.response_body == data[first : last + 1]
                and part.response_header("content-range") == f"bytes {first}-{last}/{len(data)}",
                f"bytes={text}: {part.status}, {len(part.response_body)} bytes, "
                f"Content-Range {part.response_header('content-range')!r}; "
                f"expected 206 with bytes {first}-{last}/{len(data)}",
                part,
            )
        once, again = (client.follow("GET", url, key=False) for _ in range(2))
        etag = once.response_header("etag")
        its.expect(
            invariants.ETAG,
            bool(etag) and etag == again.response_header("etag"),
            f"the ETag was {etag!r}, then {again.response_header('etag')!r}",
            once,
            again,
        )
        known = client.follow("GET", url, headers={"if-none-match": etag or '"none"'}, key=False)
        its.same(invariants.ETAG, known.status, 304, "the status with If-None-Match", known)
