"""The documentation site: complete, without dead links, and without a network."""

from __future__ import annotations

import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.clients.programs import run_program, tool
from tests.docs_site import in_repository, resolved, site_path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.add(values.get("id") or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        elif source := values.get("src") or (values.get("href") if tag == "link" else None):
            self.loaded.append(source)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: a warning of MkDocs is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [str(Path(sys.executable).with_name("mkdocs")), "build", "--strict", "--site-dir", str(folder)]
    run = run_program(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    assert len(found) > len(list(DOCS.rglob("*.md")))
    return found


def test_no_link_and_no_anchor_is_dead(pages: dict[Path, Page]) -> None:
    dead = []
    for page in pages.values():
        if page.file.name == "404.html":  # its links begin at the root of a server
            continue
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto"):
                continue
            target = (page.file.parent / unquote(parts.path)).resolve() if parts.path else page.file
            is_there = target.is_file() and (
                target not in pages or unquote(parts.fragment) in pages[target].anchors
            )
            if not is_there:
                dead.append(f"{page.file.name}: {link}")
    assert dead == []


def test_no_page_loads_anything_from_another_host(pages: dict[Path, Page]) -> None:
    loaded = {source for page in pages.values() for source in page.loaded}
    assert loaded
    assert [source for source in loaded if urlsplit(source).netloc] == []


def test_every_document_is_in_the_navigation(site: Path, pages: dict[Path, Page]) -> None:
    """The index of docs/ is the navigation, so `tests/test_docs.py` says that it is complete."""
    links = {(site / link).resolve() for link in pages[site / "index.html"].links if "://" not in link}
    documents = {(site / path.relative_to(DOCS)).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert documents - {site / "README.html"} <= links
    assert {site / "repository/ARCHITECTURE.html", site / "repository/openapi/index.html"} <= links
    text = (site / "index.html").read_text("utf-8")
    tabs = re.findall(r'class="md-tabs__link">\s*(.+?)\s*</a>', text)
    assert tabs == ["Home", "Tutorial", "How-to guides", "Reference", "Explanation"]


def test_tables_and_lists_are_not_shown_as_text(pages: dict[Path, Page]) -> None:
    """Python's Markdown wants an empty line in front of them, GitHub's does not."""
    wrong = [
        page.file.name
        for page in pages.values()
        if re.search(r"<p>[^<]*(\| ---|\n- |\n\d\. )|&lt;!--|<code>[^<]*\\\|", page.file.read_text("utf-8"))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("word", "first"), [("webhook", "how-to/webhooks.html"), ("xdist", "how-to/pytest.html")]
)
def test_the_search_works_without_a_server(site: Path, tmp_path: Path, word: str, first: str) -> None:
    browser = [tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    url = f"{(site / 'index.html').as_uri()}?q={word}"
    run = run_program([*browser, "--virtual-time-budget=15000", "--dump-dom", url])
    results = re.findall(r'<a href="([^"?]+)\?h=[^"]*" class="md-search-result__link"', run.stdout)
    assert f"{(site / first).as_uri()}" in results[:3], run.stdout[-2000:]


def test_a_link_out_of_docs_leads_to_the_copy_on_the_site() -> None:
    assert resolved("docs/how-to/node.md", "../../SECURITY.md") == "SECURITY.md"
    assert site_path("SECURITY.md") == "repository/SECURITY.md"
    assert site_path("docs/how-to/node.md") == "how-to/node.md"
    for path in ("SECURITY.md", "docs/how-to/node.md"):
        assert in_repository(site_path(path)) == path
