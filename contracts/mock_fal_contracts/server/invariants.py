"""The laws that a schema can't say, as cases."""

from __future__ import annotations

from mock_fal_contracts.results import Case

_QUEUE = "fal's Queue API documentation, 2026"
_WEBHOOKS = "fal's webhook documentation, 2026"
_STORAGE = "fal's storage documentation, 2026; fal_client 1.0.3"

SUBMIT = Case(
    "invariant.queue.submit",
    "a submission is taken at once",
    "A good submission is answered with 200, IN_QUEUE (or IN_PROGRESS already) and an id of its own.",
    "live captures, 2025-04 to 2026-07",
)
LINKS = Case(
    "invariant.queue.links",
    "the addresses of a request have owner and app only",
    "response_url, status_url and cancel_url lead to /{owner}/{app}/requests/{id}, without the app's path.",
    "live captures, 2025-06 to 2026-07",
)
STATUS = Case(
    "invariant.queue.status",
    "the HTTP status tells the state",
    "202 while IN_QUEUE or IN_PROGRESS, 200 when COMPLETED; there are no other states.",
    f"{_QUEUE}; live, 2026-05",
)
SHAPE = Case(
    "invariant.queue.status-body",
    "a status says what belongs to its state",
    "queue_position exists if and only if it is IN_QUEUE; logs are null unless asked for; "
    "metrics.inference_time comes with the end.",
    f"{_QUEUE}; fal_client 1.0.3 fails without them",
)
NEVER_BACK = Case(
    "invariant.queue.never-back",
    "a request never moves back",
    "IN_QUEUE, then IN_PROGRESS, then COMPLETED; an end is an end.",
    _QUEUE,
)
POSITION = Case(
    "invariant.queue.position",
    "the position in the queue never grows",
    "queue_position counts those ahead; who comes later with the same priority stands behind.",
    _QUEUE,
)
LOGS = Case(
    "invariant.queue.logs",
    "logs only grow",
    "Each look with logs=1 gives the whole list so far; a line that was there stays, unchanged.",
    "fal_client 1.0.3 prints the new tail of each list",
)
STREAM = Case(
    "invariant.queue.stream",
    "the stream tells the same story as polling",
    "The status stream gives the present state at once, only moves on, and ends with the COMPLETED that polling shows.",
    _QUEUE,
)
RESULT = Case(
    "invariant.queue.result",
    "the result is there at the end and not before",
    '400 with the detail "Request is still in progress" until COMPLETED, then the model\'s own answer.',
    "live, 2026-05; @ai-sdk/fal 2.0.59 compares the text",
)
STABLE = Case(
    "invariant.queue.result-stable",
    "a result is the same whenever it is fetched",
    "A completed request's result does not change.",
    _QUEUE,
)
CANCEL = Case(
    "invariant.queue.cancel",
    "a cancellation is answered as the state demands",
    "200 OK while queued, 202 CANCELLATION_REQUESTED while running, 400 ALREADY_COMPLETED after the end.",
    "fal's Queue API documentation, 2026 (that a queued one is a 200 is inferred from it)",
)
CANCELLED = Case(
    "invariant.queue.cancelled",
    "what was removed from the queue is over",
    "A queued request that was cancelled is COMPLETED at the next look, and has no picture.",
    f"{_QUEUE}: what was cancelled is COMPLETED",
)
INPUT = Case(
    "invariant.queue.input-error",
    "a wrong input is told at the result, with its place",
    "It is taken at the submission; the result is a 422 whose detail lists items with loc (from body on), msg, type.",
    "live, flux/schnell with 28 steps, late 2025",
)
REQUEST_ID = Case(
    "invariant.queue.request-id",
    "answers carry x-fal-request-id",
    "Every answer about a request carries its id in x-fal-request-id.",
    "@fal-ai/client 1.10.1 takes the id of a result from there",
)
UNKNOWN = Case(
    "invariant.queue.unknown",
    "an unknown request is a 404",
    'Status and cancel say {"status":"NOT_FOUND"}, the result {"detail":"Request not found"}.',
    "live probes, 2026-10",
)
METHODS = Case(
    "invariant.http.methods",
    "a wrong method is a 405 that names the right one",
    "405 with an Allow header; the whole endpoint id in the address of a request is one, with Allow: POST.",
    "live, six independent reports; RFC 9110, 15.5.6",
)
NO_KEY = Case(
    "invariant.auth.no-key",
    "without a key there is a 401",
    'Submit and run say {"detail":"Cannot access application …"}, the REST host "Authorization header is required".',
    "live captures, 2026",
)
UNKNOWN_APP = Case(
    "invariant.http.unknown-app",
    "an unknown app is a 404 that names it",
    '{"detail":"Application \\"NAME\\" not found"}, with the alias.',
    "live capture, 2026",
)
SEED = Case(
    "invariant.picture.seed",
    "same seed, same picture",
    "The same input with the same seed gives the same bytes, by the queue and by fal.run; the answer repeats the seed.",
    "fal's model pages: the same seed and prompt give the same image every time",
)
PICTURE = Case(
    "invariant.picture.file",
    "a picture is what the answer says",
    "Each image has an address that answers without a key, and the content_type, width and height that it says.",
    "live captures, 2026-03; @ai-sdk/fal 2.0.59 fetches it without a key",
)
BILLED = Case(
    "invariant.picture.billed",
    "a result says what it costs",
    "x-fal-billable-units is a number above 0 on a good result, and 0 on a 422.",
    "live, measured 2026-09-10; fal SDK",
)
UPLOAD = Case(
    "invariant.files.upload",
    "bytes come back whole",
    "What was uploaded, by token, presigned or in parts of any size, is read back byte for byte.",
    _STORAGE,
)
RANGE = Case(
    "invariant.files.range",
    "a range gives those bytes and no others",
    "206 with Content-Range and exactly the bytes asked for.",
    "RFC 9110, 14; that the media host answers ranges is an assumption",
)
ETAG = Case(
    "invariant.files.etag",
    "an ETag stays while the file does",
    "Two reads give the same ETag, and If-None-Match with it gives 304.",
    "RFC 9110, 8.8.3; that the media host sends ETags is an assumption",
)
TOKEN = Case(
    "invariant.token.string",
    "a token of /tokens/ is a bare JSON string",
    'POST /tokens/ answers 200 with "eyJ…".',
    "live capture, 2026; @fal-ai/client 1.10.1",
)
KEYS = Case(
    "invariant.webhook.jwks",
    "the public keys can be read",
    "jwks.json lists keys of kty OKP and crv Ed25519 whose x are 32 bytes in base64url.",
    "live capture, 2026-07",
)
ASKED = Case(
    "invariant.webhook.asked",
    "a webhook comes if and only if it was asked for",
    "A submission with fal_webhook is answered by at least one POST to that address, one without by none.",
    _WEBHOOKS,
)
SIGNATURE = Case(
    "invariant.webhook.signature",
    "a webhook's signature verifies",
    "Ed25519, by a key of jwks.json, over request id, user id, timestamp and the SHA-256 of the body.",
    f"{_WEBHOOKS}; verified on a capture, 2026-07",
)
PAYLOAD = Case(
    "invariant.webhook.payload",
    "a webhook says what the result says",
    "payload is the result's body; status is OK for a 2xx and ERROR otherwise; request_id is that of the submission.",
    f"{_WEBHOOKS}; live capture, 2026-07",
)
PRICES = Case(
    "invariant.platform.pricing",
    "prices can be asked",
    "GET /v1/models/pricing gives a unit price of 0 or more for each endpoint asked, and 401 without a key.",
    "fal's Platform API specification, 2026-08; live, 2026-10",
)
MODELS = Case(
    "invariant.platform.documents",
    "models are listed, each with its OpenAPI document",
    "GET /v1/models lists the endpoint; fal.ai/api/openapi/queue/openapi.json has its paths.",
    "fal's Platform API specification, 2026-08; live",
)

INVARIANTS: tuple[Case, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Case))
