"""A page of another machine in headless Chromium runs no script on mock-fal's origin and reads no journal."""

from __future__ import annotations

import os

import pytest

from mock_fal import MockFal
from tests.clients.programs import Node, tool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")


def test_scripts_of_a_foreign_page_have_no_origin(newest_node: Node) -> None:
    with MockFal(clock="auto-advance") as fal:
        arguments = ["--chromium", tool("chromium"), "--mock", fal.url]
        output = newest_node("browser/attack.mjs", *arguments)
    assert output["own"], "the script on the page's own address did not run, so the test would see none"
    assert output["sent"] == []
    shown = {name for name, how in output["opened"].items() if how == "shown"}
    assert shown == {"own", "json", "text/plain", "image/png"}
