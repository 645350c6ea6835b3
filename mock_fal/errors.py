"""The errors that fal returns, with their status and text, and the errors of mock-fal itself."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

JSON = Any  # a value that json.loads can return


def is_deeper(document: JSON, levels: int) -> bool:
    """Whether lists and objects are nested more than `levels` deep. `json` can parse deeper nesting than it can write.

    >>> is_deeper([[1]], 1), is_deeper([[1]], 2), is_deeper(1, 0)
    (True, False, False)
    """
    layer: list[JSON] = [[document]]
    for _ in range(levels + 1):
        parts = (part for outer in layer for part in (outer.values() if isinstance(outer, dict) else outer))
        layer = [part for part in parts if isinstance(part, dict | list | tuple)]
        if not layer:
            return False
    return True


class MockFalError(Exception):
    """A mistake in the use of mock-fal. It is raised to the user and never sent as an error of fal."""


class SettingsError(MockFalError):
    """A flag, a variable or an argument is unknown or has an invalid value."""


class ScenarioError(MockFalError):
    """A directive or a rule that can't be parsed. The message names the column and what was expected."""


class InvalidWebhook(MockFalError):
    """A webhook without a valid signature of fal. The message states the reason."""


class FalError(Exception):
    """An error response of fal's gateway, as opposed to one of a model.

    `status` is the HTTP status, `detail` the text. `web/wire.py` writes the body.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class AuthenticationRequired(FalError):
    """A key is required, and the request has none that can be read."""

    def __init__(self, app: str) -> None:
        # fal: the text names owner/app (live, 2026).
        super().__init__(
            401, f'Cannot access application "{app}". Authentication is required to access this application.'
        )


class InvalidKey(FalError):
    """A well-formed key that belongs to no account."""

    def __init__(self) -> None:
        # fal: live, several times, 2026.
        super().__init__(401, "invalid key credentials")


class InsufficientPermissions(FalError):
    """The key has no permission for what was requested."""

    def __init__(self) -> None:
        # fal: the text (fal SDK 1.83). assumption: all hosts send it, each in its own form.
        super().__init__(403, "Insufficient permissions")


class InvalidBearer(FalError):
    """A bearer token that fal did not issue."""

    def __init__(self) -> None:
        # assumption: the full text; only a part of it was seen.
        super().__init__(401, "bearer: unable to decode issuer")


class HeaderRequired(FalError):
    """A missing key, in the text of the REST host."""

    def __init__(self) -> None:
        # fal: live on rest.fal.ai, 2026.
        super().__init__(401, "Authorization header is required")


class ApplicationNotFound(FalError):
    """An unknown app. The text names the alias alone, without its owner."""

    def __init__(self, alias: str) -> None:
        # fal: live on fal.run, 2026-10.
        # assumption: queue.fal.run sends the same text.
        super().__init__(404, f'Application "{alias}" not found')


class RequestNotFound(FalError):
    """An unknown request id: never submitted, no longer stored, or of another account."""

    def __init__(self) -> None:
        # fal: live, 2026-10.
        # assumption: the id of another account's request looks unknown.
        super().__init__(404, "Request not found")


class StillInProgress(FalError):
    """The result was requested before the request is completed."""

    def __init__(self) -> None:
        # fal: exactly this text; @ai-sdk/fal polls the result and continues only when it reads it.
        # assumption: a queued request gets the same text.
        super().__init__(400, "Request is still in progress")


class AlreadyCompleted(FalError):
    """A completed request can't be cancelled."""

    def __init__(self) -> None:
        super().__init__(400, "Request is already completed")


class QueueFull(FalError):
    """The queue is longer than `fal_max_queue_length`, or all requests in memory are in flight."""

    def __init__(self) -> None:
        # fal: the status 429 is documented for fal_max_queue_length.
        # assumption: the text.
        super().__init__(429, "Queue is full")


class MemoryFull(FalError):
    """No room for a request: what is kept for requests in flight takes all of --max-memory."""

    def __init__(self, limit_bytes: int) -> None:
        # deviation: fal documents no limit; --max-memory sets one. Official clients don't retry a 507.
        super().__init__(
            507,
            f"mock-fal: no room for the request: requests in flight take up the {limit_bytes} bytes of memory; "
            "--max-memory raises the limit",
        )


class ConcurrencyReached(FalError):
    """A direct request was rejected because the account reached its concurrency limit."""

    def __init__(self) -> None:
        kind = REQUEST_ERRORS["concurrent_requests_limit"]
        super().__init__(kind.status, kind.detail)


class BodyTooLarge(FalError):
    """The request body is larger than --max-body."""

    def __init__(self, limit_bytes: int) -> None:
        # deviation: the live limit is unknown; --max-body limits the memory of the process.
        super().__init__(413, f"Request body is larger than {limit_bytes} bytes, the limit of this mock-fal")


class InputTooLong(FalError):
    """An input is too long to be parsed, data URIs not counted."""

    def __init__(self, seen: str, limit: str) -> None:
        super().__init__(413, f"The input has {seen}; the limit of this mock-fal is {limit}")


class FileMissing(FalError):
    """No such file: unknown, incomplete, expired, deleted, or hidden from this reader."""

    def __init__(self) -> None:
        # assumption: the body for a missing file.
        super().__init__(404, "File not found")


class FileForbidden(FalError):
    """The file exists, and this reader may not read it."""

    def __init__(self) -> None:
        # fal: the status is documented (storage documentation, 2026). assumption: the text of a 403.
        super().__init__(403, "Forbidden")


class UploadTooLarge(FalError):
    """An uploaded file is larger than --max-upload."""

    def __init__(self, limit_bytes: int) -> None:
        # deviation: fal documents no limit; --max-upload sets one.
        super().__init__(
            413, f"mock-fal: the upload is larger than {limit_bytes} bytes; --max-upload raises the limit"
        )


class DiskFull(FalError):
    """All uploads together are larger than --max-disk, or the disk is full."""

    def __init__(self, reason: str) -> None:
        # deviation: fal documents no limit; --max-disk sets one.
        super().__init__(507, f"mock-fal: no room for the upload: {reason}; --max-disk raises the limit")


class BadUpload(FalError):
    """An upload whose parts or method don't match what was initiated."""

    def __init__(self, reason: str, status: int = 400) -> None:
        # assumption: the text and the status; similar stores send 400.
        super().__init__(status, reason)


class InvalidStorageType(FalError):
    """A storage type that doesn't exist, or no longer exists."""

    def __init__(self) -> None:
        # fal: status and text are reported for `gcs` (2026). assumption: other types get the same.
        super().__init__(400, "Invalid storage type")


class InvalidToken(FalError):
    """A CDN token that is forged or expired, or an upload URL without its signature."""

    def __init__(self) -> None:
        # assumption: the status and the text.
        super().__init__(401, "Invalid token")


class InvalidAppToken(FalError):
    """A token of `rest.fal.ai/tokens/` that is forged or expired."""

    def __init__(self) -> None:
        # fal: the text that a WebSocket receives (@fal-ai/client 1.10.1). assumption: a stream receives it too.
        super().__init__(401, "Unauthorized")


class WrongAppToken(FalError):
    """A valid token that was issued for other apps."""

    def __init__(self) -> None:
        # fal: the close reason of a WebSocket (live, 2026). assumption: a stream receives it too.
        super().__init__(403, "Forbidden")


class BadTokenRequest(FalError):
    """A request for a token with an invalid body."""

    def __init__(self, reason: str) -> None:
        # assumption: the status and the text.
        super().__init__(422, reason)


class BadQuery(FalError):
    """A query parameter of the queue with an invalid value."""

    def __init__(self, name: str, seen: str, expected: str) -> None:
        # assumption: the status and the text.
        super().__init__(422, f"{name} is {seen!r}, expected {expected}")


class InjectedFault(FalError):
    """A response that a test injects in place of the real one. `directive` describes it."""

    def __init__(self, directive: Any, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.directive = directive


class InvalidDirective(FalError):
    """A directive in the input that can't be parsed; rejected at submission."""

    def __init__(self, reason: str) -> None:
        # deviation: fal has no directives; a mistyped one is rejected instead of being used as a prompt.
        super().__init__(400, f"mock-fal: {reason}")


class ModelErrorKind(NamedTuple):
    """A row of fal's documentation of model errors: status, message and an example `ctx`."""

    status: int
    msg: str
    ctx: tuple[tuple[str, JSON], ...] = ()
    loc: tuple[str, ...] = ("body",)

    @property
    def retryable(self) -> bool:
        """Whether the runner asks for a retry: yes for its own failures, no for an invalid input."""
        return self.status != 422


_FORMATS: Final = [".jpg", ".jpeg", ".png", ".webp"]
_ARCHIVES: Final = [".zip"]

# fal: https://docs.fal.ai/errors lists the types, statuses and ctx keys. Where it gives no sample message,
# ours is the type in words.
MODEL_ERRORS: Final[dict[str, ModelErrorKind]] = {
    "internal_server_error": ModelErrorKind(500, "Internal server error"),
    "generation_timeout": ModelErrorKind(504, "Generation timeout"),
    # fal: the documentation has 400 (2025-26); other copies and a live test have 500 or 503.
    "downstream_service_error": ModelErrorKind(400, "Downstream service error"),
    "downstream_service_unavailable": ModelErrorKind(500, "Downstream service unavailable"),
    "content_policy_violation": ModelErrorKind(
        422,
        "The content could not be processed because it contained material flagged by a content checker.",
        loc=("body", "prompt"),
    ),
    "no_media_generated": ModelErrorKind(422, "No media generated"),
    "image_too_small": ModelErrorKind(422, "Image too small", (("min_height", 64), ("min_width", 64))),
    "image_too_large": ModelErrorKind(422, "Image too large", (("max_height", 4096), ("max_width", 4096))),
    "image_load_error": ModelErrorKind(422, "Image load error"),
    # fal: the live text; the documentation has "File download error".
    "file_download_error": ModelErrorKind(
        422, "Failed to download the file. Please check if the URL is accessible and try again."
    ),
    "face_detection_error": ModelErrorKind(422, "Could not detect face in the image"),
    "file_too_large": ModelErrorKind(422, "File too large", (("max_size", 10485760),)),
    "greater_than": ModelErrorKind(422, "Input should be greater than 0", (("gt", 0),)),
    "greater_than_equal": ModelErrorKind(422, "Input should be greater than or equal to 0", (("ge", 0),)),
    "less_than": ModelErrorKind(422, "Input should be less than 1", (("lt", 1),)),
    "less_than_equal": ModelErrorKind(422, "Input should be less than or equal to 20", (("le", 20),)),
    "multiple_of": ModelErrorKind(422, "Input should be a multiple of 8", (("multiple_of", 8),)),
    "sequence_too_short": ModelErrorKind(422, "Sequence should have at least 1 items", (("min_length", 1),)),
    "sequence_too_long": ModelErrorKind(422, "Sequence should have at most 4 items", (("max_length", 4),)),
    "one_of": ModelErrorKind(
        422, "Input should be 'EulerA' or 'DPM++'", (("expected", ["EulerA", "DPM++"]),)
    ),
    "feature_not_supported": ModelErrorKind(422, "Feature not supported"),
    "invalid_archive": ModelErrorKind(422, "Invalid archive", (("supported_extensions", _ARCHIVES),)),
    "archive_file_count_below_minimum": ModelErrorKind(
        422,
        "Archive file count below minimum",
        (("min_count", 4), ("provided_count", 1), ("supported_extensions", _FORMATS)),
    ),
    "archive_file_count_exceeds_maximum": ModelErrorKind(
        422,
        "Archive file count exceeds maximum",
        (("max_count", 100), ("provided_count", 101), ("supported_extensions", _FORMATS)),
    ),
    "audio_duration_too_long": ModelErrorKind(
        422, "Audio duration too long", (("max_duration", 60), ("provided_duration", 75))
    ),
    "audio_duration_too_short": ModelErrorKind(
        422, "Audio duration too short", (("min_duration", 5), ("provided_duration", 2))
    ),
    "video_duration_too_long": ModelErrorKind(
        422, "Video duration too long", (("max_duration", 60), ("provided_duration", 75))
    ),
    "video_duration_too_short": ModelErrorKind(
        422, "Video duration too short", (("min_duration", 5), ("provided_duration", 2))
    ),
    "unsupported_audio_format": ModelErrorKind(
        422, "Unsupported audio format", (("supported_formats", [".mp3", ".wav"]),)
    ),
    "unsupported_image_format": ModelErrorKind(
        422, "Unsupported image format", (("supported_formats", _FORMATS),)
    ),
    "unsupported_video_format": ModelErrorKind(
        422, "Unsupported video format", (("supported_formats", [".mp4", ".mov"]),)
    ),
}


class UnusableFile(Exception):
    """An input file that is missing or that a model can't use. `error_type` is a key of MODEL_ERRORS."""

    def __init__(self, error_type: str, **ctx: JSON) -> None:
        super().__init__(error_type)
        self.error_type = error_type
        self.ctx = ctx


class RequestErrorKind(NamedTuple):
    """A row of fal's documentation of request errors, which the gateway sends when no runner responded."""

    status: int
    detail: str


# fal: types and statuses are documented, and the text "Request timed out".
# assumption: the other texts are the type in words.
REQUEST_ERRORS: Final[dict[str, RequestErrorKind]] = {
    "request_timeout": RequestErrorKind(504, "Request timed out"),
    "startup_timeout": RequestErrorKind(504, "Runner startup timed out"),
    "runner_scheduling_failure": RequestErrorKind(503, "Runner scheduling failure"),
    "runner_connection_timeout": RequestErrorKind(503, "Runner connection timed out"),
    "runner_disconnected": RequestErrorKind(503, "Runner disconnected"),
    "runner_connection_refused": RequestErrorKind(503, "Runner connection refused"),
    "runner_connection_error": RequestErrorKind(503, "Runner connection error"),
    "runner_incomplete_response": RequestErrorKind(502, "Runner incomplete response"),
    "runner_server_error": RequestErrorKind(500, "Runner server error"),
    "client_disconnected": RequestErrorKind(499, "Client disconnected"),
    "client_cancelled": RequestErrorKind(499, "Request cancelled"),
    "bad_request": RequestErrorKind(400, "Bad request"),
    "internal_error": RequestErrorKind(500, "Internal error"),
    "concurrent_requests_limit": RequestErrorKind(429, "Concurrent requests limit reached"),
}
