# SPDX-License-Identifier: Apache-2.0
"""Reads, checks and merges the intents of all accounts. Most commands of ``c7n-iamusers provision`` begin here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import Store, as_store
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.applying import run_records
from c7n_iamusers.identity_center.applying.access_run import AccessRun
from c7n_iamusers.identity_center.applying.run_history import read_history, recorded_instances
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.former_members import DeletedHere, FormerMembers
from c7n_iamusers.identity_center.output import reports
from c7n_iamusers.identity_center.planning.plan_input import PlanEvidence
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers.identity_center.planning.replacements import RunHistory
from c7n_iamusers.identity_center.requests import intent_checks
from c7n_iamusers.identity_center.requests.desired import desired_access
from c7n_iamusers.identity_center.requests.intent_files import MAX_AGE, check_complete, read_intents
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.identity_center.requests.member_accounts import (
    ReadAccounts,
    confirmed,
    emptied_accounts,
    roles_of,
)
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import shown

_SOURCES = {True: "external", False: "identity-center"}


_GIVE_RECORDS = (
    "nobody would know what is ours, for which IAM users memberships were made, and what can be undone. Nothing was "
    "touched: give the place where earlier runs left identity-center-runs/ as --records, one for the organization; "
    "or, if these records are lost, or mode: apply made the objects, give --new-records: earlier assignments then "
    "count as others'"
)


def without_records(records: Sequence[Store], center: Center) -> str:
    """The error if Identity Center has managed objects without any run's record; empty if there is none.

    Records of another instance say nothing about them. Takes a few calls only for places without records of this one.
    Raises IdentityCenterError, ClientError and OSError.
    """
    own, others = center.instance, set[str]()
    for each in (instance for place in records for instance in recorded_instances(place)):
        if each in (own.arn, own.identity_store_id):
            return ""
        others.add(each)
    found = CenterReader.of(center).managed()
    of_others = f" of instance {own.arn}, only of {shown(sorted(others))}" if others else ""
    return (
        f"Identity Center has objects that this tool manages ({shown(found)}), and {shown(list(map(str, records)))} "
        f"has no record of a run{of_others}"
        if found
        else ""
    )


@dataclass(frozen=True)
class Fleet:
    """The intents below ``output``, merged. ``intents``: without users. ``derivation``: with the proofs of ``desired``.

    ``records``: where runs keep their records; by default ``output``. ``begins``: accept a place without records
    despite managed objects. ``unchecked``: settings of the intents that were not checked against a policy, in lines.
    ``trusted``: believe files in ``output`` and ``records`` that others can write. ``source_is_stated``: the user has
    stated the identity source. ``only``: the accounts whose intents were chosen; None for all. ``accounts``: id ->
    name, as far as known. ``profile_names``: the template of the profiles in the files for people's ``~/.aws/config``;
    empty if none are written. ``deleted``: tells which IAM users this tool deleted; None if that was not read.
    """

    output: Store
    records: Store
    intents: Sequence[Intents]
    desired: model.DesiredAccess
    derivation: AccessDerivation = field(default_factory=AccessDerivation)
    unchecked: tuple[str, ...] = ()
    trusted: bool = False
    source_is_stated: bool = False
    only: frozenset[str] | None = None
    accounts: Mapping[str, str] = field(default_factory=dict)
    profile_names: str = ""
    deleted: DeletedHere | None = None
    begins: bool = False

    def check_runs(self) -> None:
        """Raises IdentityCenterError if others can write the records of earlier runs in ``records``."""
        if not self.trusted:
            run_records.check_writers(self.records)

    def without_records(self, center: Center) -> str:
        """As the function, with what to do. Empty if the records may begin."""
        found = "" if self.begins else without_records([self.records], center)
        return found and f"{found}: {_GIVE_RECORDS}"

    def notes(self) -> list[str]:
        """What a reader must know about the intents, in lines."""
        hints = reports.hint_lines(self.desired)
        return [*self.unchecked, *self.derivation.warnings, *self.derivation.scope_lines(), *hints]

    def access_run(
        self, center: Center, choices: access_plan.Choices | None = None, quotas: CenterQuotas | None = None
    ) -> AccessRun:
        """The run for plans, audits and exports, with the same evidence. Raises as ``check_runs``."""
        self.check_runs()
        evidence = PlanEvidence(
            self.derivation.proofs,
            read_history(self.records, center.instance),
            quotas or CenterQuotas(),
            only=self.only,
            source_is_stated=self.source_is_stated,
        )
        return AccessRun(center, self.desired, evidence, choices)

    def emptied(
        self, history: RunHistory, read: ReadAccounts | None
    ) -> Callable[[Collection[str]], frozenset[str]]:
        """Which accounts are ``emptied``, see PlanEvidence. ``read``: reads accounts again; None if nothing can."""
        empty = frozenset(intent.account_id for intent in self.intents) - self.desired.accounts

        def emptied(accounts: Collection[str]) -> frozenset[str]:
            return empty.intersection(accounts) | emptied_accounts(set(accounts) - empty, history.users, read)

        return emptied

    def former_members(
        self,
        center: Center,
        run: AccessRun,
        members: Sequence[access_plan.UnexpectedMember],
        read: ReadAccounts | None,
    ) -> FormerMembers:
        """The former ones of ``members``, and since when. ``read``: reads their accounts. Raises as FormerMembers."""
        return FormerMembers.read(
            self.records,
            center.instance,
            members,
            run.membership_users,
            read,
            run.reviewed_groups,
            self.deleted,
        )


@dataclass(frozen=True)
class TrustOptions:
    """What to believe in intents, and how to check the rest.

    ``max_age``: how old they may be. ``accounts``: name -> account id, if known. ``read``: reads users and policies of
    accounts again. ``trusted``: intents whose accounts can't be read are believed (``--trust-intents``). ``authority``:
    decides who people are. ``policy_settings``: the settings of the policy of intents in their account; None if no
    policies are given. ``policies_in``: the policies that must have intents where these have: see ``check_complete``.
    ``only``: the ids of the accounts to take intents of; None for all.
    """

    max_age: timedelta = MAX_AGE
    accounts: Mapping[str, str] | None = None
    read: ReadAccounts | None = None
    trusted: bool = False
    authority: intent_checks.PeopleAuthority = field(default_factory=intent_checks.PeopleAuthority)
    policy_settings: Callable[[Intents], intent_checks.PolicySettings] | None = None
    policies_in: Callable[[Intents], Iterable[str]] | None = None
    only: Collection[str] | None = None


def read_fleet(
    output: Path | Store,
    identity_source: str | None = None,
    trust: TrustOptions | None = None,
    derivation: AccessDerivation | None = None,
) -> Fleet:
    """Read, check and merge the intents of an output. ``identity_source``: the expected one, if given.

    Raises IdentityCenterError if intents are missing, unreadable, too old, of another identity source, or fail a check;
    ClientError and BotoCoreError if STS can't tell the caller's account.
    """
    trust, derivation, store = trust or TrustOptions(), derivation or AccessDerivation(), as_store(output)
    left_out = set[str]()
    found = read_intents(
        store, trust.max_age, trust.accounts, trusted=trust.trusted, only=trust.only, left_out=left_out
    )
    authorities = _authorities(found, trust)
    if trust.policies_in:
        check_complete(store, found, trust.policies_in, trust.max_age, accounts=trust.accounts)
    # In place: each account's users in the intents are dropped once they are checked and read again.
    for number, each in enumerate(found):
        found[number] = authorities[each.account_id, each.policy].checked(each)
    intents = confirmed(
        found, trust.read, trust.trusted, lambda each: authorities[each.account_id, each.policy]
    )
    elsewhere = roles_of(left_out, trust.read)
    desired = desired_access(intents, derivation, derivation.checks(intents, elsewhere))
    age = _oldest_report(intents, utc_now())
    source = _SOURCES[desired.external]
    if identity_source not in (None, source):
        raise IdentityCenterError(
            f"the policies say identity-source: {source}, not {identity_source}: correct the one that is wrong"
        )
    # The derivation has all it needs, and the users' policies take most of the memory.
    derivation.warnings.extend(age)
    places = [replace(intent, users=(), source=PolicySource()) for intent in intents]
    claims = () if trust.policy_settings or trust.trusted else intent_checks.unchecked_settings(places)
    only = None if trust.only is None else frozenset(trust.only)
    stated = identity_source is not None
    names = {account_id: name for name, account_id in (trust.accounts or {}).items()}
    return Fleet(store, store, places, desired, derivation, claims, trust.trusted, stated, only, names)


#: AWS makes a new credential report after four hours. Reports older than this have their age printed.
_SAID = timedelta(minutes=15)


def _oldest_report(intents: Sequence[Intents], now: datetime) -> list[str]:
    """The age of the oldest credential report, in a line: credentials disabled later still count."""
    times = [
        (user.credentials.as_of, intent.account_id)
        for intent in intents
        for user in intent.users
        if user.credentials and user.credentials.as_of
    ]
    time, account_id = min(times, default=(now, ""))
    if now - time < _SAID:
        return []
    minutes = int((now - time).total_seconds() // 60)
    return [
        f"credentials are as of {as_text(time)}, {minutes} minutes ago, where they are oldest (credential report of "
        f"account {account_id}): what was disabled since still counts as working"
    ]


def _authorities(
    found: Sequence[Intents], trust: TrustOptions
) -> Mapping[tuple[str, str], intent_checks.PeopleAuthority]:
    """Account and policy -> authority. Raises IdentityCenterError if settings differ from the policy's."""
    given = replace(trust.authority, trusted=trust.trusted)
    authorities = {}
    for each in found:
        settings = trust.policy_settings(each) if trust.policy_settings else None
        if settings:
            intent_checks.check_settings(each, settings)
        authorities[each.account_id, each.policy] = given.completed(settings.authority) if settings else given
    # One policy selects a user that another policy's tag names.
    tags = frozenset[str]().union(*(authority.naming_tags for authority in authorities.values()))
    return {key: replace(each, other_tags=tags) for key, each in authorities.items()}
