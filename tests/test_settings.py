from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.errors import SettingsError
from mock_fal.settings import Settings, from_environment, read_setting

# Typed by hand: setting, default, a text, what it spells.
KNOBS = [
    ("host", "127.0.0.1", "0.0.0.0", "0.0.0.0"),
    ("port", 8325, "0", 0),
    ("queue_duration", 0.2, "2.5", 2.5),
    ("run_duration", 0.8, "0", 0.0),
    ("runners", 0, "3", 3),
    ("concurrency", 0, "40", 40),
    ("clock", "system", "auto-advance", "auto-advance"),
    ("speed", 1.0, "10", 10.0),
    ("seed", 0, "42", 42),
    ("key", (), "a:b, c:d", ("a:b", "c:d")),
    ("retention", 10_000, "1", 1),
    ("max_body", 67_108_864, "2G", 2_147_483_648),
    ("max_upload", 1_073_741_824, "10k", 10_240),
    ("max_disk", 4_294_967_296, "1m", 1_048_576),
    ("webhook_retries", "fast", "real", "real"),
    ("allow_egress", False, "true", True),
    ("scenario", "", "rules.json", "rules.json"),
    ("signing_key", "", "key.pem", "key.pem"),
    ("local_media_urls", False, "1", True),
    ("offline", False, "yes", True),
    ("allow_host", (), "example.com,pypi.org", ("example.com", "pypi.org")),
    ("record", "", "cassettes", "cassettes"),
    ("live_key", "", "id:secret", "id:secret"),
    ("replay", "", "cassettes", "cassettes"),
    ("strict", False, "1", True),
]


@pytest.mark.parametrize(("name", "default"), [(name, default) for name, default, _, _ in KNOBS])
def test_every_setting_has_its_default(name: str, default: object) -> None:
    assert getattr(Settings(), name) == default


def test_there_is_no_other_setting() -> None:
    assert [setting.name for setting in fields(Settings)] == [name for name, _, _, _ in KNOBS]


@pytest.mark.parametrize("name", [name for name, _, _, _ in KNOBS])
def test_every_setting_says_what_it_means(name: str) -> None:
    setting = next(setting for setting in fields(Settings) if setting.name == name)
    assert setting.metadata["help"]


@pytest.mark.parametrize(("name", "text", "value"), [(name, text, value) for name, _, text, value in KNOBS])
def test_every_setting_has_a_variable(name: str, text: str, value: object) -> None:
    assert from_environment({"MOCK_FAL_" + name.upper(): text}) == {name: value}


def test_two_limits_at_once_are_refused() -> None:
    with pytest.raises(SettingsError, match="runners is 1 and concurrency is 2: expected one of them"):
        Settings(runners=1, concurrency=2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"record": "a", "live_key": "x:y"}, "allow that by --allow-egress"),
        ({"record": "a", "allow_egress": True}, "set MOCK_FAL_LIVE_KEY"),
        ({"record": "a", "allow_egress": True, "live_key": "mock:fal"}, "the key for mock-fal itself"),
        ({"record": "a", "allow_egress": True, "live_key": "a:b", "key": ("a:b",)}, "the key for mock-fal itself"),
        ({"record": "a", "allow_egress": True, "live_key": "a:b\r\nx: y"}, "a key in one word of ASCII"),
        ({"record": "a", "replay": "b"}, "record is a and replay is b: expected one of them"),
        ({"strict": True}, "expected --replay DIR"),
    ],
)  # fmt: skip
def test_settings_of_cassettes_that_do_not_go_together_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings(**given)


def test_the_live_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings(record="a", allow_egress=True, live_key="live:secret"))


def test_other_variables_say_nothing() -> None:
    assert from_environment({"FAL_KEY": "a:b", "MOCK_FAL": "1", "PORT": "1", "mock_fal_port": "1"}) == {}


def test_what_the_environment_names_makes_settings() -> None:
    settings = Settings(**from_environment({"MOCK_FAL_PORT": "9000", "MOCK_FAL_OFFLINE": "true"}))
    assert (settings.port, settings.offline, settings.seed) == (9000, True, 0)


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^MOCK_FAL_PORT: '': expected a whole number from 0 to 65535$"):
        from_environment({"MOCK_FAL_PORT": ""})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "65536", "a whole number from 0 to 65535"),
        ("port", "-1", "a whole number from 0 to 65535"),
        ("port", "80.0", "a whole number from 0 to 65535"),
        ("queue_duration", "soon", "a number of at least 0"),
        ("queue_duration", "-0.1", "a number of at least 0"),
        ("queue_duration", "nan", "a number of at least 0"),
        ("run_duration", "inf", "a number of at least 0"),
        ("runners", "-1", "a whole number of at least 0"),
        ("runners", "1.5", "a whole number of at least 0"),
        ("clock", "Manual", "system or manual or auto-advance"),
        ("speed", "0", "a number of at least 0.001"),
        ("seed", "one", "a whole number of at least 0"),
        ("retention", "0", "a whole number of at least 1"),
        ("key", "alice", "id:secret"),
        ("key", "alice:", "id:secret"),
        ("key", "a:b :secret", "id:secret"),
        ("max_body", "", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "-1", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "1.5M", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "64 M", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "64MK", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "M", "bytes, as in 500000, 64M or 2G"),
        ("offline", "maybe", "1 or 0"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_setting(name, text, "--flag")
    assert str(error.value) == f"--flag: {text!r}: expected {expected}"


@pytest.mark.parametrize(
    ("text", "size"),
    [("500000", 500_000), ("64M", 64 * 2**20), ("64m", 64 * 2**20), ("3k", 3 * 2**10), ("0", 0)],
)
def test_bytes_may_be_counted_in_larger_units(text: str, size: int) -> None:
    assert read_setting("max_body", text, "") == size


@pytest.mark.parametrize(
    ("text", "on"),
    [("1", True), ("TRUE", True), ("Yes", True), ("0", False), ("false", False), ("no", False), ("", False)],
)
def test_a_switch_is_on_or_off_in_the_usual_words(text: str, on: bool) -> None:
    assert read_setting("offline", text, "") is on


@pytest.mark.parametrize("text", ["", " , ", ","])
def test_an_empty_list_names_nobody(text: str) -> None:
    assert read_setting("allow_host", text, "") == read_setting("key", text, "") == ()


@given(
    st.sampled_from([name for name, *_ in KNOBS]), st.text() | st.integers().map(str) | st.floats().map(str)
)
def test_any_text_is_a_value_or_a_settings_error(name: str, text: str) -> None:
    try:
        value: Any = read_setting(name, text, "here")
    except SettingsError as error:
        assert str(error).startswith("here: ")
    else:
        assert type(value) is type(getattr(Settings(), name))


@pytest.mark.parametrize("name", ["port", "queue_duration", "runners", "seed", "retention", "max_body"])
def test_a_number_beyond_all_measure_breaks_nothing(name: str) -> None:
    test_any_text_is_a_value_or_a_settings_error.hypothesis.inner_test(name, "9" * 400)  # type: ignore[attr-defined]
    test_any_text_is_a_value_or_a_settings_error.hypothesis.inner_test(name, "9" * 5000)  # type: ignore[attr-defined]


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]
