# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers preflight``: what is missing before the first run over an organization, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers_cli.arguments import account_choice, accounts_file, role_arn, targets_in
from c7n_iamusers_cli.organization_checks import Members, center, probes_of
from c7n_iamusers_cli.output import format_option, print_json, progress_bar, say
from c7n_iamusers_cli.preflight_needs import Wanted, wanted_by
from c7n_iamusers_cli.preflight_output import end, lines_of

if TYPE_CHECKING:
    from c7n_iamusers.exemptions import ExemptionRule
    from c7n_iamusers.organization.likely_mistakes import NamesRead
    from c7n_iamusers.organization.preflight_checks import Probes
    from c7n_iamusers.organization.queue_checks import QueueProbes
    from c7n_iamusers.organization.readiness import Check, Target

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
#: Accounts at once.
_WORKERS = 8
#: What is not checked unless something names it.
_UNNAMED = {
    "queue": "not checked: neither a policy (-u) nor the variable queue_url names a queue",
    "notices": "not checked: neither a policy (-u) nor the variable notices names their place",
    "identity center": "not checked: neither a policy (-u), the variable identity_center_role nor --role names a role",
}


@dataclass(frozen=True)
class Read:
    """How the accounts' users match exemptions, the rules of lists that only their roles can read, who needs MFA."""

    names: list[NamesRead] = field(default_factory=list)
    rules: dict[ExemptionRule, None] = field(default_factory=dict)
    mfa: dict[str, list[str]] = field(default_factory=dict)


@click.command()
@accounts_file
@account_choice
@click.option(
    "-u",
    "--use",
    "files",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="The policies that are to run: their permissions, variables, queues and notices. May be repeated.",
)
@click.option(
    "--restore",
    is_flag=True,
    help="Also check that the role may do what `c7n-iamusers restore` needs. Give -c the restorer's accounts file.",
)
@click.option(
    "--role",
    metavar="ARN",
    callback=role_arn,
    help="The role for Identity Center, instead of those that the policies and identity_center_role name.",
)
@click.option("--mailer", type=_FILE, metavar="FILE", help="c7n-mailer's configuration, such as mailer.yml.")
@click.option(
    "--mailer-templates",
    metavar="DIRECTORY",
    help="With --mailer: c7n-mailer's -t. It finds the templates of this package without it.",
)
@click.option(
    "--email-domain",
    "domains",
    multiple=True,
    metavar="DOMAIN",
    help="The owner of each account must have an address of this domain. May be repeated.",
)
@click.option(
    "-s",
    "--output-dir",
    "outputs",
    multiple=True,
    metavar="OUTPUT_DIR",
    help="The -s of c7n-org, s3://BUCKET/PREFIX: check that the bucket exists, in this Region. Repeatable.",
)
@click.option(
    "--mailer-role",
    metavar="ARN",
    callback=role_arn,
    help="With --mailer: the role that runs c7n-mailer.  [default: role or profile of its configuration, or else who "
    "runs this command]",
)
@click.option(
    "--region",
    metavar="NAME",
    help="The Region of Identity Center, where neither the policies nor identity_center_region name it.",
)
@format_option("text", "json")
def preflight(
    config: Path,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    files: tuple[Path, ...],
    restore: bool,
    role: str | None,
    mailer: Path | None,
    mailer_templates: str | None,
    mailer_role: str | None,
    domains: tuple[str, ...],
    outputs: tuple[str, ...],
    region: str | None,
    output_format: str,
) -> None:
    """Check that a first run over the accounts can work, and say what to do about each problem.

    For each account, it checks its role, which must be in it, assumable and able to read, and whose identity policies
    must allow what the policies need (iam:SimulatePrincipalPolicy, which leaves out service control policies); its
    Region; its owner's address; the variables; the policies with these filled in, and the list of exemptions; for
    policies with a Lambda mode, whether Lambda can assume the role of the function (iam:GetRole). Once: the queue, the
    place of the notices, the role for Identity Center and its instance. With --mailer: c7n-mailer's queue and mail
    server, whether its role may do what this configuration needs, and each template of the policies. The c7n-mailer of
    this environment finds and renders these, so run the command where c7n-mailer runs, in its working directory.

    Likely mistakes need attention: accounts of the organization that the file lacks, exemptions that match nobody or
    narrowly miss a user, owners with a domain of their own, waiting messages in a queue, a bucket in another Region.
    Variables with their shipped values are problems.

    It changes nothing, but puts a probe beside the notices and deletes it, and requests a credential report if there is
    none. It ends with 1 if there is a problem, otherwise with 3 if something needs attention or was not checked.
    """
    if (mailer_templates or mailer_role) and not mailer:
        option = "--mailer-templates" if mailer_templates else "--mailer-role"
        raise click.UsageError(f"{option} is for the check of c7n-mailer: also give --mailer")
    from c7n_iamusers.organization.likely_mistakes import refused_for_mfa

    targets = targets_in(config, names, tags, strict=False)
    probes, read = probes_of(targets), Read()
    wanted = wanted_by(files, restore, targets, probes.caller)
    organization = Members.read(_center_roles(targets, wanted, role), targets[0].region if targets else "")
    found = [
        *_of_accounts(probes, targets, wanted, read),
        *_policies(targets, wanted),
        *_shared(probes, targets, wanted, role, region, mailer, mailer_role or ""),
        *map(probes.bucket, (output for output in outputs if output.startswith("s3://"))),
        *_templates(targets, wanted, mailer, mailer_templates),
        *_accounts(targets, config),
        *organization.checks(targets, config),
        *_texts(targets, wanted, config, domains, {probes.caller.split(":")[4], *organization.known}),
        *refused_for_mfa(read.mfa),
        *_exemptions(config, wanted, read),
    ]
    if output_format == "json":
        print_json([asdict(each) for each in found])
    else:
        for line in lines_of(found):
            say(line)
    end(found)


def _of_accounts(probes: Probes, found: Sequence[Target], wanted: Wanted, read: Read) -> Iterator[Check]:
    """``read``: gets each account's matches of exemptions, and the rules of lists that are elsewhere."""
    with ThreadPoolExecutor(_WORKERS) as pool, progress_bar("accounts") as progress:
        for number, checks in enumerate(
            pool.map(lambda each: _account(probes, each, wanted, read), found), 1
        ):
            yield from checks
            progress(number, len(found))


def _shared(
    probes: Probes,
    found: Sequence[Target],
    wanted: Wanted,
    role: str | None,
    region: str | None,
    mailer: Path | None,
    mailer_role: str,
) -> Iterator[Check]:
    """What all accounts use."""
    from c7n_iamusers.execution.journal import utc_now
    from c7n_iamusers.organization.queue_checks import QueueProbes
    from c7n_iamusers.organization.readiness import OK, ORGANIZATION, UNKNOWN, Check, shared_by

    shared = shared_by(found, wanted.data)
    asked = QueueProbes(probes.session, probes.caller, probes.backoff)
    queues = yield from _queues(asked, found, wanted, shared.queues, mailer)
    yield from chain.from_iterable(map(asked.in_queue, queues))
    for place in shared.notices:
        notices = probes.notices(place)
        yield notices
        if place.startswith("s3://") and notices.status == OK:
            yield probes.bucket(place)
    yield from probes.held(found, wanted.data, utc_now())
    yield from chain.from_iterable(map(asked.delivery, shared.queues))
    yield from _mail(probes, shared.queues, found, mailer, mailer_role)
    centers = _centers(shared.centers, role)
    for each, known in centers:
        yield from center(each, known or region, wanted.center, wanted.commanded)
    named = {"queue": queues, "notices": shared.notices, "identity center": centers}
    for name, values in named.items():
        if not values:
            yield Check(ORGANIZATION, name, UNKNOWN, _UNNAMED[name])
    if wanted.deployed:
        yield from map(probes.lets_in, wanted.deployed.resources)
        yield from map(probes.list_of_functions, wanted.deployed.lists)


def _mail(
    probes: Probes, queues: Sequence[str], found: Sequence[Target], file: Path | None, role: str
) -> Iterator[Check]:
    """Whether c7n-mailer may take mails out of one of the ``queues`` and send them.

    ``file``: its configuration. ``role``: its ARN.
    """
    from c7n_iamusers.exceptions import InvalidPolicyData
    from c7n_iamusers.organization.owners import OWNER, address_fault
    from c7n_iamusers.organization.preflight_mail_checks import MailProbes
    from c7n_iamusers.organization.readiness import HOLE, ORGANIZATION, Check
    from c7n_iamusers_cli.mailer import mailer_arn, mailer_config

    asked = MailProbes(probes.session, probes.caller, probes.backoff)
    try:
        config = mailer_config(file) if file else None
    except InvalidPolicyData as error:
        remedy = "give queue_url, from_address, and smtp_server or ses_region"
        yield Check(ORGANIZATION, "mailer", HOLE, str(error), remedy)
        return
    if file and config:
        owners = (str(each.variables.get(OWNER)) for each in found)
        recipient = next((owner for owner in owners if not address_fault(owner)), "")
        yield from asked.mailer(config, file, queues, recipient)
        _, partition, _, _, account, _ = probes.caller.split(":", 5)
        try:
            yield asked.rights(config, mailer_arn(config, account, partition, role), file)
        except InvalidPolicyData as error:
            yield Check(ORGANIZATION, "mailer permissions", HOLE, str(error), f"correct {file}")


def _queues(
    asked: QueueProbes, found: Sequence[Target], wanted: Wanted, named: Sequence[str], mailer: Path | None
) -> Generator[Check, None, Sequence[str]]:
    """Checks queues and c7n-mailer. ``named``: the queues of policies that run here. Returns all queues."""
    from c7n_iamusers.organization.queue_senders import function_queues, open_mailer
    from c7n_iamusers.organization.readiness import HOLE, ORGANIZATION, Check

    queues = tuple(dict.fromkeys((*named, *function_queues(found, wanted.every))))
    yield from map(asked.queue, queues)
    if fault := open_mailer(found, wanted.every, _queue_of(mailer) if mailer else ()):
        yield Check(ORGANIZATION, "who may write to c7n-mailer", HOLE, fault, "correct these policies")
    return queues


def _queue_of(mailer: Path) -> tuple[str, ...]:
    """The queue that c7n-mailer reads; none if its configuration can't be read, which ``_mail`` reports."""
    from c7n_iamusers.exceptions import InvalidPolicyData
    from c7n_iamusers_cli.mailer import mailer_config

    try:
        return (mailer_config(mailer)["queue_url"],)
    except InvalidPolicyData:
        return ()


def _templates(
    found: Sequence[Target], wanted: Wanted, mailer: Path | None, templates: str | None
) -> Iterator[Check]:
    """Whether c7n-mailer can make a message from each template."""
    from c7n_iamusers.organization.readiness import ORGANIZATION, UNKNOWN, Check
    from c7n_iamusers_cli import mail_templates

    if mailer:
        yield from mail_templates.checks(mailer, templates, wanted.every, found)
    elif names := mail_templates.names(wanted.every, found):
        told = f"not checked: whether c7n-mailer finds and renders {', '.join(names)}"
        remedy = "give its configuration by --mailer, in the environment of c7n-mailer"
        yield Check(ORGANIZATION, "templates", UNKNOWN, told, remedy)


def _centers(named: Sequence[tuple[str, str]], role: str | None) -> Sequence[tuple[str, str]]:
    """Which role to ask in which Region: as in ``named``, but with ``role`` if given."""
    if role is None:
        return named
    return [(role, region) for region in dict.fromkeys(region for _, region in named) or [""]]


def _center_roles(found: Sequence[Target], wanted: Wanted, role: str | None) -> list[str]:
    """The roles that work in the management account."""
    from c7n_iamusers.organization.readiness import shared_by

    return [each for each, _ in _centers(shared_by(found, wanted.data).centers, role)]


def _exemptions(config: Path, wanted: Wanted, read: Read) -> Iterator[Check]:
    """Whether each exemption holds in an account of the file, and matches a user there.

    All accounts count, not only those that -a and -t choose.
    """
    from c7n_iamusers.organization.likely_mistakes import idle_exemptions
    from c7n_iamusers.organization.readiness import (
        HOLE,
        OK,
        ORGANIZATION,
        UNKNOWN,
        Check,
        exemptions_of_no_account,
    )

    rules = tuple(dict.fromkeys((*wanted.rules, *read.rules)))
    if wanted.unread:
        yield Check(ORGANIZATION, "exemptions", UNKNOWN, wanted.unread)
    every = targets_in(config, strict=False)
    doubts = list(idle_exemptions(read.names, every, rules))
    yield from doubts
    if void := exemptions_of_no_account(every, rules):
        remedy = f"correct the account of each, or remove the rule, or check with an accounts file other than {config}"
        yield Check(ORGANIZATION, "exemptions", HOLE, f"of no account: {'; '.join(void)}", remedy)
    elif rules and not doubts:
        yield Check(ORGANIZATION, "exemptions", OK, f"{len(rules)} rules, each matches a user")


def _accounts(found: Sequence[Target], config: Path) -> Iterator[Check]:
    """Whether each account is in the file once."""
    from c7n_iamusers.organization.readiness import HOLE, OK, ORGANIZATION, Check, given_twice

    if twice := given_twice(found):
        told = f"in {config}: {', '.join(twice)}: two runs would process the same users at the same time"
        yield Check(ORGANIZATION, "accounts", HOLE, told, "remove one of the two entries")
    else:
        yield Check(ORGANIZATION, "accounts", OK, f"{len(found)} accounts, each once")


def _texts(
    found: Sequence[Target], wanted: Wanted, config: Path, domains: Sequence[str], known: Collection[str]
) -> Iterator[Check]:
    """Owners of another domain, and variables as they are shipped. ``known``: ids of accounts that there are."""
    from c7n_iamusers.organization.likely_mistakes import owners_domains, placeholders

    yield from owners_domains(found, targets_in(config, strict=False), domains)
    used = {name for names in wanted.used.values() for name in names}
    yield from placeholders(found, used, known)


def _account(probes: Probes, target: Target, wanted: Wanted, read: Read) -> list[Check]:
    from c7n_iamusers.organization.likely_mistakes import names_of
    from c7n_iamusers.organization.readiness import HOLE, Check, file_checks

    found: list[Check] = []
    today = datetime.now(timezone.utc).date()
    check = wanted.deployed.checks if wanted.deployed else None
    try:
        lists, listed = _lists(probes, target, wanted)
        rules = (*wanted.rules, *listed)
        read.rules.update(dict.fromkeys(listed))
        take = (lambda users: read.names.append(names_of(target, users, rules, today))) if rules else None
        found.extend(probes.account(target, wanted.needed, wanted.functions, take, check))
        found.extend(lists)
        if wanted.mfa_unsaid:
            read.mfa[target.name] = probes.users_with_mfa_conditions(target)
    # Whatever is wrong with one account's answers, the others are checked.
    except Exception as error:  # noqa: BLE001
        told = f"{type(error).__name__}: {error}"
        found.append(Check(str(target), "account", HOLE, told, "correct its entry, or report this error"))
    return [*found, *file_checks(target, wanted.used, wanted.runtime)]


def _lists(probes: Probes, target: Target, wanted: Wanted) -> tuple[list[Check], list[ExemptionRule]]:
    """Whether the account's role can read the lists of exemptions that are not on this machine, and their rules.

    Nothing if the role can't be assumed, which ``Probes.account`` reports.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
    from c7n_iamusers.organization.readiness import HOLE, OK, Check, filled_in, parts_of
    from c7n_iamusers.plugins.exemption_list import parse_source

    key, name, found = "exempt-from", "list of exemptions", list["ExemptionRule"]()
    given = [filled_in(part[key], target) for data in wanted.data for part in parts_of(data) if key in part]
    sources = {repr(each): parse_source(each, key) for each in given}.values()
    elsewhere = [each for each in sources if not each.is_local]
    try:
        session = _AsRole(probes.clients(target)) if elsewhere else None
    except (EvidenceUnreadable, ClientError, BotoCoreError):
        return [], []
    checks: list[Check] = []
    for source in elsewhere:
        try:
            rules = source.rules(lambda: session)
        except (EvidenceUnreadable, InvalidPolicyData) as error:
            remedy = (
                "copy it there, and let the account's role read it: `c7n-iamusers roles` prints both policies"
            )
            checks.append(Check(str(target), name, HOLE, str(error), remedy))
        else:
            found += rules
            checks.append(Check(str(target), name, OK, f"{source.shown}: {len(rules)} rules"))
    return checks, found


@dataclass(frozen=True)
class _AsRole:
    """A session of the account's role, if it reads a list."""

    clients: Callable[[str], Any]

    def client(self, service: str, **_region: str | None) -> Any:
        """S3 says a bucket's Region, and botocore follows."""
        return self.clients(service)


def _policies(found: Sequence[Target], wanted: Wanted) -> Iterator[Check]:
    """Checks each policy, by its plugins, with each account's variables. A fault in all accounts counts once."""
    from c7n_iamusers.organization.likely_mistakes import told_of_others
    from c7n_iamusers.organization.readiness import HOLE, OK, ORGANIZATION, Check, with_valid_owner
    from c7n_iamusers_cli.policies import policy_fault

    yield from told_of_others(wanted.every)
    places: dict[str, list[str]] = {}
    for target in found:
        variables = with_valid_owner(target.variables)
        for data in wanted.data:
            if fault := policy_fault(data, target.account_id, target.region, variables):
                places.setdefault(fault, []).append(str(target))
    remedy = "correct the policy, the list that it names, or vars in the accounts file"
    for fault, of in places.items():
        for place in [ORGANIZATION] if len(of) == len(found) else of:
            yield Check(place, "policies", HOLE, fault, remedy)
    if wanted.data and not places:
        yield Check(ORGANIZATION, "policies", OK, f"{len(wanted.data)} policies are valid in each account")
