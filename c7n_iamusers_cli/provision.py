# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision``: the command that applies the intents of all accounts with a single writer."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.exceptions import IdentityCenterError, InvalidPolicyData
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.sessions import fleet_session
from c7n_iamusers.execution.stores import Store
from c7n_iamusers.identity_center.access_derivation import AccessDerivation
from c7n_iamusers.identity_center.applying.center_lock import remove as remove_center_lock
from c7n_iamusers.identity_center.applying.run_lock import force_unlock as remove_lock
from c7n_iamusers.identity_center.applying.run_records import asks_to_stop, run_of_result
from c7n_iamusers.identity_center.audit import audit
from c7n_iamusers.identity_center.aws.instance import Center, connect
from c7n_iamusers.identity_center.aws.sign_in_events import read_sign_ins
from c7n_iamusers.identity_center.fleet import Fleet, TrustOptions, read_fleet
from c7n_iamusers.identity_center.former_members import DeletedHere, Deletions
from c7n_iamusers.identity_center.model import CenterQuotas, Choices
from c7n_iamusers.identity_center.output.aws_config import TEMPLATE as PROFILE_TEMPLATE
from c7n_iamusers.identity_center.output.aws_config import check_template
from c7n_iamusers.identity_center.output.plan_files import PlanOptions
from c7n_iamusers.identity_center.provisioning import RunOptions, provision
from c7n_iamusers.identity_center.provisioning import export as write_export
from c7n_iamusers.identity_center.requests.intent_checks import PeopleAuthority
from c7n_iamusers.identity_center.requests.member_accounts import MemberAccounts, ReadAccounts
from c7n_iamusers.identity_center.requests.others import ResourcePolicies
from c7n_iamusers.identity_center.requests.people import PeopleMap, parse_people
from c7n_iamusers.identity_center.requests.resource_policies import read_resource_policies
from c7n_iamusers.identity_center.sign_ins import SIGN_INS_FILE, parse_sign_ins
from c7n_iamusers.identity_center.undo.needs import ReadUsers, users_not_read
from c7n_iamusers.identity_center.undo.undoing import UndoOptions, undo
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers_cli.arguments import S3, external_id, open_place, read_accounts, targets_in
from c7n_iamusers_cli.output import progress_bar, say
from c7n_iamusers_cli.policies import FleetPolicies


def _age(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    """Minutes, hours or days. Raises click.BadParameter."""
    found = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text, re.ASCII)
    if found is None:
        raise click.BadParameter(f"{text!r} is not an age such as 90m, 24h or 2d")
    units = {"m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[found.group(2)]: int(found.group(1))})


_PATH, _NONE = click.Path(path_type=Path), "none"


class _Place(click.Path):
    """A path, or an ``s3://`` URL, which is not checked here."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        return value if str(value).startswith(S3) else super().convert(value, param, ctx)


class _Records(_Place):
    """A ``_Place`` that exists. The first run needs one, too: else a name with a slip would begin new records."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        if not str(value).startswith(S3) and not Path(value).exists():
            self.fail(
                f"directory {value} does not exist: correct the path to where earlier runs left identity-center-runs/; "
                f"or, before the first run, create it: mkdir -p {shlex.quote(str(value))}",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


class _PlaceOrNone(_Place):
    """A ``_Place``, or ``none``."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        return value if value == _NONE else super().convert(value, param, ctx)


def _in_a_directory(_context: click.Context, _parameter: click.Parameter, file: Path | None) -> Path | None:
    """Raises click.BadParameter for a file in a directory that does not exist."""
    if file and not file.parent.is_dir():
        raise click.BadParameter(f"there is no directory {file.parent}: create it, or correct the path")
    return file


def _quotas(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> CenterQuotas:
    """Raises click.BadParameter."""
    found: dict[str, int] = {}
    names = {each.name.replace("_", "-"): each.name for each in fields(CenterQuotas)}
    for text in given:
        name, _, number = text.partition("=")
        if name not in names or not number.isdecimal():
            raise click.BadParameter(
                f"{text!r} is not a quota: give one of {', '.join(names)}, = and a number"
            )
        found[names[name]] = int(number)
    return CenterQuotas(**found)


def _template(_context: click.Context, _parameter: click.Parameter, template: str | None) -> str | None:
    """Raises click.BadParameter."""
    try:
        check_template(template or "")
    except InvalidPolicyData as error:
        raise click.BadParameter(str(error)) from error
    return template


#: Region -> a session of boto3.
_SessionIn = Callable[["str | None"], Any]
#: Seconds to retry a call, longer than for one account.
_BUDGET = 300.0


@click.command("provision")
@click.option(
    "-s",
    "--output-dir",
    type=_Place(exists=True, file_okay=False),
    help="The output of the c7n-org run with the intents: a directory, or s3://BUCKET/PREFIX.",
)
@click.option(
    "--records",
    type=_Records(exists=True, file_okay=False),
    metavar="PLACE",
    help="Where runs leave their records, and find those of earlier runs: a directory or s3://BUCKET/PREFIX, one for "
    "the organization. OUTPUT_DIR by default, which must then be the same for every run.",
)
@click.option(
    "--new-records",
    is_flag=True,
    help="Begin a place of records although Identity Center has objects that this tool manages: what was assigned "
    "before counts as others', and can't be undone.",
)
@click.option(
    "--member-role",
    metavar="ARN",
    help="Assume this role in each account, 'arn:aws:iam::{account_id}:role/NAME', to read users and policies again; "
    "with --undo: to read which IAM users still exist.",
)
@click.option(
    "--external-id",
    default="",
    metavar="TEXT",
    callback=external_id,
    help="The external id that the trust policies of --member-role and --role ask for; by default, for --member-role, "
    "external_id of the account in the accounts file.",
)
@click.option(
    "-u",
    "--use",
    "policies",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="POLICIES",
    help="The policies that c7n-org ran. The settings of intents must be theirs. Their people-from, email-domains and "
    "e-mail tags apply unless options override them. Repeatable.",
)
@click.option(
    "--trust-intents",
    is_flag=True,
    help="Believe intents whose accounts can't be read again, people that neither their account nor --people-from "
    "confirms, files in OUTPUT_DIR that others can write, and, without -u, the settings of intents.",
)
@click.option(
    "--people-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Who users' people are, instead of what intents say: csv, json or yaml, as the policies' people-from.",
)
@click.option(
    "--email-tag",
    "email_tags",
    multiple=True,
    metavar="KEY",
    help="The tag with a user's own e-mail, read again to confirm the user's person; by default those of the policies "
    "given by -u, else Email. Repeatable.",
)
@click.option(
    "--email-domain",
    "email_domains",
    multiple=True,
    metavar="DOMAIN",
    help="Refuse people whose e-mail has another domain, as the policies' email-domains. Repeatable.",
)
@click.option(
    "--max-age",
    callback=_age,
    default="24h",
    show_default=True,
    help="Refuse intents that are older: minutes, hours or days, as in 90m, 24h, 2d.",
)
@click.option(
    "--resource-policies",
    "resource_policies",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Count the policies of buckets, keys, queues and other resources in the verdicts: the output of policies as "
    "docs/identity-center.md shows, a directory or a resources.json; at most as old as --max-age. Repeatable.",
)
@click.option(
    "-c",
    "--accounts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="c7n-org's accounts file, to check the accounts of intents against their directories, for the variables of "
    "-u, and for external ids; with --undo: for the names of accounts, and for external ids.",
)
@click.option(
    "-t",
    "--tags",
    multiple=True,
    metavar="TAG",
    help="With -c: only the intents of accounts with this tag; with several tags, all of them. Repeatable.",
)
@click.option(
    "-a",
    "--account",
    "chosen",
    multiple=True,
    metavar="NAME",
    help="With -c: only the intents of the account of this name or id. Repeatable.",
)
@click.option(
    "--plan-out",
    type=_PATH,
    callback=_in_a_directory,
    metavar="FILE",
    help="With --dry-run: write the plan to this file, for a review.",
)
@click.option(
    "--plan",
    "reviewed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Apply this reviewed plan, and nothing else.",
)
@click.option("--plan-sha256", metavar="SHA", help="With --plan: the SHA-256 of the reviewed plan.")
@click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_quotas,
    help="A quota of Identity Center that was raised: permission-sets, sets-per-account, groups-per-set, "
    "policies-per-set or groups-per-person.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option(
    "--aws-config",
    "profile_names",
    is_flag=False,
    flag_value=PROFILE_TEMPLATE,
    callback=_template,
    metavar="[TEMPLATE]",
    help="Write a file for the ~/.aws/config of each person who has access, with a profile for each account and "
    f"permission set, below OUTPUT_DIR/identity-center-profiles/. The profiles' names are by TEMPLATE, "
    f"'{PROFILE_TEMPLATE}' by default; {{account_id}} is known, too. With -c, which has the accounts' names.",
)
@click.option(
    "--audit",
    "audited",
    is_flag=True,
    help="Report the access of all people in these accounts, and in all accounts with managed permission sets; change "
    "nothing. Exits with 1 if people have more access than their IAM users, if managed access is not requested by "
    "intents, if requested access does not exist or was changed, and if something could not be compared.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Also remove managed objects that are no longer requested (`-` in the plan). With --export and --lock-out: "
    "let Terraform destroy what only an earlier export in DIR has, except for people.",
)
@click.option(
    "--prune-former",
    "former_days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Also remove memberships that an earlier run made for IAM users that are deleted for at least DAYS days, by "
    "what audits and such runs recorded; 30, for example. It may be the only access of these people. Needs "
    "--member-role and --deletions.",
)
@click.option(
    "--deletions",
    type=_PlaceOrNone(exists=True, file_okay=False),
    multiple=True,
    metavar="DIR",
    help="The output of the policies that delete IAM users, a directory or s3://BUCKET/PREFIX: people whose users they "
    "deleted have moved, and are no former ones. Repeatable. `none` if no policy deletes any.",
)
@click.option(
    "--lock-out",
    is_flag=True,
    help="With --prune or --undo: also remove the access of people who may have no other.",
)
@click.option(
    "--role", metavar="ARN", help="Assume this role of the Identity Center account, as the policies' role:."
)
@click.option("--region", help="Identity Center's primary Region; the environment's by default.")
@click.option(
    "--identity-source",
    type=click.Choice(["identity-center", "external"]),
    help="Refuse intents with the other identity source. identity-center also says that no identity provider feeds the "
    "identity store, although users or groups have ExternalIds.",
)
@click.option(
    "--timeout",
    type=click.IntRange(min=1),
    default=900,
    show_default=True,
    help="Seconds for one assignment.",
)
@click.option(
    "--undo",
    "undone",
    type=_Place(exists=True, dir_okay=False),
    metavar="RESULT",
    help="Restore what the run of this result.json removed, and delete what it created, and nothing else: a file or an "
    "s3:// URL, with the run's journal beside it. Only you should be able to write to its directory.",
)
@click.option(
    "--result-sha256",
    default="",
    metavar="HEX",
    help="With --undo: what the run printed. An undo that gives people access again asks for it, or for a yes on a "
    "terminal, as whoever can write the result could have written any access into it.",
)
@click.option(
    "--force-unlock",
    metavar="ID",
    help="Remove this lock, which a killed run has left in the bucket and in Identity Center, and do nothing else.",
)
@click.option(
    "--sign-ins",
    "sign_in_days",
    type=click.IntRange(1, 90),
    metavar="DAYS",
    help="Read who signed in to which account in the last DAYS days, or since the last such run, and write it to "
    "OUTPUT_DIR/sign-ins.json, for policies with `state: used`; do nothing else. Needs cloudtrail:LookupEvents in the "
    "account of Identity Center.",
)
@click.option(
    "--export",
    "export",
    type=(click.Choice(["terraform"]), click.Path(file_okay=False, path_type=Path)),
    metavar="terraform DIR",
    help="Write the requested access as Terraform configuration instead; Identity Center is called only for "
    "--with-imports.",
)
@click.option(
    "--with-imports",
    is_flag=True,
    help="With --export: read Identity Center, write an import block for what runs of this command made, and look up "
    "what others made: existing people, groups and permission sets stay theirs.",
)
def command(
    output_dir: str | None,
    records: str | None,
    new_records: bool,
    member_role: str | None,
    external_id: str,
    policies: tuple[Path, ...],
    trust_intents: bool,
    people_from: Path | None,
    email_tags: tuple[str, ...],
    email_domains: tuple[str, ...],
    max_age: timedelta,
    resource_policies: tuple[Path, ...],
    accounts: Path | None,
    tags: tuple[str, ...],
    chosen: tuple[str, ...],
    plan_out: Path | None,
    reviewed: Path | None,
    plan_sha256: str | None,
    quotas: CenterQuotas,
    dry_run: bool,
    profile_names: str | None,
    audited: bool,
    prune: bool,
    former_days: int | None,
    deletions: tuple[str, ...],
    lock_out: bool,
    role: str | None,
    region: str | None,
    identity_source: str | None,
    timeout: int,
    undone: str | None,
    result_sha256: str,
    force_unlock: str | None,
    sign_in_days: int | None,
    export: tuple[str, Path] | None,
    with_imports: bool,
) -> None:
    """Give the people of IAM users in all accounts their access in IAM Identity Center.

    Merges the intents that policies with `mode: intent` wrote below OUTPUT_DIR. Everyone who can write there can claim
    anything, so the accounts' users and policies are read again by MEMBER_ROLE, and the settings of intents must be
    those of POLICIES. Then it reads Identity Center once, prints the plan and applies it, with 20 calls per second and
    up to 15 assignments in progress. It can be stopped or killed at any point and run again. Results:
    identity-center-result.json beside each intents file, and the result of the run, for --undo, below
    identity-center-runs/ in the place of --records, or in OUTPUT_DIR.

    OUTPUT_DIR may be s3://BUCKET/PREFIX. A run that is killed leaves its lock there, and in Identity Center one that
    keeps runs on other machines out; --force-unlock removes both.

    The plan compares all access of each person in these accounts with the person's IAM users. Managed objects that are
    no longer requested have a `-`; --prune removes them. Run that over the intents of all policies together. With -t or
    -a only the intents of these accounts are needed, for example of one that has joined the organization: what others
    may request is neither shown nor removed.
    """
    _check_modes(
        {
            "--undo": undone,
            "--force-unlock": force_unlock,
            "--export": export,
            "--audit": audited,
            "--sign-ins": sign_in_days,
        },
        {
            "--prune": prune,
            "--prune-former": former_days,
            "--lock-out": lock_out,
            "--plan-out": plan_out,
            "--plan": reviewed,
            "--plan-sha256": plan_sha256,
            "--aws-config": profile_names,
        },
        is_part=bool(chosen or tags),
    )
    session_in, reading = _sessions(role, member_role, region, external_id, accounts)
    if undone:
        checks = None if lock_out else _read_users(reading) if reading else users_not_read
        _exit(_undo(undone, session_in, region, timeout, dry_run, checks, _accounts(accounts), result_sha256))
        return
    if output_dir is None:
        raise click.UsageError("give -s OUTPUT_DIR (or --undo RESULT)")
    if force_unlock or sign_in_days:
        _without_intents(output_dir, records, force_unlock, sign_in_days, session_in, region)
        return
    center = lru_cache(1)(lambda: _center(session_in, region))
    with _errors_with_remedy():
        authority = PeopleAuthority(_people(people_from), email_tags, email_domains)
        policy_settings = (
            FleetPolicies(policies, read_accounts(accounts, dict) if accounts else None) if policies else None
        )
        trust = TrustOptions(
            max_age,
            _accounts(accounts),
            reading,
            trust_intents,
            authority,
            policy_settings,
            policy_settings.names_in if policy_settings and prune else None,
            _chosen(accounts, chosen, tags),
        )
        derivation = _derivation(
            None if export and not with_imports else center, _resources(resource_policies, max_age)
        )
        fleet = replace(
            read_fleet(open_place(output_dir), identity_source, trust, derivation),
            records=open_place(records or output_dir),
            begins=new_records,
            profile_names=profile_names or "",
            deleted=_deleted(deletions),
        )
    if export or audited:
        with _errors_with_remedy():
            _exit(
                write_export(fleet, export[1], say, center() if with_imports else None, prune, quotas)
                if export
                else audit(fleet, center(), say, reading)
            )
        return
    removals = _choices(prune, lock_out, former_days, reading, deletions)
    plan_options = _plan_options(plan_out, reviewed, plan_sha256, dry_run)
    _exit(_provision(fleet, center, timeout, dry_run, removals, plan_options, quotas, reading))


def _check_modes(modes: Mapping[str, object], changing: Mapping[str, object], is_part: bool) -> None:
    """Raises click.UsageError for more than one of ``modes``, and for one that only reads with any of ``changing``.

    ``is_part``: -a or -t limits the run to the intents of some accounts. All others would look as if not requested.
    """
    of_all = {**modes, **{name: changing[name] for name in ("--prune-former", "--aws-config")}}
    for name in (name for name, value in of_all.items() if value and is_part):
        raise click.UsageError(f"{name} can't be limited by -a or -t: it is for all accounts")
    if len(given := [name for name, value in modes.items() if value]) > 1:
        raise click.UsageError(f"{' and '.join(given)} can't be used together: each is a run of its own")
    if modes["--export"] and changing["--prune"] and not changing["--lock-out"]:
        raise click.UsageError(
            "--export with --prune ends access that may be the only one of its people, as no run recorded it: give "
            "--lock-out too"
        )
    if given and changing["--aws-config"]:
        raise click.UsageError(
            f"--aws-config and {given[0]} can't be used together: it is for a run that gives access"
        )
    for name in (name for name, value in changing.items() if value and modes["--sign-ins"]):
        raise click.UsageError(f"--sign-ins and {name} can't be used together: it changes nothing")
    for name in (name for name, value in changing.items() if value and modes["--audit"]):
        raise click.UsageError(
            f"--audit and {name} can't be used together: an audit plans and changes nothing"
        )


def _choices(
    prune: bool,
    lock_out: bool,
    former_days: int | None,
    reading: ReadAccounts | None,
    deletions: tuple[str, ...],
) -> Choices:
    """Raises click.UsageError if nothing can tell which IAM users are deleted, and which of them by this tool."""
    if former_days and reading is None:
        raise click.UsageError("--prune-former needs --member-role, to read which IAM users are deleted")
    if former_days and not deletions:
        raise click.UsageError(
            "--prune-former needs --deletions DIR, the output of the policies that delete IAM users: people whose "
            "users this tool deleted would else look as if they had left; if no policy deletes any, give none as DIR"
        )
    return Choices(prune, lock_out, former_days or 0)


def _chosen(path: Path | None, names: tuple[str, ...], tags: tuple[str, ...]) -> frozenset[str] | None:
    """The ids of the accounts that -a and -t choose; None for all. Raises click.UsageError and InvalidPolicyData."""
    if not (names or tags):
        return None
    if path is None:
        raise click.UsageError("-a and -t choose accounts of the accounts file: give it as -c")
    return frozenset(target.account_id for target in targets_in(path, names, tags))


def _plan_options(out: Path | None, reviewed: Path | None, digest: str | None, dry_run: bool) -> PlanOptions:
    """Raises click.UsageError for options that can't be used together."""
    if (reviewed is None) != (digest is None):
        raise click.UsageError(
            "--plan and --plan-sha256 must be used together: the second identifies the reviewed plan"
        )
    if out and not dry_run:
        raise click.UsageError("--plan-out needs --dry-run: a plan is reviewed before it is applied")
    return PlanOptions(out, reviewed, digest or "")


def _output_of_result(result: str) -> tuple[Store, str]:
    """The output of a run's result, and the result's name in it."""
    if not result.startswith(S3):
        output, name = run_of_result(os.path.realpath(result))
        return open_place(output), name
    url, mark, query = result.partition("?")
    output, name = run_of_result(url)
    return open_place(f"{output}{mark}{query}"), name


def _without_intents(
    place: str,
    records: str | None,
    lock_id: str | None,
    sign_in_days: int | None,
    session_in: _SessionIn,
    region: str | None,
) -> None:
    if lock_id:
        _unlock(records or place, lock_id, session_in, region)
    if sign_in_days:
        with _errors_with_remedy():
            say(_write_sign_ins(open_place(place), session_in, region, sign_in_days))


def _unlock(place: str, lock_id: str, session_in: _SessionIn, region: str | None) -> None:
    """A killed run leaves a lock in the bucket, in Identity Center, or both, with one id.

    That of a directory ends with the process.
    """
    missing: IdentityCenterError | None = None
    with _errors_with_remedy():
        if place.startswith(S3):
            try:
                say(f"Removed the lock in the bucket, of {remove_lock(open_place(place), lock_id)}")
            except IdentityCenterError as error:
                missing = error
        if found := remove_center_lock(_center(session_in, region), lock_id):
            say(f"Removed the lock in Identity Center, of {found}")
        elif missing or not place.startswith(S3):
            raise missing or IdentityCenterError(
                "there is no lock in Identity Center, so nothing was removed: that of a directory ends with the process"
            )


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Turns signals that would end the process at once into SystemExit, so that locks are removed."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    numbers = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _applying(timeout: int) -> Iterator[ApplyOptions]:
    """What a run or an undo applies with. A signal ends it after the calls that have begun."""
    with (
        _errors_with_remedy(),
        _exit_on_signals(),
        Interruption() as interruption,
        progress_bar("Identity Center") as progress,
    ):
        yield ApplyOptions(timeout, lambda: asks_to_stop(interruption), progress)
    interruption.exit_if_stopped()


def _provision(
    fleet: Fleet,
    center: Callable[[], Center],
    timeout: int,
    dry_run: bool,
    choices: Choices,
    plan_options: PlanOptions,
    quotas: CenterQuotas,
    reading: ReadAccounts | None,
) -> list[str]:
    with _applying(timeout) as options:
        failures = provision(
            fleet,
            center(),
            say,
            None if dry_run else options,
            RunOptions(choices, plan_options, quotas, reading),
        )
    return failures


def _undo(
    result: str,
    session_in: _SessionIn,
    region: str | None,
    timeout: int,
    dry_run: bool,
    read_users: ReadUsers | None,
    accounts: dict[str, str] | None,
    digest: str,
) -> list[str]:
    with _applying(timeout) as options:
        output, name = _output_of_result(result)
        failures = undo(
            output,
            name,
            lambda at: _center(session_in, region or at),
            say,
            None if dry_run else options,
            UndoOptions(
                read_users,
                accounts or {},
                digest,
                lambda: sys.stdin.isatty() and click.confirm("Give people what the lines with + say?"),
            ),
        )
    return failures


def _write_sign_ins(store: Store, session_in: _SessionIn, region: str | None, days: int) -> str:
    """Bring the sign-ins in ``store`` up to date. Returns a line for the console."""
    center = _center(session_in, region)
    client = session_in(region).client("cloudtrail", region_name=center.instance.region)
    content = store.read(SIGN_INS_FILE)
    place = store.place(SIGN_INS_FILE)
    earlier = parse_sign_ins(content, place) if content else None
    found = read_sign_ins(
        client, center.instance, center.account_id, earlier, days, utc_now(), center.backoff
    )
    store.replace(SIGN_INS_FILE, found.as_json().encode())
    people, accounts = ({key[part] for key in found.latest} for part in (0, 1))
    return (
        f"{place}: {len(people)} people have signed in to {len(accounts)} accounts; all sign-ins from "
        f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC are known"
    )


def _read_users(reading: ReadAccounts) -> ReadUsers:
    """Reads users of accounts alone."""

    def read(accounts: Iterable[str]) -> dict[str, Mapping[str, str] | str]:
        return {
            account: f"it is unknown whether its IAM user still exists, as {found}:"
            if isinstance(found, str)
            else found.unusable()
            for account, found in reading(accounts, {})
        }

    return read


def _center(session_in: _SessionIn, region: str | None) -> Center:
    session = session_in(region)
    if not (region or session.region_name):
        raise IdentityCenterError("no Region: give Identity Center's primary Region as --region")
    return connect(session, region or session.region_name, Backoff(budget=_BUDGET))


def _derivation(center: Callable[[], Center] | None, resources: ResourcePolicies | None) -> AccessDerivation:
    """``center``: None for a derivation that reads neither Identity Center nor the organization."""
    if center is None:
        return AccessDerivation(clock=time.monotonic, resources=resources)
    return AccessDerivation.at(center, time.monotonic, resources)


def _deleted(places: tuple[str, ...]) -> DeletedHere | None:
    """Tells which users policies deleted; None without ``places``. Raises IdentityCenterError, OSError."""
    try:
        found = [(place, Deletions(open_place(place))) for place in places if place != _NONE]
    except (IdentityCenterError, ValueError) as error:
        raise IdentityCenterError(f"--deletions: {error}") from error
    for place, each in found:
        say(f"Deletions: {len(each.known)} IAM users deleted by policies, by {place}")
    return (lambda ids: {one for _, each in found for one in each.among(ids)}) if places else None


def _resources(places: tuple[Path, ...], max_age: timedelta) -> ResourcePolicies | None:
    return read_resource_policies(places, max_age, utc_now()) if places else None


def _reading(member_role: str, region: str | None, external_id: Callable[[str], str]) -> ReadAccounts:
    return MemberAccounts(member_role, fleet_session(None, region), Backoff(budget=_BUDGET), external_id).read


def _sessions(
    role: str | None, member_role: str | None, region: str | None, external_id: str, accounts: Path | None
) -> tuple[_SessionIn, ReadAccounts | None]:
    """What opens sessions for Identity Center, and what reads member accounts, if anything.

    Raises IdentityCenterError and click.UsageError.
    """
    if external_id and not (member_role or role):
        raise click.UsageError("--external-id is for assuming roles: give --member-role or --role too")
    with _errors_with_remedy():
        external_ids = _external_ids(external_id, accounts)
        reading = _reading(member_role, region, external_ids) if member_role else None
    return partial(fleet_session, role, external_id=external_id), reading


def _external_ids(given: str, accounts: Path | None) -> Callable[[str], str]:
    """Account id -> the external id of its role: the ``given`` one, else the accounts file's; empty for none.

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


def _people(path: Path | None) -> PeopleMap | None:
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


def _accounts(path: Path | None) -> dict[str, str] | None:
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


def _exit(failures: list[str]) -> None:
    for failure in failures:
        say(f"failed: {failure}", err=True)
    if failures:
        raise click.exceptions.Exit(1)


@contextmanager
def _errors_with_remedy() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # click ends quietly
    except OSError as error:
        raise IdentityCenterError(
            f"{error}. The run's journal has all calls made so far: make the output readable and writable, and run "
            "again"
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise IdentityCenterError(
            f"{error}. The failed call changed nothing: run again, with --role if access is denied"
        ) from error
