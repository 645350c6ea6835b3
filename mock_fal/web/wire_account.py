"""Wire format of accounts on rest.fal.ai: the current user and the state of its billing."""

from __future__ import annotations

from mock_fal.errors import JSON
from mock_fal.scenario.options import LOCK_REASONS


def current_user(account: str, lock_reason: str | None) -> JSON:
    """`GET /users/current`. `lock_reason` is a name of LOCK_REASONS; None if the account is not locked."""
    # fal: the members (fal SDK, model CurrentUser). assumption: their values; that of `user_id` is in webhooks too.
    return {
        "full_name": account,
        "nickname": account,
        "user_id": account,
        "is_personal": True,
        **_lock(lock_reason),
        "is_paying": True,
    }


def user_details(account: str, lock_reason: str | None) -> JSON:
    """`GET /billing/user_details`: the state of an account, without its balance. See `current_user`."""
    # fal: it states a lock and the verification of payment, and no balance (live, 2026-07).
    # assumption: the other members, and the values.
    return {"user_id": account, **_lock(lock_reason), "payment_verification_status": "verified"}


def _lock(reason: str | None) -> dict[str, JSON]:
    return {"is_locked": reason is not None, "lock_reason": None if reason is None else LOCK_REASONS[reason]}
