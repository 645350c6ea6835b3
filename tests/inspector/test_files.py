"""The files of the inspector: what the page loads at once, and what none of them may contain."""

from __future__ import annotations

import re
from pathlib import Path

import mock_fal

FOLDER = Path(mock_fal.__file__).parent / "web/inspector"
MODULES = sorted((FOLDER / "js").glob("*.js"))
INDEX = (FOLDER / "index.html").read_text("utf-8")

# Ways from a text to HTML or to a program.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|setHTML|srcdoc"
    r"|\beval\(|new Function|setAttribute\('style'|\bhttps?://(?!www\.w3\.org/|127\.0\.0\.1)"
)


def imported(module: str, seen: set[str]) -> set[str]:
    """The modules that one needs before it runs, itself included."""
    if module not in seen:
        seen.add(module)
        text = (FOLDER / "js" / module).read_text("utf-8")
        for name in re.findall(r"^import .*'\./(\w+\.js)'$", text, re.MULTILINE):
            imported(name, seen)
    return seen


def test_the_page_preloads_the_modules_of_its_first_view() -> None:
    """A browser would find each module only after it has read the one that imports it."""
    preloaded = re.findall(r'<link rel="modulepreload" href="/_mock/ui/js/(\w+\.js)">', INDEX)
    assert preloaded == sorted(imported("main.js", set()) - {"main.js"})


def test_every_module_is_used() -> None:
    used = {"main.js"}
    for module in MODULES:
        used |= set(re.findall(r"'\./(\w+\.js)'", module.read_text("utf-8")))
    assert used == {module.name for module in MODULES}


def test_no_text_becomes_html() -> None:
    assert len(MODULES) > 30
    found = {module.name: FORBIDDEN.findall(module.read_text("utf-8")) for module in MODULES}
    assert {name: words for name, words in found.items() if words} == {}


def test_the_page_has_nothing_inline() -> None:
    assert not re.search(r"<style|style=|\son\w+=|<script(?! type=\"module\" src=)", INDEX)


def test_every_file_opens_with_what_it_shows() -> None:
    for file in [*MODULES, *(FOLDER / "css").glob("*.css")]:
        assert re.match(r"// [A-Z].*\.$|/\* [A-Z].*", file.read_text("utf-8").splitlines()[0]), file.name
