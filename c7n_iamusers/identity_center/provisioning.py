# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision plan``, ``apply``, ``prune`` and ``export``: from the merged intents to access."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.stores import read_all, replace_all
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.access_derivation import QUARANTINED
from c7n_iamusers.identity_center.applying import access_run, run_results
from c7n_iamusers.identity_center.applying.access_run import AccessRun
from c7n_iamusers.identity_center.applying.run_history import created_so_far
from c7n_iamusers.identity_center.applying.run_lock import exclusive
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.fleet import Fleet
from c7n_iamusers.identity_center.former_members import end_times, present_members
from c7n_iamusers.identity_center.output import aws_config, plan_files, reports
from c7n_iamusers.identity_center.output.earlier_export import EarlierExport
from c7n_iamusers.identity_center.output.run_report import Report
from c7n_iamusers.identity_center.output.terraform import write_terraform
from c7n_iamusers.identity_center.output.terraform_ownership import Ours
from c7n_iamusers.identity_center.planning.quotas import CenterQuotas
from c7n_iamusers.identity_center.planning.replacements import RunHistory
from c7n_iamusers.identity_center.requests.member_accounts import ReadAccounts
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.text.wording import escaping, shown


@dataclass(frozen=True)
class RunOptions:
    """What a run may do. ``choices``: which managed objects it may remove. ``plan``: the plan to write or to apply.

    ``read``: reads the IAM users of former memberships.
    """

    choices: access_plan.Choices = field(default_factory=access_plan.Choices)
    plan: plan_files.PlanOptions = field(default_factory=plan_files.PlanOptions)
    quotas: CenterQuotas = field(default_factory=CenterQuotas)
    read: ReadAccounts | None = None


def provision(
    fleet: Fleet,
    center: Center,
    say: Callable[[str], None],
    options: ApplyOptions | None = None,
    run_options: RunOptions | None = None,
) -> list[str]:
    """Plan, and apply if ``options`` are given. Returns the failures, in words: see ``Report.failures``.

    A run that applies holds the run lock from planning on.

    Raises IdentityCenterError, ClientError and BotoCoreError only before the first change.
    """
    say = escaping(say)
    with exclusive(fleet.records, center.instance, center) if options else nullcontext():
        if why := fleet.without_records(center):
            raise IdentityCenterError(why)
        return _run(fleet, center, say, options, run_options or RunOptions())


def _run(
    fleet: Fleet,
    center: Center,
    say: Callable[[str], None],
    options: ApplyOptions | None,
    run_options: RunOptions,
) -> list[str]:
    choices, plan_options = run_options.choices, run_options.plan
    _refuse_unchecked(fleet, say, bool(options and not plan_options.reviewed))
    for line in (
        *fleet.derivation.warnings,
        *fleet.derivation.scope_lines(),
        *reports.hint_lines(fleet.desired),
        *reports.write_derivation_report(fleet.output, fleet.derivation.results),
    ):
        say(line)
    # Only the proofs are needed from here on.
    fleet.derivation.results.clear()
    reviewed = (
        plan_files.read_plan(plan_options.reviewed, plan_options.digest, center.instance, choices)
        if plan_options.reviewed
        else {}
    )
    run = fleet.access_run(center, choices, run_options.quotas)
    report = _planned(fleet, center, run, run_options, bool(options))
    for line in reports.plan_lines(report.plan):
        say(line)
    if plan_options.out:
        notes = (*fleet.unchecked, *fleet.derivation.warnings, *fleet.derivation.scope_lines())
        digest = plan_files.write_plan(plan_options.out, report.plan, center.instance, choices, notes)
        command = (
            f"provision {plan_files.command_of(choices)} --plan {plan_options.out} --plan-sha256 {digest}"
        )
        say(
            f"Plan: {plan_options.out}. To read all of it: c7n-iamusers plan {plan_options.out}. To apply it, with the "
            f"same other options: {command}"
        )
    if plan_options.reviewed:
        made = created_so_far(fleet.records, center.instance)
        plan_files.check_reviewed(plan_options.reviewed, reviewed, report.plan, made)
        options = replace(options, adopts=False) if options else None
    elif options:
        plan_files.refuse_unreviewed(report.plan)
    if path := reports.write_people_to_add(fleet.output, fleet.desired, report.plan.missing):
        say(f"For the owners of the identity provider: {path}")
    failures = _apply(fleet, center, run, report, say, options) if options else report.failures()
    return sorted({*failures, *_nobody_served(report, run.history)})


def _nobody_served(report: Report, history: RunHistory) -> Iterator[str]:
    """A sentence if decisions refuse all users, although no single decision is a failure.

    A quarantined user does not count if an earlier run gave its person access: it has moved.
    """
    given = {arn for arn, _ in history.users}
    refused = {each.subject.arn: each for each in report.plan.refused}
    decided = all(each.code in model.DECISIONS for each in refused.values())
    moved = {arn for arn, each in refused.items() if each.code == QUARANTINED and arn in given}
    served = {claim.subject.arn for claim in report.desired.claims} - refused.keys()
    if decided and refused.keys() > moved and not served:
        codes = Counter(each.code for each in refused.values())
        yield (
            f"all {len(refused)} IAM users of this run are refused, and nobody gets access "
            f"({', '.join(f'{count} {code}' for code, count in sorted(codes.items()))}): "
            f"{shown(sorted(each.reason.text for each in refused.values()))}"
        )


def _planned(
    fleet: Fleet,
    center: Center,
    run: AccessRun,
    run_options: RunOptions,
    applies: bool,
) -> Report:
    """The plan, with the removals of former memberships that its choices allow. Raises as ``plan``; OSError."""
    read, former_days = run_options.read, run_options.choices.former_days
    if not former_days:
        report = run.plan()
        if applies:
            present = present_members(report.desired, report.plan.refused, run.membership_users)
            end_times(fleet.records, center.instance, present)
        return report
    report = run.plan(fleet.emptied(run.history, read))
    found = fleet.former_members(center, run, report.plan.unexpected_members, read)
    if applies:
        found.record(fleet.records, center.instance)
    return run.plan_without(found.expired(former_days))


def _refuse_unchecked(fleet: Fleet, say: Callable[[str], None], unreviewed: bool) -> None:
    """Report unchecked settings. Raises IdentityCenterError if they would be applied ``unreviewed``."""
    for line in fleet.unchecked:
        say(line)
    if fleet.unchecked and unreviewed:
        raise IdentityCenterError(
            "the settings of intents were not checked against a policy, and anyone who can write there can change "
            "them: give the policy files that c7n-org ran as -u, with -c accounts.yml. Or review a plan (provision "
            "plan --out FILE) and apply it by --plan; or, if you trust everyone who can write there, give "
            "--trust-intents"
        )


def _apply(
    fleet: Fleet,
    center: Center,
    run: AccessRun,
    report: Report,
    say: Callable[[str], None],
    options: ApplyOptions,
) -> list[str]:
    places = {intent.place for intent in fleet.intents}
    run_results.check_account_results(fleet.output, places)
    report, result = access_run.apply_and_record(run, report, center, fleet.records, options)
    if result is None:
        say("Nothing to do.")
    else:
        calls = sum(ended.calls for ended in report.ended.values())
        say(f"Done: {calls} calls. To undo: provision undo {result[0]} --result-sha256 {result[1]}")
    run_results.write_account_results(fleet.output, places, report)
    return sorted({*report.failures(), *_write_profiles(fleet, center, report, say)})


def _write_profiles(
    fleet: Fleet, center: Center, report: Report, say: Callable[[str], None]
) -> Iterator[str]:
    """Write a file for the ``~/.aws/config`` of each person with access. Yields failures, in words. Raises OSError."""
    if not fleet.profile_names:
        return
    instance = center.instance
    if not instance.portal:
        yield f"no profiles were written: the access portal's URL in partition {instance.partition} is not known"
        return
    place, present = f"{aws_config.PROFILES}/", dict[str, str]()

    def read(names: Sequence[str]) -> Mapping[str, str]:
        for name, content in read_all(fleet.output, [f"{place}{each}" for each in names]):
            present[name.removeprefix(place)] = (content or b"").decode(errors="replace")
        return present

    try:
        files = dict(aws_config.config_files(report, instance, fleet.accounts, fleet.profile_names, read))
    except IdentityCenterError as error:
        yield f"no profiles were written: {error}"
        return
    new = ((name, text) for name, text in files.items() if text != present.get(name))
    replace_all(fleet.output, [(f"{place}{name}", text.encode()) for name, text in new])
    say(f"Profiles for ~/.aws/config: {len(files)} files in {fleet.output.place(aws_config.PROFILES)}")


def export(
    fleet: Fleet,
    directory: Path,
    say: Callable[[str], None],
    center: Center | None = None,
    prune: bool = False,
    quotas: CenterQuotas | None = None,
) -> list[str]:
    """Write the requested access as Terraform configuration. Returns the failures, as ``provision`` does for a plan.

    ``center``: to look up what exists, and to check the plan; None to make no calls, and to check users only as far as
    that allows. ``prune``: Terraform may destroy what is no longer requested in the accounts of the intents, see
    ``write_terraform``.

    Raises IdentityCenterError, and writes nothing, if the plan can't be applied, managed objects have no run's record,
    or the directory can't be written; ClientError and BotoCoreError.
    """
    say = escaping(say)
    for line in fleet.notes():
        say(line)
    report, existing = Report(fleet.desired, access_plan.AccessPlan(refused=fleet.desired.refused)), None
    history = RunHistory()
    if center:
        if why := fleet.without_records(center):
            raise IdentityCenterError(why)
        run = fleet.access_run(center, quotas=quotas)
        history = run.history
        made = created_so_far(fleet.records, center.instance)
        report, existing = run.existing(Ours.of(made, EarlierExport.read(directory).policies))
        for line in (*reports.side_effect_lines(report.plan), *reports.total_lines(report.plan)):
            say(line)
        access_run.check_applicable(report)
    try:
        ends_in = {intent.account_id for intent in fleet.intents} if prune else ()
        lines = list(write_terraform(directory, report.desired, existing, ends_in))
    except OSError as error:
        raise IdentityCenterError(
            f"the Terraform configuration can't be written to {directory}: {error}: give a directory that you can write"
        ) from error
    for line in lines:
        say(line)
    return sorted({*report.failures(), *_nobody_served(report, history)})
