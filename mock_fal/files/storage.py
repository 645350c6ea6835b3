"""fal's storage: CDN tokens, uploads, access rules and signed links. Synchronous, without I/O besides the disk."""

from __future__ import annotations

from mock_fal.accounts.acl import NO_PREFERENCE, Acl, Decision, ObjectLifecycle
from mock_fal.accounts.signed_tokens import MAX_LINK_S, TOKEN_S, SignedTokens
from mock_fal.clock import Clock
from mock_fal.errors import BadUpload, FileForbidden, FileMissing, InvalidToken
from mock_fal.files.file_name import extension, safe_name
from mock_fal.files.file_store import FileStore, Upload, UploadWriter
from mock_fal.settings import Settings
from mock_fal.store import ResultFile, Store


class Storage:
    """The operations on files: uploading, reading with access rules, tokens and signed links."""

    def __init__(self, settings: Settings, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store
        self._tokens = SignedTokens(settings.seed)
        # The users that access rules may name: with --key the accounts of the keys, else anybody.
        self._users = {key.partition(":")[0] for key in settings.key}
        self.file_store = FileStore(
            max_upload=settings.max_upload, max_disk=settings.max_disk, memory=store.memory
        )

    def token(self, owner: str, lifetime_s: float) -> tuple[str, float]:
        """A CDN token for `owner`, and the time at which it expires."""
        # assumption: a longer lifetime is reduced to the maximum rather than rejected.
        expires_at = self._clock.now() + min(lifetime_s, TOKEN_S)
        return self._tokens.token(owner, expires_at), expires_at

    def token_owner(self, token: str) -> str | None:
        """The owner of a CDN token; None if it is invalid or expired."""
        return self._tokens.bearer(token, self._clock.now())

    def create_upload(
        self,
        owner: str,
        name: str,
        content_type: str,
        object_lifecycle: ObjectLifecycle,
        *,
        in_parts: bool = False,
    ) -> Upload:
        """Create an upload at a random path. Raises DiskFull if there are too many uploads."""
        name = safe_name(name)
        ids = self._store.tenant(owner).ids
        path = ""
        while not path or self.file_store.holds(path):
            folder, nanoid = ids.upload_name()
            # fal: `/files/b/0aa2787a/rZ1U3meqH2er5BNjv6hZD_1784198345915.png` (live, 2026).
            # assumption: the URL of a file without a name; older URLs end in the media subtype, as `….jpeg`.
            suffix = f"_{name}" if name else f".{extension(content_type)}"
            path = f"/files/b/{folder}/{nanoid}{suffix}"
        object_lifecycle = self.effective(object_lifecycle, owner)
        return self.file_store.create(
            path, owner, content_type, object_lifecycle, self._clock.now(), in_parts=in_parts
        )

    def effective(self, object_lifecycle: ObjectLifecycle, owner: str) -> ObjectLifecycle:
        """The lifecycle of a new file of an account, without access rules for unknown users.

        A client without a preference gets the account's settings.
        """
        if object_lifecycle is NO_PREFERENCE:
            object_lifecycle = self._store.workspaces.lifecycle(owner) or NO_PREFERENCE
        return self.without_unknown_users(object_lifecycle)

    def without_unknown_users(self, object_lifecycle: ObjectLifecycle) -> ObjectLifecycle:
        """The lifecycle without access rules for unknown users."""
        if not object_lifecycle.acl.rules:
            return object_lifecycle
        return object_lifecycle._replace(acl=self._known_rules(object_lifecycle.acl))

    def signature(self, upload: Upload) -> str:
        """The signature that authorises an upload to the URL of `upload`."""
        return self._tokens.signature(upload.path)

    def signed_upload(self, path: str, signature: str) -> Upload:
        """The upload at a path, authorised by its signature. Raises InvalidToken, FileMissing."""
        if not self._tokens.is_signature(path, signature):
            raise InvalidToken
        return self.file_store.find(path, self._clock.now())

    def owned_upload(self, path: str, owner: str) -> Upload:
        """The upload at a path, authorised by its owner. Raises FileMissing, FileForbidden."""
        upload = self.file_store.find(path, self._clock.now())
        _check_owner(upload, owner)
        return upload

    def open_writer(self, upload: Upload, expected_bytes: int, part: int | None = None) -> UploadWriter:
        """A writer for a part or the whole file; see `FileStore.open_writer`."""
        return self.file_store.open_writer(
            upload, self._clock.now(), part=part, expected_bytes=expected_bytes
        )

    def commit(self, writer: UploadWriter) -> str:
        """Add the written bytes to their upload; see `FileStore.commit`."""
        return self.file_store.commit(writer, self._clock.now())

    def complete(self, upload: Upload, parts: list[tuple[int, str]]) -> None:
        """Complete a multipart upload; see `FileStore.complete`."""
        self.file_store.complete(upload, parts, self._clock.now())

    def read(self, path: str, *, token: str = "", identity: str = "") -> File:
        """The file at a path, authorised by a token or a signed link. Raises FileMissing, FileForbidden."""
        now = self._clock.now()
        file = self.find(path)
        # fal: of several credentials the most permissive counts; invalid ones are ignored (documentation, 2026).
        readers = (self._tokens.bearer(token, now), self._tokens.reader(path, identity, now))
        _admit(file, [name for name in readers if name is not None])
        return file

    def read_as(self, path: str, reader: str) -> File:
        """The file at a path, authorised as the account `reader`. Raises FileMissing, FileForbidden."""
        file = self.find(path)
        _admit(file, [reader])
        return file

    def link(self, path: str, reader: str, lifetime_s: float) -> str:
        """The parameter `identity` of a signed link to a file. Raises FileMissing, FileForbidden, BadUpload."""
        if lifetime_s > MAX_LINK_S:
            raise BadUpload(f"duration is {lifetime_s:g}, expected at most {MAX_LINK_S:g} seconds", 422)
        self.read_as(path, reader)
        return self._tokens.link(path, reader, self._clock.now() + lifetime_s)

    def acl(self, path: str, owner: str, new_acl: Acl | None = None) -> Acl:
        """The access rules of a file, after `new_acl` has been set, if given. Raises FileMissing, FileForbidden."""
        file = self.find(path)
        _check_owner(file, owner)
        if new_acl is not None:
            file.acl = self._known_rules(new_acl)
        return file.acl

    def find(self, path: str) -> File:
        """The file at a path, without a check of permissions. Raises FileMissing."""
        now = self._clock.now()
        result = self._store.file(path)
        if result is None:
            return self.file_store.find_complete(path, now)
        if now >= result.expires_at:
            raise FileMissing
        return result

    def _known_rules(self, acl: Acl) -> Acl:
        # fal: rules for unknown users are silently dropped (documentation, 2026).
        if not self._users:
            return acl
        return Acl(acl.default, tuple(rule for rule in acl.rules if rule[0] in self._users))


# An uploaded file, or a file of a result.
File = Upload | ResultFile


def _admit(file: File, readers: list[str]) -> None:
    match file.acl.decide(file.owner, readers):
        case Decision.FORBID:
            raise FileForbidden
        case Decision.HIDE:
            raise FileMissing


def _check_owner(file: File, name: str) -> None:
    if file.owner != name:
        raise FileMissing if file.acl.decide(file.owner, [name]) is Decision.HIDE else FileForbidden
