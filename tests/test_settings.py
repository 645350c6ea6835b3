from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mock_fal
from mock_fal.errors import SettingsError
from mock_fal.gateway.environment import environment
from mock_fal.settings import PROGRAM_VARIABLES, Settings, from_environment, read_setting

# Written by hand: setting, default, a text, its parsed value.
SETTINGS = [
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
    ("max_memory", 536_870_912, "1g", 1_073_741_824),
    ("max_body", 67_108_864, "2G", 2_147_483_648),
    ("max_upload", 1_073_741_824, "10k", 10_240),
    ("max_disk", 4_294_967_296, "1m", 1_048_576),
    ("request_attempts", 10, "3", 3),
    ("webhook_retries", "fast", "real", "real"),
    ("allow_egress", False, "true", True),
    ("scenario", "", "rules.json", "rules.json"),
    ("models", (), "my models.json,other.json", ("my models.json", "other.json")),
    ("guess_models", False, "1", True),
    ("signing_key", "", "key.pem", "key.pem"),
    ("control_token", "", "0123456789abcdef", "0123456789abcdef"),
    ("local_media_urls", False, "1", True),
    ("public_url", "", "http://mock-fal.localhost:8325/", "http://mock-fal.localhost:8325"),
    ("gateway_host", "127.0.0.1", "0.0.0.0", "0.0.0.0"),
    ("gateway_port", 0, "8326", 8326),
    ("gateway_tls_port", 0, "8327", 8327),
    ("gateway_password", "", "letters-and.digits_0~", "letters-and.digits_0~"),
    ("ca_dir", "", "/ca", "/ca"),
    ("offline", False, "yes", True),
    ("allow_host", (), "example.com,pypi.org", ("example.com", "pypi.org")),
    ("record", "", "cassettes", "cassettes"),
    ("live_key", "", "id:secret", "id:secret"),
    ("replay", "", "cassettes", "cassettes"),
    ("strict", False, "1", True),
]


@pytest.mark.parametrize(("name", "default"), [(name, default) for name, default, _, _ in SETTINGS])
def test_every_setting_has_its_default(name: str, default: object) -> None:
    assert getattr(Settings(), name) == default


def test_there_is_no_other_setting() -> None:
    assert [setting.name for setting in fields(Settings)] == [name for name, _, _, _ in SETTINGS]


@pytest.mark.parametrize("name", [name for name, _, _, _ in SETTINGS])
def test_every_setting_has_a_help_text(name: str) -> None:
    setting = next(setting for setting in fields(Settings) if setting.name == name)
    assert setting.metadata["help"]


@pytest.mark.parametrize(
    ("name", "text", "value"), [(name, text, value) for name, _, text, value in SETTINGS]
)
def test_every_setting_has_a_variable(name: str, text: str, value: object) -> None:
    assert from_environment({"MOCK_FAL_" + name.upper(): text}) == {name: value}


def test_two_limits_at_once_are_rejected() -> None:
    with pytest.raises(SettingsError, match="runners is 1 and concurrency is 2: expected one of them"):
        Settings(runners=1, concurrency=2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"record": "a", "live_key": "x:y"}, "expected --allow-egress too"),
        ({"record": "a", "allow_egress": True}, "set MOCK_FAL_LIVE_KEY"),
        ({"record": "a", "allow_egress": True, "live_key": "mock:fal"}, "the key of mock-fal itself"),
        ({"record": "a", "allow_egress": True, "live_key": "a:b", "key": ("c:d",)}, "a random key.*expected no --key"),
        ({"record": "a", "allow_egress": True, "live_key": "a:b\r\nx: y"}, "printable ASCII without spaces"),
        ({"record": "a", "replay": "b"}, "record is a and replay is b: expected one of them"),
        ({"strict": True}, "expected --replay DIR"),
    ],
)  # fmt: skip
def test_invalid_combinations_of_cassette_settings_are_rejected(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(**given)


def test_the_repr_hides_the_live_key() -> None:
    assert "secret" not in repr(Settings(record="a", allow_egress=True, live_key="live:secret"))


def test_variables_without_the_prefix_are_ignored() -> None:
    assert from_environment({"FAL_KEY": "a:b", "MOCK_FAL": "1", "PORT": "1", "mock_fal_port": "1"}) == {}


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("MOCK_FAL_SPED", "MOCK_FAL_SPED: unknown setting; did you mean MOCK_FAL_SPEED?"),
        ("MOCK_FAL_QUEUE_S", "MOCK_FAL_QUEUE_S: unknown setting; did you mean MOCK_FAL_QUEUE_DURATION?"),
        ("MOCK_FAL_", "MOCK_FAL_: unknown setting; did you mean MOCK_FAL_KEY?"),
    ],
)
def test_an_unknown_variable_with_the_prefix_is_rejected(variable: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        from_environment({"MOCK_FAL_PORT": "1", variable: "3"})
    assert str(error.value) == message


def test_a_variable_similar_to_no_setting_lists_all_settings() -> None:
    with pytest.raises(
        SettingsError, match="^MOCK_FAL_XYZXYZXYZXYZXYZ: unknown setting; expected one of MOCK_FAL_HOST, "
    ):
        from_environment({"MOCK_FAL_XYZXYZXYZXYZXYZ": ""})


def test_the_variables_of_a_program_below_a_run_are_accepted() -> None:
    variables, _ = environment(
        base={},
        proxy_url="http://127.0.0.1:1",
        tls_address=("127.0.0.1", 2),
        ca_file="ca.pem",
        bundle_file="bundle.pem",
        preload_file="preload.cjs",
        url="http://127.0.0.1:3",
        key="a:b",
    )
    assert from_environment(variables) == {"offline": False, "allow_host": ()}
    names = {name for name in variables if name.startswith("MOCK_FAL_")}
    assert names - PROGRAM_VARIABLES == {"MOCK_FAL_OFFLINE", "MOCK_FAL_ALLOW_HOST"}
    assert names > PROGRAM_VARIABLES
    assert from_environment({"MOCK_FAL_COMMAND": "python3 -m mock_fal"}) == {}  # of the npm package


def test_every_variable_in_the_package_is_a_setting_or_a_program_variable() -> None:
    folder = Path(mock_fal.__file__).parent
    sources = [
        path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.suffix in (".py", ".cjs", ".html", ".js")
    ]
    names = {name for source in sources for name in re.findall(r"\bMOCK_FAL_\w*[A-Z]\b", source)}
    others = names - {"MOCK_FAL_" + name.upper() for name, *_ in SETTINGS}
    assert others == PROGRAM_VARIABLES | {"MOCK_FAL_COMMAND"}  # the last one is read by the npm package


def test_a_server_below_a_run_starts() -> None:
    program = "from mock_fal import MockFal\nwith MockFal() as fal: print(fal.url)"
    command = ["-m", "mock_fal", "run", "--"]
    nested = subprocess.run(
        [sys.executable, *command, sys.executable, *command, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert nested.stdout.startswith("http://127.0.0.1:")


def test_the_environment_makes_settings() -> None:
    settings = Settings(**from_environment({"MOCK_FAL_PORT": "9000", "MOCK_FAL_OFFLINE": "true"}))
    assert (settings.port, settings.offline, settings.seed) == (9000, True, 0)


def test_an_error_names_the_variable() -> None:
    with pytest.raises(SettingsError, match=r"^MOCK_FAL_PORT: '': expected a whole number from 0 to 65535$"):
        from_environment({"MOCK_FAL_PORT": ""})


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "65536", "a whole number from 0 to 65535"),
        ("port", "-1", "a whole number from 0 to 65535"),
        ("port", "80.0", "a whole number from 0 to 65535"),
        ("queue_duration", "soon", "a number from 0 to 1e+09"),
        ("queue_duration", "-0.1", "a number from 0 to 1e+09"),
        ("queue_duration", "nan", "a number from 0 to 1e+09"),
        ("run_duration", "inf", "a number from 0 to 1e+09"),
        ("runners", "-1", "a whole number of at least 0"),
        ("runners", "1.5", "a whole number of at least 0"),
        ("clock", "Manual", "system or manual or auto-advance"),
        ("speed", "0", "a number of at least 0.001"),
        ("seed", "one", "a whole number of at least 0"),
        ("retention", "0", "a whole number of at least 1"),
        ("max_body", "", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "-1", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "1.5M", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "64 M", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "64MK", "bytes, as in 500000, 64M or 2G"),
        ("max_body", "M", "bytes, as in 500000, 64M or 2G"),
        ("offline", "maybe", "1 or 0"),
    ],
)
def test_an_error_shows_the_value_and_what_was_expected(name: str, text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_setting(name, text, "--flag")
    assert str(error.value) == f"--flag: {text!r}: expected {expected}"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("key", "alice", "id:secret"),
        ("key", "alice:", "id:secret"),
        ("key", "a:b :secret", "id:secret"),
        ("control_token", "0123456789 abcdef", "printable ASCII without spaces"),
    ],
)
def test_an_error_about_a_secret_does_not_show_it(name: str, text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_setting(name, text, "--flag")
    assert str(error.value) == f"--flag: expected {expected}"


def test_the_repr_of_settings_has_no_secrets() -> None:
    settings = Settings(key=("alice:secret",), live_key="bob:secret", control_token="top-secret-token")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "size"),
    [("500000", 500_000), ("64M", 64 * 2**20), ("64m", 64 * 2**20), ("3k", 3 * 2**10), ("0", 0)],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert read_setting("max_body", text, "") == size


@pytest.mark.parametrize(
    ("text", "on"),
    [("1", True), ("TRUE", True), ("Yes", True), ("0", False), ("false", False), ("no", False), ("", False)],
)
def test_a_switch_accepts_the_usual_values(text: str, on: bool) -> None:
    assert read_setting("offline", text, "") is on


@pytest.mark.parametrize("text", ["", " , ", ","])
def test_a_list_may_be_empty(text: str) -> None:
    assert read_setting("allow_host", text, "") == read_setting("key", text, "") == ()


@given(
    st.sampled_from([name for name, *_ in SETTINGS]),
    st.text() | st.integers().map(str) | st.floats().map(str),
)
def test_any_text_gives_a_value_or_a_settings_error(name: str, text: str) -> None:
    try:
        value: Any = read_setting(name, text, "--flag")
    except SettingsError as error:
        assert str(error).startswith("--flag: ")
    else:
        assert type(value) is type(getattr(Settings(), name))


@pytest.mark.parametrize("name", ["port", "queue_duration", "runners", "seed", "retention", "max_body"])
def test_a_very_large_number_gives_a_value_or_a_settings_error(name: str) -> None:
    test_any_text_gives_a_value_or_a_settings_error.hypothesis.inner_test(name, "9" * 400)  # type: ignore[attr-defined]
    test_any_text_gives_a_value_or_a_settings_error.hypothesis.inner_test(name, "9" * 5000)  # type: ignore[attr-defined]


def test_settings_are_immutable() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]
