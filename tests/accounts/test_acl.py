from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.accounts.acl import PUBLIC, Acl, Decision

ALLOW, FORBID, HIDE = Decision

decisions = st.sampled_from(Decision)
names = st.sampled_from(["ana", "bob", "eve"])
acls = st.builds(Acl, decisions, st.lists(st.tuples(names, decisions)).map(tuple))


def test_a_file_without_an_acl_is_public() -> None:
    assert PUBLIC.decide("ana", []) is ALLOW


def test_a_reader_without_a_rule_gets_the_default() -> None:
    acl = Acl(FORBID, (("ana", HIDE),))
    assert [acl.decide("owner", [name]) for name in ("ana", "bob")] == [HIDE, FORBID]


def test_the_default_for_one_name_may_be_less_strict_than_the_rule_for_another() -> None:
    assert Acl(ALLOW, (("ana", HIDE),)).decide("owner", ["ana", "bob"]) is ALLOW


@given(acls, st.lists(names))
def test_the_owner_may_always_read(acl: Acl, others: list[str]) -> None:
    assert acl.decide("owner", ["owner", *others]) is ALLOW


@given(acls, st.lists(names, min_size=1), names)
def test_another_name_never_makes_the_decision_stricter(acl: Acl, readers: list[str], another: str) -> None:
    strictness = list(Decision)
    before, after = acl.decide("owner", readers), acl.decide("owner", [*readers, another])
    assert strictness.index(after) <= strictness.index(before)
