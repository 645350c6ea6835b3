"""What an emulator is made of: the store, the endpoints, keys, rules, files, webhooks; most are made at first use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mock_fal.accounts.keys import Keys
from mock_fal.clock import Clock
from mock_fal.settings import Settings
from mock_fal.store import Store
from mock_fal.terminal import logger

if TYPE_CHECKING:
    from mock_fal.accounts.tokens import Tokens
    from mock_fal.files.inputs import InputFiles
    from mock_fal.files.storage import Storage
    from mock_fal.models.catalog import Catalog
    from mock_fal.models.deferred import DeferredRuns
    from mock_fal.scenario.rules import Scenario
    from mock_fal.scenario_engine import ScenarioEngine
    from mock_fal.webhooks.outbox import Delivery, Outbox
    from mock_fal.webhooks.signature import Signer

# How many different warnings are logged.
_MAX_WARNINGS: Final = 1000


class Parts:
    """The parts of one emulator, for its settings and its clock."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.store = Store(
            retention=settings.retention,
            seed=settings.seed,
            runners=settings.runners,
            concurrency=settings.concurrency,
            max_memory=settings.max_memory,
            # A guessed endpoint may have any id.
            endpoints=lambda: () if settings.guess_models else self.catalog.ids(),
        )
        if settings.models:
            _ = self.catalog  # fails now if a file has no valid endpoints
        if settings.scenario:
            _ = self.scenario_engine  # fails now if the file has no valid rules
        self._warnings: set[str] = set()
        # How often the state of a tenant, or of all, was removed.
        self.resets = 0
        # Fetches a file of another host; set only with --allow-egress. `web/submit_options.py` calls it.
        self.fetch: Callable[[str], Awaitable[bytes | None]] | None = None
        # Called when a webhook may be due earlier than before.
        self.notify: Callable[[], None] = lambda: None
        if settings.signing_key:
            _ = self.signer  # fails now if the file has no valid key
        self.keys = Keys(settings.key)

    def program_key(self, key: str | None = None) -> str:
        """The key that programs get for `key`, by default for that of the settings.

        While recording, its secret is the random one of this run, because the live key replaces it.
        """
        key = self.settings.own_key if key is None else key
        key_id, _, secret = key.partition(":")
        return f"{key_id}:{self.keys.run_secret}" if self.settings.record and key_id and secret else key

    # The parts below are created, and their modules imported, at first use; most runs need none of them.

    @cached_property
    def runs(self) -> DeferredRuns:
        """Works out what follows from a submission when somebody looks."""
        from mock_fal.models.deferred import DeferredRuns

        return DeferredRuns(
            lambda endpoint: self.catalog.find(endpoint),
            self.store.tenant,
            lambda url, media, tenant: self.input_files.content(url, tenant, media),
            self.store.written,
            self.store.built,
        )

    @cached_property
    def catalog(self) -> Catalog:
        """The endpoints that the emulator knows. Raises SettingsError for a file of --models."""
        from mock_fal.models.catalog import Catalog

        return Catalog(self.settings.models, guess=self.settings.guess_models)

    @cached_property
    def scenario_engine(self) -> ScenarioEngine:
        """The global rules, and the evaluation of all rules. Raises ScenarioError or SettingsError for --scenario."""
        from mock_fal.scenario_engine import ScenarioEngine

        return ScenarioEngine(self.store, self.settings.scenario)

    @property
    def has_global_rules(self) -> bool:
        return "scenario_engine" in self.__dict__ and bool(self.scenario_engine.global_rules)

    @property
    def scenario(self) -> Scenario:
        """The global rules."""
        return self.scenario_engine.global_rules

    @cached_property
    def signer(self) -> Signer:
        """The signer of webhooks. Raises SettingsError when the signing key can't be used."""
        from mock_fal.webhooks.signature import Signer

        return Signer(self.settings.seed, self.settings.signing_key)

    @cached_property
    def outbox(self) -> Outbox:
        """The webhooks to deliver."""
        from mock_fal.webhooks.outbox import Outbox
        from mock_fal.webhooks.retry_policy import POLICIES

        policy, retention = POLICIES[self.settings.webhook_retries], self.settings.retention
        outbox = Outbox(policy=policy, retention=retention, notify=lambda: self.notify())
        outbox.on_finished, outbox.on_growth = self.store.delivered, self.store.grow
        self.store.outbox = outbox
        return outbox

    @property
    def deliveries(self) -> list[Delivery]:
        """All stored webhook deliveries, oldest first."""
        return self.outbox.deliveries if self.has_outbox else []

    @property
    def has_outbox(self) -> bool:
        return "outbox" in self.__dict__

    @cached_property
    def storage(self) -> Storage:
        """Uploaded files and access to files."""
        from mock_fal.files.storage import Storage

        return Storage(self.settings, self.clock, self.store)

    @property
    def has_storage(self) -> bool:
        return "storage" in self.__dict__

    @cached_property
    def tokens(self) -> Tokens:
        """Short-lived tokens that give access to some apps without a key."""
        from mock_fal.accounts.tokens import Tokens

        return Tokens(self.settings.seed)

    @property
    def uploaded_bytes(self) -> int:
        """The size of all uploaded files on disk."""
        return self.storage.file_store.used_bytes if self.has_storage else 0

    def close(self) -> None:
        """Delete the uploaded files from disk."""
        if self.has_storage:
            self.storage.file_store.close()

    @cached_property
    def input_files(self) -> InputFiles:
        """The files that inputs refer to."""
        from mock_fal.files.inputs import InputFiles  # only for inputs that name a file

        return InputFiles(self.storage)

    def warn(self, warning: str) -> None:
        """Log a warning, once."""
        if warning not in self._warnings and len(self._warnings) < _MAX_WARNINGS:
            self._warnings.add(warning)
            logger.warning("mock-fal: %s", warning)
