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
def test_an_invalid_header_gets_the_response_for_a_missing_key(header: str) -> None:
    with pytest.raises(AuthenticationRequired, match='"fal-ai/flux"'):
        Keys().account(header, "fal-ai/flux")


def test_a_key_names_the_same_tenant_every_time() -> None:
    keys = Keys()
    assert [keys.account("Key alice:secret", "fal-ai/flux") for _ in range(3)] == ["alice"] * 3


def test_a_bearer_token_is_rejected() -> None:
    with pytest.raises(InvalidBearer):
        Keys().account("Bearer x.y.z", "fal-ai/flux")


def test_only_the_accepted_keys_are_valid_if_there_are_any() -> None:
    keys = Keys(("alice:secret", "bob:secret"))
    assert keys.account("Key bob:secret", "fal-ai/flux") == "bob"
    with pytest.raises(InvalidKey):
        keys.account("Key alice:wrong", "fal-ai/flux")
    with pytest.raises(InvalidKey):
        keys.account("Key alice:wrong", "fal-ai/flux")


def test_the_cache_of_headers_is_bounded() -> None:
    names = [f"user{number}" for number in range(2500)]
    keys = Keys()
    assert [keys.account(f"Key {name}:s", "fal-ai/flux") for name in names] == names
    assert len(keys._accounts) <= 1001
