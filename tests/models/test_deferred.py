"""What a submission does at once, and what waits until somebody looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mock_fal import ids as ids_module
from mock_fal import store
from mock_fal.clock import ManualClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.emulation.options import SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.models import deferred, engine, readings
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.requests.state import State, state
from mock_fal.settings import Settings
from mock_fal.web import wire

FLUX = EndpointId.parse("fal-ai/flux/schnell")
CAT, DOG = b'{"prompt":"a cat"}', b'{"prompt":"a dog"}'


def emulator(**settings: Any) -> Emulator:
    return Emulator(Settings(**settings), ManualClock())


def submit(mock: Emulator, body: bytes = CAT, key: str = "ana", directive: str = "") -> ModelRequest:
    return mock.submit(FLUX, body, key, SubmitOptions(directive=directive))


def body(request: ModelRequest) -> Any:
    assert isinstance(request.outcome, RunnerResponse)
    return request.outcome.body


@pytest.fixture
def unreading(monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """An emulator for which it is an error to read an input in any way."""
    mock = emulator()
    mock.catalog.find(FLUX)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("an input was read")

    monkeypatch.setattr(json, "loads", fail)
    monkeypatch.setattr(engine, "read", fail)
    monkeypatch.setattr(engine, "build", fail)
    monkeypatch.setattr(Recipe, "__init__", fail)
    monkeypatch.setattr(ids_module.Ids, "seed_for", fail)
    monkeypatch.setattr(ids_module.Ids, "file_path", fail)
    return mock


def test_a_submission_reads_nothing_of_its_input(unreading: Emulator) -> None:
    mock = unreading
    request = submit(mock)
    assert not request.is_drawn
    assert not request.is_built
    assert mock.submitted(request).status.position == 0  # type: ignore[union-attr]
    assert not mock.poll(request).is_completed  # nor does a status while the request waits


def test_the_facts_of_a_submission_are_plain_values(unreading: Emulator) -> None:
    request = submit(unreading)
    facts = (request.id, str(request.endpoint), request.tenant, request.body, request.kind)
    assert all(type(fact) in (str, bytes) for fact in facts)
    submission = {name: getattr(request.submission, name) for name in request.submission._fields}
    assert {type(value) for value in submission.values()} <= {int, float, bool, tuple}


def test_a_status_after_the_queue_reads_the_input_and_builds_no_output() -> None:
    mock = emulator()
    submit(mock)  # the first of its kind is built, since nothing is known of it
    request = submit(mock)
    mock.clock.advance(1.5)
    mock.poll(request)
    first_of_all, *_ = mock.store.requests.values()
    assert first_of_all.is_built
    assert request.is_drawn
    assert not request.is_built


def written(mock: Emulator, number: int = 1) -> list[ModelRequest]:
    """Requests whose result one client got, after one that was built."""
    submit(mock)
    requests = [submit(mock) for _ in range(number)]
    mock.clock.advance(10)
    for request in requests:
        assert mock.is_done(request)
        assert request.written("", wire.write) is not None
    return requests


def test_the_first_result_is_written_and_not_built() -> None:
    mock = emulator()
    (request,) = written(mock)
    assert not request.is_built
    assert mock.store.has_unbuilt
    assert [mock.store.knows_file(path) for path in request.paths] == [True]


def test_a_file_of_a_result_that_was_written_is_found_without_building_others() -> None:
    mock = emulator()
    first, second = written(mock, 2)
    (path,) = first.paths
    file = mock.store.file(path)
    assert file is not None
    assert file.file.path == path
    assert file.owner == "ana"
    assert first.is_built
    assert not second.is_built
    assert [result.file.path for result in mock.store.files.values()] == list(mock.store.files)
    assert len(mock.store.files) == 3


def test_the_files_of_a_result_that_was_written_are_forgotten_with_it() -> None:
    mock = emulator(retention=10)
    (request,) = written(mock)
    (path,) = request.paths
    used = mock.store.memory.used
    for _ in range(10):
        submit(mock)
        mock.clock.advance(10)
    assert not mock.store.knows_file(path)
    assert mock.store.file(path) is None
    mock.reset()
    assert mock.store.memory.used < used
    assert not mock.store.files


def test_the_names_of_many_files_are_counted() -> None:
    mock = emulator()
    many = b'{"prompt":"a cat","num_images":4}'
    body(submit(mock, many))
    used = mock.store.memory.used
    request = submit(mock, many)
    counted = mock.store.memory.used - used
    mock.clock.advance(10)
    assert mock.is_done(request)
    assert request.written("", wire.write) is not None
    assert mock.store.memory.used - used == counted + 2 * store._PATH_BYTES
    mock.reset()
    assert mock.store.memory.used == 0


def test_a_result_that_was_written_can_be_deleted() -> None:
    mock = emulator()
    (request,) = written(mock)
    paths = request.paths
    assert mock.delete_payloads(request) == list(paths)
    assert not mock.store.knows_file(paths[0])


def test_the_end_of_a_request_decides_whether_its_result_is_written() -> None:
    mock = emulator()
    submit(mock)
    cancelled = submit(mock)
    mock.cancel(cancelled)
    mock.clock.advance(10)
    _ = cancelled.schedule
    assert cancelled.written("", wire.write) is None


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_a_result_does_not_depend_on_who_looks_first(order: tuple[int, ...]) -> None:
    """The four submissions share two inputs, so seeds depend on earlier ones, and file names on earlier files."""
    inputs = (CAT, DOG, CAT, b'{"prompt":"a cat","num_images":2}')
    eager, lazy = emulator(), emulator()
    expected = []
    for given in inputs:
        expected.append(body(submit(eager, given)))  # looked at once
    requests = [submit(lazy, given) for given in inputs]
    seen = {number: body(requests[number]) for number in order}
    assert [seen[number] for number in range(4)] == expected
    assert len({image["url"].path for made in expected for image in made["images"]}) == 5


def test_a_direct_run_counts_the_submissions_before_it() -> None:
    eager, lazy = emulator(), emulator()
    body(submit(eager))
    waiting = submit(lazy)
    assert body(eager.run(FLUX, CAT, "ana")) == body(lazy.run(FLUX, CAT, "ana"))
    assert waiting.is_drawn


def test_the_output_of_an_input_that_was_seen_equals_one_that_was_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def results() -> list[Any]:
        mock = emulator()
        requests = [submit(mock) for _ in range(5)]
        return [(body(request), request.head, request.steps) for request in requests]

    seen = results()
    monkeypatch.setattr(readings, "MAX_READ_BYTES", 0)
    assert results() == seen


def test_an_output_is_built_again_from_its_input_when_its_reading_was_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = [body(submit(mock := emulator())), body(submit(mock))][1]
    monkeypatch.setattr(readings, "MAX_READINGS", 1)
    mock = emulator()
    submit(mock)
    request = submit(mock)
    assert request.steps  # drawn
    assert not request.is_built
    body(submit(mock, DOG))  # takes the place of the reading
    assert body(request) == expected


def test_no_more_than_a_few_requests_of_a_key_wait_to_be_read() -> None:
    mock = emulator()
    requests = [submit(mock, b'{"prompt":"%d"}' % number) for number in range(deferred.MAX_UNDRAWN + 10)]
    assert 0 < [request.is_drawn for request in requests].count(False) <= deferred.MAX_UNDRAWN
    assert [request.is_drawn for request in requests[:10]] == [True] * 10


def test_keys_do_not_wait_for_each_other() -> None:
    mock = emulator()
    other = submit(mock, key="bob")
    body(submit(mock))
    assert not other.is_drawn


@pytest.mark.parametrize(
    ("change", "given", "directive"),
    [
        (dict, b'{"prompt":"x [mock: run=1]"}', ""),
        (dict, CAT, "nsfw"),
        (dict, b'{"prompt":"see https://v3.fal.media/a.png"}', ""),
        (lambda: {"runners": 1}, CAT, ""),
    ],
)
def test_what_others_depend_on_is_worked_out_at_once(
    change: Callable[[], dict[str, Any]], given: bytes, directive: str
) -> None:
    """Directives, files of the input, which may change, and a queue in which others wait for the end."""
    assert submit(emulator(**change()), given, directive=directive).is_built


def test_an_invalid_input_ends_early_also_if_nobody_has_looked_before() -> None:
    mock = emulator()
    request = submit(mock, b'{"prompt":7}')
    mock.clock.advance(mock.settings.queue_duration + 0.01)
    assert state(request, mock.clock.now()) is State.FAILED
    assert mock.poll(request).is_completed


def test_a_removed_request_is_charged_and_has_no_files() -> None:
    mock = emulator(retention=20, queue_duration=0, run_duration=0)
    for _ in range(50):
        submit(mock)
        mock.clock.advance(1)
    assert sum(charge.requests for charge in mock.charges()) == 50
    assert len(mock.store.requests) == len(mock.store.files) == 20


def test_a_file_is_found_by_a_path_that_is_known_from_an_earlier_run() -> None:
    path = body(submit(emulator()))["images"][0]["url"].path
    mock = emulator()
    submit(mock)
    assert mock.store.file(path) is not None


def test_a_request_that_a_reset_has_removed_can_still_be_read() -> None:
    mock = emulator()
    request = submit(mock)
    mock.reset("ana")
    assert body(request)["prompt"] == "a cat"
    assert not mock.store.files
    assert not mock.store.has_unbuilt


def test_the_memory_of_an_output_is_counted_when_it_is_built() -> None:
    mock = emulator()
    request = submit(mock)
    before = mock.store.memory.held("ana")
    body(request)
    assert mock.store.memory.held("ana") > before
    mock.reset()
    assert mock.store.memory.used == 0


def test_a_run_that_crashes_ends_with_500(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*args: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(engine, "read", crash)
    request = submit(emulator())
    assert isinstance(request.outcome, RunnerResponse)
    assert request.outcome.status == 500
    assert "internal error in a run of fal-ai/flux/schnell" in caplog.text
