"""Endpoint ids: `fal-ai/flux/schnell` is the path `schnell` of the app `flux` of the owner `fal-ai`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

# fal: both official clients know these two namespaces (fal_client 1.0.3, @fal-ai/client 1.10.1).
NAMESPACES: Final = frozenset({"workflows", "comfy"})

_LEGACY: Final = re.compile(r"([0-9]+)-([a-zA-Z0-9-]+)")


@dataclass(frozen=True)
class EndpointId:
    """`[namespace/]owner/app[/path]`. Requests are submitted to the full id and polled at the app's id.

    >>> EndpointId.parse("fal-ai/flux/schnell").app_id
    'fal-ai/flux'
    >>> EndpointId.parse("workflows/ana/posters/v2").app_id
    'workflows/ana/posters'
    >>> str(EndpointId.parse("110602490-lora"))
    '110602490/lora'
    """

    owner: str
    app: str
    path: str = ""
    namespace: str = ""

    @classmethod
    def parse(cls, text: str) -> EndpointId:
        """Parse an id in any form that fal's clients accept, including a full `https://fal.run/…` URL.

        Raises ValueError.
        """
        if "://" in text:
            text = _path_of(text)
        legacy = _LEGACY.fullmatch(text)
        segments = list(legacy.groups()) if legacy else [part for part in text.split("/") if part]
        endpoint = cls.of(segments)
        if endpoint is None:
            raise ValueError(
                f"{text!r} is not an endpoint id; expected owner/app[/path], as in fal-ai/flux/schnell"
            )
        return endpoint

    @classmethod
    def of(cls, segments: list[str]) -> EndpointId | None:
        """The id given by the segments of a path; None when there are too few."""
        namespace = segments[0] if segments and segments[0] in NAMESPACES else ""
        names = segments[1:] if namespace else segments
        if len(names) < 2:
            return None
        return cls(names[0], names[1], "/".join(names[2:]), namespace)

    @cached_property
    def app_id(self) -> str:
        """`[namespace/]owner/app`, as in the URLs of a request."""
        prefix = f"{self.namespace}/" if self.namespace else ""
        return f"{prefix}{self.owner}/{self.app}"

    @property
    def is_workflow(self) -> bool:
        """Whether it is a workflow itself, such as `workflows/ana/posters`, and not a path of one."""
        return self.namespace != "" and not self.path

    @cached_property
    def _text(self) -> str:
        return f"{self.app_id}/{self.path}" if self.path else self.app_id

    def __str__(self) -> str:
        return self._text


def _path_of(url: str) -> str:
    """The path of a full URL, which the JavaScript client accepts in place of an id."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not (parts.hostname or "").endswith(("fal.run", "fal.ai")):
        raise ValueError(f"{url!r} is not a URL of fal; expected https://fal.run/owner/app[/path]")
    return parts.path
