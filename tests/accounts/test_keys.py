from __future__ import annotations

import pytest

from mock_fal.accounts.keys import Keys
from mock_fal.errors import AuthenticationRequired, InvalidBearer, InvalidKey


@pytest.mark.parametrize(
    ("header", "tenant"),
    [("Key alice:secret", "alice"), ("key alice:s", "alice"), ("Key  bob:a:b ", "bob"), (None, None)],
)
def test_a_key_names_its_tenant(header: str | None, tenant: str | None) -> None:
    assert Keys().account(header, "fal-ai/flux") == tenant


@pytest.mark.parametrize(
    "header",
    ["", "Key", "Key ", "Key alice", "Key alice:", "Key :secret", "alice:secret", "Basic alice:secret"],
)
def test_what_is_no_key_is_answered_like_none(header: str) -> None:
    with pytest.raises(AuthenticationRequired, match='"fal-ai/flux"'):
        Keys().account(header, "fal-ai/flux")


def test_a_key_names_the_same_tenant_every_time() -> None:
    keys = Keys()
    assert [keys.account("Key alice:secret", "fal-ai/flux") for _ in range(3)] == ["alice"] * 3


def test_a_bearer_is_not_known() -> None:
    with pytest.raises(InvalidBearer):
        Keys().account("Bearer x.y.z", "fal-ai/flux")


def test_only_the_keys_of_the_settings_are_good_where_they_name_some() -> None:
    keys = Keys(("alice:secret", "bob:secret"))
    assert keys.account("Key bob:secret", "fal-ai/flux") == "bob"
    with pytest.raises(InvalidKey):
        keys.account("Key alice:wrong", "fal-ai/flux")
    with pytest.raises(InvalidKey):
        keys.account("Key alice:wrong", "fal-ai/flux")


def test_a_server_that_saw_very_many_keys_still_knows_them() -> None:
    names = [f"user{number}" for number in range(2500)]
    keys = Keys()
    assert [keys.account(f"Key {name}:s", "fal-ai/flux") for name in names] == names
    assert len(keys._good) <= 1001
