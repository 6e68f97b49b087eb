# SPDX-License-Identifier: Apache-2.0
"""Rules of findings on the user as such: that it exists, its exemptions, its origin, its left-overs. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase

from c7n_iamusers.decisions.finding_case import Answer, Case
from c7n_iamusers.decisions.user_patterns import matches


def iam_user(case: Case) -> Answer:
    """It is an IAM user."""
    return ("An IAM user has long-term credentials; AWS asks for temporary ones.",)


def expired_exemption(case: Case) -> Answer:
    """A rule exempted it, and the rule has run out."""
    return tuple(
        f"Exempt by {gone.field} {gone.pattern!r} until {gone.expires.isoformat()} ({gone.reason}): "
        "renew the exemption with a new date, or let the user go."
        for gone in case.exemption.expired
    )


def orphaned_mfa(case: Case) -> Answer:
    """A virtual MFA device that bears its name is assigned to nobody, and blocks a new one."""
    serials = case.evidence.orphaned_mfa
    if not serials:
        return serials
    return (f"A virtual MFA device of its name is assigned to nobody: {', '.join(serials)}.",)


def unknown_provisioning(case: Case) -> Answer:
    """None of the tags and creators that `provisioning` names fits it."""
    known, creator = case.provisioning, case.evidence.creator
    if not (known.tags or known.roles) or any(matches(case.user, "tag", pattern) for pattern in known.tags):
        return ()
    if known.roles:
        if creator is None:
            return None
        if any(fnmatchcase(creator, pattern) for pattern in known.roles):
            return ()
    by = f" by {creator}" if creator else ""
    return (f"Created{by} outside the known ways: {', '.join((*known.tags, *known.roles))}.",)
