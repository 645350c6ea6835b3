"""Hooks of MkDocs (mkdocs.yml), so that the same files are right on GitHub and on the site.

- The navigation is the index, docs/README.md: its headings and links, in their order.
- A linked file outside of `docs/` becomes part of the site, below `repository/`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parent.parent

# A link in Markdown, or a code block or span, where there is none.
_LINK: Final = re.compile(
    r"(?P<code>^```.*?^```$|`[^`\n]*`)|\]\((?P<target>[^)\s:]+)\)", re.MULTILINE | re.DOTALL
)
_COMMENT: Final = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the navigation from the index."""
    index = (ROOT / "docs/README.md").read_text("utf-8")
    sections = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", index, re.MULTILINE | re.DOTALL)
    config.nav = [{"Home": "README.md"}]
    for title, text in sections:
        links = re.findall(r"^- \[(.+?)\]\(([^)#]+)\)", text, re.MULTILINE)
        config.nav.append({title: [{name: site_path(posixpath.join("docs", link))} for name, link in links]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside of `docs/` that pages link to, and those that these link to."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for target in _targets(page):
            if not target.startswith("docs/") and files.get_file_from_path(site_path(target)) is None:
                files.append(File.generated(config, site_path(target), abs_src_path=str(ROOT / target)))
                if target.endswith(".md"):
                    waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links that leave `docs/`, or come from outside of it, to the file on the site."""
    source = page.file.src_uri

    def link(name: str, anchor: str) -> str:
        path = posixpath.relpath(
            site_path(resolved(in_repository(source), name)), posixpath.dirname(source) or "."
        )
        return path + anchor

    # A comment in front of a table hides the table from Python's Markdown.
    return _COMMENT.sub("\n", _with_links(markdown, link))


def _targets(page: str) -> Iterator[str]:
    """The paths of the files to which a page links; all paths are relative to the repository."""
    found: list[str] = []

    def note(name: str, anchor: str) -> str:
        found.append(resolved(page, name))
        return name + anchor

    _with_links((ROOT / page).read_text("utf-8"), note)
    yield from (target for target in found if (ROOT / target).is_file())


def _with_links(markdown: str, link: Callable[[str, str], str]) -> str:
    """The text with other targets of its links. `link` gets the path, and the anchor with its `#`."""

    def replaced(match: re.Match[str]) -> str:
        name, mark, anchor = (match["target"] or "").partition("#")
        return f"]({link(name, mark + anchor)})" if name else match[0]

    return _LINK.sub(replaced, markdown)


def resolved(page: str, link: str) -> str:
    """The path to which a page links."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def site_path(path: str) -> str:
    """The path of a file of the repository among the sources of the site."""
    path = posixpath.normpath(path)
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def in_repository(source: str) -> str:
    """The inverse of `site_path`."""
    return source.removeprefix("repository/") if source.startswith("repository/") else f"docs/{source}"
