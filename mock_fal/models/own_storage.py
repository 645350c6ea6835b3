"""Results whose files go to a storage of the user's own (`requests/upload_policy.py`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mock_fal.errors import JSON
from mock_fal.models.runner import RunResult
from mock_fal.requests.outcome import MediaFile, RunnerResponse, media_files
from mock_fal.requests.upload_policy import HEADER, UploadPolicy

NOT_LOCAL: Final = "is not on this machine; start with --allow-egress to upload the files of results there"


def stored(run: RunResult, policy: UploadPolicy | str, *, allow_egress: bool) -> RunResult:
    """The result with its files at the address of a policy; or the error of an invalid policy, which is a text."""
    outcome = run.outcome
    if isinstance(policy, str):
        # fal: 422 with a text, and 0 units: nothing has run (fal SDK; documentation, 2026).
        response = RunnerResponse(422, {"detail": policy}, billable_units=0)
        return RunResult(response, 0, (), [])
    if not isinstance(outcome, RunnerResponse) or outcome.status >= 400:
        return run
    files = [file for file in media_files(outcome.body) if not file.inline]
    if not files:
        return run
    other = next((file.recipe.content_type for file in files if _differs(policy, file)), None)
    if other is not None:
        # fal: the signed content type can't be changed. The output exists by then, so it is billed (fal SDK).
        text = f"Invalid {HEADER} header: fields.Content-Type is {policy.content_type!r:.200} but the file being "
        text += f"uploaded is {other!r}; a signed Content-Type cannot be changed"
        return run._replace(
            outcome=outcome._replace(status=422, body={"detail": text}, inline=False), files=[]
        )
    if note := _hindrance(policy, allow_egress=allow_egress):
        policy = replace(policy, is_used=False, notes=[note])
    body = _at(outcome.body, policy)
    warning = run.warning or next(iter(policy.notes), "")
    return run._replace(outcome=outcome._replace(body=body, inline=True), files=[], warning=warning)


def _hindrance(policy: UploadPolicy, *, allow_egress: bool) -> str:
    """Why no file may be uploaded; empty if it may."""
    if policy.page:
        # deviation: a web page of another machine has no files sent anywhere, unless it sends a key of `--key`.
        return f"{policy.url}: requested by a web page of {policy.page:.100}; nothing is uploaded"
    return "" if policy.is_local or allow_egress else f"{policy.url} {NOT_LOCAL}"


def _differs(policy: UploadPolicy, file: MediaFile) -> bool:
    return policy.content_type not in (None, file.recipe.content_type)


def _at(body: JSON, policy: UploadPolicy) -> JSON:
    """A body with its files at the address of a policy."""
    if isinstance(body, MediaFile):
        return body if body.inline else replace(body, inline=True, bucket=policy)
    if isinstance(body, dict):
        return {name: _at(part, policy) for name, part in body.items()}
    return [_at(part, policy) for part in body] if isinstance(body, list) else body
