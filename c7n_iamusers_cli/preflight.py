# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers preflight``: before the first run over an organization, what is missing, and what to do."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import EvidenceUnreadable, IdentityCenterError
from c7n_iamusers_cli.arguments import account_choice, role_arn, targets_in
from c7n_iamusers_cli.output import format_option, print_json, progress_bar, say

if TYPE_CHECKING:
    from c7n_iamusers.exemptions import ExemptionRule
    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.organization.probes import Probes
    from c7n_iamusers.organization.readiness import Check, Target

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
#: Accounts at once.
_WORKERS = 8
#: Seconds for the tries of one call.
_BUDGET = 30
#: Plugins that act in Identity Center by a role of their own need these there, and not in the account.
_ELSEWHERE = ("sso:", "identitystore:", "sts:")
#: What people read in place of a status.
_SHOWN = {"hole": "problem"}
#: What is not checked where nothing names it.
_UNNAMED = {
    "queue": "not checked: neither a policy (-u) nor the variable queue_url names a queue",
    "notices": "not checked: neither a policy (-u) nor the variable notices names their place",
    "identity center": "not checked: neither a policy (-u), the variable identity_center_role nor --role names a role",
}


@click.command()
@click.option("-c", "--config", type=_FILE, required=True, help="c7n-org's accounts file.")
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
    "--role",
    metavar="ARN",
    callback=role_arn,
    help="The role for Identity Center, instead of those that the policies and identity_center_role name.",
)
@click.option("--mailer", type=_FILE, metavar="FILE", help="c7n-mailer's configuration, such as mailer.yml.")
@click.option(
    "--mailer-templates",
    metavar="DIRECTORY",
    help="With --mailer: what c7n-mailer gets as -t. It finds the templates of this package without it.",
)
@click.option(
    "--region",
    metavar="NAME",
    help="The Region of Identity Center, where neither the policies nor identity_center_region name it.",
)
@format_option("text", "json", "table")  # an earlier version printed a table
def preflight(
    config: Path,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    files: tuple[Path, ...],
    role: str | None,
    mailer: Path | None,
    mailer_templates: str | None,
    region: str | None,
    output_format: str,
) -> None:
    """Check that a first run over the accounts can work, and say for each problem what to do.

    For each account: its role is in it, can be assumed and can read; the role may do what the policies need, as far as
    its identity policies tell (iam:SimulatePrincipalPolicy), which leaves out service control policies; its Region; its
    owner's address; the variables; the policies with these filled in, and the list of exemptions; for policies with a
    Lambda mode, whether Lambda can assume the role of the function (iam:GetRole). Once: the queue, the
    place of the notices, the role for Identity Center and its instance; with --mailer, c7n-mailer's queue and mail
    server, and each template of the policies: it is found and rendered by the c7n-mailer of this environment, so run
    the command where c7n-mailer runs, in its working directory. Nothing is changed but for a probe that is put beside
    the notices and deleted, and a credential report that is requested where there is none. The command fails where
    there is a problem. What is `unknown` was not checked.
    """
    if mailer_templates and not mailer:
        raise click.UsageError("--mailer-templates is for the check of c7n-mailer: also give --mailer")
    targets = targets_in(config, names, tags, strict=False)
    wanted = _wanted(files)
    found = [
        *_checks(targets, wanted, role, region, mailer),
        *_templates(targets, wanted, mailer, mailer_templates),
        *_accounts(targets, config),
        *_exemptions(config, wanted),
    ]
    if output_format == "json":
        print_json([asdict(each) for each in found])
    else:
        for line in _lines(found):
            say(line)
    problems = [each for each in found if each.status == "hole"]
    if unknown := sum(each.status == "unknown" for each in found):
        say(f"{_count(unknown, 'check')} could not be made: see unknown", err=True)
    if problems:
        places = len({each.place for each in problems})
        say(f"{_count(len(problems), 'problem')} in {_count(places, 'place')}", err=True)
        raise click.exceptions.Exit(1)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True)
class _Wanted:
    """What the policies ask for. ``needed``: in the accounts; None if none runs there. ``used``: policy -> variables.

    ``data``: the policies that run here. ``every``: also those that run as Lambda functions.
    ``functions``: the roles of those that run as Lambda functions.
    ``rules``: their exemptions, as far as they are known before the run. ``unread``: why others are not.
    """

    data: Sequence[Any]
    needed: Needed | None
    used: dict[str, frozenset[str]]
    runtime: frozenset[str]
    rules: Sequence[ExemptionRule] = ()
    unread: str = ""
    functions: Sequence[str] = ()
    every: Sequence[Any] = ()


def _wanted(files: Sequence[Path]) -> _Wanted:
    """Raises InvalidPolicyData."""
    from c7n.exceptions import PolicyValidationError

    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.organization.readiness import variables_of
    from c7n_iamusers_cli.permissions import part_data, parts_of
    from c7n_iamusers_cli.policies import loaded

    if not files:
        return _Wanted((), None, {}, frozenset())
    policies = [policy for file in files for policy in loaded(file)]
    # What runs as a Lambda function has the function's role, which these checks do not have.
    here = [each for each in policies if each.execution_mode == "pull"]
    functions = [str(each.data["mode"].get("role") or "") for each in policies if each not in here]
    needed = frozenset(
        permission
        for part in parts_of(here)
        # notify with assume_role: false sends with the runner's credentials
        if part_data(part).get("assume_role") is not False
        for permission in part.get_permissions()
        if not (part_data(part).get("role") and permission.startswith(_ELSEWHERE))
    )
    given_back = frozenset(each for part in parts_of(here) for each in getattr(part, "gives_back", ()))
    used: dict[str, frozenset[str]] = {}
    for policy in policies:
        used[policy.name] = used.get(policy.name, frozenset()) | variables_of(policy.data)
    runtime = frozenset(name for policy in policies for name in policy.get_variables())
    rules: dict[ExemptionRule, None] = {}
    unread = ""
    for part in (each for each in parts_of(policies) if hasattr(each, "known_rules")):
        try:
            rules |= dict.fromkeys(part.known_rules())
        except PolicyValidationError as error:
            unread = str(error)
    return _Wanted(
        [policy.data for policy in here],
        Needed(needed, restoring=given_back) if here else None,
        used,
        runtime,
        tuple(rules),
        unread,
        functions,
        [policy.data for policy in policies],
    )


def _checks(
    found: Sequence[Target], wanted: _Wanted, role: str | None, region: str | None, mailer: Path | None
) -> Iterator[Check]:
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session, caller_of
    from c7n_iamusers.organization.probes import ORGANIZATION, Probes
    from c7n_iamusers.organization.readiness import UNKNOWN, Check, shared_by

    session = account_session(region=found[0].region if found else "")
    probes = Probes(session, caller_of(session), Backoff(budget=_BUDGET))
    with ThreadPoolExecutor(_WORKERS) as pool, progress_bar("accounts") as progress:
        for number, checks in enumerate(pool.map(lambda each: _account(probes, each, wanted), found), 1):
            yield from checks
            progress(number, len(found))
    yield from _policies(found, wanted)
    shared = shared_by(found, wanted.data)
    queues = yield from _queues(probes, found, wanted, shared.queues, mailer)
    yield from map(probes.notices, shared.notices)
    centers = _centers(shared.centers, role)
    for each, known in centers:
        yield from _center(each, known or region)
    named = {"queue": queues, "notices": shared.notices, "identity center": centers}
    for name, values in named.items():
        if not values:
            yield Check(ORGANIZATION, name, UNKNOWN, _UNNAMED[name])
    if wanted.functions:
        told = "not checked: whether the account's role may deploy functions"
        remedy = "compare it with what `c7n-iamusers roles --role deployer` prints"
        yield Check(ORGANIZATION, "functions", UNKNOWN, told, remedy)


def _queues(
    probes: Probes, found: Sequence[Target], wanted: _Wanted, named: Sequence[str], mailer: Path | None
) -> Generator[Check, None, Sequence[str]]:
    """What is wrong with the queues, and c7n-mailer. ``named``: those of policies that run here. Returns all queues."""
    from c7n_iamusers.organization.probes import ORGANIZATION
    from c7n_iamusers.organization.queues import function_queues, open_mailer
    from c7n_iamusers.organization.readiness import HOLE, Check

    queues = tuple(dict.fromkeys((*named, *function_queues(found, wanted.every))))
    yield from map(probes.queue, queues)
    if fault := open_mailer(found, wanted.every, probes.mailer_queue(mailer) if mailer else ()):
        yield Check(ORGANIZATION, "who may write to c7n-mailer", HOLE, fault, "correct these policies")
    if mailer:
        yield from probes.mailer(mailer, named)
    return queues


def _templates(
    found: Sequence[Target], wanted: _Wanted, mailer: Path | None, templates: str | None
) -> Iterator[Check]:
    """Whether c7n-mailer makes a message of each template; nothing without its configuration."""
    from c7n_iamusers_cli import mail_templates

    if mailer:
        yield from mail_templates.checks(mailer, templates, wanted.every, found)


def _centers(named: Sequence[tuple[str, str]], role: str | None) -> Sequence[tuple[str, str]]:
    """Which role is to be asked in which Region: as ``named``, but by ``role`` if that is given."""
    if role is None:
        return named
    return [(role, region) for region in dict.fromkeys(region for _, region in named) or [""]]


def _exemptions(config: Path, wanted: _Wanted) -> Iterator[Check]:
    """Whether each exemption holds in an account of the file, and not only in those that -a and -t choose."""
    from c7n_iamusers.organization.probes import ORGANIZATION
    from c7n_iamusers.organization.readiness import HOLE, OK, UNKNOWN, Check, exemptions_of_no_account

    if wanted.unread:
        yield Check(ORGANIZATION, "exemptions", UNKNOWN, wanted.unread)
    if void := exemptions_of_no_account(targets_in(config, strict=False), wanted.rules):
        remedy = f"correct the account of each, or remove the rule, or check with an accounts file other than {config}"
        yield Check(ORGANIZATION, "exemptions", HOLE, f"of no account: {'; '.join(void)}", remedy)
    elif wanted.rules:
        yield Check(ORGANIZATION, "exemptions", OK, f"{len(wanted.rules)} rules, each of an account")


def _accounts(found: Sequence[Target], config: Path) -> Iterator[Check]:
    """Whether each account is in the file once."""
    from c7n_iamusers.organization.probes import ORGANIZATION
    from c7n_iamusers.organization.readiness import HOLE, OK, Check, given_twice

    if twice := given_twice(found):
        told = f"in {config}: {', '.join(twice)}: two runs would process the same users at the same time"
        yield Check(ORGANIZATION, "accounts", HOLE, told, "remove one of the two entries")
    else:
        yield Check(ORGANIZATION, "accounts", OK, f"{len(found)} accounts, each once")


def _account(probes: Probes, target: Target, wanted: _Wanted) -> list[Check]:
    from c7n_iamusers.organization.readiness import HOLE, Check, file_checks

    found: list[Check] = []
    try:
        found.extend(probes.account(target, wanted.needed, wanted.functions))
    # Whatever is wrong with one account's answers, the others are checked all the same.
    except Exception as error:  # noqa: BLE001
        told = f"{type(error).__name__}: {error}"
        found.append(Check(str(target), "account", HOLE, told, "correct its entry, or report this error"))
    return [*found, *file_checks(target, wanted.used, wanted.runtime)]


def _policies(found: Sequence[Target], wanted: _Wanted) -> Iterator[Check]:
    """Each policy with the variables of each account, as its plugins check it. A fault of all accounts counts once."""
    from c7n_iamusers.organization.probes import ORGANIZATION
    from c7n_iamusers.organization.readiness import HOLE, OK, Check, with_valid_owner
    from c7n_iamusers_cli.policies import policy_fault

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


def _center(role: str, region: str | None) -> Iterator[Check]:
    """The organization's instance, as provisioning finds it, by ``role``."""
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.identity_center.aws.instance import connect
    from c7n_iamusers.organization.probes import ORGANIZATION
    from c7n_iamusers.organization.readiness import HOLE, OK, Check

    name, trust = (
        "identity center role",
        f"let the trust policy of {role} name the identity that runs this command",
    )
    try:
        session = account_session(role)
    except EvidenceUnreadable as error:
        yield Check(ORGANIZATION, name, HOLE, str(error), trust)
        return
    yield Check(ORGANIZATION, name, OK, role)
    try:
        instance = connect(session, region or session.region_name, Backoff(budget=_BUDGET)).instance
    except (IdentityCenterError, ClientError, BotoCoreError) as error:
        remedy = (
            "correct identity_center_region in the accounts file, or region: in the policy, to the instance's primary "
            f"Region; where access is denied, allow sso:ListInstances and sso:DescribeInstance to {role}"
        )
        yield Check(ORGANIZATION, "identity center", HOLE, str(error), remedy)
        return
    yield _of_the_organization(session, instance)


def _of_the_organization(session: Any, instance: Any) -> Check:
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.organization.probes import ORGANIZATION
    from c7n_iamusers.organization.reader import OrganizationReader
    from c7n_iamusers.organization.readiness import HOLE, OK, UNKNOWN, Check

    name, where = "identity center", f"{instance.arn} in {instance.region}"
    try:
        management = OrganizationReader(session, Backoff(budget=_BUDGET)).management_account()
    except EvidenceUnreadable as error:
        told = f"{where}: whether it is the organization's is not known: {error}"
        return Check(ORGANIZATION, name, UNKNOWN, told, "allow organizations:DescribeOrganization")
    if instance.owner not in ("", management):
        return Check(
            ORGANIZATION,
            name,
            HOLE,
            f"{where} is an account instance, of account {instance.owner}: it can't give access to accounts",
            f"give --role, a role of the management account {management} or of a delegated administrator",
        )
    return Check(ORGANIZATION, name, OK, where)


def _lines(found: Iterable[Check]) -> Iterator[str]:
    """For each place one line with what is well, and a paragraph for each problem and for what is unknown."""
    places: dict[str, list[Check]] = {}
    for each in found:
        places.setdefault(each.place, []).append(each)
    for place, checks in places.items():
        yield place
        if well := dict.fromkeys(each.name for each in checks if each.status == "ok"):
            yield f"  ok: {', '.join(well)}"
        for each in checks:
            if each.status != "ok":
                yield f"  {_SHOWN.get(each.status, each.status)}: {each.name}: {each.text}"
                if each.remedy:
                    yield f"    what to do: {each.remedy}"
