from __future__ import annotations

import pytest

from mock_fal.errors import (
    MODEL_ERRORS,
    REQUEST_ERRORS,
    AlreadyCompleted,
    ApplicationNotFound,
    AuthenticationRequired,
    BadQuery,
    BadTokenRequest,
    BadUpload,
    BodyTooLarge,
    DiskFull,
    FalError,
    FileForbidden,
    FileMissing,
    HeaderRequired,
    InvalidAppToken,
    InvalidBearer,
    InvalidDirective,
    InvalidKey,
    InvalidStorageType,
    InvalidToken,
    MockFalError,
    QueueFull,
    RequestNotFound,
    ScenarioError,
    SettingsError,
    StillInProgress,
    UnusableFile,
    UploadTooLarge,
    WrongAppToken,
)

# Copied from fal's documentation and captures, not from the code: type, status, keys of ctx.
DOCUMENTED_MODEL_ERRORS = [
    ("internal_server_error", 500, []),
    ("generation_timeout", 504, []),
    ("downstream_service_error", 400, []),
    ("downstream_service_unavailable", 500, []),
    ("content_policy_violation", 422, []),
    ("no_media_generated", 422, []),
    ("image_too_small", 422, ["min_height", "min_width"]),
    ("image_too_large", 422, ["max_height", "max_width"]),
    ("image_load_error", 422, []),
    ("file_download_error", 422, []),
    ("face_detection_error", 422, []),
    ("file_too_large", 422, ["max_size"]),
    ("greater_than", 422, ["gt"]),
    ("greater_than_equal", 422, ["ge"]),
    ("less_than", 422, ["lt"]),
    ("less_than_equal", 422, ["le"]),
    ("multiple_of", 422, ["multiple_of"]),
    ("sequence_too_short", 422, ["min_length"]),
    ("sequence_too_long", 422, ["max_length"]),
    ("one_of", 422, ["expected"]),
    ("feature_not_supported", 422, []),
    ("invalid_archive", 422, ["supported_extensions"]),
    ("archive_file_count_below_minimum", 422, ["min_count", "provided_count", "supported_extensions"]),
    ("archive_file_count_exceeds_maximum", 422, ["max_count", "provided_count", "supported_extensions"]),
    ("audio_duration_too_long", 422, ["max_duration", "provided_duration"]),
    ("audio_duration_too_short", 422, ["min_duration", "provided_duration"]),
    ("video_duration_too_long", 422, ["max_duration", "provided_duration"]),
    ("video_duration_too_short", 422, ["min_duration", "provided_duration"]),
    ("unsupported_audio_format", 422, ["supported_formats"]),
    ("unsupported_image_format", 422, ["supported_formats"]),
    ("unsupported_video_format", 422, ["supported_formats"]),
]

DOCUMENTED_REQUEST_ERRORS = [
    ("request_timeout", 504),
    ("startup_timeout", 504),
    ("runner_scheduling_failure", 503),
    ("runner_connection_timeout", 503),
    ("runner_disconnected", 503),
    ("runner_connection_refused", 503),
    ("runner_connection_error", 503),
    ("runner_incomplete_response", 502),
    ("runner_server_error", 500),
    ("client_disconnected", 499),
    ("client_cancelled", 499),
    ("bad_request", 400),
    ("internal_error", 500),
    ("concurrent_requests_limit", 429),
]

DOCUMENTED_MESSAGES = [
    ("internal_server_error", "Internal server error"),
    ("generation_timeout", "Generation timeout"),
    ("downstream_service_error", "Downstream service error"),
    ("downstream_service_unavailable", "Downstream service unavailable"),
    (
        "content_policy_violation",
        "The content could not be processed because it contained material flagged by a content checker.",
    ),
    ("image_too_small", "Image too small"),
    ("image_too_large", "Image too large"),
    ("image_load_error", "Image load error"),
    (
        "file_download_error",
        "Failed to download the file. Please check if the URL is accessible and try again.",
    ),
    ("face_detection_error", "Could not detect face in the image"),
    ("file_too_large", "File too large"),
    ("greater_than", "Input should be greater than 0"),
    ("greater_than_equal", "Input should be greater than or equal to 0"),
    ("less_than", "Input should be less than 1"),
    ("less_than_equal", "Input should be less than or equal to 20"),
    ("multiple_of", "Input should be a multiple of 8"),
    ("sequence_too_short", "Sequence should have at least 1 items"),
    ("sequence_too_long", "Sequence should have at most 4 items"),
    ("one_of", "Input should be 'EulerA' or 'DPM++'"),
    ("feature_not_supported", "Feature not supported"),
]


@pytest.mark.parametrize(("error_type", "status", "ctx"), DOCUMENTED_MODEL_ERRORS)
def test_a_model_error_has_its_documented_status_and_ctx(
    error_type: str, status: int, ctx: list[str]
) -> None:
    kind = MODEL_ERRORS[error_type]
    assert kind.status == status
    assert [key for key, _ in kind.ctx] == ctx


def test_there_is_no_other_model_error() -> None:
    assert set(MODEL_ERRORS) == {error_type for error_type, _, _ in DOCUMENTED_MODEL_ERRORS}


@pytest.mark.parametrize(("error_type", "msg"), DOCUMENTED_MESSAGES)
def test_a_model_error_has_its_documented_message(error_type: str, msg: str) -> None:
    assert MODEL_ERRORS[error_type].msg == msg


@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_every_model_error_has_a_message_and_a_location_in_the_body(error_type: str) -> None:
    assert MODEL_ERRORS[error_type].msg
    assert MODEL_ERRORS[error_type].loc[0] == "body"


@pytest.mark.parametrize(
    "error_type",
    [
        "internal_server_error",
        "generation_timeout",
        "downstream_service_error",
        "downstream_service_unavailable",
    ],
)
def test_a_failure_of_the_model_is_retryable(error_type: str) -> None:
    assert MODEL_ERRORS[error_type].retryable


@pytest.mark.parametrize("error_type", ["content_policy_violation", "image_too_small", "file_download_error"])
def test_an_invalid_input_is_not_retryable(error_type: str) -> None:
    assert not MODEL_ERRORS[error_type].retryable


@pytest.mark.parametrize(("error_type", "status"), DOCUMENTED_REQUEST_ERRORS)
def test_a_request_error_has_its_documented_status(error_type: str, status: int) -> None:
    assert REQUEST_ERRORS[error_type].status == status
    assert REQUEST_ERRORS[error_type].detail


def test_there_is_no_other_request_error() -> None:
    assert set(REQUEST_ERRORS) == {error_type for error_type, _ in DOCUMENTED_REQUEST_ERRORS}


def test_no_type_is_both_a_model_error_and_a_request_error() -> None:
    assert not set(MODEL_ERRORS) & set(REQUEST_ERRORS)


def test_a_timeout_has_the_documented_text() -> None:
    assert REQUEST_ERRORS["request_timeout"].detail == "Request timed out"


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (
            AuthenticationRequired("fal-ai/kling-video"),
            401,
            'Cannot access application "fal-ai/kling-video". Authentication is required to access this application.',
        ),
        (InvalidKey(), 401, "invalid key credentials"),
        (InvalidBearer(), 401, "bearer: unable to decode issuer"),
        (HeaderRequired(), 401, "Authorization header is required"),
        (ApplicationNotFound("h3-max"), 404, 'Application "h3-max" not found'),
        (RequestNotFound(), 404, "Request not found"),
        (StillInProgress(), 400, "Request is still in progress"),
        (AlreadyCompleted(), 400, "Request is already completed"),
        (QueueFull(), 429, "Queue is full"),
        (BodyTooLarge(1024), 413, "Request body is larger than 1024 bytes, the limit of this mock-fal"),
        (
            BadQuery("fal_max_queue_length", "x", "a number"),
            422,
            "fal_max_queue_length is 'x', expected a number",
        ),
        (FileMissing(), 404, "File not found"),
        (FileForbidden(), 403, "Forbidden"),
        (
            UploadTooLarge(9),
            413,
            "mock-fal: the upload is larger than 9 bytes; --max-upload raises the limit",
        ),
        (
            DiskFull("9 bytes left"),
            507,
            "mock-fal: no room for the upload: 9 bytes left; --max-disk raises the limit",
        ),
        (BadUpload("no parts"), 400, "no parts"),
        (BadUpload("gone", 409), 409, "gone"),
        (InvalidStorageType(), 400, "Invalid storage type"),
        (InvalidToken(), 401, "Invalid token"),
        (InvalidAppToken(), 401, "Unauthorized"),
        (WrongAppToken(), 403, "Forbidden"),
        (BadTokenRequest("no app"), 422, "no app"),
        (InvalidDirective("column 1: no"), 400, "mock-fal: column 1: no"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_fal_has_its_status_and_text(error: FalError, status: int, detail: str) -> None:
    assert (error.status, error.detail, str(error)) == (status, detail, detail)


@pytest.mark.parametrize("error", [SettingsError, ScenarioError])
def test_an_error_of_mock_fal_is_not_an_error_of_fal(error: type[Exception]) -> None:
    assert issubclass(error, MockFalError)
    assert not issubclass(error, FalError)


def test_an_unusable_file_has_an_error_type_and_ctx() -> None:
    unusable = UnusableFile("image_too_small", min_width=64)
    assert (unusable.error_type, unusable.ctx) == ("image_too_small", {"min_width": 64})
    assert not isinstance(unusable, FalError)
