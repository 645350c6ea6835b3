"""The files of results that go to a storage of the user's own: each is uploaded once, before its address is given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from mock_fal.requests.outcome import MediaFile
from mock_fal.requests.upload_policy import UploadPolicy

# Uploads a file (path on the media host, content type, content) and returns why that failed.
Send = Callable[[UploadPolicy, str, str, bytes], Awaitable[str]]


class OutputStorage:
    """Uploads files by `send`, which only a server has."""

    # deviation: a file is uploaded when its address is first given, in a result or a webhook, which waits for it. fal
    # uploads in the background, so that a program has to expect that the address does not work yet.

    def __init__(self) -> None:
        self.send: Send | None = None
        # The uploads of each policy by path, as long as the request is kept that came with it.
        self._uploads: WeakKeyDictionary[UploadPolicy, dict[str, asyncio.Task[None]]] = WeakKeyDictionary()

    async def address(self, file: MediaFile, render: Callable[[MediaFile], Awaitable[bytes]]) -> str:
        """The address of a file, once it is uploaded or has failed to be."""
        policy = file.bucket
        assert policy is not None
        uploads = self._uploads.setdefault(policy, {})
        if file.path not in uploads and policy.is_used and self.send is not None:
            uploads[file.path] = asyncio.ensure_future(self._upload(file, policy, self.send, render))
        if file.path in uploads:
            await asyncio.shield(uploads[file.path])  # others may wait for it too
        return policy.address(file.path)

    async def _upload(
        self,
        file: MediaFile,
        policy: UploadPolicy,
        send: Send,
        render: Callable[[MediaFile], Awaitable[bytes]],
    ) -> None:
        error = await send(policy, file.path, file.recipe.content_type, await render(file))
        if error:
            policy.notes.append(f"not uploaded to {policy.address(file.path)}: {error}")
