"""The account of the npm package: requests, assertions, failures, outputs, webhooks, clock, usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_fal import MockFal
from tests.clients.programs import run_program
from tests.node_package.project import user_environment

PRELUDE = """
import assert from 'node:assert/strict'
import { fal } from '@fal-ai/client'
import { account, file, fileUrl, startMockFal, verifyWebhook } from 'mock-fal'
const show = (value) => console.log(JSON.stringify(value))
const cat = (input = { prompt: 'a cat' }) => fal.subscribe('fal-ai/flux/schnell', { input })
const failure = async (promise) => { try { await promise } catch (error) { return error }; return null }
const mockFal = await account(process.argv[2])
"""


@pytest.fixture(scope="module")
def mock_fal_server() -> Iterator[MockFal]:
    with MockFal(clock="auto-advance") as fal:
        yield fal


class Program:
    """Runs a piece of a program with an account of its own and returns what it shows."""

    def __init__(self, project: Path, node: Path, env: dict[str, str], name: str) -> None:
        self.project, self.node, self.env, self.name = project, node, env, name

    def __call__(self, code: str) -> Any:
        (self.project / "program.mjs").write_text(PRELUDE + code)
        done = run_program([str(self.node), "program.mjs", self.name], cwd=self.project, env=self.env)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        shown = [json.loads(line) for line in done.stdout.splitlines()]
        return shown[0] if len(shown) == 1 else shown


@pytest.fixture
def program(
    project: Path, newest_node: Path, joined: dict[str, str], request: pytest.FixtureRequest
) -> Program:
    return Program(project, newest_node, joined, request.node.name)


def test_requests_are_those_of_the_account(program: Program) -> None:
    shown = program("""
      await cat()
      const other = mockFal.server.account('somebody else')
      show({
        key: mockFal.key, env: mockFal.env.FAL_KEY, used: process.env.FAL_KEY,
        operations: (await mockFal.requests()).map((exchange) => exchange.operation),
        submissions: (await mockFal.submissions()).map(({ endpoint, input }) => ({ endpoint, input })),
        filtered: (await mockFal.requests({ status: '4xx' })).length,
        other: [other.key, await other.callCount(), await other.summary()],
        summary: (await mockFal.summary()).split('\\n')[0],
        usage: (await mockFal.usage()).cost,
        files: (await mockFal.files()).map((each) => each.content_type),
      })
    """)
    assert shown["key"] == shown["env"] == shown["used"] == "test_requests_are_those_of_the_account:fal"
    assert shown["operations"] == ["submit", "status", "status", "status", "result"]
    assert shown["submissions"] == [{"endpoint": "fal-ai/flux/schnell", "input": {"prompt": "a cat"}}]
    assert shown["other"] == ["somebody-else-6d072c20:fal", 0, "no request received"]
    assert shown["summary"] == "POST   queue.fal.run/fal-ai/flux/schnell  200"
    assert (shown["filtered"], shown["usage"], shown["files"]) == (0, 0.003, ["image/jpeg"])


def test_names_that_differ_have_keys_that_differ(program: Program) -> None:
    shown = program("""
      const names = ['a cat', 'a-cat', 'a  cat', 'ä cat', 'x'.repeat(500), 'x'.repeat(501)]
      show(names.map((name) => mockFal.server.account(name).name))
    """)
    assert len(set(shown)) == len(shown)
    assert all(name.isascii() and len(name) < 100 for name in shown)


def test_an_account_starts_empty(program: Program) -> None:
    assert program("await cat(); await mockFal.addRule('nsfw'); show(await mockFal.callCount())") == 1
    assert program("show([await mockFal.callCount(), await mockFal.rules()])") == [0, []]


def test_assertions_that_hold_pass(program: Program) -> None:
    program("""
      const any = { asymmetricMatch: () => true }
      await mockFal.assertNotCalled()
      await cat({ prompt: 'a cat', seed: 3 })
      await mockFal.assertCalledOnceWith()
      await mockFal.assertCalledOnceWith('fal-ai/flux/*', { prompt: 'a cat', seed: any })
      await cat({ prompt: 'a dog', loras: [{ path: 'x' }] })
      await mockFal.assertCalledWith('*', { prompt: 'a dog', loras: [{ path: any }] })
      await mockFal.assertAnyCall('*', { prompt: 'a cat', seed: 3, missing: undefined })
      await mockFal.assertNotCalled('fal-ai/flux/dev')
      show(await mockFal.callCount('fal-ai/*'))
    """)


@pytest.mark.parametrize(
    ("assertion", "message"),
    [
        (
            "assertCalledOnceWith('fal-ai/flux/dev', { prompt: 'a dog', seed: 3 })",
            "expected one call: fal-ai/flux/dev prompt='a dog' seed=3\n"
            "received 1 call:\n"
            "  1. fal-ai/flux/schnell prompt='a cat'\n"
            "closest is call 1:\n"
            "  endpoint: expected fal-ai/flux/dev\n"
            "            sent     fal-ai/flux/schnell\n"
            "  prompt: expected 'a dog'\n"
            "          sent     'a cat'\n"
            "  seed: expected 3\n"
            "        sent     nothing",
        ),
        (
            "assertCalledWith('*', {})",
            "expected the last call to be: *\n"
            "received 1 call:\n"
            "  1. fal-ai/flux/schnell prompt='a cat'\n"
            "call 1:\n"
            "  prompt: expected nothing\n"
            "          sent     'a cat'",
        ),
        (
            "assertAnyCall('openai/*')",
            "expected a call: openai/*\n"
            "received 1 call:\n"
            "  1. fal-ai/flux/schnell prompt='a cat'\n"
            "closest is call 1:\n"
            "  endpoint: expected openai/*\n"
            "            sent     fal-ai/flux/schnell",
        ),
        (
            "assertNotCalled('fal-ai/*')",
            "expected no call to fal-ai/*\nreceived 1 call:\n  1. fal-ai/flux/schnell prompt='a cat'",
        ),
        (
            "assertCalledWith({ prompt: 'a cat' })",
            'the endpoint is object, expected a pattern such as "fal-ai/flux/*"',
        ),
    ],
)
def test_an_assertion_that_fails_shows_what_differs(program: Program, assertion: str, message: str) -> None:
    code = f"await cat(); const error = await failure(mockFal.{assertion}); show([error.name, error.message])"
    name, shown = program(code)
    assert (name, shown) == ("TypeError" if "object" in message else "AssertionError", message)


def test_two_calls_are_not_one(program: Program) -> None:
    shown = program("await cat(); await cat(); show((await failure(mockFal.assertCalledOnceWith())).message)")
    assert shown.splitlines()[:2] == ["expected one call: *", "received 2 calls:"]


def test_the_next_call_fails(program: Program) -> None:
    shown = program("""
      await mockFal.failNext('content_policy_violation', { endpoint: 'fal-ai/flux/*' })
      const error = await failure(cat())
      await cat()
      show([error.status, error.body.detail[0].type, (await mockFal.rules())[0].used])
      show((await failure(mockFal.failNext('no_such_error'))).message)
    """)
    assert shown[0] == [422, "content_policy_violation", 1]
    assert "'no_such_error' is not an error type of fal" in shown[1]


def test_outputs_of_ones_own(program: Program) -> None:
    shown = program("""
      await mockFal.respond('me/my-app', {
        text: 'hello',
        video: file('video', { duration_s: 1 }),
        poster: fileUrl('image', { width: 64, height: 64 }),
        notes: file(Buffer.from('mine'), { content_type: 'text/plain', file_name: 'notes.txt' }),
      }, { times: 1 })
      const { data } = await fal.subscribe('me/my-app', { input: {} })
      const poster = await fetch(data.poster)
      const notes = await fetch(data.notes.url)
      show([data.text, data.video.content_type, poster.headers.get('content-type'), await notes.text()])
      const rejected = [mockFal.respond('me/my-app', () => 1), mockFal.respond('me/my-app')].map(failure)
      show((await Promise.all(rejected)).map((error) => error.message))
      try { file(7) } catch (error) { show(error.message) }
    """)
    assert shown[0] == ["hello", "video/mp4", "image/jpeg", "mine"]
    assert shown[1] == [
        "the output is a function, expected JSON: it is used in another process",
        "the output is undefined, expected JSON: it is used in another process",
    ]
    assert shown[2].startswith('a file is number, expected a kind such as "video"')


def test_webhooks_are_received_and_verified(program: Program) -> None:
    shown = program("""
      const receiver = await mockFal.webhooks()
      receiver.respondWith(500)
      const options = { input: { prompt: 'a cat' }, webhookUrl: receiver.url }
      const { request_id: id } = await fal.queue.submit('fal-ai/flux/schnell', options)
      const [first, second] = await receiver.waitFor(2)
      const [delivery] = await mockFal.waitForDeliveries()
      const keys = await mockFal.server.webhookKeys()
      verifyWebhook(second.headers, second.body, keys)
      verifyWebhook(new Headers(second.headers), second.body, keys)
      show([first.verified, second.problem, first.status, second.status, second.json.request_id === id])
      show([delivery.state, delivery.attempts.length])
      for (const [name, value] of [['timestamp', '1'], ['signature', 'x'], ['user-id', 'x'], ['request-id', '']]) {
        const headers = { ...second.headers, [`x-fal-webhook-${name}`]: value }
        try { verifyWebhook(headers, second.body, keys) } catch (error) { show(error.message) }
      }
      await mockFal.resendWebhook(id, { mine: true })
      show((await receiver.waitFor(3)).at(-1).json)
      await mockFal.sendWebhook({ url: receiver.url, endpoint: 'fal-ai/whisper', output: { text: 'hello' } })
      show((await receiver.waitFor(4)).at(-1).json.payload)
      show((await failure(receiver.waitFor(9, { timeoutMs: 20 }))).message)
      await mockFal.close()
    """)
    assert shown[:2] == [[True, "", 500, 200, True], ["delivered", 2]]
    assert "in the past, expected at most 300" in shown[2]
    assert shown[3:6] == [
        'the signature is "x", expected 128 hex digits',
        "the signature fits none of the 2 keys: headers or body were changed",
        "the header x-fal-webhook-request-id is missing",
    ]
    assert shown[6:8] == [{"mine": True}, {"text": "hello"}]
    assert shown[8].startswith("received 4 of 9 webhooks at http://127.0.0.1:")


def test_the_clock_and_the_rules_of_the_server(program: Program) -> None:
    shown = program("""
      const before = await mockFal.clock.now()
      await mockFal.clock.advance(600)
      await mockFal.server.addRule({ key: mockFal.name, nsfw: true })
      const { data } = await cat()
      const passed = await mockFal.clock.now() - before
      show([passed >= 600, data.has_nsfw_concepts, (await mockFal.server.rules()).length])
      await mockFal.server.clearRules()
      show((await failure(mockFal.clock.advance(-1))).status)
    """)
    assert shown == [[True, [True], 1], 422]


def test_polls_follow_each_other_at_once(program: Program) -> None:
    """The pause is that of the package for the client that exists, for one that is configured, and for another one."""
    shown = program("""
      import { createFalClient } from '@fal-ai/client'
      const pauses = []
      const { setTimeout } = globalThis
      globalThis.setTimeout = (callback, pause, ...rest) => {
        pauses.push(pause)
        return setTimeout(callback, pause, ...rest)
      }
      await cat()
      fal.config({ credentials: mockFal.key })
      await cat()
      const own = createFalClient({ credentials: mockFal.key })
      await own.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' } })
      await own.subscribe('fal-ai/flux/schnell', { input: { prompt: 'a cat' }, pollInterval: 7 })
      show(pauses.filter((pause) => [5, 7, 500].includes(pause)))
    """)
    assert shown == [5, 5, 5, 5, 5, 5, 7, 7]


def test_a_real_clock_leaves_the_polls_alone(project: Path, newest_node: Path) -> None:
    with MockFal(speed=100) as fal:
        env = fal.child_environment(user_environment())
        code = """
          const path = new URL('./node_modules/@fal-ai/client/src/queue.js', import.meta.url)
          const { default: queue } = await import(path)
          const refused = await failure(mockFal.clock.advance(1))
          show([queue[Symbol.for('mock-fal.pollInterval')] ?? 'as it was', refused.status])
        """
        assert Program(project, newest_node, env, "real")(code) == ["as it was", 409]


def test_a_server_with_keys_of_its_own_has_no_other_accounts(project: Path, newest_node: Path) -> None:
    with MockFal(key=("alice:secret",)) as fal:
        env = fal.child_environment(user_environment())
        code = """
          show([mockFal.key, (await failure((async () => mockFal.server.account('bob'))())).message])
        """
        key, message = Program(project, newest_node, env, "alice")(code)
    assert key == "alice:secret"
    assert "accepts the keys of --key only, so it has no account" in message
