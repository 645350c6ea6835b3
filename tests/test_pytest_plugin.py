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


def test_a_test_says_what_must_have_been_called(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client
        from unittest.mock import ANY

        def test_app(mock_fal):
            mock_fal.assert_not_called()
            fal_client.subscribe("fal-ai/flux/schnell", {"prompt": "a cat"}, interval=0.01)
            mock_fal.assert_called_once_with(endpoint="fal-ai/flux/schnell", prompt="a cat")
            fal_client.run("fal-ai/flux/dev", {"prompt": "a dog", "seed": 7})
            mock_fal.assert_called_with(endpoint="fal-ai/flux/*", prompt="a dog", seed=ANY)
            mock_fal.assert_any_call(prompt="a cat")
            mock_fal.assert_not_called(endpoint="fal-ai/flux-pro/*")
            assert mock_fal.call_count == 2
            first, second = mock_fal.submissions
            assert (first.endpoint, first.input) == ("fal-ai/flux/schnell", {"prompt": "a cat"})
            assert (second.endpoint, second.status) == ("fal-ai/flux/dev", 200)
        """,
        1,
    )


def test_the_next_calls_fail_as_they_were_told_to(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client
        import pytest

        def test_app(mock_fal):
            mock_fal.fail_next("content_policy_violation", endpoint="fal-ai/flux/schnell")
            fal_client.run("fal-ai/flux/dev", {"prompt": "a cat"})
            with pytest.raises(fal_client.FalClientHTTPError) as refusal:
                fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            assert refusal.value.status_code == 422
            fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})

        def test_a_wrong_word(mock_fal):
            from mock_fal import ScenarioError
            with pytest.raises(ScenarioError, match="content_policy_violation"):
                mock_fal.fail_next("content_policy")
        """,
        2,
    )


def test_webhooks_are_received_by_whoever_looks_for_them(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client
        import threading
        import pytest

        @pytest.mark.parametrize("prompt", ["a cat", "a dog"])
        def test_app(mock_fal, mock_fal_webhooks, prompt):
            assert mock_fal.webhooks is mock_fal_webhooks
            handle = fal_client.submit(
                "fal-ai/flux/schnell", {"prompt": prompt}, webhook_url=mock_fal.webhooks.url
            )
            (webhook,) = mock_fal.webhooks.wait_for(1)
            assert webhook.verified and webhook.json["request_id"] == handle.request_id

        def test_nobody_listens_any_more():
            assert "mock-fal-webhooks" not in [thread.name for thread in threading.enumerate()]
        """,
        3,
    )


def test_files_are_those_of_the_test(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import asyncio
        import fal_client
        import pytest

        @pytest.mark.parametrize("time", ["first", "second"])
        def test_app(mock_fal, time):
            # fal_client 1.0.3: the synchronous upload leaves a connection open.
            url = asyncio.run(fal_client.upload_async(b"a cat", "text/plain", "cat.txt"))
            result = fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            upload, picture = mock_fal.files
            assert (upload.url, upload.content_type, upload.size_bytes) == (url, "text/plain", 5)
            assert picture.url == result["images"][0]["url"]
        """,
        2,
    )


def test_time_passes_when_the_test_says_so(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client

        def test_app(mock_fal):
            handle = fal_client.submit("fal-ai/flux/schnell", {"prompt": "a cat [mock: queue=600]"})
            mock_fal.clock.advance(700)
            assert isinstance(handle.status(), fal_client.Completed)
            assert [each.operation for each in mock_fal.requests] == ["submit", "status"]
        """,
        1,
    )


def test_a_failure_shows_the_difference_and_what_was_asked(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import fal_client
        import pytest

        def test_app(mock_fal):
            fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            with pytest.raises(fal_client.FalClientHTTPError):
                fal_client.run("fal-ai/flux/schnel", {"prompt": "a cat"})
            mock_fal.assert_any_call(endpoint="fal-ai/flux/schnell", prompt="a dog")
        """
    )
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*mock_fal.assert_any_call(*",
            "E*AssertionError: expected a call: fal-ai/flux/schnell prompt='a dog'",
            "E*seen 2 calls:",
            "E*1. fal-ai/flux/schnell prompt='a cat'",
            "E*2. fal-ai/flux/schnel prompt='a cat' → 404",
            "E*the nearest, call 1:",
            "E*prompt: expected 'a dog'",
            "E*sent     'a cat'",
            "*- mock-fal -*",
            "mock-fal: 2 requests answered",
            "mock-fal:   POST   fal.run/fal-ai/flux/schnell  200",
            "mock-fal:   not emulated: fal-ai/flux/schnel; did you mean fal-ai/flux/schnell?",
        ]
    )
    result.stdout.no_fnmatch_line("*mock_fal/account.py*")


def test_a_fixture_of_that_name_that_is_not_ours_is_left_alone(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest

        @pytest.fixture
        def mock_fal():
            return object()

        def test_app(mock_fal):
            assert mock_fal is None
        """
    )
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*- mock-fal -*")


def test_tests_side_by_side_never_see_each_others_requests(suite: pytest.Pytester) -> None:
    """Four processes, and in each of them many tests that ask for the same in different numbers."""
    suite.makepyfile(
        """
        import fal_client
        import pytest

        @pytest.mark.parametrize("number", range(24))
        def test_app(mock_fal, mock_fal_server, worker_id, number):
            assert worker_id in ("gw0", "gw1", "gw2", "gw3")
            assert mock_fal.requests == []
            for again in range(number % 3 + 1):
                fal_client.subscribe("fal-ai/flux/schnell", {"prompt": f"cat {number}"}, interval=0.01)
            assert [each.input for each in mock_fal.submissions] == [{"prompt": f"cat {number}"}] * (again + 1)
            assert mock_fal.requests == mock_fal_server.requests
        """
    )
    result = suite.runpytest_subprocess(*STRICT, "-p", "xdist", "-n", "4")
    result.assert_outcomes(passed=24)
    result.stdout.fnmatch_lines(["*4 workers*"])


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
