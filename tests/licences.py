"""The licences of what mock-fal needs at run time, as the installed packages state them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distribution
from typing import Final, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What may be needed beside our Apache-2.0. MPL-2.0 is a copyleft of single files, which we don't change.
ALLOWED: Final = {
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
}

# The extras, and what needs a package that no extra names.
EXTRAS: Final = ("check", "yaml")
ALWAYS: Final = "always"

# The SPDX expression of packages that have none in their metadata, by what they have instead: the field `License`,
# or the last part of the classifier.
_SPDX: Final = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
}

# Markers hold for the oldest Python on Linux, where the list is longest, so that each Python makes the same list.
_ENVIRONMENT: Final = {
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}


class Package(NamedTuple):
    """A package that mock-fal needs, directly or not."""

    name: str
    licence: str
    needed_by: str

    @property
    def choices(self) -> set[str]:
        """The licences of which a user may choose one."""
        return set(self.licence.split(" OR "))


def packages() -> list[Package]:
    """All packages, those that are always needed first."""
    needed_by: dict[str, str] = {}
    for extra in ("", *EXTRAS):
        for name in sorted(_required("mock-fal", frozenset({extra}))):
            needed_by.setdefault(name, extra or ALWAYS)
    return [Package(name, _licence(name), extra) for name, extra in needed_by.items()]


def _required(name: str, extras: frozenset[str]) -> set[str]:
    """The packages that a package with extras requires, and those that these require."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        for requirement in _requirements(name, extras):
            other = canonicalize_name(requirement.name)
            if other not in found:
                found.add(other)
                waiting.append((other, frozenset(requirement.extras | {""})))
    return found


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, distribution(name).requires or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**_ENVIRONMENT, "extra": extra}) for extra in extras):
            yield requirement


def _licence(name: str) -> str:
    """The SPDX expression of a package; of several classifiers, each is a choice."""
    metadata = distribution(name).metadata
    if expression := metadata.json.get("license_expression"):
        return str(expression)
    classifiers = [
        text.rpartition(":: ")[2] for text in metadata.get_all("Classifier") or () if "License ::" in text
    ]
    field = str(metadata.json.get("license", ""))
    stated = [field] if field and len(field) < 40 else classifiers
    return " OR ".join(_SPDX.get(text, text) for text in stated) or "unknown"
