from __future__ import annotations

from typing import get_args

import pytest

from mock_fal.models.classify import Kind
from mock_fal.requests.lifecycle import Schedule, logs
from mock_fal.requests.progress import _KINDS, duration, line, lines


def test_every_kind_has_a_progress() -> None:
    assert set(_KINDS) == set(get_args(Kind))


@pytest.mark.parametrize(
    ("kind", "picture_s", "expected"),
    [("image", 0.8, 0.8), ("video", 0.8, 4), ("training", 2, 40), ("video", 0, 0), ("other", 3, 3)],
)
def test_the_duration_is_a_multiple_of_that_of_a_picture(
    kind: str, picture_s: float, expected: float
) -> None:
    assert duration(kind, picture_s) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("image", " 50%|█████     | 14/28 [00:02,  7.00it/s]"),
        ("video", "Frames:  50%|█████     | 14/28 [00:02,  7.00it/s]"),
        ("audio", "Audio:  50%|█████     | 14/28 [00:02,  7.00it/s]"),
        ("training", "Training:  50%|█████     | 14/28 [00:02,  7.00it/s], loss=0.1581"),
        ("other", " 50%|█████     | 14/28 [00:02,  7.00it/s]"),
    ],
)
def test_a_line_names_what_is_made(kind: str, text: str) -> None:
    assert line(kind, 14, 28, 2.0) == text


@pytest.mark.parametrize(("kind", "number"), [("image", 28), ("speech", 1), ("text", 0), ("transcript", 0)])
def test_models_of_some_kinds_log_fewer_lines(kind: str, number: int) -> None:
    assert lines(kind, 28) == number


def test_a_rejected_run_logs_nothing() -> None:
    assert {lines(kind, 0) for kind in _KINDS} == {0}


def test_the_log_of_a_run_has_the_lines_of_its_kind() -> None:
    messages = [item.message for item in logs(Schedule(0.0, 1.0, 5.0, 4.0), 2, 5.0, "3d")]
    assert messages == [
        "Mesh:  50%|█████     | 1/2 [00:02,  0.50it/s]",
        "Mesh: 100%|██████████| 2/2 [00:04,  0.50it/s]",
    ]
