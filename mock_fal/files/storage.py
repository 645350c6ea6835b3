"""What fal's storage would do: tokens, uploads, who may read which file, signed links. Plain synchronous Python."""

from __future__ import annotations

from dataclasses import replace

from mock_fal.accounts.acl import Acl, Decision, Terms
from mock_fal.accounts.signed_tokens import MAX_LINK_S, TOKEN_S, SignedTokens
from mock_fal.clock import Clock
from mock_fal.errors import BadUpload, FileForbidden, FileMissing, InvalidToken
from mock_fal.files.file_name import extension, safe_name
from mock_fal.files.file_store import FileStore, Upload, UploadWriter
from mock_fal.settings import Settings
from mock_fal.store import Result, Store


class Storage:
    """The use cases of files: those that somebody uploads, and of results who may read them."""

    def __init__(self, settings: Settings, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store
        self._identities = SignedTokens(settings.seed)
        # Whom a rule may name: with --key those of the keys, else anybody, for any key is good then.
        self._known = {key.partition(":")[0] for key in settings.key}
        self.file_store = FileStore(max_upload=settings.max_upload, max_disk=settings.max_disk)

    def token(self, owner: str, lives_s: float) -> tuple[str, float]:
        """A CDN token for `owner`, and the moment at which it is over."""
        # assumption: that a longer life is cut down rather than refused.
        expires_at = self._clock.now() + min(lives_s, TOKEN_S)
        return self._identities.token(owner, expires_at), expires_at

    def bearer(self, token: str) -> str | None:
        """Whose CDN token it is, if it is a good one."""
        return self._identities.bearer(token, self._clock.now())

    def promise(
        self, owner: str, name: str, content_type: str, terms: Terms, *, in_parts: bool = False
    ) -> Upload:
        """A place for a file, at an address that nobody would guess. Raises DiskFull when there are too many."""
        name = safe_name(name)
        ids = self._store.tenant(owner).ids
        path = ""
        while not path or self.file_store.holds(path):
            folder, nanoid = ids.upload_name()
            # fal: `/files/b/0aa2787a/rZ1U3meqH2er5BNjv6hZD_1784198345915.png` (live, 2026).
            # assumption: the address of a file without a name; older ones end in the subtype, as `….jpeg`.
            rest = f"_{name}" if name else f".{extension(content_type)}"
            path = f"/files/b/{folder}/{nanoid}{rest}"
        terms = self.known(terms)
        return self.file_store.promise(path, owner, content_type, terms, self._clock.now(), in_parts=in_parts)

    def known(self, terms: Terms) -> Terms:
        """The terms without rules for those who have no account."""
        return replace(terms, acl=self._without_strangers(terms.acl)) if terms.acl.rules else terms

    def signature(self, upload: Upload) -> str:
        """What lets anybody upload to the address of `upload`."""
        return self._identities.signature(upload.path)

    def signed(self, path: str, signature: str) -> Upload:
        """The upload at a path, for the bearer of its signature. Raises InvalidToken, FileMissing."""
        if not self._identities.is_signature(path, signature):
            raise InvalidToken
        return self.file_store.find(path, self._clock.now())

    def owned(self, path: str, owner: str) -> Upload:
        """The upload at a path, for its owner. Raises FileMissing, FileForbidden."""
        upload = self.file_store.find(path, self._clock.now())
        _check_owner(upload, owner)
        return upload

    def begin(self, upload: Upload, announced: int, part: int | None = None) -> UploadWriter:
        """Begin to write; see `Vault.begin`."""
        return self.file_store.begin(upload, self._clock.now(), part=part, announced=announced)

    def keep(self, writer: UploadWriter) -> str:
        """What was written is whole; see `Vault.keep`."""
        return self.file_store.keep(writer, self._clock.now())

    def complete(self, upload: Upload, parts: list[tuple[int, str]]) -> None:
        """All parts are there; see `Vault.complete`."""
        self.file_store.complete(upload, parts, self._clock.now())

    def read(self, path: str, *, token: str = "", identity: str = "") -> File:
        """The file at a path, for the bearer of a token or a signed link. Raises FileMissing, FileForbidden."""
        now = self._clock.now()
        file = self._file(path)
        # fal: of several credentials the most permissive counts; one that is no good is none (documentation, 2026).
        named = (self._identities.bearer(token, now), self._identities.reader(path, identity, now))
        _admit(file, [name for name in named if name is not None])
        return file

    def read_as(self, path: str, reader: str) -> File:
        """The file at a path, for one of that name. Raises FileMissing, FileForbidden."""
        file = self._file(path)
        _admit(file, [reader])
        return file

    def link(self, path: str, reader: str, lives_s: float) -> str:
        """The `identity` that makes a signed link of a file's address. Raises as `read` does, and BadUpload."""
        if lives_s > MAX_LINK_S:
            raise BadUpload(f"duration is {lives_s:g}, expected at most {MAX_LINK_S:g} seconds", 422)
        self.read_as(path, reader)
        return self._identities.link(path, reader, self._clock.now() + lives_s)

    def acl(self, path: str, owner: str, wanted: Acl | None = None) -> Acl:
        """Who may read a file, after it was changed to `wanted`. Raises FileMissing, FileForbidden."""
        file = self._file(path)
        _check_owner(file, owner)
        if wanted is not None:
            file.acl = self._without_strangers(wanted)
        return file.acl

    def _file(self, path: str) -> File:
        now = self._clock.now()
        result = self._store.files.get(path)
        if result is None:
            return self.file_store.complete_at(path, now)
        if now >= result.expires_at:
            raise FileMissing
        return result

    def _without_strangers(self, acl: Acl) -> Acl:
        # fal: rules for unknown users are dropped without a word (documentation, 2026).
        if not self._known:
            return acl
        return Acl(acl.default, tuple(rule for rule in acl.rules if rule[0] in self._known))


# A file that was uploaded, or one that came out of a request.
File = Upload | Result


def _admit(file: File, readers: list[str]) -> None:
    match file.acl.decide(file.owner, readers):
        case Decision.FORBID:
            raise FileForbidden
        case Decision.HIDE:
            raise FileMissing


def _check_owner(file: File, name: str) -> None:
    if file.owner != name:
        raise FileMissing if file.acl.decide(file.owner, [name]) is Decision.HIDE else FileForbidden
