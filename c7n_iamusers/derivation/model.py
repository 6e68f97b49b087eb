# SPDX-License-Identifier: Apache-2.0
"""The records of a derivation: options, permission sets, groups, and the users that get or don't get a set. Pure.

``derive`` returns them::

    principals = [principal_permissions(user, groups, policies) for user in details]
    derivation = derive(principals, DerivationOptions(identity_center_mfa=True))

They don't depend on the order of accounts, users or policies, and a set does not depend on other users: its name is a
digest of its content and form, so other content gives another set.

An acceptance is for one user, for whom a policy accepts a permission set that was not proven to grant no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from c7n_iamusers import defaults
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.iam.policy_documents import canonical_policy
from c7n_iamusers.policy_comparison.budgets import AccountTimes
from c7n_iamusers.policy_comparison.comparison import UNDECIDED, UNPROVEN, WIDER, Proof, Remark
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers.text.wording import quoted

#: What a group is for: one set in one account, or all the assignments of its people.
PER_ACCOUNT, PER_MAP = "set-and-account", "people"


@dataclass(frozen=True)
class Acceptance:
    """Permission to give one IAM user's person its access although ``verdict`` says that it must not have it.

    ``verdict``: WIDER or UNDECIDED, of the proof of its set; NO_WORKING_CREDENTIALS or QUARANTINED, of the user itself.
    ``account``, ``user``: EVERY for all, see ``parse_acceptances``. ``remark``: who accepts it, and why. ``expires``:
    its last day, in UTC.
    """

    account: str
    user: str
    verdict: str
    remark: str
    expires: date

    def is_for(self, subject: Subject) -> bool:
        """Whether it is for the user ``subject``."""
        return self.account in (EVERY, subject.account_id) and self.user in (EVERY, subject.name)


@dataclass(frozen=True)
class DerivationOptions:
    """What derivation may use and assume.

    ``session_duration``: ISO 8601, PT1H to PT12H. ``policies_per_set``, ``inline_characters`` (without white space) and
    ``inline_bytes``: quotas of Identity Center. ``policies_per_role``: IAM's quota for the role in each account, 10 by
    default. The lower quota of policies applies.

    ``accept``: users whose set may be created although it was not proven to grant no more. ``today``: the day, in UTC,
    at which acceptances must be valid; by default none is.
    ``identity_center_mfa``: Identity Center requires MFA at every sign-in, so conditions on
    ``aws:MultiFactorAuthPresent`` are met, for users that have an MFA device.
    ``username_tag``: the attribute for access control (a session tag) with the Identity Center username; empty for
    none. It replaces ``${aws:username}`` for people whose two usernames are equal.
    ``write_out``: replace variables such as ``${aws:username}`` by their values, which needs a set for each value.
    ``group_by``: PER_ACCOUNT or PER_MAP.
    ``times``: bounds the time of each account; see ``budgets``.
    """

    session_duration: str = defaults.SESSION_DURATION
    policies_per_set: int = 20
    policies_per_role: int = 10
    inline_characters: int = 10_240
    inline_bytes: int = 32_768
    accept: tuple[Acceptance, ...] = ()
    today: date = date.max
    identity_center_mfa: bool = False
    username_tag: str = ""
    write_out: bool = False
    group_by: str = PER_ACCOUNT
    times: AccountTimes | None = field(default=None, compare=False)


@dataclass(frozen=True, order=True)
class PolicyReference:
    """A customer-managed policy as sso-admin's ``CustomerManagedPolicyReference``."""

    name: str
    path: str = "/"


@dataclass(frozen=True)
class DerivedSet:
    """A permission set. ``managed_policies``: ARNs of AWS-managed policies. ``inline``: a policy document.

    ``boundary``: the ARN of an AWS-managed policy, or a reference. ``accounts``: the ids of its users' accounts.
    """

    name: str
    managed_policies: tuple[str, ...]
    customer_managed: tuple[PolicyReference, ...]
    inline: Mapping[str, Any] | None
    boundary: str | PolicyReference | None
    session_duration: str
    accounts: tuple[str, ...] = ()

    @property
    def inline_policy(self) -> str:
        """The inline policy as JSON in canonical form, empty for none (see ``PermissionSet``)."""
        return canonical_policy(self.inline) if self.inline else ""


@dataclass(frozen=True, slots=True)
class DerivedGroup:
    """A group, its assignments (account id, set name), and the IAM users whose people are its members."""

    name: str
    assignments: tuple[tuple[str, str], ...]
    members: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class DerivedPrincipal:
    """An IAM user, and the set and group that replace its policies."""

    subject: Subject
    set_name: str
    group_name: str
    proof: Proof


@dataclass(frozen=True)
class NotDerived:
    """An IAM user without a set. ``reason``: why, and what to do. ``proof``: None if there was no set to prove."""

    subject: Subject
    reason: str
    proof: Proof | None = None


@dataclass(frozen=True)
class NearDuplicate:
    """Two sets that people could merge. ``relation``: EQUAL, NARROWER or WIDER of the first, or OTHER.

    ``difference``: the number of policies and statements that only one has. ``only_first``, ``only_second``: as text.
    """

    first: str
    second: str
    difference: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    relation: str


@dataclass(frozen=True)
class Derivation:
    """The result, each part in a fixed order."""

    sets: tuple[DerivedSet, ...]
    groups: tuple[DerivedGroup, ...]
    principals: tuple[DerivedPrincipal, ...]
    refused: tuple[NotDerived, ...]
    near_duplicates: tuple[NearDuplicate, ...]

    @property
    def summary(self) -> str:
        """N users -> M permission sets, as text."""
        refused = f", {len(self.refused)} users refused" if self.refused else ""
        return f"{len(self.principals)} users -> {len(self.sets)} permission sets{refused}"


#: The verdicts on users that can't use what their policies allow: nothing to sign in with, or our own quarantine.
NO_WORKING_CREDENTIALS, QUARANTINED = "no-working-credentials", "quarantined"
_OF_USERS = (NO_WORKING_CREDENTIALS, QUARANTINED)
#: In place of an account's id and of a user's name: all of them.
EVERY = "*"
ACCEPTANCE_KEYS = ("account", "user", "verdict", "remark", "expires")
#: The ids of remarks: an acceptance applies, or there is one that does not.
ACCEPTED, NOT_ACCEPTED = "accepted", "not-accepted"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ALLOW_WIDER = (
    "allow-wider is no longer supported, because it accepted every set of every user: name each user instead, with "
    'accept: [{account: "111122223333", user: NAME, verdict: wider, remark: WHY, expires: YYYY-MM-DD}]'
)


def parse_acceptances(derive: Mapping[str, Any], where: str, for_all: bool = False) -> tuple[Acceptance, ...]:
    """The acceptances in a policy's ``derive:``. ``where``: its place, for errors. Raises InvalidPolicyData.

    ``for_all``: a row may have EVERY as account and user. It accepts a permission set by name, which is one and the
    same for all users, and never a user that can't use its policies.
    """
    if "allow-wider" in derive:
        raise InvalidPolicyData(f"{where}: {_ALLOW_WIDER}")
    rows = derive.get("accept", ())
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InvalidPolicyData(f"{where}: accept must be a list")
    faults = [
        f"{where}: accept[{number}]: {fault}"
        for number, row in enumerate(rows)
        for fault in _faults(row, for_all)
    ]
    if faults:
        raise InvalidPolicyData("; ".join(faults))
    return tuple(_acceptance(row) for row in rows)


def acceptance_data(acceptance: Acceptance) -> dict[str, str]:
    """The row of ``accept:`` for ``acceptance``."""
    return {
        **{key: getattr(acceptance, key) for key in ACCEPTANCE_KEYS},
        "expires": acceptance.expires.isoformat(),
    }


def with_acceptance(proof: Proof, subject: Subject, options: DerivationOptions) -> Proof:
    """``proof`` with a remark if its verdict needs an acceptance and ``options`` has one for the user."""
    remark = _remark(subject, proof.verdict, options) if proof.verdict in UNPROVEN else None
    return replace(proof, remarks=(*proof.remarks, remark)) if remark else proof


def accepted(rows: Iterable[Acceptance], subject: Subject, verdict: str, today: date) -> Acceptance | None:
    """The row that accepts ``verdict`` for the user on ``today``; None if there is none."""
    found = (row for row in rows if row.is_for(subject) and row.verdict == verdict)
    return next((each for each in found if today <= each.expires), None)


def is_permitted(proof: Proof) -> bool:
    """Whether the set may be created: it is proven to grant no more, or it is accepted."""
    return proof.verdict not in UNPROVEN or any(remark.id == ACCEPTED for remark in proof.remarks)


def _remark(subject: Subject, verdict: str, options: DerivationOptions) -> Remark | None:
    found = [each for each in options.accept if each.is_for(subject) and each.verdict in UNPROVEN]
    if valid := accepted(found, subject, verdict, options.today):
        text = f"{verdict} is accepted until {valid.expires}: {valid.remark}"
        return Remark(ACCEPTED, "accept", text)
    for each in found:
        reason = f"expired on {each.expires}" if each.verdict == verdict else f"is only for {each.verdict}"
        remedy = f"review the proof, then set a new expires, or the verdict {verdict}"
        return Remark(NOT_ACCEPTED, "accept", f"the acceptance ({each.remark}) {reason}", remedy)
    return None


def _acceptance(row: Mapping[str, Any]) -> Acceptance:
    texts = (row["account"], row["user"], row["verdict"], row["remark"])
    return Acceptance(*texts, expires=_date(row["expires"]) or date.min)


def _faults(row: Any, for_all: bool) -> Iterator[str]:
    if not isinstance(row, Mapping) or set(row) != set(ACCEPTANCE_KEYS):
        yield f"must have exactly the keys {', '.join(ACCEPTANCE_KEYS)}"
        return
    yield from _faults_of_all(row, for_all)
    is_account = is_account_id(row["account"])
    if row["account"] != EVERY and not is_account:
        yield f"account {quoted(row['account'])} must be 12 digits in quotes"
    for key in ("user", "remark"):
        if not isinstance(row[key], str) or not row[key].strip():
            yield f"{key} must be a string that is not empty"
    if row["verdict"] not in (WIDER, UNDECIDED, *_OF_USERS):
        yield f"verdict {quoted(row['verdict'])} is none of {', '.join((WIDER, UNDECIDED, *_OF_USERS))}"
    if _date(row["expires"]) is None:
        yield f"expires {quoted(row['expires'])} must be a date, YYYY-MM-DD"


def _faults_of_all(row: Mapping[str, Any], for_all: bool) -> Iterator[str]:
    every = [f"{key} {quoted(EVERY)}" for key in ("account", "user") if row[key] == EVERY]
    if every and not for_all:
        yield f"{' and '.join(every)} accepts every user: name each user instead"
    elif every and row["verdict"] in _OF_USERS:
        yield f"{' and '.join(every)} with verdict {row['verdict']}: name each such user instead"


def _date(value: Any) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None
    except ValueError:
        return None
