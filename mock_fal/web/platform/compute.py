"""Platform API: rented machines. They are kept as records; nothing runs on them."""

from __future__ import annotations

from typing import Final

from mock_fal.accounts.instances import MAX_INSTANCES, Instance
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, NotFound, PlatformError, Query, document, paged

# fal: the types and sectors; a sector is for eight GPUs only (Platform API specification, 2026).
_TYPES: Final = ("gpu_8x_h100_sxm5", "gpu_1x_h100_sxm5")
_SECTORS: Final = ("sector_1", "sector_2", "sector_3")
# assumption: where it is. deviation: its address, which is one for documentation: there is no machine.
_REGION: Final = "us-west"
_IP: Final = "203.0.113.42"


def instances(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /compute/instances`: the machines of the account, latest first."""
    page = Query(http_request).page(default=50, most=100)
    found = emulator.store.workspaces.instances.of(http_request.account)
    return paged("instances", [_item(instance, emulator.clock.now()) for instance in found], page)


def create(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`POST /compute/instances`: a machine, which is ready after a minute of the emulated time."""
    body = document(http_request)
    kind, ssh_key, sector = body.get("instance_type"), body.get("ssh_key"), body.get("sector")
    if kind not in _TYPES:
        raise Invalid("instance_type", kind, f"one of {', '.join(_TYPES)}")
    if not isinstance(ssh_key, str) or not ssh_key:
        raise Invalid("ssh_key", ssh_key, "a public key of SSH")
    if "sector" in body and (sector not in _SECTORS or kind != _TYPES[0]):
        raise Invalid("sector", sector, f"one of {', '.join(_SECTORS)}, with {_TYPES[0]} only")
    now = emulator.clock.now()
    # assumption: the id after its prefix, which is that of the specification's examples.
    id = f"inst_{emulator.new_request_id('').replace('-', '')}"
    instance = Instance(id, http_request.account, kind, sector, now)
    if not emulator.store.workspaces.instances.add(instance):
        raise PlatformError(400, "validation_error", f"mock-fal: there are {MAX_INSTANCES} instances already")
    # assumption: the status of the response.
    return wire.reply(201, _item(instance, now))


def instance(emulator: Emulator, http_request: HttpRequest, id: str) -> JSON:
    """`GET /compute/instances/{id}`: a machine."""
    return _item(_found(emulator, http_request, id), emulator.clock.now())


def delete(emulator: Emulator, http_request: HttpRequest, id: str) -> None:
    """`DELETE /compute/instances/{id}`: give a machine back."""
    emulator.store.workspaces.instances.delete(_found(emulator, http_request, id).id)


def _found(emulator: Emulator, http_request: HttpRequest, id: str) -> Instance:
    for found in emulator.store.workspaces.instances.of(http_request.account):
        if found.id == id:
            return found
    raise NotFound(f"no instance {id}")


def _item(instance: Instance, now: float) -> dict[str, JSON]:
    is_ready = instance.is_ready(now)
    return {
        "id": instance.id,
        "instance_type": instance.type,
        "region": _REGION,
        **({"sector": instance.sector} if instance.sector else {}),
        **({"ip": _IP} if is_ready else {}),
        "status": "ready" if is_ready else "provisioning",
        "creator_user_nickname": instance.account,
    }
