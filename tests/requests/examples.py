"""Example requests for tests of queues and of the store."""

from __future__ import annotations

from mock_fal.endpoint import EndpointId
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.lifecycle import Submission
from mock_fal.requests.outcome import MediaFile, RunnerResponse
from mock_fal.requests.queue import ModelRequest

DEV = EndpointId.parse("fal-ai/flux/dev")


def model_request(submission: Submission, tenant: str = "alice", endpoint: EndpointId = DEV) -> ModelRequest:
    """A request with one picture in its result."""
    name = f"{tenant}-{submission.number}"
    picture = MediaFile(Recipe(str(endpoint), "a cat", 7, 512, 512), f"/files/b/0/{name}.jpg")
    return ModelRequest(
        name, endpoint, tenant, submission, RunnerResponse(200, {"images": [picture]}), 4, files=[picture]
    )
