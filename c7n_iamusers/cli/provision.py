# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision``: what the intents of all accounts ask for, brought about by one writer."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.cli.output import say
from c7n_iamusers.cli.policies import FleetPolicies
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.bucket_store import bucket_output
from c7n_iamusers.execution.client import Backoff
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.sessions import fleet_session
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.identity_center.access_run import AccessRun
from c7n_iamusers.identity_center.aws.instance import Center, connect, username_tags
from c7n_iamusers.identity_center.claimed_people import PeopleAuthority
from c7n_iamusers.identity_center.confirming import MemberAccounts, Reading
from c7n_iamusers.identity_center.deriving import Deriving
from c7n_iamusers.identity_center.model import CenterQuotas, Choices
from c7n_iamusers.identity_center.people_file import PeopleMap, parse_people
from c7n_iamusers.identity_center.plan import Evidence
from c7n_iamusers.identity_center.plan_files import Papers
from c7n_iamusers.identity_center.provisioning import Belief, Fleet, audit, provision, read_fleet
from c7n_iamusers.identity_center.run_lock import force_unlock as unlocked
from c7n_iamusers.identity_center.run_records import asks_to_stop, run_of_result
from c7n_iamusers.identity_center.terraform import write_terraform
from c7n_iamusers.identity_center.undoing import UsersNow, nobody_asked, undo
from c7n_iamusers.identity_center.writer.writer import ApplyOptions


def _age(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    """Minutes, hours or days. Raises click.BadParameter."""
    found = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text, re.ASCII)
    if found is None:
        raise click.BadParameter(f"{text!r} is no age such as 90m, 24h or 2d")
    units = {"m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[found.group(2)]: int(found.group(1))})


_PATH, _S3 = click.Path(path_type=Path), "s3://"


class _Place(click.Path):
    """A path, or an ``s3://`` URL, which is looked at only when it is read."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        return value if str(value).startswith(_S3) else super().convert(value, param, ctx)


def _quotas(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> CenterQuotas:
    """Raises click.BadParameter."""
    found: dict[str, int] = {}
    names = {each.name.replace("_", "-"): each.name for each in fields(CenterQuotas)}
    for text in given:
        name, _, number = text.partition("=")
        if name not in names or not number.isdecimal():
            raise click.BadParameter(f"{text!r} is no quota: give one of {', '.join(names)}, = and a number")
        found[names[name]] = int(number)
    return CenterQuotas(**found)


#: Seconds for which a call is tried again: a throttled organization takes longer than one account does.
_BUDGET = 300.0


@click.command("provision")
@click.option(
    "-s",
    "--output-dir",
    type=_Place(exists=True, file_okay=False),
    help="The output of the c7n-org run whose policies left intents: its directory, or its s3://BUCKET/PREFIX.",
)
@click.option(
    "--member-role",
    metavar="ARN",
    help="Assume this role in each account, 'arn:aws:iam::{account_id}:role/NAME', to read users and policies again; "
    "with --undo: to read which IAM users are there still.",
)
@click.option(
    "-u",
    "--use",
    "policies",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="POLICIES",
    help="The policies that c7n-org ran: what intents ask for must be what these ask for. Their people-from, "
    "email-domains and e-mail tags hold where no option says otherwise. Repeatable.",
)
@click.option(
    "--trust-intents",
    is_flag=True,
    help="Take at their word intents whose accounts can't be read again, people whom neither their account nor "
    "--people-from names, and, without -u, what they ask for.",
)
@click.option(
    "--people-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Who users' people are, whatever intents say: csv, json or yaml, as the policies' people-from.",
)
@click.option(
    "--email-tag",
    "email_tags",
    multiple=True,
    metavar="KEY",
    help="The tag that holds a user's own e-mail, read again to confirm who the user's person is; by default those of "
    "the policies given by -u, else Email. Repeatable.",
)
@click.option(
    "--email-domain",
    "email_domains",
    multiple=True,
    metavar="DOMAIN",
    help="Refuse people whose e-mail is of another domain, as the policies' email-domains. Repeatable.",
)
@click.option(
    "--max-age",
    callback=_age,
    default="24h",
    show_default=True,
    help="Refuse intents that are older: minutes, hours or days, as in 90m, 24h, 2d.",
)
@click.option(
    "-c",
    "--accounts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="c7n-org's accounts file, to hold the accounts of intents against the directories they lie in, and to fill "
    "in the variables of -u; with --undo: to name accounts.",
)
@click.option(
    "--plan-out", type=_PATH, metavar="FILE", help="With --dry-run: write the plan there, for a review."
)
@click.option(
    "--plan",
    "reviewed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Apply what this plan says, and nothing else.",
)
@click.option("--plan-sha256", metavar="SHA", help="With --plan: the SHA-256 of what was reviewed.")
@click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_quotas,
    help="A quota of Identity Center that was raised: permission-sets, sets-per-account, groups-per-set or "
    "policies-per-set.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option(
    "--audit",
    "audited",
    is_flag=True,
    help="Say what everybody holds in all these accounts, and in each that has a set of ours; change nothing. Ends "
    "with 1 where somebody holds more than their IAM users could do, where what is ours is held by people whom no "
    "intents name, and where something could not be compared.",
)
@click.option(
    "--prune", is_flag=True, help="Also remove what is ours and nobody asks for any more (`-` in the plan)."
)
@click.option(
    "--lock-out",
    is_flag=True,
    help="With --prune or --undo: also the access of people of whom nobody knows whether they have another.",
)
@click.option(
    "--migrate",
    is_flag=True,
    help="Replace sets and groups that the version before named; shown with --dry-run.",
)
@click.option(
    "--role", metavar="ARN", help="Assume this role of the Identity Center account, as the policies' role:."
)
@click.option("--region", help="Identity Center's primary Region; the environment's by default.")
@click.option(
    "--identity-source",
    type=click.Choice(["identity-center", "external"]),
    help="Refuse intents of the other one.",
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
    help="Bring back what the run of this result.json removed, and remove what it created, and nothing else: a file "
    "or an s3:// URL, with the run's journal beside it. Give that of a directory that nobody else can write.",
)
@click.option(
    "--force-unlock",
    metavar="ID",
    help="Remove this lock, which a killed run has left in the bucket, and do nothing else.",
)
@click.option(
    "--export",
    "export",
    type=(click.Choice(["terraform"]), _PATH),
    metavar="terraform DIR",
    help="Write what is asked for as Terraform configuration instead; Identity Center is called only for "
    "--with-imports.",
)
@click.option(
    "--with-imports",
    is_flag=True,
    help="With --export: read Identity Center, and write an import block for each object that exists.",
)
def command(
    output_dir: str | None,
    member_role: str | None,
    policies: tuple[Path, ...],
    trust_intents: bool,
    people_from: Path | None,
    email_tags: tuple[str, ...],
    email_domains: tuple[str, ...],
    max_age: timedelta,
    accounts: Path | None,
    plan_out: Path | None,
    reviewed: Path | None,
    plan_sha256: str | None,
    quotas: CenterQuotas,
    dry_run: bool,
    audited: bool,
    prune: bool,
    lock_out: bool,
    migrate: bool,
    role: str | None,
    region: str | None,
    identity_source: str | None,
    timeout: int,
    undone: str | None,
    force_unlock: str | None,
    export: tuple[str, Path] | None,
    with_imports: bool,
) -> None:
    """Give the people behind all accounts' IAM users their access in IAM Identity Center.

    Merges the intents that policies with `mode: intent` left below OUTPUT_DIR, and reads the accounts' users and
    policies again by MEMBER_ROLE, since intents are claims of whoever can write there. What they ask for must be what
    POLICIES ask for. Then it reads Identity Center once, prints the plan and applies it: 20 calls a second in all, up
    to 15 assignments under way. It can be stopped or killed at any point and run again. Results:
    identity-center-result.json beside each intents, and the whole run's below OUTPUT_DIR/identity-center-runs/, which
    --undo takes.

    OUTPUT_DIR may be s3://BUCKET/PREFIX. A run that is killed leaves its lock there, which --force-unlock removes.

    Each person is compared with everything that it holds in these accounts, whoever gave it. What is ours and nobody
    asks for any more is shown by `-`; --prune removes it. Run that over the intents of all policies together.
    """
    _check_alone({"--undo": undone, "--force-unlock": force_unlock, "--export": export, "--audit": audited})
    if undone:
        users_now = _users_now(member_role, region) if member_role else nobody_asked
        names = _accounts(accounts)
        _end(_undo(undone, role, region, timeout, dry_run, None if lock_out else users_now, names))
        return
    if output_dir is None:
        raise click.UsageError("give -s OUTPUT_DIR (or --undo RESULT)")
    if force_unlock:
        _unlock(output_dir, force_unlock)
        return
    center = lru_cache(1)(lambda: _center(role, region))
    with _told():
        reading = _reading(member_role, region) if member_role else None
        authority = PeopleAuthority(_people(people_from), email_tags, email_domains)
        asked = FleetPolicies(policies, _listed(accounts)) if policies else None
        belief = Belief(max_age, _accounts(accounts), reading, trust_intents, authority, asked)
        deriving = Deriving(lambda: _username_tags(center())) if not export or with_imports else Deriving()
        fleet = read_fleet(_store(output_dir), identity_source, belief, deriving)
    if export:
        for line in (
            *fleet.unchecked,
            *deriving.warnings,
            *_exported(fleet, export[1], center if with_imports else None),
        ):
            say(line)
        return
    if audited:
        with _told():
            _end(audit(fleet, center(), say))
        return
    papers = _papers(plan_out, reviewed, plan_sha256, dry_run)
    _end(_provision(fleet, center, timeout, dry_run, Choices(prune, lock_out, migrate), papers, quotas))


def _check_alone(modes: Mapping[str, object]) -> None:
    """Raises click.UsageError for several of ``modes``: what one of them does is not what another lets expect."""
    if len(given := [name for name, value in modes.items() if value]) > 1:
        raise click.UsageError(f"{' and '.join(given)} do not go together: each is a run of its own")


def _exported(fleet: Fleet, directory: Path, center: Callable[[], Center] | None) -> Iterator[str]:
    """``center``: whose objects are to be imported."""
    desired, existing = fleet.desired, None
    if center:
        with _told():
            run = AccessRun(center(), fleet.desired, Evidence(fleet.deriving.proofs))
            desired, existing = run.existing()
    yield from write_terraform(directory, desired, existing)


def _papers(out: Path | None, reviewed: Path | None, digest: str | None, dry_run: bool) -> Papers:
    """Raises click.UsageError for what does not go together."""
    if (reviewed is None) != (digest is None):
        raise click.UsageError("--plan and --plan-sha256 go together: the second says what was reviewed")
    if out and not dry_run:
        raise click.UsageError(
            "--plan-out goes with --dry-run: a plan is written to be reviewed before it is applied"
        )
    return Papers(out, reviewed, digest or "")


def _store(place: str) -> Store:
    """As Cloud Custodian's own output, a bucket is reached by the credentials of whoever runs this, without --role."""
    return (
        bucket_output(place, fleet_session(None, None))
        if place.startswith(_S3)
        else DirectoryStore(Path(place))
    )


def _stored(result: str) -> tuple[Store, str]:
    """The output of a run's result, and the result's name there."""
    if not result.startswith(_S3):
        output, name = run_of_result(os.path.realpath(result))
        return _store(output), name
    url, mark, query = result.partition("?")
    output, name = run_of_result(url)
    return _store(f"{output}{mark}{query}"), name


def _unlock(place: str, lock_id: str) -> None:
    if not place.startswith(_S3):
        raise click.UsageError("--force-unlock is for a bucket's lock; a directory's ends with the process")
    with _told():
        say(f"Removed the lock of {unlocked(_store(place), lock_id)}")


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """What would end the process at once ends it by SystemExit, so that locks are removed."""

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


def _provision(
    fleet: Fleet,
    center: Callable[[], Center],
    timeout: int,
    dry_run: bool,
    choices: Choices,
    papers: Papers,
    quotas: CenterQuotas,
) -> list[str]:
    with _told(), _ending_in_order(), Interruption() as interruption, _progress() as progress:
        options = ApplyOptions(timeout, lambda: asks_to_stop(interruption), progress)
        failures = provision(fleet, center(), say, None if dry_run else options, choices, papers, quotas)
    interruption.exit_if_stopped()
    return failures


def _undo(
    result: str,
    role: str | None,
    region: str | None,
    timeout: int,
    dry_run: bool,
    users_now: UsersNow | None,
    accounts: dict[str, str] | None,
) -> list[str]:
    with _told(), _ending_in_order(), Interruption() as interruption, _progress() as progress:
        options = ApplyOptions(timeout, lambda: asks_to_stop(interruption), progress)
        output, name = _stored(result)
        failures = undo(
            output,
            name,
            lambda at: _center(role, region or at),
            say,
            None if dry_run else options,
            users_now,
            accounts,
        )
    interruption.exit_if_stopped()
    return failures


def _users_now(member_role: str, region: str | None) -> UsersNow:
    """Reads the accounts' users by ``member_role``, an ARN with {account_id} in it."""

    def read(accounts: Iterable[str]) -> dict[str, Collection[str] | str]:
        return {
            account: f"whether its IAM user is there still is unknown, as {found}:"
            if isinstance(found, str)
            else frozenset(found.users)
            for account, found in _reading(member_role, region)(accounts, ())
        }

    return read


def _center(role: str | None, region: str | None) -> Center:
    session = fleet_session(role, region)
    if not (region or session.region_name):
        raise IdentityCenterError("no Region: give --region, Identity Center's primary one")
    return connect(session, region or session.region_name, Backoff(budget=_BUDGET))


def _reading(member_role: str, region: str | None) -> Reading:
    return MemberAccounts(member_role, fleet_session(None, region), Backoff(budget=_BUDGET)).read


def _username_tags(center: Center) -> frozenset[str]:
    return username_tags(center.clients["sso-admin"], center.instance, center.backoff)


def _people(path: Path | None) -> PeopleMap | None:
    """The people of the file; says which of its rows can't be understood. Raises InvalidPolicyData, OSError."""
    if path is None:
        return None
    found = parse_people(str(path), path.read_bytes())
    for fault in found.told_faults():
        say(fault, err=True)
    return found


def _accounts(path: Path | None) -> dict[str, str] | None:
    """Account's name -> id, as c7n-org's accounts file has them. Raises IdentityCenterError."""
    if (listed := _listed(path)) is None:
        return None
    found: dict[str, str] = {}
    try:
        for each in listed["accounts"]:
            name, account = str(each["name"]), str(each["account_id"])
            if found.setdefault(name, account) != account:
                raise ValueError(
                    f"account {name} has the ids {found[name]} and {account}: correct one of them"
                )
    except (ValueError, KeyError, TypeError) as error:
        raise _no_accounts(path, error) from error
    return found


def _listed(path: Path | None) -> dict[str, Any] | None:
    """The accounts file as it is. Raises IdentityCenterError."""
    if path is None:
        return None
    import yaml

    try:
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise _no_accounts(path, error) from error


def _no_accounts(path: Path | None, error: Exception) -> IdentityCenterError:
    return IdentityCenterError(
        f"{path}: can't be read as c7n-org's accounts file: {type(error).__name__}: {error}"
    )


def _end(failures: list[str]) -> None:
    for failure in failures:
        say(f"failed: {failure}", err=True)
    if failures:
        raise click.exceptions.Exit(1)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # click ends quietly
    except OSError as error:
        raise IdentityCenterError(
            f"{error}. What was done until then is in the run's journal: see that the output can be read and written, "
            "and run again"
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise IdentityCenterError(
            f"{error}. Nothing was touched by what failed here: run again, with --role where access is denied"
        ) from error


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; nothing elsewhere, where it would fill a log."""
    if not sys.stderr.isatty():
        yield lambda ended, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task: Any = bar.add_task("Identity Center", total=None)
        yield lambda ended, total: bar.update(task, completed=ended, total=total)
