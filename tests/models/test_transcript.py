from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.models.transcript import transcript


@given(st.floats(0.1, 600), st.integers(1, 5))
def test_the_times_grow_without_gaps_and_end_with_the_recording(duration: float, speakers: int) -> None:
    result = transcript(duration, speakers=speakers)
    for spans in (result.words, result.segments):
        assert spans[0].start == 0
        assert spans[-1].end == pytest.approx(duration, abs=0.001)
        assert all(span.start <= span.end for span in spans)
        assert all(before.end == after.start for before, after in zip(spans, spans[1:], strict=False))


def test_the_segments_have_the_text_of_the_words() -> None:
    result = transcript(20.0)
    assert result.text == " ".join(word.text for word in result.words)
    assert result.text.startswith("This is a placeholder transcript. It was made by mock-fal")


def test_speakers_take_turns() -> None:
    assert [segment.speaker for segment in transcript(20.0, speakers=2).segments] == [0, 1, 0, 1, 0]


def test_a_text_of_its_own_is_spread_over_the_duration() -> None:
    assert [word.text for word in transcript(2.0, "one two").words] == ["one", "two"]


def test_a_long_recording_has_a_bounded_number_of_words() -> None:
    assert len(transcript(1e6).words) == 1500
