"""Platform API: workflows, which run by the id `workflows/{user}/{name}`."""

from __future__ import annotations

import re
from typing import Final

from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON
from mock_fal.models.saved_workflows import MAX_WORKFLOWS, SavedWorkflow
from mock_fal.models.workflow import InvalidWorkflow, parse
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, NotFound, PlatformError, Query, document, paged, timestamp

# fal: the names of workflows (Platform API specification, 2026-08).
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_MAX_TITLE: Final = 1024


def workflows(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /workflows`: the account's saved workflows, latest first."""
    # deviation: workflows of --models are not listed.
    query = Query(http_request)
    page = query.page(default=50, most=100)
    search = (query.text("search") or "").lower()
    used = query.ids("used_endpoint_ids")
    matching = [
        saved
        for saved in emulator.catalog.saved_workflows.of(http_request.account)
        if search in f"{saved.name}\n{saved.title}".lower()
        # assumption: a workflow that uses one of the endpoints matches.
        and (not used or not set(used).isdisjoint(_apps(saved)))
    ]
    return paged("workflows", [_listed(saved) for saved in matching], page) | {"total": len(matching)}


def create(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`POST /workflows`: save a workflow, which can be run from now on."""
    body = document(http_request)
    name, title, is_public = body.get("name"), body.get("title"), body.get("is_public", False)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Invalid("name", name, "1 to 128 letters, digits, - and _")
    if not isinstance(title, str) or not 0 < len(title) <= _MAX_TITLE:
        raise Invalid("title", title, f"a text of 1 to {_MAX_TITLE} characters")
    if not isinstance(is_public, bool):
        raise Invalid("is_public", is_public, "true or false")
    saved_workflows = emulator.catalog.saved_workflows
    id = _id(http_request.account, name)
    if saved_workflows.find(id) is not None:
        # fal: 400 for a name that is in use (specification, 2026-10).
        raise Invalid("name", name, "a name that is not in use")
    try:
        # assumption: a definition that can't be run is rejected.
        workflow = parse(body.get("contents"))
    except InvalidWorkflow as error:
        raise PlatformError(
            400, "validation_error", f"Invalid request parameters: contents: {error}"
        ) from None
    saved = SavedWorkflow(
        http_request.account,
        name,
        title,
        body["contents"],
        is_public,
        emulator.clock.now(),
        len(http_request.body),
        workflow,
    )
    if not saved_workflows.add(saved):
        raise PlatformError(400, "validation_error", f"mock-fal: no room; it keeps {MAX_WORKFLOWS} workflows")
    return wire.reply(201, {"workflow": _detailed(saved)})


def workflow(emulator: Emulator, http_request: HttpRequest, user: str, name: str) -> JSON:
    """`GET /workflows/{user}/{name}`: a workflow with its definition."""
    saved = emulator.catalog.saved_workflows.find(f"{user}/{name}")
    # assumption: a private workflow of another account looks unknown.
    if saved is None or not (saved.is_public or saved.user == http_request.account):
        raise NotFound(f"no workflow {user}/{name}")
    return {"workflow": _detailed(saved)}


def _id(account: str, name: str) -> str:
    """The id of a workflow of an account. Raises Invalid for an account whose name can't be a part of an id."""
    if EndpointId.of(["workflows", *f"{account}/{name}".split("/")]) != EndpointId(
        account, name, namespace="workflows"
    ):
        raise Invalid("name", f"{account}/{name}", "user/name, where the user is the id of the key")
    return f"{account}/{name}"


def _apps(saved: SavedWorkflow) -> list[str]:
    return list(dict.fromkeys(str(node.app) for node in saved.workflow.nodes))


def _summary(saved: SavedWorkflow) -> dict[str, JSON]:
    return {
        "name": saved.name,
        "title": saved.title,
        "user_nickname": saved.user,
        "created_at": timestamp(saved.created_at),
    }


def _listed(saved: SavedWorkflow) -> dict[str, JSON]:
    return _summary(saved) | {
        "thumbnail_url": None,
        "description": None,
        "tags": [],
        "endpoint_ids": _apps(saved),
    }


def _detailed(saved: SavedWorkflow) -> dict[str, JSON]:
    return _summary(saved) | {
        "is_public": saved.is_public,
        "contents": saved.contents,
    }
