"""A local fal.ai in one process: unmodified clients, repeatable placeholder pictures, no network, no key, no bill.

    from mock_fal import MockFal

    with MockFal() as fal:
        print(fal.url)

The public names are loaded when they are first used, so that the pytest plugin costs nothing in runs without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mock_fal.account import Account
    from mock_fal.clock import AutoAdvanceClock, ManualClock, SystemClock
    from mock_fal.errors import InvalidWebhook, MockFalError, ScenarioError, SettingsError
    from mock_fal.files.listing import StoredFile
    from mock_fal.journal.exchanges import Exchange
    from mock_fal.server import MockFal
    from mock_fal.settings import Settings
    from mock_fal.webhooks.outbox import Delivery, DeliveryState
    from mock_fal.webhooks.receiver import WebhookReceiver

__version__ = "0.1.0"

__all__ = [
    "Account",
    "AutoAdvanceClock",
    "Delivery",
    "DeliveryState",
    "Exchange",
    "InvalidWebhook",
    "ManualClock",
    "MockFal",
    "MockFalError",
    "ScenarioError",
    "Settings",
    "SettingsError",
    "StoredFile",
    "SystemClock",
    "WebhookReceiver",
    "__version__",
]

_HOMES = {
    "Account": "account",
    "AutoAdvanceClock": "clock",
    "Delivery": "webhooks.outbox",
    "DeliveryState": "webhooks.outbox",
    "Exchange": "journal.exchanges",
    "InvalidWebhook": "errors",
    "ManualClock": "clock",
    "MockFal": "server",
    "MockFalError": "errors",
    "ScenarioError": "errors",
    "Settings": "settings",
    "SettingsError": "errors",
    "StoredFile": "files.listing",
    "SystemClock": "clock",
    "WebhookReceiver": "webhooks.receiver",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
