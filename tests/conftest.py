"""Shared by all tests: the profiles of Hypothesis, and the marker `programs`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A slow machine is not a failure.
settings.register_profile("mock-fal", deadline=None)
# For `make check`: most properties that are broken are so for one of a few examples.
settings.register_profile("quick", deadline=None, max_examples=15)
settings.load_profile("mock-fal")

FOLDER = Path(__file__).parent

# Tests that start other programs (Node, curl, browsers), clients or many processes, or take long. `make check` leaves
# them out.
PROGRAMS = (
    "clients/",
    "commands/test_catalogue.py::test_the_file_rebuilt",
    "contracts/test_client_catalogue.py",
    "contracts/test_client_drivers.py",
    "contracts/test_official_clients.py",
    "contracts/test_server_check.py",
    "contracts/test_server_live.py",
    "contracts/test_usage_check.py",
    "contracts/test_usage_rules.py",
    "gateway/test_preload.py",
    "inspector/",
    "media/test_video.py::test_any_size",
    "media/test_video.py::test_size_rate_and_duration",
    "models/test_engine.py::test_any_body",
    "models/test_every_endpoint.py",
    "models/test_input_schema.py::test_the_smallest_input",
    "models/test_readings.py::test_it_is_so_for_every_endpoint",
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
    "test_port_at_once.py::test_repeated_header_fields",
    "test_pytest_plugin.py",
    "web/test_app.py::test_every_request",
    "web/test_openapi.py::test_every_documented_response",
    "web/test_openapi.py::test_the_responses_of_a_scenario",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Don't import what `make check` leaves out: that takes some seconds."""
    is_left_out = config.option.markexpr == "not programs" and any(
        collection_path == FOLDER / name for name in PROGRAMS
    )
    return is_left_out or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.partition(f"{FOLDER.name}/")[2].startswith(PROGRAMS):
            item.add_marker(pytest.mark.programs)
