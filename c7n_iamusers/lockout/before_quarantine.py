# SPDX-License-Identifier: Apache-2.0
"""A user in our quarantine as it was before, for comparisons of what its person may do. Pure.

Only the inline Deny-all shows by itself that it is ours: its statement id has the record, and only who may change the
user's policies can write it. AWSDenyAll, attached or as the boundary, may be anybody's, and anybody may write a tag
about it. So a user with one of these stays denied here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n_iamusers.iam.attachments import INLINE_POLICY
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import DENY_ALL_NAME, inline_deny_all
from c7n_iamusers.lockout.quarantine_record import QuarantineRecord, parse_sid


def own_quarantine(detail: Mapping[str, Any]) -> QuarantineRecord | None:
    """The record of our quarantine in the user's inline Deny-all; None if there is none.

    ``detail``: botocore's ``UserDetail``. A deletion that has begun is no quarantine: what is left of the user then is
    not what it was.
    """
    held = inline_deny_all(IamUser(detail, {INLINE_POLICY.name: tuple(detail.get("UserPolicyList") or ())}))
    record = parse_sid(str(held.get("Sid", ""))) if held is not None else None
    return record.quarantine if record and record.deletion is None else None


def before_quarantine(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """``detail`` without the Deny-all of our quarantine; the same object if there is none."""
    if own_quarantine(detail) is None:
        return detail
    kept = [each for each in detail["UserPolicyList"] if each["PolicyName"] != DENY_ALL_NAME]
    return {**detail, "UserPolicyList": kept}
