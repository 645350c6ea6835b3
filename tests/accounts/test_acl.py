from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mock_fal.accounts.acl import PUBLIC, Acl, Decision

ALLOW, FORBID, HIDE = Decision

decisions = st.sampled_from(Decision)
names = st.sampled_from(["ana", "bob", "eve"])
acls = st.builds(Acl, decisions, st.lists(st.tuples(names, decisions)).map(tuple))


def test_anybody_may_read_what_nobody_restricted() -> None:
    assert PUBLIC.decide("ana", []) is ALLOW


def test_who_has_no_rule_gets_the_default() -> None:
    acl = Acl(FORBID, (("ana", HIDE),))
    assert [acl.decide("owner", [name]) for name in ("ana", "bob")] == [HIDE, FORBID]


def test_a_name_without_a_rule_may_be_better_than_one_with() -> None:
    assert Acl(ALLOW, (("ana", HIDE),)).decide("owner", ["ana", "bob"]) is ALLOW


@given(acls, st.lists(names))
def test_the_owner_may_always(acl: Acl, others: list[str]) -> None:
    assert acl.decide("owner", ["owner", *others]) is ALLOW


@given(acls, st.lists(names, min_size=1), names)
def test_one_more_name_never_makes_it_worse(acl: Acl, readers: list[str], one_more: str) -> None:
    picture_request = list(Decision)
    before, after = acl.decide("owner", readers), acl.decide("owner", [*readers, one_more])
    assert picture_request.index(after) <= picture_request.index(before)
