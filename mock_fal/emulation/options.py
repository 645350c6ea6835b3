"""The options of a submission."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from mock_fal.accounts.acl import NO_PREFERENCE, ObjectLifecycle

if TYPE_CHECKING:
    from mock_fal.files.inputs import Contents
    from mock_fal.requests.upload_policy import UploadPolicy
    from mock_fal.scenario.output import Output
    from mock_fal.webhooks.payload import Webhook

NO_CONTENTS: Final[Contents] = {}
# Of an input that was looked at, and names no file.
NO_FILES: Final[Contents] = {}


class SubmitOptions(NamedTuple):
    """Options of a submission beside its input. `directive` is the header `X-Mock-Fal`."""

    low_priority: bool = False
    start_timeout_s: float = math.inf
    max_queue_length: int | None = None
    webhook: Webhook | None = None
    directive: str = ""
    # Whether the client asked for no automatic retries.
    no_retry: bool = False
    # How often the owner of an app wants it to be tried again, by the condition of the failure.
    retry_config: Mapping[str, int] = MappingProxyType({})
    object_lifecycle: ObjectLifecycle = NO_PREFERENCE
    # Where the files of the result go instead of fal's media host; a text says why the policy is invalid.
    upload_policy: UploadPolicy | str | None = None
    # What users' callables have returned for inputs; see `AnswerNeeded`.
    answers: Mapping[tuple[Output, bytes], Output] = MappingProxyType({})

    @property
    def kept_bytes(self) -> int:
        """The bytes of what is kept of them with the request, beside the webhook."""
        policy = self.upload_policy
        return 0 if policy is None or isinstance(policy, str) else policy.kept_bytes


DEFAULT_OPTIONS: Final = SubmitOptions()
