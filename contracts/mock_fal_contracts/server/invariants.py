"""The invariants that a schema can't express, as cases."""

from __future__ import annotations

from mock_fal_contracts.results import Case

_QUEUE = "fal's Queue API documentation, 2026"
_WEBHOOKS = "fal's webhook documentation, 2026"
_STORAGE = "fal's storage documentation, 2026; fal_client 1.0.3"

SUBMIT = Case(
    "invariant.queue.submit",
    "a submission is accepted immediately",
    "A valid submission is answered 200 with IN_QUEUE (or already IN_PROGRESS) and a new request_id.",
    "live captures, 2025-04 to 2026-07",
)
LINKS = Case(
    "invariant.queue.links",
    "the URLs of a request contain owner and app only",
    "response_url, status_url and cancel_url point to /{owner}/{app}/requests/{id}, without the path within the app.",
    "live captures, 2025-06 to 2026-07",
)
STATUS = Case(
    "invariant.queue.status",
    "the HTTP status matches the state",
    "202 while IN_QUEUE or IN_PROGRESS, 200 when COMPLETED; there are no other states.",
    f"{_QUEUE}; live, 2026-05",
)
SHAPE = Case(
    "invariant.queue.status-body",
    "the status body has the fields of its state",
    "queue_position is present if and only if IN_QUEUE; logs is null unless requested; "
    "metrics.inference_time is present when COMPLETED.",
    f"{_QUEUE}; fal_client 1.0.3 fails without them",
)
NEVER_BACK = Case(
    "invariant.queue.never-back",
    "a request never moves back",
    "IN_QUEUE, then IN_PROGRESS, then COMPLETED; COMPLETED is final.",
    _QUEUE,
)
POSITION = Case(
    "invariant.queue.position",
    "the queue position never increases",
    "queue_position is the number of requests ahead; later requests of the same priority queue behind.",
    _QUEUE,
)
LOGS = Case(
    "invariant.queue.logs",
    "logs only grow",
    "Each poll with logs=1 returns all lines so far; earlier lines stay unchanged.",
    "fal_client 1.0.3 prints the new tail of each list",
)
STREAM = Case(
    "invariant.queue.stream",
    "the status stream agrees with polling",
    "The status stream sends the current state immediately, never moves back, and ends with the COMPLETED status "
    "that a poll returns.",
    _QUEUE,
)
RESULT = Case(
    "invariant.queue.result",
    "the result is available when completed, and not before",
    '400 with the detail "Request is still in progress" until COMPLETED, then the model\'s own response.',
    "live, 2026-05; @ai-sdk/fal 2.0.59 compares the text",
)
STABLE = Case(
    "invariant.queue.result-stable",
    "a result never changes",
    "Every fetch of a completed request's result returns the same body.",
    _QUEUE,
)
CANCEL = Case(
    "invariant.queue.cancel",
    "the response to a cancellation matches the state",
    "200 OK while queued, 202 CANCELLATION_REQUESTED while running, 400 ALREADY_COMPLETED when completed.",
    "fal's Queue API documentation, 2026 (the 200 for a queued request is inferred from it)",
)
CANCELLED = Case(
    "invariant.queue.cancelled",
    "a request cancelled in the queue is completed",
    "A queued request that is cancelled is COMPLETED at the next poll, and its result is an error.",
    f"{_QUEUE}: a cancelled request is COMPLETED",
)
INPUT = Case(
    "invariant.queue.input-error",
    "an invalid input is reported in the result, with its location",
    "The submission is accepted; the result is a 422 whose detail lists items with loc (starting with body), msg "
    "and type.",
    "live, flux/schnell with 28 steps, late 2025",
)
REQUEST_ID = Case(
    "invariant.queue.request-id",
    "responses carry x-fal-request-id",
    "Every response about a request carries its id in x-fal-request-id.",
    "@fal-ai/client 1.10.1 reads the id of a result from this header",
)
UNKNOWN = Case(
    "invariant.queue.unknown",
    "an unknown request is a 404",
    'Status and cancel return {"status":"NOT_FOUND"}, the result {"detail":"Request not found"}.',
    "live probes, 2026-10",
)
METHODS = Case(
    "invariant.http.methods",
    "a wrong method is a 405 with the allowed one",
    "405 with an Allow header; a request URL with the full endpoint id is also a 405, with Allow: POST.",
    "live, six independent reports; RFC 9110, 15.5.6",
)
NO_KEY = Case(
    "invariant.auth.no-key",
    "a request without a key is a 401",
    'Submit and run return {"detail":"Cannot access application …"}, the REST host "Authorization header is '
    'required".',
    "live captures, 2026",
)
UNKNOWN_APP = Case(
    "invariant.http.unknown-app",
    "an unknown app is a 404 with its name",
    '{"detail":"Application \\"NAME\\" not found"}, with the alias.',
    "live capture, 2026",
)
SEED = Case(
    "invariant.picture.seed",
    "same seed, same picture",
    "The same input and seed give the same bytes on the queue and on fal.run; the response repeats the seed.",
    "fal's model pages: the same seed and prompt give the same image every time",
)
PICTURE = Case(
    "invariant.picture.file",
    "a picture matches its description",
    "Each image's URL works without a key, and the file has the stated content_type, width and height.",
    "live captures, 2026-03; @ai-sdk/fal 2.0.59 fetches it without a key",
)
BILLED = Case(
    "invariant.picture.billed",
    "a result states its billable units",
    "x-fal-billable-units is a number above 0 on a successful result, and 0 on a 422 of the input schema.",
    "live, measured 2026-09-10; fal SDK",
)
UPLOAD = Case(
    "invariant.files.upload",
    "an uploaded file is read back unchanged",
    "A file uploaded with a token, with a presigned URL or in parts of any size is read back byte for byte.",
    _STORAGE,
)
RANGE = Case(
    "invariant.files.range",
    "a range request returns exactly those bytes",
    "206 with Content-Range and exactly the requested bytes.",
    "RFC 9110, 14; range support of the media host is an assumption",
)
ETAG = Case(
    "invariant.files.etag",
    "an ETag is stable",
    "Two reads return the same ETag, and If-None-Match with it returns 304.",
    "RFC 9110, 8.8.3; ETags of the media host are an assumption",
)
TOKEN = Case(
    "invariant.token.string",
    "a token of /tokens/ is a bare JSON string",
    'POST /tokens/ answers 200 with "eyJ…".',
    "live capture, 2026; @fal-ai/client 1.10.1",
)
KEYS = Case(
    "invariant.webhook.jwks",
    "the public keys are available",
    "jwks.json lists keys with kty OKP, crv Ed25519 and an x of 32 bytes in base64url.",
    "live capture, 2026-07",
)
REQUESTED = Case(
    "invariant.webhook.requested",
    "a webhook is sent if and only if it was requested",
    "A submission with fal_webhook leads to at least one POST to that URL, one without it to none.",
    _WEBHOOKS,
)
SIGNATURE = Case(
    "invariant.webhook.signature",
    "a webhook's signature verifies",
    "Ed25519 with a key of jwks.json, over request id, user id, timestamp and the SHA-256 of the body.",
    f"{_WEBHOOKS}; verified on a capture, 2026-07",
)
PAYLOAD = Case(
    "invariant.webhook.payload",
    "a webhook contains the result",
    "payload is the result's body; status is OK for a 2xx and ERROR otherwise; request_id is the id of the submission.",
    f"{_WEBHOOKS}; live capture, 2026-07",
)
PRICES = Case(
    "invariant.platform.pricing",
    "prices are listed",
    "GET /v1/models/pricing returns a unit price of 0 or more for each requested endpoint, and 401 without a key.",
    "fal's Platform API specification, 2026-08; live, 2026-10",
)
MODELS = Case(
    "invariant.platform.documents",
    "models are listed, each with its OpenAPI document",
    "GET /v1/models lists the endpoint; fal.ai/api/openapi/queue/openapi.json has its paths.",
    "fal's Platform API specification, 2026-08; live",
)

INVARIANTS: tuple[Case, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Case))
