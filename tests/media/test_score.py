from __future__ import annotations

from mock_fal.media import score
from mock_fal.media.audio import render
from mock_fal.media.recipe import Sound


def test_a_score_is_that_of_its_style() -> None:
    assert score.score("melody", "a cat", 7) == score.melody("a cat", 7) != score.melody("a cat", 8)
    assert score.score("speech", "a cat", 7) == score.speech("a cat", 7)


def test_speech_has_the_rhythm_of_its_words() -> None:
    one, two = score.speech("cat"), score.speech("elephant cat")
    assert len(two.slots) > len(one.slots) and one.slots[-1] == score.REST
    assert score.speech_s("one two three four five") == 2
    assert score.speech_s("") == 0.4


def test_texts_without_words_are_spoken_too() -> None:
    assert len(render(Sound("", 1, style="speech"))) > 44
    assert score.speech("!").slots and score.speech("猫猫猫猫").slots
