"""A local emulator of fal.ai: unmodified clients, reproducible placeholder pictures, no network, no key, no cost.

    from mock_fal import MockFal

    with MockFal() as fal:
        print(fal.url)

Public names are imported on first use, so that the pytest plugin costs nothing in runs that don't use it.
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
    from mock_fal.scenario.output import File
    from mock_fal.server import MockFal
    from mock_fal.settings import Settings
    from mock_fal.webhooks.outbox import Delivery, DeliveryState
    from mock_fal.webhooks.receiver import WebhookReceiver
    from mock_fal.webhooks.signature import verify as verify_webhook

__version__ = "0.1.0"

__all__ = [
    "Account",
    "AutoAdvanceClock",
    "Delivery",
    "DeliveryState",
    "Exchange",
    "File",
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
    "verify_webhook",
]

# Where each public name is defined: its module and its name there.
_HOMES = {
    "Account": "account.Account",
    "AutoAdvanceClock": "clock.AutoAdvanceClock",
    "Delivery": "webhooks.outbox.Delivery",
    "DeliveryState": "webhooks.outbox.DeliveryState",
    "Exchange": "journal.exchanges.Exchange",
    "File": "scenario.output.File",
    "InvalidWebhook": "errors.InvalidWebhook",
    "ManualClock": "clock.ManualClock",
    "MockFal": "server.MockFal",
    "MockFalError": "errors.MockFalError",
    "ScenarioError": "errors.ScenarioError",
    "Settings": "settings.Settings",
    "SettingsError": "errors.SettingsError",
    "StoredFile": "files.listing.StoredFile",
    "SystemClock": "clock.SystemClock",
    "WebhookReceiver": "webhooks.receiver.WebhookReceiver",
    "verify_webhook": "webhooks.signature.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].rpartition(".")
    value = globals()[name] = getattr(import_module(f"{__name__}.{module}"), attribute)
    return value


def __dir__() -> list[str]:
    return __all__
