# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers init``: reads the organization, asks what it can't find out, writes a workspace, and checks it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers_cli.accounts import variables_option
from c7n_iamusers_cli.init.questions import QUESTIONS, Question, answered
from c7n_iamusers_cli.init.record import (
    EDITED,
    REMOVED,
    REPLACED,
    SAME,
    Change,
    Record,
    change,
    read_record,
    write,
)
from c7n_iamusers_cli.output import PROBLEM, end_check, progress_bar, say
from c7n_iamusers_cli.owners import owner_sources

if TYPE_CHECKING:
    from c7n_iamusers.organization.owners import OwnerSource
    from c7n_iamusers.organization.reader import OrganizationReader
    from c7n_iamusers_cli.init.plan import Member, Plan
    from c7n_iamusers_cli.init.reading import Found

#: Remarks that are printed.
_SHOWN = 20


def _question_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each question."""
    for question in reversed(QUESTIONS):
        option = click.option(f"--{question.name}", metavar="TEXT", help=f"{question.text}.")
        command = option(command)
    return command


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@_question_options
@click.option("--yes", is_flag=True, help="Ask nothing: take the default of each question that has one.")
@click.option(
    "--runner-account",
    metavar="ID",
    help="The account of the roles that run it, the queue and the buckets.  [default: the management account]",
)
@click.option("--region", metavar="NAME", help="The Region of its stack.  [default: that of this session]")
@click.option(
    "--output",
    metavar="PLACE",
    help="Where runs leave what they write: a directory, or s3://BUCKET/PREFIX.  [default: a bucket of its stack]",
)
@click.option(
    "--owner",
    "owners",
    multiple=True,
    metavar="ID=ADDRESS",
    help="The owner of an account, in place of the one that is found. Repeatable.",
)
@owner_sources("--owners-from")
@variables_option(
    "Give this variable of accounts.yml another value, such as active_within_days=45. Repeatable."
)
@click.option(
    "--replace",
    multiple=True,
    metavar="PATH",
    help="Write this file anew although it was edited or removed, such as accounts.yml. Repeatable.",
)
def init(directory: Path, yes: bool, replace: tuple[str, ...], **options: Any) -> None:
    """Write a workspace for this organization into DIR, with credentials of its management account.

    It reads AWS Organizations and Identity Center, asks at most eight questions about what it can't find out, and
    writes accounts.yml, the policies, exemptions, mailer.yml, iam-users.yml, the CloudFormation templates, and a README
    with the commands of the first day. It changes nothing in AWS.

    Run it again at any time: what nobody edited follows your organization and your answers. Of a file that was edited
    it shows the difference, leaves it, and ends with 3, as it does where something else is to be looked at. If the
    roles are deployed, it ends with `preflight`.
    """
    record = read_record(directory)
    given = {each.name: options.pop(each.name.replace("-", "_")) for each in QUESTIONS}
    chosen = _remembered(record, options)
    plan, notes = _planned(record, {key: value for key, value in given.items() if value}, chosen, not yes)
    for each in (each for each in QUESTIONS if each.silent and not given[each.name]):
        if before := record.answers.get(each.name):
            say(f"--{each.name} {before}: your last answer", err=True)
    texts = _texts(plan)
    if unknown := [each for each in replace if each not in texts]:
        raise click.UsageError(f"--replace {unknown[0]}: it is none of {', '.join(texts)}")
    changes = [
        change(directory, path, text, record.files.get(path, ""), path in replace)
        for path, text in texts.items()
    ]
    waves = {each.account_id: each.wave for each in plan.members}
    kept = Record(plan.found.organization, plan.day, plan.answers, chosen, waves, record.files)
    write(directory, texts, changes, kept)
    left = _tell(directory, changes, notes)
    _end(plan, directory, {each.path for each in changes if each.status == REPLACED}, left)


def _remembered(record: Record, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of this run and, where it has none, of the last one, as the record keeps them."""
    owners = dict(_owner(each) for each in options["owners"])
    found = {
        "runner_account": options["runner_account"],
        "region": options["region"],
        "output": options["output"],
        "sources": [str(each) for each in options["sources"]] if _is_given("sources") else None,
        "owners": {**record.options.get("owners", {}), **owners},
        "variables": {**record.options.get("variables", {}), **options["variables"]},
    }
    kept = {key: value for key, value in found.items() if value}
    return {**record.options, **kept}


def _is_given(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _owner(text: str) -> tuple[str, str]:
    from c7n_iamusers.organization.owners import address_fault

    account_id, equals, address = text.partition("=")
    if not equals or not is_account_id(account_id):
        raise click.UsageError(f"--owner {text!r} is no ID=ADDRESS, such as 111122223333=ada@example.com")
    if fault := address_fault(address):
        raise click.UsageError(f"--owner {text!r}: {fault}")
    return account_id, address


def _planned(
    record: Record, given: Mapping[str, str], options: Mapping[str, Any], asks: bool
) -> tuple[Plan, list[str]]:
    """The workspace that is to be, and what is to be looked at. Nothing is written yet."""
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.organization.owners import ACCOUNTS, DEFAULT_SOURCES, parse_source
    from c7n_iamusers.organization.reader import OrganizationReader
    from c7n_iamusers_cli.init.plan import Plan, default_output, named
    from c7n_iamusers_cli.init.reading import read_organization

    named_sources = tuple(map(parse_source, options.get("sources", ()))) or DEFAULT_SOURCES
    sources = tuple(each for each in named_sources if each.kind != ACCOUNTS)
    session, backoff = account_session(), Backoff()
    reader = OrganizationReader(session, backoff)
    found = read_organization(session, backoff, sources, reader)
    _check_organization(record, found)
    for line in _about(found):
        say(line, err=True)
    answers = answered(found, given, record.answers, _asking(found) if asks else _taken)
    runner, region = options.get("runner_account") or found.account, options.get("region") or found.region
    _check_places(runner, region, found)
    names, notes = named(found)
    owners, doubts = _owners(found, reader, sources, answers, options.get("owners", {}))
    members = _members(found, names, owners, answers["first-account"], record)
    output = options.get("output") or default_output(runner, region)
    if output.startswith("s3://") and "?" not in output:
        output = f"{output}?region={region}"  # the session of a run may be of another one
    day = record.day or datetime.now(timezone.utc).date().isoformat()
    plan = Plan(found, answers, members, runner, region, output, day, options.get("variables", {}))
    return plan, [*notes, *doubts]


def _check_organization(record: Record, found: Found) -> None:
    if record.organization not in ("", found.organization):
        raise InvalidPolicyData(
            f"nothing was written: this workspace is of organization {record.organization}, and these credentials are "
            f"of {found.organization}: take others, or another directory"
        )


def _check_places(runner: str, region: str, found: Found) -> None:
    from c7n_iamusers.iam.accounts import partitions

    if not is_account_id(runner):
        raise click.UsageError(f"--runner-account {runner!r} is no account id of 12 digits")
    if runner not in found.members or not found.members[runner].is_active:
        raise click.UsageError(f"--runner-account {runner} is no active account of {found.organization}")
    if region not in partitions().get(found.partition, ()):
        raise click.UsageError(
            f"--region {region!r} is no Region of {found.partition}, where the organization is"
        )


def _about(found: Found) -> list[str]:
    """What was found out, and which accounts are left out."""
    from c7n_iamusers_cli.init.reading import about_left_out

    center = found.centers[0] if found.centers else None
    units, where = len({*found.paths.values()}), f"in {center.region}" if center else "there is none"
    told = (
        f"organization {found.organization}, management account {found.account}: {len(found.active)} accounts in "
        f"{units} units; Identity Center: {where}"
    )
    return [told, *filter(None, [about_left_out(found)])]


def _asking(found: Found) -> Callable[[Question, str, str], str]:
    """Asks on the terminal until an answer can be used."""

    def ask(question: Question, default: str, source: str) -> str:
        click.echo(err=True)
        say(question.text, err=True)
        if source:
            say(f"  default: {source}", err=True)
        while True:
            answer: str = click.prompt(f"--{question.name}", default=default or None, err=True)
            if not (fault := question.fault(question.stands_for(answer, found), found)):
                return answer
            say(fault, err=True)

    return ask


def _taken(question: Question, default: str, source: str) -> str:
    """The default, which is said: who asks nothing is to know what was taken."""
    if default:
        say(f"--{question.name} {default}: {source}", err=True)
    return default


def _owners(
    found: Found,
    reader: OrganizationReader,
    sources: tuple[OwnerSource, ...],
    answers: Mapping[str, str],
    given: Mapping[str, str],
) -> tuple[dict[str, str], list[str]]:
    """Account id -> the owner's address, as `owners` finds it; and what is to be said of the others."""
    from c7n_iamusers.organization.owners import CONTACT, TAG, owner_of
    from c7n_iamusers_cli.init.questions import parts

    def look_up(account: Any, source: OwnerSource) -> str:
        if source.kind == TAG:
            return reader.tag(account.account_id, source.key)
        if source.kind == CONTACT:
            return reader.contact(account.account_id, source.key)
        return found.members[account.account_id].email

    owners, notes = dict(given), list[str]()
    left = [each.account for each in found.active if each.account.account_id not in given]
    with progress_bar("owners") as progress:
        for number, account in enumerate(left, 1):
            owner = owner_of(account, sources, look_up, parts(answers["email-domain"]))
            notes += owner.refused
            if owner.address:
                owners[account.account_id] = owner.address
            else:
                told = f"{account}: {owner.problem}. Here, give --owner {account.account_id}=ADDRESS"
                notes.append(told)
            progress(number, len(left))
    return owners, notes


def _members(
    found: Found, names: Mapping[str, str], owners: Mapping[str, str], first: str, record: Record
) -> tuple[Member, ...]:
    from c7n_iamusers_cli.init.plan import Member, waves

    ids = sorted(names, key=lambda each: (found.paths.get(each, ""), each))
    wave = waves(ids, first, found.account, record.waves)
    members = [
        Member(each, names[each], found.paths.get(each, "/"), wave[each], owners.get(each, ""))
        for each in ids
    ]
    return tuple(sorted(members, key=lambda each: (each.wave, each.path, each.account_id)))


def _texts(plan: Plan) -> dict[str, str]:
    """The path and the text of each file of the workspace."""
    from c7n_iamusers_cli.init import texts
    from c7n_iamusers_cli.init.checking import check_variables
    from c7n_iamusers_cli.init.guide import readme
    from c7n_iamusers_cli.init.stacks import Stacks
    from c7n_iamusers_cli.permissions import account_values

    found = {
        "README.md": readme(plan),
        "as": texts.acting(plan),
        "accounts.yml": texts.accounts(plan),
        "iam-users.yml": texts.settings(plan),
        "mailer.yml": texts.mailer(plan),
        "policies/exemptions.csv": texts.exemptions(plan),
        **dict(texts.policies(plan)),
    }
    # roles are made of files, as `roles` makes them
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "policies").mkdir()
        for path, text in found.items():
            (directory / path).write_text(text)
        check_variables(plan, directory)
        values = account_values(directory / "accounts.yml")
        found |= Stacks(plan, directory, values).templates()
    return found


def _tell(directory: Path, changes: list[Change], notes: list[str]) -> int:
    """Say what became of the files, and what is to be looked at. Returns how much that is."""
    for each in changes:
        for line in _lines_of(directory, each):
            say(line)
    if all(each.status == SAME for each in changes):
        say(f"{directory} is as it was: {len(changes)} files")
    for note in notes[:_SHOWN]:
        say(f"look: {note}")
    if len(notes) > _SHOWN:
        say(f"look: and {len(notes) - _SHOWN} more: run `c7n-iamusers preflight`, which names each")
    return len(notes) + sum(each.status in (EDITED, REMOVED) for each in changes)


def _lines_of(directory: Path, change: Change) -> list[str]:
    path = shlex.quote(change.path)
    if change.status == EDITED:
        differences = [f"  {line}" for line in change.difference.splitlines()]
        told = f"{change.path} was edited, and stays as it is; what init would write:"
        return [told, *differences, f"  take it by --replace {path}"]
    if change.status == REMOVED:
        return [f"{change.path} was removed, and stays away: --replace {path} writes it again"]
    return [] if change.status == SAME else [f"{change.status} {directory / change.path}"]


def _end(plan: Plan, directory: Path, replaced: Collection[str], left: int) -> None:
    """End with preflight where the roles are deployed, or else say what to do next. ``replaced``: paths of files."""
    from c7n_iamusers_cli.init.checking import about_taken, is_ready, run_preflights, taken_names, undone
    from c7n_iamusers_cli.init.guide import deployments

    if is_ready(plan):
        for each in deployments(plan):
            if f"stacks/{each.template}.json" in replaced:
                say(f"deploy again ({each.what}):")
                say(f"  {each.again}")
        code = run_preflights(plan, directory)
        end_check(code == PROBLEM, left or code)
        return
    to_do = undone(plan)
    taken = taken_names(plan, to_do)
    for name in taken:
        say(f"look: {about_taken(name)}")
    if to_do:
        say(f"next, in {directory} ({to_do[0].what}), and then the other lines of its README.md:")
        say(f"  {to_do[0].command}")
    else:
        say(
            "look: all stacks are there, and not checked: the caller may not act as Runner, which --operators names"
        )
    end_check(0, left + len(taken) + (not to_do))
