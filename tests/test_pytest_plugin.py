"""The pytest plugin, in generated test suites."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest

pytest_plugins = ["pytester"]

# Strict options that a project may have set. The plugin is named, because other plugins are disabled to save time.
STRICT = ["-p", "mock_fal.pytest_plugin", "-W", "error", "--strict-markers"]


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project without settings, run by a user with a real key."""
    monkeypatch.setenv("FAL_KEY", "real:key")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    return pytester


def passes(suite: pytest.Pytester, tests: str, count: int) -> pytest.RunResult:
    """Run a suite in a separate process; all of its tests pass without warnings."""
    suite.makepyfile(tests)
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(passed=count)
    return result


def test_unmodified_calls_work_in_every_test(suite: pytest.Pytester) -> None:
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


def test_async_calls_work_in_any_event_loop(suite: pytest.Pytester) -> None:
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


def test_tests_are_isolated(suite: pytest.Pytester) -> None:
    """Requests and rules of one test do not affect the next."""
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


def test_a_test_gets_the_same_ids_and_seeds_in_every_run(suite: pytest.Pytester) -> None:
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


def test_the_environment_is_restored(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import os

        before = dict(os.environ)

        def test_with_fixture(mock_fal):
            assert os.environ["FAL_KEY"] != "real:key"
            assert "HTTPS_PROXY" in os.environ

        def test_without_fixture():
            now = dict(os.environ)
            now.pop("PYTEST_CURRENT_TEST")
            before.pop("PYTEST_CURRENT_TEST", None)
            assert now == before
        """,
        2,
    )


def test_the_module_client_has_the_users_key_before_and_after(suite: pytest.Pytester) -> None:
    """The module's client was used before the fixture, at import time, and again after it."""
    passes(
        suite,
        """
        import fal_client

        assert fal_client.sync_client._auth.token == "real:key"
        fal_client.sync_client._client

        def test_with_fixture(mock_fal):
            fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            assert fal_client.sync_client._auth.token == mock_fal.key

        def test_without_fixture():
            assert fal_client.sync_client._auth.token == "real:key"
        """,
        2,
    )


def test_clients_that_a_program_keeps_use_the_key_of_the_running_test(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import asyncio
        import fal_client
        import pytest

        clients = {"client": fal_client.SyncClient()}
        async_client = fal_client.AsyncClient()

        @pytest.mark.parametrize("prompt", ["a cat", "a dog"])
        def test_app(mock_fal, prompt):
            clients["client"].run("fal-ai/flux/schnell", {"prompt": prompt})
            asyncio.run(async_client.run("fal-ai/flux/schnell", {"prompt": prompt}))
            assert [exchange.json for exchange in mock_fal.requests] == [{"prompt": prompt}] * 2
        """,
        2,
    )


def test_the_settings_of_the_server_can_be_overridden(suite: pytest.Pytester) -> None:
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


def test_a_test_asserts_calls(suite: pytest.Pytester) -> None:
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


def test_fail_next_fails_the_next_calls(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client
        import pytest

        def test_app(mock_fal):
            mock_fal.fail_next("content_policy_violation", endpoint="fal-ai/flux/schnell")
            fal_client.run("fal-ai/flux/dev", {"prompt": "a cat"})
            with pytest.raises(fal_client.FalClientHTTPError) as error:
                fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            assert error.value.status_code == 422
            fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})

        def test_an_unknown_error(mock_fal):
            from mock_fal import ScenarioError
            with pytest.raises(ScenarioError, match="content_policy_violation"):
                mock_fal.fail_next("content_policy")
        """,
        2,
    )


def test_the_webhook_receiver_starts_on_first_use(suite: pytest.Pytester) -> None:
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

        def test_the_receiver_has_stopped():
            assert "mock-fal-webhooks" not in [thread.name for thread in threading.enumerate()]
        """,
        3,
    )


def test_a_test_sees_its_own_files(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import asyncio
        import fal_client
        import pytest

        @pytest.mark.parametrize("time", ["first", "second"])
        def test_app(mock_fal, time):
            # The synchronous upload of fal_client 1.0.3 leaves a connection open.
            url = asyncio.run(fal_client.upload_async(b"a cat", "text/plain", "cat.txt"))
            result = fal_client.run("fal-ai/flux/schnell", {"prompt": "a cat"})
            upload, picture = mock_fal.files
            assert (upload.url, upload.content_type, upload.size_bytes) == (url, "text/plain", 5)
            assert picture.url == result["images"][0]["url"]
        """,
        2,
    )


def test_a_test_advances_the_clock(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client

        def test_app(mock_fal):
            handle = fal_client.submit("fal-ai/flux/schnell", {"prompt": "a cat [mock: queue=600]"})
            mock_fal.clock.advance(700)
            assert isinstance(handle.status(), fal_client.Completed)
            assert [exchange.operation for exchange in mock_fal.requests] == ["submit", "status"]
        """,
        1,
    )


def test_a_failure_shows_the_difference_and_the_requests(suite: pytest.Pytester) -> None:
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
            "E*received 2 calls:",
            "E*1. fal-ai/flux/schnell prompt='a cat'",
            "E*2. fal-ai/flux/schnel prompt='a cat' → 404",
            "E*closest is call 1:",
            "E*prompt: expected 'a dog'",
            "E*sent     'a cat'",
            "*- mock-fal -*",
            "mock-fal: 2 requests received",
            "mock-fal:   POST   fal.run/fal-ai/flux/schnell  200",
            "mock-fal:   not emulated: fal-ai/flux/schnel; did you mean fal-ai/flux/schnell*",
        ]
    )
    result.stdout.no_fnmatch_line("*mock_fal/account.py*")


KEPT_KEY = "a client created before the fixture (at import time) keeps the key it was created with;"


def test_a_failure_names_the_key_of_a_client_that_was_created_at_import_time(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import os
        import httpx

        HEADERS = {"authorization": "Key " + os.environ["FAL_KEY"]}

        def test_app(mock_fal):
            for _ in range(3):
                response = httpx.post("https://fal.run/fal-ai/flux/schnell", json={"prompt": "a"}, headers=HEADERS)
                assert response.status_code == 200
            mock_fal.assert_any_call(prompt="a")
        """
    )
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- mock-fal -*",
            "mock-fal: 3 requests received",
            "mock-fal:   POST   fal.run/fal-ai/flux/schnell  200 ×3",
            f"mock-fal:   3 requests used the key id 'real' instead of this test's: {KEPT_KEY} *",
        ]
    )
    result.stdout.no_fnmatch_line("*real:key*")


def test_a_failure_names_the_key_of_a_client_that_was_created_in_another_test(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import os
        import httpx
        import pytest

        clients = []

        @pytest.mark.parametrize("prompt", ["first", "second"])
        def test_app(mock_fal, prompt):
            if not clients:
                clients.append(httpx.Client(headers={"authorization": "Key " + os.environ["FAL_KEY"]}))
            clients[0].post("https://fal.run/fal-ai/flux/schnell", json={"prompt": prompt})
            mock_fal.assert_called_once_with(prompt=prompt)
        """
    )
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [f"mock-fal:   1 request used the key id 'main-test-app-first-' instead of this test's: {KEPT_KEY} *"]
    )


def test_a_failure_does_not_name_the_keys_of_running_tests_or_requests_without_a_key(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.makepyfile(
        """
        import httpx
        from mock_fal import pytest_plugin

        def test_app(mock_fal):
            pytest_plugin._running.add("parallel")
            for headers in ({"authorization": "Key parallel:test"}, {}):
                httpx.post("https://fal.run/fal-ai/flux/schnell", json={"prompt": "a"}, headers=headers)
            mock_fal.assert_any_call(prompt="a")
        """
    )
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["mock-fal: no request received*"])
    result.stdout.no_fnmatch_line("*instead of this test's*")


def test_another_fixture_with_this_name_is_left_alone(suite: pytest.Pytester) -> None:
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


def test_parallel_tests_never_see_each_others_requests(suite: pytest.Pytester) -> None:
    """Four processes, each with many tests that send different numbers of equal requests."""
    suite.makepyfile(
        """
        import fal_client
        import pytest

        @pytest.mark.parametrize("number", range(24))
        def test_app(mock_fal, mock_fal_server, worker_id, number):
            assert worker_id in ("gw0", "gw1", "gw2", "gw3")
            assert mock_fal.requests == []
            for _ in range(number % 3 + 1):
                fal_client.subscribe("fal-ai/flux/schnell", {"prompt": f"cat {number}"}, interval=0.01)
            assert [call.input for call in mock_fal.submissions] == [{"prompt": f"cat {number}"}] * (number % 3 + 1)
            assert mock_fal.requests == mock_fal_server.requests
        """
    )
    result = suite.runpytest_subprocess(*STRICT, "-p", "xdist", "-n", "4")
    result.assert_outcomes(passed=24)
    result.stdout.fnmatch_lines(["*4 workers*"])


def test_workers_have_separate_keys(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw1")
    passes(suite, "def test_app(mock_fal): assert mock_fal.key == 'gw1-test-app:test'", 1)


def test_the_key_is_valid_for_any_test_name(suite: pytest.Pytester) -> None:
    """Keys are sent in a header, which allows fewer characters than a name in Python."""
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


def test_loading_the_plugin_imports_nothing_else() -> None:
    """pytest loads the plugin in every run, also if no test uses it."""
    program = (
        "import sys, pytest; before = set(sys.modules); import mock_fal.pytest_plugin\n"
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert set(done.stdout.decode().split()) <= {"mock_fal", "mock_fal.pytest_plugin"}


def test_the_plugin_is_registered(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--fixtures", "-q")
    result.stdout.fnmatch_lines(["mock_fal -- *", "    A local fal for one test: *"])


def test_outputs_of_ones_own(suite: pytest.Pytester) -> None:
    passes(
        suite,
        """
        import fal_client

        def test_transcript(mock_fal):
            output = {"text": "hello", "chunks": [], "inferred_languages": ["en"], "diarization_segments": []}
            mock_fal.respond("fal-ai/whisper", output)
            result = fal_client.subscribe("fal-ai/whisper", {"audio_url": "https://example.com/a.mp3"})
            assert result["text"] == "hello"

        def test_custom_app(mock_fal):
            mock_fal.respond("me/my-app", lambda input: {"video": mock_fal.File("video"), "input": input})
            result = fal_client.run("me/my-app", {"x": 1})
            assert result["input"] == {"x": 1} and result["video"]["content_type"] == "video/mp4"
        """,
        2,
    )


def test_the_report_names_an_output_that_does_not_match(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import fal_client

        def test_transcript(mock_fal):
            mock_fal.respond("fal-ai/whisper", {"text": 5})
            fal_client.run("fal-ai/whisper", {"audio_url": "https://example.com/a.mp3"})
            assert False
        """
    )
    result = suite.runpytest_subprocess(*STRICT)
    result.stdout.fnmatch_lines(
        ["mock-fal:   output: fal-ai/whisper: the output of your own does not match*text: Input should be*"]
    )


# -- under `mock-fal run`


def run_outside(
    suite: pytest.Pytester, tests: str, *flags: str, options: Sequence[str] = (), clock: str = "auto-advance"
) -> pytest.RunResult:
    """Run a suite as `mock-fal run -- pytest`."""
    suite.makepyfile(tests)
    run = [sys.executable, "-m", "mock_fal", "run", "--clock", clock, *flags, "--"]
    return suite.run(*run, sys.executable, "-m", "pytest", *STRICT, *options)


def test_under_run_the_tests_join_the_server_that_runs(suite: pytest.Pytester) -> None:
    """The picture of a client that was made before the fixture opens inside, and the other way round."""
    result = run_outside(
        suite,
        """
        import os
        import fal_client
        import httpx

        early = httpx.Client(headers={"authorization": "Key " + os.environ["FAL_KEY"]})
        arguments = {"prompt": "a cat", "image_size": {"width": 64, "height": 48}}
        picture = early.post("https://fal.run/fal-ai/flux/schnell", json=arguments).json()["images"][0]["url"]

        def test_app(mock_fal, mock_fal_server):
            assert mock_fal.url == os.environ["MOCK_FAL_URL"] == mock_fal_server.url
            assert httpx.get(picture).status_code == 200
            # On the connection that was opened before.
            assert early.post("https://fal.run/fal-ai/flux/schnell", json=arguments).status_code == 200
            result = fal_client.subscribe("fal-ai/flux/schnell", arguments, interval=0.01)
            assert early.get(result["images"][0]["url"]).status_code == 200
            mock_fal.assert_called_once_with(endpoint="fal-ai/flux/schnell", **arguments)
            assert "main-test-app" in {exchange.tenant for exchange in mock_fal.requests}

        def test_the_early_client_is_still_there():
            assert early.get(picture).status_code == 200
            early.close()
        """,
    )
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["mock-fal: the tests joined the server at http://127.0.0.1:*, each with an*own"]
    )
    assert "its clock is" not in result.stdout.str()
    result.stderr.fnmatch_lines(["mock-fal: * requests received"])


def test_a_joined_account_has_what_an_account_has(suite: pytest.Pytester) -> None:
    result = run_outside(
        suite,
        """
        import asyncio
        import fal_client
        import pytest
        from mock_fal import ScenarioError

        SCHNELL = "fal-ai/flux/schnell"
        CAT = {"prompt": "a cat", "image_size": {"width": 64, "height": 48}}

        def test_rules(mock_fal):
            mock_fal.fail_next("content_policy_violation", endpoint=SCHNELL)
            with pytest.raises(fal_client.FalClientHTTPError) as error:
                fal_client.run(SCHNELL, CAT)
            assert error.value.status_code == 422
            fal_client.run(SCHNELL, CAT)
            (rule,) = mock_fal.scenario.rules
            assert (rule.seen, rule.used) == (2, 1)
            assert mock_fal.scenario
            mock_fal.scenario.replace([rule.directive])
            mock_fal.scenario.clear()
            assert not mock_fal.scenario
            with pytest.raises(ScenarioError, match="content_policy_violation"):
                mock_fal.fail_next("content_policy")
            with pytest.raises(ScenarioError, match="matches no endpoint"):
                mock_fal.fail_next("image_too_small", endpoint="acme/none")
            mock_fal.scenario.add("msg='not now' ctx.n=5", error="image_too_small", headers={"a": "b"}, loc="body.x")
            assert str(mock_fal.scenario.rules[0]) == (
                "error=image_too_small msg='not now' loc=body.x ctx.n=5 header.a=b"
            )

        def test_outputs(mock_fal):
            mock_fal.respond("me/my-app", {"video": mock_fal.File("video")}, times=1, billed=2.0)
            assert fal_client.run("me/my-app", {})["video"]["content_type"] == "video/mp4"
            with pytest.raises(ScenarioError, match="a callable can't run.*mock_fal_server"):
                mock_fal.respond("me/my-app", lambda input: input)

        def test_rules_of_other_tests_are_gone(mock_fal):
            assert mock_fal.scenario.rules == mock_fal.requests == mock_fal.files == []
            mock_fal.assert_not_called()

        def test_files_and_usage(mock_fal):
            url = asyncio.run(fal_client.upload_async(b"a cat", "text/plain", "cat.txt"))
            fal_client.run(SCHNELL, CAT)
            upload, picture = mock_fal.files
            assert (upload.url, upload.size_bytes, picture.size_bytes) == (url, 5, None)
            assert mock_fal.usage.cost > 0 and mock_fal.usage.items[0].endpoint == SCHNELL

        def test_webhooks(mock_fal, mock_fal_webhooks):
            fal_client.submit(SCHNELL, CAT, webhook_url=mock_fal_webhooks.url)
            mock_fal.clock.advance(60)
            (webhook,) = mock_fal_webhooks.wait_for(1)
            (delivery,) = mock_fal.wait_for_deliveries()
            assert webhook.verified and delivery.attempts[0].status == 200
            assert delivery.json == webhook.json and delivery.state.value == "delivered"
            assert delivery.body == webhook.body

        def test_the_clock(mock_fal):
            handle = fal_client.submit(SCHNELL, {"prompt": "[mock: queue=600]"})
            before = mock_fal.clock.now()
            mock_fal.clock.advance(700)
            assert mock_fal.clock.now() >= before + 700
            assert isinstance(handle.status(), fal_client.Completed)
            with pytest.raises(ValueError, match="seconds"):
                mock_fal.clock.advance(-1)

        def test_exchanges(mock_fal):
            fal_client.run(SCHNELL, CAT)
            (exchange,) = mock_fal.requests
            assert (exchange.json, exchange.status, exchange.operation) == (CAT, 200, "run")
            assert dict(exchange.request_headers)[b"authorization"].startswith(b"Key main-test-exchanges:")
            assert exchange.duration_s >= 0 and exchange.way == "gateway"
            mock_fal.reset()
            assert mock_fal.requests == []
        """,
    )
    result.assert_outcomes(passed=7)


def test_what_a_joined_account_cannot_do_names_the_fix(suite: pytest.Pytester) -> None:
    result = run_outside(
        suite,
        """
        import pytest
        from mock_fal import MockFalError

        def test_clock(mock_fal):
            with pytest.raises(RuntimeError, match="expected mock-fal run --clock auto-advance"):
                mock_fal.clock.advance(1)

        def test_the_rest(mock_fal):
            with pytest.raises(MockFalError, match="a fixture mock_fal_server of your own"):
                mock_fal._emulator.store
        """,
        clock="system",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*its clock is system: no test waits with mock-fal run --clock auto-advance"]
    )


def test_under_run_a_server_with_settings_of_its_own_is_named(suite: pytest.Pytester) -> None:
    result = run_outside(
        suite,
        """
        import os
        import fal_client
        import pytest
        from mock_fal import MockFal

        outer = os.environ["MOCK_FAL_URL"]

        @pytest.fixture(scope="session")
        def mock_fal_server():
            with MockFal(clock="manual") as fal:
                yield fal

        def test_app(mock_fal):
            assert mock_fal.url != outer
            handle = fal_client.submit("fal-ai/flux/schnell", {"prompt": "a cat"})
            mock_fal.clock.advance(60)
            assert isinstance(handle.status(), fal_client.Completed)
        """,
        options=("-p", "xdist", "-n", "2"),
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["mock-fal: mock_fal_server gave the tests a server of their own, not the one at http://127.0.0.1:*"]
    )


def test_a_server_that_can_not_be_joined_is_named(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = "def test_app(mock_fal): mock_fal.clock.advance(1)"
    limited = run_outside(suite, test, "--key", "alice:secret-of-alice")
    limited.assert_outcomes(passed=1)
    own = "mock-fal: the tests used a server of their own,*"
    limited.stdout.fnmatch_lines([f"{own}accepts the keys of --key only"])
    monkeypatch.setenv("MOCK_FAL_URL", "http://127.0.0.1:1")
    result = suite.runpytest_subprocess(*STRICT)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"{own}no mock-fal at http://127.0.0.1:1*"])


def test_the_report_of_a_joined_test_names_the_key_of_an_early_client(suite: pytest.Pytester) -> None:
    result = run_outside(
        suite,
        """
        import os
        import httpx

        HEADERS = {"authorization": "Key " + os.environ["FAL_KEY"]}
        ARGUMENTS = {"json": {"prompt": "a"}, "headers": HEADERS}
        httpx.post("https://fal.run/fal-ai/flux/dev", **ARGUMENTS)

        def test_app(mock_fal):
            httpx.post("https://fal.run/fal-ai/flux/schnell", **ARGUMENTS)
            httpx.post("https://fal.run/fal-ai/flux/schnel", json={}, headers={"authorization": "Key " + mock_fal.key})
            mock_fal.assert_any_call(prompt="b")
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "mock-fal: 2 requests received",
            "mock-fal:   POST   fal.run/fal-ai/flux/schnell  200",
            "mock-fal:   not emulated: fal-ai/flux/schnel; did you mean *",
            f"mock-fal:   1 request used the key id 'mock' instead of this test's: {KEPT_KEY} *",
        ]
    )


def test_parallel_joined_tests_never_see_each_others_requests(suite: pytest.Pytester) -> None:
    result = run_outside(
        suite,
        """
        import fal_client
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_app(mock_fal, number):
            for _ in range(number % 3 + 1):
                fal_client.subscribe("fal-ai/flux/schnell", {"prompt": f"cat {number}"}, interval=0.01)
            assert [call.input for call in mock_fal.submissions] == [{"prompt": f"cat {number}"}] * (number % 3 + 1)
        """,
        options=("-p", "xdist", "-n", "2"),
    )
    result.assert_outcomes(passed=8)
    result.stdout.fnmatch_lines(["mock-fal: the tests joined the server at *"])
