"""The pytest plugin, in test suites of somebody else's."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

# What a project may have set to be strict with itself: nothing of ours may trip over it. The plugin is named,
# as other plugins on this machine are left out to save their time.
STRICT = ["-p", "mock_fal.pytest_plugin", "-W", "error", "--strict-markers"]


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project that has no settings, run by somebody who has a key of their own."""
    monkeypatch.setenv("FAL_KEY", "real:key")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    return pytester


def passes(suite: pytest.Pytester, tests: str, count: int) -> pytest.RunResult:
    """Run a suite in a process of its own; all of its tests pass, and it complains of nothing."""
    suite.makepyfile(tests)
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(passed=count)
    return result


def test_unmodified_calls_are_answered_in_every_test(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client
        import pytest

        @pytest.mark.parametrize("prompt", ["a cat", "a dog", "a fox"])
        def test_app(mock_fal, prompt):
            result = fal_client.subscribe("fal-ai/flux/schnell", {"prompt": prompt}, interval=0.01)
            assert result["prompt"] == prompt
            assert mock_fal.requests[0].json == {"prompt": prompt}
        """,
        3,
    )


def test_async_calls_are_answered_whatever_loop_they_run_in(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import asyncio
        import fal_client
        import pytest

        @pytest.mark.parametrize("prompt", ["a cat", "a dog", "a fox"])
        def test_app(mock_fal, prompt):
            call = fal_client.subscribe_async("fal-ai/flux/schnell", {"prompt": prompt}, interval=0.01)
            assert asyncio.run(call)["prompt"] == prompt
            assert mock_fal.requests[0].json == {"prompt": prompt}
        """,
        3,
    )


def test_tests_do_not_meet(suite: pytest.Pytester) -> None:
    """What one test asked for, or left behind, is nothing to the next."""
    passes(
        suite,
        """
                import os
        import fal_client
        import pytest

        keys = []
        seeds = []

        @pytest.mark.parametrize("time", ["first", "second"])
        def test_app(mock_fal, mock_fal_server, time):
            assert mock_fal.requests == mock_fal_server.requests == []
            arguments = {"prompt": "a cat", "image_size": "square"}
            result = fal_client.run("fal-ai/flux/schnell", arguments)
            assert result["has_nsfw_concepts"] == [False]
            assert os.environ["FAL_KEY"] == mock_fal.key
            mock_fal.scenario.add("nsfw")
            mock_fal_server.scenario.add("nsfw")
            keys.append(mock_fal.key)

        def test_keys():
            assert len(set(keys)) == 2
        """,
        3,
    )


def test_the_same_test_sees_the_same_ids_and_seeds_every_time(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import fal_client

        def test_app(mock_fal):
            handle = fal_client.submit("fal-ai/flux/schnell", {"prompt": "a cat"})
            print("SEEN", handle.request_id, handle.get(interval=0.01)["seed"])
        """
    )
    runs = [suite.runpytest_subprocess(*STRICT, "-s").stdout.str() for _ in range(2)]
    first, second = ([line for line in run.splitlines() if "SEEN" in line] for run in runs)
    assert first == second != []


def test_the_environment_is_given_back(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import os

        before = dict(os.environ)

        def test_in_it(mock_fal):
            assert os.environ["FAL_KEY"] != "real:key"
            assert "HTTPS_PROXY" in os.environ

        def test_behind_it():
            now = dict(os.environ)
            now.pop("PYTEST_CURRENT_TEST")
            before.pop("PYTEST_CURRENT_TEST", None)
            assert now == before
        """,
        2,
    )


def test_a_client_of_before_and_after_is_not_ours(suite: pytest.Pytester) -> None:
    """The module's client was used before the fixture, say while modules were loaded; and again behind it."""
    passes(
        suite,
        """
        import fal_client

        assert fal_client.sync_client._auth.token == "real:key"
        fal_client.sync_client._client

        def test_in_it(mock_fal):
            fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            assert fal_client.sync_client._auth.token == mock_fal.key

        def test_behind_it():
            assert fal_client.sync_client._auth.token == "real:key"
        """,
        2,
    )


def test_clients_that_a_program_keeps_belong_to_the_test_that_uses_them(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import asyncio
        import fal_client
        import pytest

        kept = {"client": fal_client.SyncClient()}
        kept_async = fal_client.AsyncClient()

        @pytest.mark.parametrize("prompt", ["a cat", "a dog"])
        def test_app(mock_fal, prompt):
            kept["client"].run("fal-ai/flux/schnell", {"prompt": prompt})
            asyncio.run(kept_async.run("fal-ai/flux/schnell", {"prompt": prompt}))
            assert [each.json for each in mock_fal.requests] == [{"prompt": prompt}] * 2
        """,
        2,
    )


def test_the_server_can_be_given_settings(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client
        import pytest
        from mock_fal import MockFal

        @pytest.fixture(scope="session")
        def mock_fal_server():
            with MockFal(clock="manual") as fal:
                yield fal

        def test_app(mock_fal):
            handle = fal_client.submit("fal-ai/flux/schnell", {"prompt": "a cat"})
            assert handle.status() == handle.status() == fal_client.Queued(position=0)
            mock_fal.clock.advance(1)
            assert isinstance(handle.status(), fal_client.Completed)
        """,
        1,
    )


def test_workers_have_keys_of_their_own(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    passes(suite, "def test_app(mock_fal): assert mock_fal.key == 'gw1-test-app:test'", 1)


def test_any_name_of_a_test_makes_a_good_key(suite: pytest.Pytester) -> None:
    """A key travels in a header, which takes less than a name of Python's does."""
    passes(
        suite,
        """
        import fal_client
        import pytest

        @pytest.mark.parametrize("colour", ["a:b", "a b", "grün", "绿", "x" * 500, ""])
        def test_größe(mock_fal, colour):
            fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            assert len(mock_fal.requests) == 1
        """,
        6,
    )


def test_a_suite_without_the_fixture_starts_no_server(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import sys, threading

        def test_app():
            assert threading.active_count() == 1
            assert "mock_fal.server" not in sys.modules
        """,
        1,
    )


def test_loading_the_plugin_costs_nothing() -> None:
    """It is loaded in every run of pytest, also in those that don't use it."""
    program = (
        "import sys, pytest; before = set(sys.modules); import mock_fal.pytest_plugin\n"
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert set(done.stdout.decode().split()) <= {"mock_fal", "mock_fal.pytest_plugin"}


def test_the_plugin_is_found_by_itself(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", "-q")
    result.stdout.fnmatch_lines(["mock_fal -- *", "    A fal for one test: *"])
