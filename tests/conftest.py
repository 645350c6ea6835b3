"""Shared by all tests: the profile of Hypothesis, and the marker `programs`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is not a failure.
settings.register_profile("mock-fal", deadline=None)
settings.load_profile("mock-fal")

# Tests that start other programs (Node, curl, browsers), clients or many processes, or take long. `make check` leaves
# them out.
PROGRAMS = (
    "clients/",
    "contracts/test_client_catalogue.py",
    "contracts/test_client_drivers.py",
    "contracts/test_official_clients.py",
    "contracts/test_server_check.py",
    "contracts/test_server_live.py",
    "contracts/test_usage_check.py",
    "contracts/test_usage_rules.py",
    "gateway/test_preload.py",
    "inspector/",
    "models/test_every_endpoint.py",
    "models/test_input_schema.py::test_the_smallest_input",
    "node_package/",
    "nextjs/test_app.py::test_the_playwright_tests",
    "nextjs/test_app.py::test_with_local_addresses",
    "pictures/test_paint.py::test_the_largest_picture",
    "security/test_access.py::test_serve_",
    "security/test_run.py",
    "test_action.py",
    "test_cli.py",
    "test_dist.py::test_make_dist",
    "test_docs.py::test_a_shell_block_runs",
    "test_dockerfile.py::test_the_image",
    "test_docs_site.py",
    "test_emulator.py::TestQueue",
    "test_pytest_plugin.py",
    "web/test_app.py::test_every_request",
    "web/test_openapi.py::test_every_documented_response",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = f"{Path(__file__).parent.name}/"
    for item in items:
        if item.nodeid.partition(tests)[2].startswith(PROGRAMS):
            item.add_marker(pytest.mark.programs)
