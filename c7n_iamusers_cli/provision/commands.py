# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision``: its commands. Each opens what its options name, and calls what it runs.

``plan``, ``audit``, ``export`` and ``sign-ins`` change nothing in AWS; ``apply``, ``prune``, ``undo``, ``unlock`` do.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.identity_center import audit as audits
from c7n_iamusers.identity_center import provisioning
from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.applying.center_lock import remove as remove_center_lock
from c7n_iamusers.identity_center.applying.run_lock import force_unlock
from c7n_iamusers.identity_center.aws.sign_in_events import read_sign_ins
from c7n_iamusers.identity_center.output.plan_files import PlanOptions
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers.identity_center.provisioning import RunOptions
from c7n_iamusers.identity_center.sign_ins import SIGN_INS_FILE, parse_sign_ins
from c7n_iamusers.identity_center.undo import undoing
from c7n_iamusers.identity_center.undo.only_access import users_not_read
from c7n_iamusers_cli.arguments import S3, open_place
from c7n_iamusers_cli.output import USAGE, say
from c7n_iamusers_cli.provision import opening, options
from c7n_iamusers_cli.provision.opening import Opened, open_fleet
from c7n_iamusers_cli.provision.options import (
    CenterOptions,
    ChosenAccounts,
    Command,
    IntentOptions,
    RemovalOptions,
    Writing,
)
from c7n_iamusers_cli.provision.running import applying, end, errors_with_remedy

_NO_REMOVALS = RemovalOptions(False, None, False, ())


@click.group("provision", invoke_without_command=True)
@click.pass_context
def provision(context: click.Context) -> None:
    """Give the people of IAM users in all accounts their access in IAM Identity Center.

    Policies with `mode: intent` write the access that they request below OUTPUT_DIR. `plan` reads and checks it, and
    prints what a run would change. `apply` makes these changes, or those of a reviewed plan. `prune` also removes what
    is no longer requested. `undo` takes a run back.

    Whoever can write to OUTPUT_DIR can claim anything. So the command reads the accounts' users and policies again as
    MEMBER_ROLE, and intents must have the settings of POLICIES.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(USAGE)


@provision.command("plan", cls=Command, short_help="Print what apply or prune would change.")
@options.of_intents
@options.of_chosen_accounts
@options.of_center
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    callback=options.in_a_directory,
    metavar="FILE",
    help="Write the plan to this file, for a review.",
)
@options.of_removals
@options.new_records_option
@options.quotas_option
def plan(
    at: CenterOptions,
    given: IntentOptions,
    chosen: ChosenAccounts,
    removals: RemovalOptions,
    out: Path | None,
    new_records: bool,
    quotas: CenterQuotas,
) -> None:
    """Print what `apply` or `prune` would change, and change nothing.

    The plan compares all access of each person in these accounts with the person's IAM users. Managed objects that are
    no longer requested have a `-`. With --unrequested or --former it is the plan of `prune`, which removes them. With
    -a or -t, only the intents of these accounts are needed, such as a new account's. Other accounts' requests are then
    neither shown nor removed.
    """
    choices, opened = _opened(at, given, chosen, removals, new_records)
    run_options = RunOptions(choices, PlanOptions(out), quotas, opened.reading)
    with errors_with_remedy():
        failures = provisioning.provision(opened.fleet, opened.center(), say, None, run_options)
    end(failures)


@provision.command("apply", cls=Command, short_help="Give people the access that intents ask for.")
@options.of_intents
@options.of_chosen_accounts
@options.of_center
@options.of_writing
@options.new_records_option
@options.quotas_option
def apply(
    at: CenterOptions,
    given: IntentOptions,
    chosen: ChosenAccounts,
    writing: Writing,
    new_records: bool,
    quotas: CenterQuotas,
) -> None:
    """Give people the access that the intents of all accounts request.

    It reads Identity Center once, prints the plan and applies it, with 20 calls per second and up to 15 assignments in
    progress. It can be stopped or killed at any point and run again. Results: identity-center-result.json beside each
    intents file, and the result of the run, for `undo`, below identity-center-runs/ in the place of --records, or in
    OUTPUT_DIR. Access that is no longer requested has a `-`, and stays: see `prune`.

    OUTPUT_DIR may be s3://BUCKET/PREFIX. A killed run leaves a lock there, and one in Identity Center that keeps out
    runs on other machines; `unlock` removes both.
    """
    _run(at, given, chosen, _NO_REMOVALS, writing, new_records, quotas)


@provision.command("prune", cls=Command, short_help="Also remove access that is not requested.")
@options.of_intents
@options.of_chosen_accounts
@options.of_center
@options.of_removals
@options.of_writing
@options.new_records_option
@options.quotas_option
def prune(
    at: CenterOptions,
    given: IntentOptions,
    chosen: ChosenAccounts,
    removals: RemovalOptions,
    writing: Writing,
    new_records: bool,
    quotas: CenterQuotas,
) -> None:
    """Do what `apply` does, and remove access that is no longer requested, or that former people still have.

    Say what to remove: --unrequested, --former DAYS, or both. `plan` with the same options shows it. Removed access
    comes back by `undo`.
    """
    if not (removals.unrequested or removals.former_days):
        raise click.UsageError(
            "say what to remove: --unrequested for what no intents request now, --former DAYS for memberships of "
            "IAM users that have been deleted for so long, or both; `provision plan` with the same options shows it "
            "first"
        )
    _run(at, given, chosen, removals, writing, new_records, quotas)


@provision.command("audit", cls=Command, short_help="Report the access of all people as it is.")
@options.of_intents
@options.of_center
@options.deletions_option
@options.new_records_option
def audit(at: CenterOptions, given: IntentOptions, deletions: tuple[str, ...], new_records: bool) -> None:
    """Report the current access of all people, and change nothing.

    It covers all people in these accounts, and in all accounts with managed permission sets. It ends with 1 if people
    have more access than their IAM users, if no intent requests some managed access, if requested access does not exist
    or was changed, or if something could not be compared.
    """
    opened = open_fleet(at, given, new_records=new_records, deletions=deletions)
    with errors_with_remedy():
        failures = audits.audit(opened.fleet, opened.center(), say, opened.reading)
    end(failures)


@provision.command("export", cls=Command, short_help="Write the access as Terraform configuration.")
@click.argument("form", metavar="terraform", type=click.Choice(["terraform"]))
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@options.of_intents
@options.of_center
@click.option(
    "--with-imports",
    is_flag=True,
    help="Read Identity Center, write an import block for what runs of this tool made, and look up what others made: "
    "existing people, groups and permission sets stay theirs.",
)
@click.option(
    "--lock-out",
    is_flag=True,
    help="Let Terraform destroy what only an earlier export in DIR has, except for people. No run recorded it, so it "
    "may be their only access. What accounts without intents have stays.",
)
@options.new_records_option
@options.quotas_option
def export(
    at: CenterOptions,
    given: IntentOptions,
    form: str,
    directory: Path,
    with_imports: bool,
    lock_out: bool,
    new_records: bool,
    quotas: CenterQuotas,
) -> None:
    """Write the requested access to DIR as Terraform configuration, instead of applying it.

    Identity Center is called only for --with-imports.
    """
    opened = open_fleet(
        at, given, ends_unrequested=lock_out, calls_nobody=not with_imports, new_records=new_records
    )
    with errors_with_remedy():
        center = opened.center() if with_imports else None
        failures = provisioning.export(opened.fleet, directory, say, center, lock_out, quotas)
    end(failures)


@provision.command("undo", cls=Command, short_help="Take back what a run did.")
@click.argument("result", metavar="RESULT", type=options.Place(exists=True, dir_okay=False))
@options.of_center
@click.option(
    "--dry-run", is_flag=True, help="Show what would be restored, deleted and kept; change nothing."
)
@click.option(
    "--result-sha256",
    default="",
    metavar="HEX",
    help="The SHA-256 that the run printed. Whoever can write to the result can add any access, so an undo that gives "
    "people access again needs this, or a yes on a terminal.",
)
@click.option(
    "--member-role",
    metavar="ARN",
    help="Assume this role in each account, 'arn:aws:iam::{account_id}:role/NAME', to read which IAM users still "
    "exist.",
)
@click.option("--lock-out", is_flag=True, help="Also end the access of people who may have no other.")
@click.option(
    "-c",
    "--accounts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="c7n-org's accounts file, for the names of accounts, and for external ids.",
)
@options.timeout_option
def undo(
    at: CenterOptions,
    result: str,
    dry_run: bool,
    result_sha256: str,
    member_role: str | None,
    lock_out: bool,
    accounts: Path | None,
    timeout: int,
) -> None:
    """Restore what the run of RESULT removed, and delete what it created, and nothing else.

    RESULT is the result.json that the run named: a file or an s3:// URL, with the run's journal beside it. Only you
    should be able to write to its directory.
    """
    reading = opening.reading_of(at, member_role, accounts)
    checks = None if lock_out else opening.read_users(reading) if reading else users_not_read
    undo_options = undoing.UndoOptions(
        checks,
        opening.account_ids(accounts) or {},
        result_sha256,
        lambda: sys.stdin.isatty() and click.confirm("Give people what the lines with + say?"),
    )
    with applying(timeout) as apply_options:
        output, name = opening.output_of_result(result)
        failures = undoing.undo(
            output,
            name,
            lambda region: opening.center_of(at, region),
            say,
            None if dry_run else apply_options,
            undo_options,
        )
    end(failures)


@provision.command("sign-ins", cls=Command, short_help="Read who signed in to which account.")
@options.of_center
@click.option(
    "-s",
    "--output-dir",
    "place",
    required=True,
    type=options.Place(exists=True, file_okay=False),
    metavar="OUTPUT_DIR",
    help="Where sign-ins.json is: a directory, or s3://BUCKET/PREFIX.",
)
@click.option(
    "--days",
    required=True,
    type=click.IntRange(1, 90),
    metavar="DAYS",
    help="Read the last DAYS days, or what is new since the last such run; 90 at most.",
)
def sign_ins(at: CenterOptions, place: str, days: int) -> None:
    """Read who signed in to which account, into OUTPUT_DIR/sign-ins.json, for policies with `state: used`.

    Needs cloudtrail:LookupEvents in the account of Identity Center.
    """
    opening.check_external_id(at)
    with errors_with_remedy():
        store, center = open_place(place), opening.center_of(at)
        region = center.instance.region
        client = opening.session_at(at, at.region).client("cloudtrail", region_name=region)
        content, file = store.read(SIGN_INS_FILE), store.place(SIGN_INS_FILE)
        earlier = parse_sign_ins(content, file) if content else None
        found = read_sign_ins(
            client, center.instance, center.account_id, earlier, days, utc_now(), center.backoff
        )
        store.replace(SIGN_INS_FILE, found.as_json().encode())
    people, accounts = ({key[part] for key in found.latest} for part in (0, 1))
    say(
        f"{file}: {len(people)} people have signed in to {len(accounts)} accounts; all sign-ins from "
        f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC are known"
    )


@provision.command("unlock", cls=Command, short_help="Remove the lock of a killed run.")
@click.argument("lock_id", metavar="ID")
@options.of_center
@click.option(
    "--records",
    required=True,
    type=options.RecordsOptions(exists=True, file_okay=False),
    metavar="PLACE",
    help="The records of the killed run: its --records, or its OUTPUT_DIR.",
)
def unlock(at: CenterOptions, lock_id: str, records: str) -> None:
    """Remove the lock ID, which a killed run has left in the bucket and in Identity Center.

    The error of a run that the lock stops names the ID. A directory's lock ends with the process.
    """
    opening.check_external_id(at)
    missing: IdentityCenterError | None = None
    with errors_with_remedy():
        if records.startswith(S3):
            try:
                say(f"Removed the lock in the bucket, of {force_unlock(open_place(records), lock_id)}")
            except IdentityCenterError as error:
                missing = error
        if found := remove_center_lock(opening.center_of(at), lock_id):
            say(f"Removed the lock in Identity Center, of {found}")
        elif missing or not records.startswith(S3):
            raise missing or IdentityCenterError(
                "there is no lock in Identity Center, so nothing was removed: a directory's lock ends with its "
                "process"
            )


def _run(
    at: CenterOptions,
    given: IntentOptions,
    chosen: ChosenAccounts,
    removals: RemovalOptions,
    writing: Writing,
    new_records: bool,
    quotas: CenterQuotas,
) -> None:
    """Runs with ``removals`` and applies the changes."""
    if bool(writing.reviewed) != bool(writing.plan_sha256):
        raise click.UsageError(
            "--plan and --plan-sha256 must be used together: the second identifies the reviewed plan"
        )
    if writing.profile_names and chosen:
        raise click.UsageError("--aws-config can't be limited by -a or -t: it is for all accounts")
    choices, opened = _opened(at, given, chosen, removals, new_records)
    fleet = replace(opened.fleet, profile_names=writing.profile_names)
    plan_options = PlanOptions(reviewed=writing.reviewed, digest=writing.plan_sha256)
    run_options = RunOptions(choices, plan_options, quotas, opened.reading)
    with applying(writing.timeout) as apply_options:
        failures = provisioning.provision(fleet, opened.center(), say, apply_options, run_options)
    end(failures)


def _opened(
    at: CenterOptions,
    given: IntentOptions,
    chosen: ChosenAccounts,
    removals: RemovalOptions,
    new_records: bool,
) -> tuple[Choices, Opened]:
    """The beginning of a plan and a run with ``removals``. Raises click.UsageError as ``_choices`` does."""
    choices = _choices(removals, given, chosen)
    opened = open_fleet(
        at,
        given,
        chosen,
        new_records=new_records,
        deletions=removals.deletions,
        ends_unrequested=removals.unrequested,
    )
    return choices, opened


def _choices(removals: RemovalOptions, given: IntentOptions, chosen: ChosenAccounts) -> Choices:
    """Raises click.UsageError if nothing says which IAM users are deleted, and which of them by this tool."""
    if removals.lock_out and not removals.unrequested:
        raise click.UsageError("--lock-out is for what is no longer requested: give --unrequested too")
    if not removals.former_days:
        return Choices(removals.unrequested, removals.lock_out)
    if chosen:
        raise click.UsageError("--former can't be limited by -a or -t: it is for all accounts")
    if not given.member_role:
        raise click.UsageError("--former needs --member-role, to read which IAM users are deleted")
    if not removals.deletions:
        raise click.UsageError(
            "--former needs --deletions DIR, the output of the policies that delete IAM users: otherwise people "
            "whose users this tool deleted would seem to have left; if no policy deletes any, give none as DIR"
        )
    return Choices(removals.unrequested, removals.lock_out, removals.former_days)
