"""The errors of the OpenAI-shaped plane."""

from __future__ import annotations

from mock_fal.errors import JSON


class Problem(Exception):
    """An error response in OpenAI's form. `param` names the field, as in `messages[0].content`."""

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status

    @property
    def body(self) -> JSON:
        return problem_body(self.status, self.message, self.param, self.code)


# assumption: the errors of this plane have the four members of OpenAI's API, and the types and codes that it documents.
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def problem_body(status: int, message: str, param: str | None = None, code: str | None = None) -> JSON:
    """The body of an error with this status."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def missing(param: str) -> Problem:
    """A required parameter is missing."""
    return Problem(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def wrong_type(param: str, expected: str, value: JSON) -> Problem:
    """A parameter has a value of another type."""
    seen = _type_name(value)
    return Problem(
        f"Invalid type for '{param}': expected {expected}, but got {seen} instead.",
        param=param,
        code="invalid_type",
    )


def wrong_value(param: str, reason: str) -> Problem:
    """A parameter has a value that is not allowed."""
    return Problem(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def _type_name(value: JSON) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case list():
            return "an array"
        case _:
            return "an object"
