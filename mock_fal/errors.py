"""Every error that fal can answer, with its status and words; and our own, which never pass for fal's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

JSON = Any  # a document that json.loads could have made


class MockFalError(Exception):
    """A mistake in how mock-fal was asked: shown to the person who runs it, never dressed up as fal's."""


class SettingsError(MockFalError):
    """A flag, a variable or an argument has a value that can't be used."""


class ScenarioError(MockFalError):
    """A directive or a rule that can't be understood; the message names the column and what was expected."""


class InvalidWebhook(MockFalError):
    """A webhook that fal did not sign, or that is not as it was signed; the message says what is wrong."""


class FalError(Exception):
    """An answer of fal's own machinery that is not a model's answer.

    `status` is the HTTP status, `detail` the text of the body. What a body looks like on the wire is for
    `web/wire.py` to say.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class AuthenticationRequired(FalError):
    """No usable key where one is needed."""

    def __init__(self, app: str) -> None:
        # fal: the text names owner/app (seen live, 2026).
        super().__init__(
            401, f'Cannot access application "{app}". Authentication is required to access this application.'
        )


class InvalidKey(FalError):
    """A well-formed key that nobody owns."""

    def __init__(self) -> None:
        # fal: seen live, several times, 2026.
        super().__init__(401, "invalid key credentials")


class InvalidBearer(FalError):
    """A bearer token that is not one of fal's."""

    def __init__(self) -> None:
        # assumption: the wording was seen in part only.
        super().__init__(401, "bearer: unable to decode issuer")


class HeaderRequired(FalError):
    """The REST host's own words for a missing key."""

    def __init__(self) -> None:
        # fal: seen live on rest.fal.ai, 2026.
        super().__init__(401, "Authorization header is required")


class ApplicationNotFound(FalError):
    """No app of that name. The message names the alias alone, without its owner."""

    def __init__(self, alias: str) -> None:
        # fal: seen live on fal.run, 2026-10.
        # assumption: the same text is assumed for queue.fal.run.
        super().__init__(404, f'Application "{alias}" not found')


class RequestNotFound(FalError):
    """An id that nobody submitted, that has been forgotten, or that belongs to somebody else."""

    def __init__(self) -> None:
        # fal: seen live, 2026-10.
        # assumption: another account's id is assumed to look unknown.
        super().__init__(404, "Request not found")


class StillInProgress(FalError):
    """The result was asked for before there is one."""

    def __init__(self) -> None:
        # fal: exactly this text; @ai-sdk/fal polls the result and goes on only when it reads it.
        # assumption: the same text is assumed for a request that is still queued.
        super().__init__(400, "Request is still in progress")


class AlreadyCompleted(FalError):
    """A request can't be cancelled when it is over."""

    def __init__(self) -> None:
        super().__init__(400, "Request is already completed")


class QueueFull(FalError):
    """More requests wait than the caller, or our memory, allows."""

    def __init__(self) -> None:
        # fal: documented is the status 429 for fal_max_queue_length.
        # assumption: the body's words.
        super().__init__(429, "Queue is full")


class ConcurrencyReached(FalError):
    """So many requests of the account run that a direct one is refused."""

    def __init__(self) -> None:
        kind = REQUEST_ERRORS["concurrent_requests_limit"]
        super().__init__(kind.status, kind.detail)


class BodyTooLarge(FalError):
    """The body is larger than we are willing to hold in memory."""

    def __init__(self, limit_bytes: int) -> None:
        # deviation: the live limit is not known; ours keeps one process small.
        super().__init__(413, f"Request body is larger than {limit_bytes} bytes, the limit of this mock-fal")


class FileMissing(FalError):
    """No file at that address: never there, not yet whole, expired, forgotten or hidden from whoever asks."""

    def __init__(self) -> None:
        # assumption: the body for a file that is not there.
        super().__init__(404, "File not found")


class FileForbidden(FalError):
    """The file is there, and not for whoever asks."""

    def __init__(self) -> None:
        # fal: the status is documented (storage documentation, 2026). assumption: the text.
        super().__init__(403, "Forbidden")


class UploadTooLarge(FalError):
    """A file is larger than we are willing to hold on disk."""

    def __init__(self, limit_bytes: int) -> None:
        # deviation: no limit is documented; ours can be moved.
        super().__init__(
            413, f"mock-fal: the upload is larger than {limit_bytes} bytes; --max-upload raises the limit"
        )


class DiskFull(FalError):
    """All uploads together are more than we are willing, or able, to hold on disk."""

    def __init__(self, reason: str) -> None:
        # deviation: no limit is documented; ours can be moved.
        super().__init__(507, f"mock-fal: no room for the upload: {reason}; --max-disk raises the limit")


class BadUpload(FalError):
    """An upload that does not go together: a list of parts that are others, a way that the file doesn't come."""

    def __init__(self, reason: str, status: int = 400) -> None:
        # assumption: the words and the status; 400 is what similar stores answer.
        super().__init__(status, reason)


class InvalidStorageType(FalError):
    """A kind of storage that is not, or no longer, there."""

    def __init__(self) -> None:
        # fal: for `gcs` the status and these words are reported (2026). assumption: for the rest.
        super().__init__(400, "Invalid storage type")


class InvalidToken(FalError):
    """A CDN token that is forged or over, or an address to upload to without its signature."""

    def __init__(self) -> None:
        # assumption: the status and the words.
        super().__init__(401, "Invalid token")


class InvalidAppToken(FalError):
    """A token of `rest.fal.ai/tokens/` that is forged or over."""

    def __init__(self) -> None:
        # fal: a WebSocket is told this word (@fal-ai/client 1.10.1). assumption: that a stream is told it too.
        super().__init__(401, "Unauthorized")


class WrongAppToken(FalError):
    """A good token, of somebody who may ask other apps with it."""

    def __init__(self) -> None:
        # fal: a WebSocket is closed with this word (live, 2026). assumption: that a stream is told it too.
        super().__init__(403, "Forbidden")


class BadTokenRequest(FalError):
    """A token is asked for in a way that can't be understood."""

    def __init__(self, reason: str) -> None:
        # assumption: the status and the words.
        super().__init__(422, reason)


class BadQuery(FalError):
    """A query parameter of the queue that can't be read."""

    def __init__(self, name: str, seen: str, expected: str) -> None:
        # assumption: how the live gateway refuses it.
        super().__init__(422, f"{name} is {seen!r}, expected {expected}")


class InjectedFault(FalError):
    """An answer that a test asks for in the place of the real one; its `directive` says which."""

    def __init__(self, directive: Any, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.directive = directive


class InvalidDirective(FalError):
    """A directive in the input that we can't read: told to whoever wrote it, at once."""

    def __init__(self, reason: str) -> None:
        # deviation: directives are ours; a mistyped one must not pass for a normal prompt.
        super().__init__(400, f"mock-fal: {reason}")


@dataclass(frozen=True, slots=True)
class ModelErrorKind:
    """A row of fal's page on model errors: the status, the message and an example of its `ctx`."""

    status: int
    msg: str
    ctx: tuple[tuple[str, JSON], ...] = ()
    loc: tuple[str, ...] = ("body",)

    @property
    def retryable(self) -> bool:
        """Whether the runner asks for another try: its own failures may pass, the input's don't."""
        return self.status != 422


_FORMATS: Final = [".jpg", ".jpeg", ".png", ".webp"]
_ARCHIVES: Final = [".zip"]

# fal: https://docs.fal.ai/errors lists the types, statuses and ctx keys. Where the page gives no sample of
# the message, it is the type in words.
MODEL_ERRORS: Final[dict[str, ModelErrorKind]] = {
    "internal_server_error": ModelErrorKind(500, "Internal server error"),
    "generation_timeout": ModelErrorKind(504, "Generation timeout"),
    # fal: the page says 400 (2025-26); other copies and a live test say 500 or 503.
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
    # fal: the live text, not the page's "File download error".
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
    """A file that an input names is not there, or is not what a model can use: one of MODEL_ERRORS, and its `ctx`."""

    def __init__(self, error_type: str, **ctx: JSON) -> None:
        super().__init__(error_type)
        self.error_type = error_type
        self.ctx = ctx


@dataclass(frozen=True, slots=True)
class RequestErrorKind:
    """A row of fal's page on request errors: what the gateway says when a runner gives no answer."""

    status: int
    detail: str


# fal: types and statuses are documented; of the texts only "Request timed out" is.
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
