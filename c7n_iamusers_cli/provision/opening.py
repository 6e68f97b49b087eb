# SPDX-License-Identifier: Apache-2.0
"""Opens what ``c7n-iamusers provision``'s options name: sessions, Identity Center, accounts, people, intents."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import click

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.sessions import fleet_session
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.applying.run_records import run_of_result
from c7n_iamusers.identity_center.aws.instance import Center, connect
from c7n_iamusers.identity_center.fleet import Fleet, TrustOptions, read_fleet
from c7n_iamusers.identity_center.former_members import DeletedHere, Deletions
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority
from c7n_iamusers.identity_center.requests.member_accounts import MemberAccounts, ReadAccounts
from c7n_iamusers.identity_center.requests.others import ResourcePolicies
from c7n_iamusers.identity_center.requests.people_file import PeopleMap, parse_people
from c7n_iamusers.identity_center.requests.resource_policies import read_resource_policies
from c7n_iamusers.identity_center.undo.only_access import ReadUsers
from c7n_iamusers_cli.arguments import S3, open_place, read_accounts, targets_in
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.policies import FleetPolicies
from c7n_iamusers_cli.provision.options import NONE, CenterOptions, ChosenAccounts, IntentOptions
from c7n_iamusers_cli.provision.running import errors_with_remedy

#: Seconds to retry a call, longer than for one account.
_BUDGET = 300.0


@dataclass(frozen=True)
class Opened:
    """The merged intents, a function that connects to Identity Center on first use, and what reads accounts again."""

    fleet: Fleet
    center: Callable[[], Center]
    reading: ReadAccounts | None


def open_fleet(
    at: CenterOptions,
    given: IntentOptions,
    chosen: ChosenAccounts | None = None,
    *,
    new_records: bool = False,
    deletions: tuple[str, ...] = (),
    ends_unrequested: bool = False,
    calls_nobody: bool = False,
) -> Opened:
    """Read, check and merge the intents. ``ends_unrequested``: access without intents ends, so none may be missing.

    ``calls_nobody``: derive permission sets without reading Identity Center and the organization.
    """
    reading = reading_of(at, given.member_role, given.accounts)
    center = lru_cache(1)(lambda: center_of(at))
    with errors_with_remedy():
        accounts, policies = given.accounts, given.policies
        settings = (
            FleetPolicies(policies, read_accounts(accounts, dict) if accounts else None) if policies else None
        )
        trust = TrustOptions(
            given.max_age,
            account_ids(accounts),
            reading,
            given.trust_intents,
            PeopleAuthority(people(given.people_from), given.email_tags, given.email_domains),
            settings,
            settings.names_in if settings and ends_unrequested else None,
            _chosen(accounts, chosen),
        )
        resources = _resources(given.resource_policies, given.max_age)
        fleet = replace(
            read_fleet(
                open_place(given.output_dir),
                given.identity_source,
                trust,
                _derivation(None if calls_nobody else center, resources),
            ),
            records=open_place(given.records or given.output_dir),
            begins=new_records,
            deleted=_deleted(deletions),
        )
    return Opened(fleet, center, reading)


def session_at(at: CenterOptions, region: str | None) -> Any:
    """A session of boto3 for the account of Identity Center."""
    return fleet_session(at.role, region, external_id=at.external_id)


def center_of(at: CenterOptions, region: str | None = None) -> Center:
    """Identity Center in the Region of the options, else in ``region``. Raises IdentityCenterError, ClientError."""
    session = session_at(at, at.region or region)
    if not (found := at.region or region or session.region_name):
        raise IdentityCenterError("no Region: give Identity Center's primary Region as --region")
    return connect(session, found, Backoff(budget=_BUDGET))


def reading_of(at: CenterOptions, member_role: str | None, accounts: Path | None) -> ReadAccounts | None:
    """What reads member accounts; None without a way to. Raises IdentityCenterError and click.UsageError."""
    check_external_id(at, member_role, "--member-role or --role")
    if not member_role:
        return None
    with errors_with_remedy():
        ids = external_ids(at.external_id, accounts)
        return MemberAccounts(member_role, fleet_session(None, at.region), Backoff(budget=_BUDGET), ids).read


def check_external_id(at: CenterOptions, member_role: str | None = None, roles: str = "--role") -> None:
    """Raises click.UsageError for an external id without a role to assume. ``roles``: the options that name one."""
    if at.external_id and not (member_role or at.role):
        raise click.UsageError(f"--external-id is for assuming roles: give {roles} too")


def external_ids(given: str, accounts: Path | None) -> Callable[[str], str]:
    """Account id -> its role's external id: the ``given`` one, else the accounts file's; empty for none.

    Raises InvalidPolicyData.
    """
    if given:
        return lambda _: given
    if accounts is None:
        return lambda _: ""
    found = read_accounts(
        accounts,
        lambda data: {
            str(each["account_id"]): str(each.get("external_id") or "") for each in data["accounts"]
        },
    )
    return lambda account_id: found.get(account_id, "")


def account_ids(path: Path | None) -> dict[str, str] | None:
    """Account name -> id, of c7n-org's accounts file. Raises InvalidPolicyData."""
    return None if path is None else read_accounts(path, _ids)


def _ids(data: Any) -> dict[str, str]:
    from c7n_iamusers.organization.readiness import targets

    targets(data)
    found: dict[str, str] = {}
    for each in data["accounts"]:
        name, account = str(each["name"]), str(each["account_id"])
        if found.setdefault(name, account) != account:
            raise ValueError(f"account {name} has the ids {found[name]} and {account}: correct one of them")
    return found


def _chosen(path: Path | None, chosen: ChosenAccounts | None) -> frozenset[str] | None:
    """The ids of the accounts that -a and -t choose; None for all. Raises click.UsageError and InvalidPolicyData."""
    if not chosen:
        return None
    if path is None:
        raise click.UsageError("-a and -t choose accounts of the accounts file: give it as -c")
    return frozenset(target.account_id for target in targets_in(path, chosen.names, chosen.tags))


def people(path: Path | None) -> PeopleMap | None:
    """The people of the file. Prints its faulty rows. Raises IdentityCenterError and InvalidPolicyData."""
    if path is None:
        return None
    try:
        found = parse_people(str(path), read_given(path))
    except OSError as error:
        raise IdentityCenterError(
            f"--people-from can't be read: {error}: give a file that you can read"
        ) from error
    for fault in found.fault_lines():
        say(fault, err=True)
    return found


def _resources(places: tuple[Path, ...], max_age: timedelta) -> ResourcePolicies | None:
    return read_resource_policies(places, max_age, utc_now()) if places else None


def _derivation(center: Callable[[], Center] | None, resources: ResourcePolicies | None) -> AccessDerivation:
    """``center``: None for a derivation that reads neither Identity Center nor the organization."""
    if center is None:
        return AccessDerivation(clock=time.monotonic, resources=resources)
    return AccessDerivation.at(center, time.monotonic, resources)


def _deleted(places: tuple[str, ...]) -> DeletedHere | None:
    """Tells which users policies deleted; None without ``places``. Raises IdentityCenterError, OSError."""
    try:
        found = [(place, Deletions(open_place(place))) for place in places if place != NONE]
    except (IdentityCenterError, ValueError) as error:
        raise IdentityCenterError(f"--deletions: {error}") from error
    for place, each in found:
        say(f"Deletions: {len(each.known)} IAM users deleted by policies, by {place}")
    return (lambda ids: {one for _, each in found for one in each.among(ids)}) if places else None


def read_users(reading: ReadAccounts) -> ReadUsers:
    """Reads users of accounts, their policies and their credentials."""

    def read(accounts: Iterable[str]) -> dict[str, Mapping[str, str] | str]:
        listed = list(accounts)
        return {
            account: f"it is unknown whether its IAM user still exists, as {found}:"
            if isinstance(found, str)
            else found.unable()
            for account, found in reading(listed, dict.fromkeys(listed, ()))
        }

    return read


def output_of_result(result: str) -> tuple[Store, str]:
    """The output of a run's result, and the result's name in it."""
    if not result.startswith(S3):
        output, name = run_of_result(os.path.realpath(result))
        return open_place(output), name
    url, mark, query = result.partition("?")
    output, name = run_of_result(url)
    return open_place(f"{output}{mark}{query}"), name
