"""The responses of the server match the documents in `openapi/`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from mock_fal.scenario.options import CONCURRENCY_ERROR
from mock_fal.webhooks.outbox import Attempt
from mock_fal.webhooks.payload import webhook_body
from mock_fal.webhooks.signature import webhook_headers
from tests.specs import Operation, spec
from tests.web.conftest import MEDIA, QUEUE, QUEUE_S, RUN_S, Fal, open_fal
from tests.web.witness import Witness, example, parts_of, required

FLUX = {"owner": "fal-ai", "app": "flux"}
SCHNELL = {**FLUX, "path": "schnell"}
UNKNOWN = {**FLUX, "request_id": "019f6b1b-0000-7000-8000-000000000000"}
SMALL = {"prompt": "a cat", "image_size": {"width": 64, "height": 48}}

Scenario = Callable[[Witness], None]


# -- preconditions


def a_request(fal: Fal, body: Mapping[str, Any] = SMALL) -> dict[str, Any]:
    """The parameters of a queued request."""
    return {**FLUX, "request_id": fal.submit(body=json.dumps(body).encode()).id}


def a_completed_request(fal: Fal) -> dict[str, Any]:
    """The parameters of a completed request."""
    values = a_request(fal)
    fal.advance(QUEUE_S + RUN_S)
    return values


def a_file(fal: Fal, *, in_parts: bool = False, full: bool = False) -> dict[str, Any]:
    """The parameters of an upload, which is finished if `full`."""
    witness = Witness(fal)
    operation = "initiateMultipartUpload" if in_parts else "initiateUpload"
    promised = witness.request(f"rest.{operation}").json()
    values = {**parts_of(promised["upload_url"]), "part": 1, "url": promised["file_url"]}
    if full:
        witness.request("media.putFile", values=values)
    return values


def some_logs(fal: Fal) -> dict[str, Any]:
    """The parameters of log lines that were logged: a stream of them ends."""
    done = {"request_id": a_completed_request(fal)["request_id"]}
    end = datetime.fromtimestamp(fal.clock.now(), UTC).isoformat()
    return {**done, "start": "2020-01-01", "end": end, "search": "", "level": "trace"}


def a_workflow(fal: Fal) -> dict[str, Any]:
    """The parameters of a saved workflow."""
    name = f"posters-{len(fal.journal)}"
    node = {"type": "run", "app": "fal-ai/flux/dev"}
    contents = {"nodes": {"n": node}, "output": {"images": "$n.images"}}
    body = {"name": name, "title": "Posters", "contents": contents}
    Witness(fal).request("platform.createWorkflow", 201, body=body)
    return {"user": "alice", "name": name}


def a_call(fal: Fal) -> dict[str, Any]:
    """The parameters of a completed call."""
    return {"id": fal.completed("a cat", image_size={"width": 64, "height": 48}).id}


def a_result_file(fal: Fal) -> dict[str, Any]:
    """The parameters of a picture on mock-fal's own address."""
    return {"path": fal.picture().removeprefix(f"{MEDIA}/")}


def a_rule(fal: Fal) -> dict[str, Any]:
    """The parameters of a rule."""
    fal.emulator.scenario.add("queue=5")
    return {"id": fal.emulator.scenario.rules[0].number}


def a_value(fal: Fal) -> dict[str, Any]:
    """The parameters of a value that is set."""
    Witness(fal).request("kv.setValue", 200)
    return {}


def a_library(fal: Fal) -> dict[str, Any]:
    """The parameters of an asset, a collection, a character and a tag, and of an instance."""
    witness, number = Witness(fal), len(fal.journal)
    handle = fal.submit("a cat [mock: queue=0 run=0]")
    [asset, *_] = witness.request("platform.listAssets", 200).json()["assets"]
    character = {"name": f"Alice {number}", "description": "red hair", "reference_images": [asset["url"]]}
    made = {
        name: witness.request(f"platform.{name}", 201, body=body).json()
        for name, body in (
            ("createCollection", {"name": "Cats"}),
            ("createCharacter", character),
            ("createTag", {"name": f"tag {number}"}),
            ("createInstance", None),
        )
    }
    return {
        "request_id": handle.id,
        "vector_id": asset["vector_id"],
        "collection_id": made["createCollection"]["collection"]["id"],
        "character_id": made["createCharacter"]["character"]["id"],
        "tag_id": made["createTag"]["tag"]["id"],
        "instance_id": made["createInstance"]["id"],
    }


def a_session(fal: Fal) -> dict[str, Any]:
    """The parameters of a multipart upload with a token."""
    begun = Witness(fal).request("media.beginMultipart").json()
    return {**parts_of(begun["access_url"]), "upload_id": begun["uploadId"], "part": 1}


PREPARED: dict[str, Callable[[Fal], dict[str, Any]]] = {
    **dict.fromkeys(["queue.status", "queue.statusStream", "queue.result", "queue.cancel"], a_request),
    **dict.fromkeys(["rest.getFileAcl", "rest.setFileAcl"], lambda fal: a_file(fal, full=True)),
    **dict.fromkeys(
        ["media.readFile", "media.headFile", "media.signFile"], lambda fal: a_file(fal, full=True)
    ),
    **dict.fromkeys(
        ["platform.getStorageFileAcl", "platform.setStorageFileAcl", "platform.signStorageFile"],
        lambda fal: a_file(fal, full=True),
    ),
    "kv.getValue": lambda fal: a_value(fal),
    **dict.fromkeys(
        [
            f"platform.{name}"
            for name in (
                *("getCollection", "updateCollection", "deleteCollection", "favoriteCollection"),
                *("unfavoriteCollection", "moveCollection", "listCollectionAssets"),
                *("addToCollection", "removeFromCollection"),
                *("getCharacter", "updateCharacter", "deleteCharacter", "favoriteCharacter"),
                *("unfavoriteCharacter", "updateTag", "deleteTag", "assignTag", "unassignTag", "getAsset"),
                *("getInstance", "deleteInstance"),
            )
        ],
        lambda fal: a_library(fal),
    ),
    "platform.deletePayloads": a_completed_request,
    "platform.getWorkflow": lambda fal: a_workflow(fal),
    "platform.streamLogs": lambda fal: some_logs(fal),
    "media.putFile": a_file,
    **dict.fromkeys(["media.putPart", "media.completeParts"], lambda fal: a_file(fal, in_parts=True)),
    **dict.fromkeys(["media.putMultipartPart", "media.completeMultipart"], a_session),
    **dict.fromkeys([f"control.{name}OfCall" for name in ("snippet", "cassettes")], a_call),
    **dict.fromkeys(["control.readCall", "control.replayCall"], a_call),
    "control.streamEvents": lambda fal: {"limit": 1},
    "control.readRequest": lambda fal: {"number": fal.submit().fal.journal[-1].number},
    "control.readMedia": a_result_file,
    "control.removeRule": a_rule,
}


def prepared(name: str, fal: Fal) -> dict[str, Any]:
    """The parameters of an operation, after its preconditions were created."""
    values = PREPARED[name](fal) if name in PREPARED else {}
    if name in ("media.completeParts", "media.completeMultipart"):
        part = "media.putPart" if name == "media.completeParts" else "media.putMultipartPart"
        Witness(fal).request(part, 200, values)
    return values


# -- every operation, with the examples in the documents

SERVED = ["queue", "run", "openai", "rest", "media", "kv", "platform", "control"]
OPERATIONS = [operation for name in SERVED for operation in spec(name).operations]
EXAMPLES = [
    pytest.param(operation, body, id=f"{operation}-{title}")
    for operation in OPERATIONS
    for title, _, body in operation.examples()
]
# The status if it is not a success, because the example parameters do not belong together.
EXPECTED = {
    "queue.result": 400,
    "control.resendWebhook": 409,
    "control.setClock": 409,
    # They name an asset that does not exist, or look for several things at once.
    **dict.fromkeys(("platform.addAsset", "platform.createCharacter", "platform.setTags"), 404),
    **dict.fromkeys(("platform.favoriteAsset", "platform.unfavoriteAsset"), 404),
    **dict.fromkeys(("platform.addToCollection", "platform.removeFromCollection"), 404),
    **dict.fromkeys(("platform.assignTag", "platform.unassignTag"), 404),
    **dict.fromkeys(("platform.listAssets", "platform.listCollectionAssets"), 400),
}


@pytest.mark.parametrize(("operation", "body"), EXAMPLES)
def test_the_response_to_an_example_matches_the_document(
    auto_advance: Fal, operation: Operation, body: Any
) -> None:
    witness, name = Witness(auto_advance), str(operation)
    values = prepared(name, auto_advance)
    response = witness.request(name, values=values, body=body)
    assert response.status_code < 300 or response.status_code == EXPECTED.get(name)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_optional_parameter_is_accepted(auto_advance: Fal, operation: Operation) -> None:
    name = str(operation)
    values = {
        parameter["name"].value: example(parameter)
        for parameter in operation.parameters
        if not parameter.value.get("required")
    }
    # Conditional requests have separate scenarios.
    for condition in ("If-None-Match", "If-Range", "Range", "fal_webhook"):
        values.pop(condition, None)
    response = Witness(auto_advance).request(name, values=values | prepared(name, auto_advance))
    assert response.status_code < 300 or response.status_code == EXPECTED.get(name)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_links_lead_to_existing_operations(auto_advance: Fal, operation: Operation) -> None:
    witness, name = Witness(auto_advance), str(operation)
    values = {**required(operation), **prepared(name, auto_advance)}
    for followed in witness.follow(name, witness.request(name, values=values), values):
        assert followed.status_code not in (401, 403, 404, 405)


# -- other responses of the operations, as scenarios


def a_queued_request(witness: Witness) -> None:
    values = a_request(witness.fal)
    witness.request("queue.status", 202, values)
    witness.request("queue.result", 400, values)
    witness.fal.advance(QUEUE_S)
    witness.request("queue.status", 202, {**values, "logs": "1"})
    witness.fal.advance(RUN_S)
    witness.request("queue.status", 200, {**values, "logs": "true"})
    witness.request("queue.result", 200, values)
    witness.request("queue.cancel", 400, values)


def cancelled_while_queued(witness: Witness) -> None:
    values = a_request(witness.fal)
    witness.request("queue.cancel", 200, values)
    witness.request("queue.status", 200, values)
    witness.request("queue.result", 499, values)


def cancelled_while_running(witness: Witness) -> None:
    values = a_request(witness.fal, {**SMALL, "prompt": "[mock: cancel=honoured]"})
    witness.fal.advance(QUEUE_S)
    witness.request("queue.cancel", 202, values)
    witness.request("queue.result", 499, values)


def start_timeout(witness: Witness) -> None:
    response = witness.request("queue.submitFluxDev", 200, {"X-Fal-Request-Start-Timeout": 1})
    values = {**FLUX, "request_id": response.json()["request_id"]}
    witness.fal.advance(QUEUE_S)
    witness.request("queue.status", 200, values)
    response = witness.request("queue.result", 504, values)
    assert response.headers["x-fal-request-timeout-type"] == "user"


def unknown_ids(witness: Witness) -> None:
    for name in ("status", "statusStream", "result", "cancel"):
        witness.request(f"queue.{name}", 404, UNKNOWN)
        witness.request(f"queue.{name}", 404, UNKNOWN, key=None)
    for name in ("queue.submit", "run.run", "run.stream"):
        witness.request(name, 404, {**SCHNELL, "app": "h3-max"})
    for name in ("queue.submitApp", "run.runApp"):
        witness.request(name, 404, {"app": "h3-max"})
    witness.request("run.run", 404, {**SCHNELL, "path": "nope"})
    for name in ("getFileAcl", "setFileAcl"):
        witness.request(f"rest.{name}", 404)
    for name in ("readFile", "headFile", "signFile"):
        witness.request(f"media.{name}", 404)


def without_a_valid_key(witness: Witness) -> None:
    bearer = {"authorization": "Bearer nobody"}
    for operation in OPERATIONS:
        name = str(operation)
        if "401" not in operation.responses or operation.spec.name == "control":
            continue
        witness.request(name, 401, headers=bearer)
        if {} not in operation.security:
            witness.request(name, 401, key=None)
        if operation.spec.name in ("run", "rest", "platform") or name.startswith("queue.submit"):
            witness.request(name, 401, headers={"authorization": "Key nonsense"})


def with_another_method(witness: Witness) -> None:
    for operation in OPERATIONS:
        if "405" in operation.responses:
            witness.request(str(operation), 405, method="PATCH")


def with_head(witness: Witness) -> None:
    for name in ("status", "result", "statusStream"):
        witness.request(f"queue.{name}", values=a_request(witness.fal), method="HEAD")


def with_an_invalid_body(witness: Witness) -> None:
    for name in (
        "runFluxSchnell",
        "runFluxDev",
        "run",
        "stream",
        "streamFluxSchnell",
        "streamFluxDev",
        "runApp",
    ):
        for body in BAD_INPUTS:
            witness.request(f"run.{name}", 422, body=body)
    for name in SUBMISSIONS:
        witness.request(f"queue.{name}", 200, body=b"{")
        witness.request(f"queue.{name}", 422, {"fal_max_queue_length": "many"})
        witness.request(f"queue.{name}", 422, {"X-Fal-Object-Lifecycle": "[]"})
    for operation in spec("rest").operations:
        if "422" in operation.responses:
            witness.request(str(operation), 422, prepared(str(operation), witness.fal), body=b"{")
    witness.request("media.signFile", 422, a_file(witness.fal, full=True), body={"duration": 1e9})
    for name in ("uploadFile", "beginMultipart"):
        witness.request(f"media.{name}", 422, {"X-Fal-Object-Lifecycle": "[]"})
    witness.request("media.completeParts", 422, a_file(witness.fal, in_parts=True), body=b"{")
    witness.request("media.completeMultipart", 422, a_session(witness.fal), body=b"{")


def with_an_invalid_directive(witness: Witness) -> None:
    for operation in OPERATIONS:
        if operation.spec.name in ("queue", "run") and operation.method == "post":
            witness.request(str(operation), 400, body={"prompt": "[mock: nonsense]"})


def over_the_queue_length(witness: Witness) -> None:
    for name in SUBMISSIONS:
        # The four operations submit to two apps, so the first submission to an app is accepted.
        while witness.request(f"queue.{name}", values={"fal_max_queue_length": 0}).status_code == 200:
            pass
        witness.request(f"queue.{name}", 429, {"fal_max_queue_length": 0})


def over_the_concurrency_limit(witness: Witness) -> None:
    a_request(witness.fal, {**SMALL, "prompt": "[mock: queue=0 run=600]"})
    for operation in spec("run").operations:
        witness.request(str(operation), 429)


def with_a_too_large_body(witness: Witness) -> None:
    for operation in OPERATIONS:
        if "413" in operation.responses and operation.spec.name in ("queue", "run", "openai"):
            witness.request(str(operation), 413, body=b" " * 200)
        if "413" in operation.responses and operation.spec.name == "rest":
            witness.request(
                str(operation), 413, body=b" " * ((1 << 20) + 1), values=prepared(str(operation), witness.fal)
            )
    witness.request("media.uploadFile", 413, body=b" " * 200)
    witness.request("media.putFile", 413, a_file(witness.fal), body=b" " * 200)
    witness.request("media.putPart", 413, a_file(witness.fal, in_parts=True), body=b" " * 200)
    witness.request("media.putMultipartPart", 413, a_session(witness.fal), body=b" " * 200)
    for name, values in (
        ("signFile", a_file(witness.fal, full=True)),
        ("completeParts", a_file(witness.fal, in_parts=True)),
        ("completeMultipart", a_session(witness.fal)),
    ):
        witness.request(f"media.{name}", 413, values, body=b" " * ((4 << 20) + 1))


def on_a_full_disk(witness: Witness) -> None:
    witness.request("media.uploadFile", 507)
    witness.request("media.putFile", 507, a_file(witness.fal))
    witness.request("media.putPart", 507, a_file(witness.fal, in_parts=True))
    witness.request("media.putMultipartPart", 507, a_session(witness.fal))


def with_an_invalid_upload(witness: Witness) -> None:
    for name in ("initiateUpload", "initiateMultipartUpload", "createCdnToken"):
        witness.request(f"rest.{name}", 400, {"storage_type": "gcs"})
    witness.request("media.putFile", 400, a_file(witness.fal, in_parts=True))
    witness.request("media.putPart", 400, a_file(witness.fal))
    witness.request("media.putMultipartPart", 400, {**a_session(witness.fal), "part": 0})
    for name, values in (
        ("completeParts", a_file(witness.fal, in_parts=True)),
        ("completeMultipart", a_session(witness.fal)),
    ):
        witness.request(f"media.{name}", 400, values)


def of_another_account(witness: Witness) -> None:
    values = a_file(witness.fal, full=True)
    for name in ("getFileAcl", "setFileAcl"):
        witness.request(f"rest.{name}", 403, values, key="bob:secret")
    session = a_session(witness.fal)
    witness.request("media.putMultipartPart", 403, session, key="bob:secret")
    witness.request("media.completeMultipart", 403, session, key="bob:secret")
    witness.request("rest.setFileAcl", 200, values, body={"default": "forbid"})
    for name in ("readFile", "headFile"):
        witness.request(f"media.{name}", 403, values, key=None)
    witness.request("media.signFile", 403, values, key="bob:secret")
    witness.request("rest.setFileAcl", 200, values, body={"default": "hide"})
    witness.request("media.readFile", 404, values, key=None)
    link = witness.request("media.signFile", 200, values).text
    witness.request("media.readFile", 200, {**values, **parts_of(link)}, key=None)


def of_an_expired_file(witness: Witness) -> None:
    short = json.dumps({"expiration_duration_seconds": 60})
    promised = witness.request(
        "rest.initiateUpload", 200, {"X-Fal-Object-Lifecycle-Preference": short}
    ).json()
    values = parts_of(promised["upload_url"])
    witness.request("media.putFile", 200, values)
    begun = witness.request("media.beginMultipart", 200, {"X-Fal-Object-Lifecycle": short}).json()
    session = {**parts_of(begun["access_url"]), "upload_id": begun["uploadId"]}
    witness.request("media.putMultipartPart", 200, session)
    witness.request("media.completeMultipart", 400, session, body={"parts": []})
    in_parts = witness.request("rest.initiateMultipartUpload", 200, {"X-Fal-Object-Lifecycle": short}).json()
    parts = parts_of(in_parts["upload_url"])
    part = witness.request("media.putPart", 200, parts).json()
    witness.request("media.completeParts", 200, parts, body={"parts": [part]})
    mine = witness.request("media.putMultipartPart", 200, session).json()
    witness.request("media.completeMultipart", 200, session, body={"parts": [mine]})
    witness.fal.advance(61)
    witness.request("media.readFile", 404, values)
    for name, gone in (("putFile", values), ("putPart", parts), ("putMultipartPart", session)):
        witness.request(f"media.{name}", 404, gone)
    witness.request("media.completeParts", 404, parts)
    witness.request("media.completeMultipart", 404, session)


def on_the_platform(witness: Witness) -> None:
    done = {**a_completed_request(witness.fal), "endpoint_id": "fal-ai/flux/schnell"}
    for name in ("getUsage", "getAnalytics", "listBillingEvents", "listRequestsByEndpoint"):
        (rows,) = [part for part in witness.request(f"platform.{name}", 200, done).json().values() if part]
        assert len(rows) == 1
    witness.request("platform.listRequestsByEndpoint", 200, {**done, "expand": "payloads"})
    witness.request("platform.deletePayloads", 200, done)
    witness.request("platform.listModels", 200, {"expand": ["openapi-3.0", "enterprise_status"], "limit": 1})
    for operation in spec("platform").operations:
        name = str(operation)
        if "413" in operation.responses:
            witness.request(name, 413, body=b" " * ((1 << 20) + 1), values=prepared(name, witness.fal))
        if "limit" in operation.names("query"):
            witness.request(name, 400, {"limit": "none"})
    for name in ("getPricing", "getAnalytics"):
        witness.request(f"platform.{name}", 400, {"endpoint_id": ""})
    for name in ("getPricing", "listModels", "getModelOpenApi"):
        witness.request(f"platform.{name}", 404, {"endpoint_id": "fal-ai/nope"})
    for name in ("estimatePricing", "setStorageFileAcl", "signStorageFile"):
        witness.request(f"platform.{name}", 400, body=b"{")
    unknown = {"estimate_type": "unit_price", "endpoints": {"fal-ai/nope": {"unit_quantity": 1}}}
    witness.request("platform.estimatePricing", 404, body=unknown)
    witness.request("platform.getBilling", 400, {"expand": "nothing"})
    witness.request("platform.deletePayloads", 400, {"request_id": "one"})
    witness.request("platform.createWorkflow", 201)
    witness.request("platform.getWorkflow", 200, a_workflow(witness.fal))
    for name in ("createWorkflow", "createKey", "setStorageSettings", "listLogs", "streamLogs"):
        witness.request(f"platform.{name}", 400, body=b"{")
    for name in ("listAppRequests", "getServerlessAnalytics"):
        witness.request(f"platform.{name}", 400, {"endpoint_id": ""})
    witness.request("platform.getFocusReport", 400, {"source": "guess"})
    witness.request("platform.getWorkflow", 404, {"user": "nobody"})
    for name in ("searchRequests", "listWorkflows", "listApps", "getServerlessUsage", "getOrganizationUsage"):
        witness.request(f"platform.{name}", 200)
    for name in ("listKeys", "getMetrics", "getFocusReport", "getStorageSettings"):
        witness.request(f"platform.{name}", 200)
    for name in ("setStorageSettings", "listLogs", "listAppRequests", "getServerlessAnalytics"):
        witness.request(f"platform.{name}", 200)
    witness.request("platform.streamLogs", 200, some_logs(witness.fal))
    witness.request("platform.deleteKey", 204)
    witness.request("platform.listModelsOfWebsite", 200)
    key = witness.request("platform.createKey", 201, body={"alias": "a", "scope": ["requests:delete"]})
    for operation in spec("platform").operations:
        if "403" in operation.responses and str(operation) != "platform.deletePayloads":
            witness.request(str(operation), 403, key=key.json()["key"])
    other = witness.request("platform.createKey", 201, body={"alias": "a", "scope": ["models:read"]})
    witness.request("platform.deletePayloads", 403, key=other.json()["key"])
    witness.request("platform.deletePayloads", 404, UNKNOWN)
    for name in ("getQueueSize", "flushQueue"):
        witness.request(f"platform.{name}", 404, {"name": "nope"})
    file = a_file(witness.fal, full=True)
    for name in ("getStorageFileAcl", "setStorageFileAcl", "signStorageFile"):
        witness.request(f"platform.{name}", 404)
    witness.request("platform.getStorageFileAcl", 400, {"url": ""})
    witness.request("platform.setStorageFileAcl", 200, file)
    for name in ("getStorageFileAcl", "setStorageFileAcl", "signStorageFile"):
        witness.request(f"platform.{name}", 403, file, key="bob:secret")


def in_the_asset_library(witness: Witness) -> None:
    values = a_library(witness.fal)
    asset = {"vector_id": values["vector_id"]}
    for name, body in (
        ("favoriteAsset", asset),
        ("unfavoriteAsset", {"request_id": values["request_id"]}),
        ("assignTag", asset),
        ("setTags", {**asset, "tag_ids": [values["tag_id"]]}),
        ("unassignTag", asset),
    ):
        witness.request(f"platform.{name}", 200, values, body=body)
    witness.request("platform.addToCollection", 204, values, body=asset)
    for name in ("listAssets", "listCollectionAssets", "getAsset", "listTagsOfAsset"):
        witness.request(f"platform.{name}", 200, {**values, "q": "cat"})
    witness.request("platform.removeFromCollection", 204, values, body=asset)
    file = a_file(witness.fal, full=True)["url"]
    witness.request(
        "platform.addAsset", 201, body={"url": file, "type": "image", "tag_ids": [values["tag_id"]]}
    )
    changed = (
        "getCollection",
        "updateCollection",
        "favoriteCollection",
        "unfavoriteCollection",
        "moveCollection",
    )
    for name in (*changed, "getCharacter", "updateCharacter", "favoriteCharacter", "unfavoriteCharacter"):
        witness.request(f"platform.{name}", 200, values)
    for name in (
        "listCollections",
        "listCharacters",
        "listTags",
        "listInstances",
        "listTeams",
        "getInstance",
    ):
        witness.request(f"platform.{name}", 200, values)
    witness.request("platform.updateTag", 200, values)
    witness.request("platform.createTag", 201, body={"name": "taken"})
    for name in ("createTag", "updateTag"):
        witness.request(f"platform.{name}", 409, values, body={"name": "taken"})
    again = {
        "name": "a",
        "description": "b",
        "reference_images": [values["request_id"]],
        "identifier": "taken",
    }
    witness.request("platform.createCharacter", 201, body=again)
    witness.request("platform.createCharacter", 409, body=again)
    nested = {"name": "a", "parent_collection_id": "unknown"}
    witness.request("platform.createCollection", 404, body=nested)
    for name in ("listAssets", "listCollectionAssets"):
        witness.request(f"platform.{name}", 404, {"collection_id": "unknown"})
    added = {"url": file, "type": "image", "tag_ids": ["unknown"]}
    witness.request("platform.addAsset", 404, body=added)
    for operation in spec("platform").operations:
        name = str(operation)
        if operation.path.startswith(("/assets", "/compute")):
            if "400" in operation.responses and "requestBody" in operation.node:
                witness.request(name, 400, values, body=b"{")
            if "404" in operation.responses and "{" in operation.path:
                unknown = {**values, **dict.fromkeys(operation.names("path"), "unknown")}
                witness.request(name, 404, unknown)
    for name in ("favoriteAsset", "unfavoriteAsset", "setTags"):
        witness.request(f"platform.{name}", 404)
    for name in ("deleteCollection", "deleteCharacter", "deleteTag", "deleteInstance"):
        witness.request(f"platform.{name}", 204, values)


def on_the_key_value_host(witness: Witness) -> None:
    witness.request("kv.getValue", 404)
    witness.request("kv.setValue", 400, {"ttl": 59})
    witness.request("kv.setValue", 413, body=b" " * ((1 << 20) + 1))
    witness.request("kv.deleteValue", 200)


def with_few_permissions(witness: Witness) -> None:
    key = witness.request("platform.createKey", 201, body={"alias": "a", "scope": ["models:read"]}).json()[
        "key"
    ]
    for name in ("readBalance", "readUserDetails"):
        witness.request(f"rest.{name}", 403, key=key)
    witness.request("rest.readCurrentUser", 200, key=key)


def on_the_control_api(witness: Witness) -> None:
    for operation in spec("control").operations:
        witness.request(str(operation), 403, headers={"host": "evil.example"})
        witness.request(str(operation), 401, peer="192.0.2.7")
    for _ in range(2):  # in the second pass the journal has one exchange of each kind
        values = a_request(witness.fal)
        witness.request("queue.submit", 200, {"fal_webhook": "http://127.0.0.1:9/webhook"})
        witness.fal.advance(QUEUE_S + RUN_S)
        witness.request("queue.result", 200, values)
        a_file(witness.fal, full=True)
        witness.request("media.readFile", 404)
        for name in (
            "listRequests",
            "archiveRequests",
            "listDeliveries",
            "listFiles",
            "readUsage",
            "readSummary",
            "metrics",
            "inspector",
        ):
            witness.request(f"control.{name}", 200)
    witness.request("control.listRequests", 200, {"format": "har"})
    for name in ("listRequests", "archiveRequests"):
        witness.request(f"control.{name}", 422, {"status": "good"})
    for name in ("deleteRequests", "listDeliveries", "listFiles", "readUsage", "listRules", "clearRules"):
        witness.request(f"control.{name}", 422, query="?kee=alice")
    witness.request("control.advanceClock", 422, body={"seconds": -1})
    witness.request("control.getDocument", 404, {"name": "nope"})
    for name in ("addRules", "replaceRules"):
        witness.request(f"control.{name}", 422, body=["nonsense"])


def with_webhooks_of_the_control_api(witness: Witness) -> None:
    sent = {"url": "http://127.0.0.1:9000/", "endpoint": "me/app", "output": {"text": "hello"}}
    request_id = witness.request("control.sendWebhook", 202, body=sent).json()["request_id"]
    witness.request("control.sendWebhook", 422, body={**sent, "endpoint": "app"})
    witness.request("control.resendWebhook", 409, body={"request_id": request_id})
    outbox = witness.fal.emulator.outbox
    [delivery] = outbox.due(witness.fal.clock.now())
    outbox.record(delivery, Attempt(witness.fal.clock.now(), 0.0, 200))
    witness.request("control.resendWebhook", 202, body={"request_id": request_id, "body": {"own": 1}})
    witness.request("control.resendWebhook", 422, body={"request": request_id})


def with_calls_of_the_control_api(witness: Witness) -> None:
    fal = witness.fal
    for operation in spec("control").operations:
        if "404" in operation.responses:
            witness.request(str(operation), 404, {"path": "nope.css", "number": 99, "name": "no", "id": 999})
    values = a_call(fal)
    for body in ({}, {"input": {"prompt": "a dog"}, "key": "bob", "directive": "queue=0"}):
        witness.request("control.replayCall", 202, values, body=body)
    witness.request("control.replayCall", 413, values, body=b"{}" + b" " * 2_000_000)
    witness.request("control.replayCall", 422, values, body={"prompt": "a dog"})
    for language in ("curl", "python", "javascript"):
        witness.request("control.snippetOfCall", 200, {**values, "as": language})
    witness.request("control.snippetOfCall", 422, {**values, "as": "cobol"})
    fal.submit("[mock: error=runner_disconnected]", query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    fal.submit("[mock: error=content_policy_violation]").cancel()
    fal.request("POST", f"{QUEUE}/fal-ai/nope", body=b"{}")
    for call in witness.request("control.listCalls", 200).json()["calls"]:
        witness.request("control.readCall", 200, {"id": call["id"]})
    for name, value in (("state", "done"), ("before", "x"), ("limit", 0)):
        witness.request("control.listCalls", 422, {name: value})
    witness.request("control.streamEvents", 422, {"limit": 0})
    fal.emulator.store.exchanges.clear()
    for name in ("replayCall", "snippetOfCall", "cassettesOfCall"):
        witness.request(f"control.{name}", 409, values)


def with_files_and_pages_of_the_control_api(witness: Witness) -> None:
    values = a_result_file(witness.fal)
    etag = witness.request("control.readMedia", 200, values).headers["etag"]
    witness.request("control.readMedia", 206, {**values, "Range": "bytes=1-3"})
    witness.request("control.readMedia", 416, {**values, "Range": "bytes=999999-"})
    witness.request("control.readMedia", 304, values, headers={"if-none-match": etag})
    witness.request("control.readMedia", 200, {**values, "preview": 32})
    witness.request("control.readMedia", 422, {**values, "preview": 9})
    etag = witness.request("control.pageFile", 200).headers["etag"]
    witness.request("control.pageFile", 304, {"If-None-Match": etag})
    witness.request("control.explainRules", 422, body=["nonsense"])
    witness.request("control.removeRule", 204, a_rule(witness.fal))
    for name in ("UsedKeys", "Connections"):
        witness.request(f"control.list{name}", 200)


def with_the_system_clock(witness: Witness) -> None:
    witness.request("control.advanceClock", 409)
    witness.request("control.setClock", 200, body={"speed": 10})
    witness.request("control.setClock", 422, body={"speed": "fast"})


def with_ranges_and_conditions(witness: Witness) -> None:
    values = a_file(witness.fal, full=True)
    etag = witness.request("media.readFile", 200, values).headers["etag"]
    for name in ("readFile", "headFile"):
        response = witness.request(f"media.{name}", 206, {**values, "Range": "bytes=1-3"})
        assert response.content in (b"ell", b"")
        witness.request(f"media.{name}", 416, {**values, "Range": "bytes=9-"})
        witness.request(f"media.{name}", 304, {**values, "If-None-Match": etag})
        witness.request(f"media.{name}", 200, {**values, "Range": "bytes=1-3", "If-Range": '"other"'})


def rule_operation(operation: Operation) -> str:
    """The operation of a rule that applies to an operation; empty if there is none."""
    name = operation.name
    if operation.spec.name == "rest":
        return "upload" if name.startswith("initiate") else "token" if name.startswith("create") else ""
    if operation.spec.name == "queue":
        return "submit" if name.startswith("submit") else name.removesuffix("Stream")
    if operation.spec.name == "run":
        return "stream" if name.startswith("stream") else "run"
    return ""


def with_a_locked_account(witness: Witness) -> None:
    for operation in OPERATIONS:
        if name := rule_operation(operation):
            values = prepared(str(operation), witness.fal)
            witness.fal.emulator.scenario.add(f"operation={name} account=locked")
            witness.request(str(operation), 403, values)
            witness.fal.emulator.scenario.clear()


def by_an_ingress(witness: Witness) -> None:
    for operation in OPERATIONS:
        if operation.spec.name in ("queue", "run"):
            for status in (502, 503, 504):
                values = prepared(str(operation), witness.fal)
                witness.fal.emulator.scenario.add(f"operation={rule_operation(operation)} ingress={status}")
                witness.request(str(operation), status, values)
                witness.fal.emulator.scenario.clear()


def with_a_token_for_another_app(witness: Witness) -> None:
    token = witness.request("rest.createToken", 200).json()
    for name in (
        "run",
        "runApp",
        "stream",
        "runFluxSchnell",
        "runFluxDev",
        "streamFluxSchnell",
        "streamFluxDev",
    ):
        witness.request(f"run.{name}", 401, {"fal_jwt_token": "nonsense"}, key=None)
    witness.request("run.streamFluxSchnell", 200, {"fal_jwt_token": token}, key=None)
    other = witness.request(
        "rest.createToken", 200, body={"allowed_apps": ["other"], "token_expiration": 60}
    ).json()
    for operation in spec("run").operations:
        witness.request(str(operation), 403, {"fal_jwt_token": other}, key=None)


def on_the_openai_plane(witness: Witness) -> None:
    for operation in spec("openai").operations:
        name = str(operation)
        witness.request(name, 400, body=b"{")
        for kind in ("content_policy_violation", "internal_server_error", "runner_disconnected"):
            witness.request(
                name,
                MODEL_ERRORS[kind].status if kind in MODEL_ERRORS else 503,
                headers={"x-mock-fal": f"error={kind}"},
            )
        witness.request(name, 504, headers={"x-mock-fal": "error=request_timeout"})
        witness.request(name, 429, headers={"x-mock-fal": f"error={CONCURRENCY_ERROR}"})


def with_the_examples(witness: Witness) -> None:
    for operation in OPERATIONS:
        witness.request(str(operation), values=prepared(str(operation), witness.fal))


def with_every_error(witness: Witness) -> None:
    kinds = {kind: error.status for kind, error in MODEL_ERRORS.items()}
    kinds |= {kind: error.status for kind, error in REQUEST_ERRORS.items()}
    for kind, code in kinds.items():
        body = {"prompt": f"a cat [mock: error={kind}]"}
        for operation in spec("run").operations:
            witness.request(str(operation), code, body=body)
        values = a_request(witness.fal, body)
        while witness.request("queue.status", values=values).status_code == 202:
            pass
        status = witness.request("queue.status", 200, values).json()
        # Queued requests wait at the concurrency limit.
        fails = kind != CONCURRENCY_ERROR
        assert ("error_type" in status) == (kind in REQUEST_ERRORS and fails)
        witness.request("queue.result", code if fails else 200, values)


SUBMISSIONS = ["submit", "submitApp", "submitFluxSchnell", "submitFluxDev"]
BAD_INPUTS: list[Any] = [
    {},
    {"prompt": 5},
    {"prompt": "a cat", "image_size": "huge"},
    [1],
    b"{",
    b"null",
    b"'",
]

# Scenario -> settings. The default clock is auto-advance.
SCENARIOS: list[tuple[Scenario, dict[str, Any]]] = [
    (with_the_examples, {}),
    (with_every_error, {}),
    (a_queued_request, {"clock": "manual"}),
    (cancelled_while_queued, {"clock": "manual"}),
    (cancelled_while_running, {"clock": "manual"}),
    (start_timeout, {"clock": "manual"}),
    (unknown_ids, {}),
    (without_a_valid_key, {"key": ("alice:secret",)}),
    (with_another_method, {}),
    (with_head, {}),
    (with_an_invalid_body, {}),
    (with_an_invalid_directive, {}),
    (over_the_queue_length, {"clock": "manual"}),
    (over_the_concurrency_limit, {"concurrency": 1, "clock": "manual"}),
    (with_a_too_large_body, {"max_body": 100, "max_upload": 100}),
    (on_a_full_disk, {"max_disk": 2}),
    (with_an_invalid_upload, {}),
    (of_another_account, {}),
    (of_an_expired_file, {"clock": "manual"}),
    (with_ranges_and_conditions, {}),
    (on_the_platform, {"clock": "manual"}),
    (on_the_key_value_host, {}),
    (in_the_asset_library, {}),
    (with_few_permissions, {}),
    (on_the_control_api, {"clock": "manual"}),
    (with_webhooks_of_the_control_api, {}),
    (with_calls_of_the_control_api, {}),
    (with_files_and_pages_of_the_control_api, {}),
    (with_the_system_clock, {"clock": "system"}),
    (with_a_token_for_another_app, {}),
    (on_the_openai_plane, {}),
    (with_a_locked_account, {}),
    (by_an_ingress, {}),
]


def run_scenario(scenario: Scenario, settings: Mapping[str, Any]) -> Witness:
    with open_fal(**{"clock": "auto-advance", **settings}) as fal:
        witness = Witness(fal)
        scenario(witness)
        return witness


@pytest.mark.parametrize(("scenario", "settings"), SCENARIOS, ids=lambda part: getattr(part, "__name__", "-"))
def test_the_responses_of_a_scenario_match_the_documents(
    scenario: Scenario, settings: dict[str, Any]
) -> None:
    run_scenario(scenario, settings)


# Responses that do not occur here, and why.
NOT_TESTED = {
    r"(rest\.initiate\w+|media\.beginMultipart) 507": "needs 50,000 files",
    r"queue\.result 429": "queued requests wait at the limit",
    r"platform\.\w+ 429": "mock-fal has no such limit",
    r"platform\.\w+ 500": "needs an internal error",
    r"control\.streamEvents 503": "needs 32 clients; see tests/web/control/test_events.py",
}


@pytest.mark.parametrize(
    "prompt", ["a cat", 5, "[mock: error=runner_disconnected retry=false]", "[mock: error=image_too_small]"]
)
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_webhook_matches_the_document(fal: Fal, prompt: object, attempt: int) -> None:
    handle = fal.completed(prompt)
    operation = spec("webhook").operation("webhook")
    request = fal.emulator.store.requests[handle.id]
    sent = webhook_body(handle.id, fal.emulator.result(request), MEDIA, {})
    headers = dict(webhook_headers(handle.id, "alice", sent, fal.emulator.signer, now=1e9, attempt=attempt))
    content = operation.node["requestBody"]["content"]["application/json"]
    assert operation.spec.errors(content["schema"], json.loads(sent)) == []
    for parameter in operation.parameters:
        value = headers.get(parameter["name"].value.lower())
        if value is None:
            assert not parameter.value.get("required") and attempt == 1
        else:
            assert operation.spec.errors(parameter["schema"], value) == []


def test_every_documented_response_occurs() -> None:
    """Runs all scenarios again, because tests may run in several processes."""
    seen = {f"{name} {status}" for scenario in SCENARIOS for name, status in run_scenario(*scenario).seen}
    missing = {f"{operation} {status}" for operation in OPERATIONS for status in operation.responses} - seen
    assert [
        response for response in missing if not any(re.fullmatch(known, response) for known in NOT_TESTED)
    ] == []
    assert [
        known for known in NOT_TESTED if not any(re.fullmatch(known, response) for response in missing)
    ] == []
