# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision``: plans, applies or audits the intents of all accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import Store, as_store, read_all, replace_all
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center import model
from c7n_iamusers.identity_center.access_derivation import QUARANTINED, AccessDerivation
from c7n_iamusers.identity_center.applying import run_records
from c7n_iamusers.identity_center.applying.access_run import AccessRun
from c7n_iamusers.identity_center.applying.run_history import created_so_far, read_history, recorded_instances
from c7n_iamusers.identity_center.applying.run_lock import exclusive
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.aws.reader import CenterReader
from c7n_iamusers.identity_center.former_members import (
    DeletedHere,
    FormerMembers,
    end_times,
    present_members,
)
from c7n_iamusers.identity_center.output import aws_config, plan_files, reports
from c7n_iamusers.identity_center.output.run_report import AuditData, Report
from c7n_iamusers.identity_center.output.terraform import exported_policies, write_terraform
from c7n_iamusers.identity_center.output.terraform_ownership import Ours
from c7n_iamusers.identity_center.planning.access_review import Held, held_by_people
from c7n_iamusers.identity_center.planning.changeset import changed
from c7n_iamusers.identity_center.planning.plan import Evidence
from c7n_iamusers.identity_center.planning.replacements import History
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
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.policy_comparison.comparison import UNPROVEN
from c7n_iamusers.text.times import as_text
from c7n_iamusers.text.wording import escaping, folded, shown

_SOURCES = {True: "external", False: "identity-center"}


#: {}: objects, a place, and whose records it has.
_WITHOUT_RECORDS = (
    "Identity Center has objects that this tool manages ({}), and {} has no record of a run{}: nobody would know what "
    "is ours, for which IAM users memberships were made, and what can be undone. Nothing was touched: give the place "
    "where earlier runs left identity-center-runs/ as --records, one for the organization; or, if these records are "
    "lost, or mode: apply made the objects, give --new-records: what was assigned before then counts as others'"
)


@dataclass(frozen=True)
class Fleet:
    """The intents below ``output``, merged. ``intents``: without users. ``derivation``: with the proofs of ``desired``.

    ``records``: where runs leave their records, and find those of earlier ones; by default ``output``. ``begins``: a
    place without records is accepted although there are managed objects. ``unchecked``: settings of the intents that
    were not checked against a policy, in lines. ``trusted``: what others can write in ``output`` and ``records`` is
    believed. ``source_is_stated``: whoever runs this has said the identity source. ``only``: the accounts whose intents
    were chosen; None for all. ``accounts``: id -> name, as far as known. ``profile_names``: the template of the
    profiles in the files for people's ``~/.aws/config``; empty if none are written. ``deleted``: tells which IAM users
    this tool deleted; None if that was not read.
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
        """Raises IdentityCenterError if others can write what earlier runs left in ``records``."""
        if not self.trusted:
            run_records.check_writers(self.records)

    def without_records(self, center: Center) -> str:
        """What is wrong if Identity Center has managed objects of which no run left a record; empty if nothing is.

        Records of another instance say nothing about them. Takes a few calls only for a place without records of this
        one. Raises IdentityCenterError, ClientError and OSError.
        """
        own, others = center.instance, set[str]()
        for each in () if self.begins else recorded_instances(self.records):
            if each in (own.arn, own.identity_store_id):
                return ""
            others.add(each)
        found = [] if self.begins else CenterReader.of(center).managed()
        of_others = f" of instance {own.arn}, only of {shown(sorted(others))}" if others else ""
        return _WITHOUT_RECORDS.format(shown(found), self.records, of_others) if found else ""


@dataclass(frozen=True)
class TrustOptions:
    """What to believe of intents, and how to check the rest.

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
        check_complete(store, found, trust.policies_in, trust.max_age)
    # In place: what the intents say of users is dropped account by account, as it is checked and read again.
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
    places = [replace(each, users=(), source=PolicySource()) for each in intents]
    claims = () if trust.policy_settings or trust.trusted else intent_checks.unchecked_settings(places)
    only = None if trust.only is None else frozenset(trust.only)
    stated = identity_source is not None
    names = {account_id: name for name, account_id in (trust.accounts or {}).items()}
    return Fleet(store, store, places, desired, derivation, claims, trust.trusted, stated, only, names)


#: AWS makes a new credential report after four hours. The age of one that is older than this is said.
_SAID = timedelta(minutes=15)


def _oldest_report(intents: Sequence[Intents], now: datetime) -> list[str]:
    """The age of the oldest credential report, in a line: credentials that were disabled since still count."""
    times = [
        (user.credentials.as_of, each.account_id)
        for each in intents
        for user in each.users
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
    tags = frozenset[str]().union(*(each.naming_tags for each in authorities.values()))
    return {key: replace(each, other_tags=tags) for key, each in authorities.items()}


def provision(
    fleet: Fleet,
    center: Center,
    say: Callable[[str], None],
    options: ApplyOptions | None = None,
    choices: model.Choices | None = None,
    plan_options: plan_files.PlanOptions | None = None,
    quotas: model.CenterQuotas | None = None,
    read: ReadAccounts | None = None,
) -> list[str]:
    """Plan, and apply if ``options`` are given. Returns the failures, in words: see ``Report.failures``.

    ``choices``: which managed objects may be removed. ``plan_options``: the plan to write, or the reviewed plan to
    apply. ``read``: reads the IAM users of former memberships. A run that applies holds the run lock from planning on.

    Raises IdentityCenterError, ClientError and BotoCoreError only before the first change.
    """
    say, choices, plan_options = (
        escaping(say),
        choices or model.Choices(),
        plan_options or plan_files.PlanOptions(),
    )
    with exclusive(fleet.records, center.instance, center) if options else nullcontext():
        if why := fleet.without_records(center):
            raise IdentityCenterError(why)
        return _run(fleet, center, say, options, choices, plan_options, quotas, read)


def _run(
    fleet: Fleet,
    center: Center,
    say: Callable[[str], None],
    options: ApplyOptions | None,
    choices: model.Choices,
    plan_options: plan_files.PlanOptions,
    quotas: model.CenterQuotas | None,
    read: ReadAccounts | None,
) -> list[str]:
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
    run = _access_run(fleet, center, choices, quotas)
    report = _planned(fleet, center, run, choices, read if choices.former_days else None, bool(options))
    for line in reports.plan_lines(report.plan):
        say(line)
    if plan_options.out:
        notes = (*fleet.unchecked, *fleet.derivation.warnings, *fleet.derivation.scope_lines())
        digest = plan_files.write_plan(plan_options.out, report.plan, center.instance, choices, notes)
        say(
            f"Plan: {plan_options.out}. To read all of it: c7n-iamusers plan {plan_options.out}. To apply it: --plan "
            f"{plan_options.out} --plan-sha256 {digest}"
        )
    if plan_options.reviewed:
        plan_files.check_reviewed(plan_options.reviewed, reviewed, report.plan, created_so_far(fleet.records))
        options = replace(options, adopts=False) if options else None
    elif options:
        plan_files.refuse_unreviewed(report.plan)
    if path := reports.write_people_to_add(fleet.output, fleet.desired, report.plan.missing):
        say(f"For the owners of the identity provider: {path}")
    failures = _apply(fleet, center, run, report, say, options) if options else report.failures()
    return sorted({*failures, *_nobody_served(report, run.history)})


def _nobody_served(report: Report, history: History) -> Iterator[str]:
    """A sentence if all users are refused by decisions, of which none alone is a failure.

    A user in quarantine whose person has access by an earlier run has moved, and does not count.
    """
    given = {arn for arn, _ in history.users}
    refused = {each.subject.arn: each for each in report.plan.refused}
    decided = all(each.code in model.DECISIONS for each in refused.values())
    moved = {arn for arn, each in refused.items() if each.code == QUARANTINED and arn in given}
    served = {each.subject.arn for each in report.desired.claims} - refused.keys()
    if decided and refused.keys() > moved and not served:
        codes = Counter(each.code for each in refused.values())
        yield (
            f"all {len(refused)} IAM users of this run are refused, and nobody gets access "
            f"({', '.join(f'{count} {code}' for code, count in sorted(codes.items()))}): "
            f"{shown(sorted(each.reason.text for each in refused.values()))}"
        )


def _access_run(
    fleet: Fleet,
    center: Center,
    choices: model.Choices | None = None,
    quotas: model.CenterQuotas | None = None,
) -> AccessRun:
    """What plans, audits and exports alike, on the same evidence. Raises as ``Fleet.check_runs``."""
    fleet.check_runs()
    evidence = Evidence(
        fleet.derivation.proofs,
        read_history(fleet.records, center.instance),
        quotas or model.CenterQuotas(),
        only=fleet.only,
        source_is_stated=fleet.source_is_stated,
    )
    return AccessRun(center, fleet.desired, evidence, choices)


def _planned(
    fleet: Fleet,
    center: Center,
    run: AccessRun,
    choices: model.Choices,
    read: ReadAccounts | None,
    applies: bool,
) -> Report:
    """The plan, with the removals of former memberships that ``choices`` allow. Raises as ``plan``; OSError."""
    if not choices.former_days:
        report = run.plan()
        if applies:
            present = present_members(report.desired, report.plan.refused, run.membership_users)
            end_times(fleet.records, center.instance, present)
        return report
    report = run.plan(_emptied(fleet, run.history, read))
    found = _former_members(fleet, center, run, report.plan.unexpected_members, read)
    if applies:
        found.record(fleet.records, center.instance)
    return run.plan_without(found.expired(choices.former_days))


def _refuse_unchecked(fleet: Fleet, say: Callable[[str], None], unreviewed: bool) -> None:
    """Report unchecked settings. Raises IdentityCenterError if they would be applied ``unreviewed``."""
    for line in fleet.unchecked:
        say(line)
    if fleet.unchecked and unreviewed:
        raise IdentityCenterError(
            "the settings of intents were not checked against a policy, and anyone who can write there can change "
            "them: give the policy files that c7n-org ran as -u, with -c accounts.yml. Or review a plan (--dry-run "
            "--plan-out FILE) and apply it by --plan; or, if you trust everyone who can write there, give "
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
    places = {each.place for each in fleet.intents}
    run_records.check_account_results(fleet.output, places)
    report, result = run_records.apply_and_record(run, report, center, fleet.records, options)
    if result is None:
        say("Nothing to do.")
    else:
        calls = sum(ended.calls for ended in report.ended.values())
        say(f"Done: {calls} calls. To undo: --undo {result[0]} --result-sha256 {result[1]}")
    run_records.write_account_results(fleet.output, places, report)
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


def _notes(fleet: Fleet) -> list[str]:
    """What a reader must know of the intents, in lines."""
    derivation = fleet.derivation
    hints = reports.hint_lines(fleet.desired)
    return [*fleet.unchecked, *derivation.warnings, *derivation.scope_lines(), *hints]


def export(
    fleet: Fleet,
    directory: Path,
    say: Callable[[str], None],
    center: Center | None = None,
    prune: bool = False,
    quotas: model.CenterQuotas | None = None,
) -> list[str]:
    """Write the requested access as Terraform configuration. Returns the failures, as ``provision`` does for a plan.

    ``center``: to look up what exists, and to check the plan by it; None to call nobody. Only users are then checked
    that can be without it. ``prune``: see ``write_terraform``.

    Raises IdentityCenterError if the plan can't be applied, or the directory not be written, and nothing is written;
    ClientError and BotoCoreError.
    """
    say = escaping(say)
    for line in _notes(fleet):
        say(line)
    report, existing = Report(fleet.desired, model.AccessPlan(refused=fleet.desired.refused)), None
    history = History()
    if center:
        run = _access_run(fleet, center, quotas=quotas)
        history = run.history
        report, existing = run.existing(Ours.of(created_so_far(fleet.records), exported_policies(directory)))
        for line in (*reports.side_effect_lines(report.plan), *reports.total_lines(report.plan)):
            say(line)
        run_records.check_applicable(report)
    try:
        lines = list(write_terraform(directory, report.desired, existing, prune))
    except OSError as error:
        raise IdentityCenterError(
            f"the Terraform configuration can't be written to {directory}: {error}: give a directory that you can write"
        ) from error
    for line in lines:
        say(line)
    return sorted({*report.failures(), *_nobody_served(report, history)})


def audit(
    fleet: Fleet, center: Center, say: Callable[[str], None], read: ReadAccounts | None = None
) -> list[str]:
    """Report all access of people in the accounts of the intents, and in accounts with managed permission sets.

    Returns the findings, in sentences: people with more access than their IAM users; managed access that is not
    requested; requested access that does not exist, or has other content; people who could not be compared; settings of
    intents that were not checked against a policy. Changes nothing. Takes one call per account, one per permission set
    in an account, and a few per group and permission set.

    ``read``: reads accounts that have managed access and no intents, to find out whether IAM users of earlier runs are
    left, and those of former memberships. Since when these are deleted is recorded in the output. Raises
    IdentityCenterError, ClientError and BotoCoreError.
    """
    say = escaping(say)
    for line in _notes(fleet):
        say(line)
    unchecked = [" ".join(each.removeprefix("  ! ").split()) for each in fleet.unchecked]
    unrecorded = [each] if (each := fleet.without_records(center)) else []
    run = _access_run(fleet, center)
    found = run.read_for_audit(_emptied(fleet, run.history, read))
    membership_users = run.membership_users
    report, state = found.report, found.state
    rows = list(_lines(report, state, found.managed_sets))
    members = report.plan.unexpected_members
    unexpected_members = sorted(_member_line(each) for each in members if not each.is_former)
    elsewhere = sorted(_assigned_elsewhere(each, found.set_names) for each in found.elsewhere)
    deviations = [
        *_not_as_requested(report, state),
        *_not_provisioned(report.plan),
        *_left_behind(found),
    ]
    replaced = {
        arn
        for each in report.plan.unexpected_members
        if each.is_former
        for arn in membership_users.get((each.group, folded(each.username)), ())
    }
    refused = [
        each.reason.text
        for each in report.plan.refused
        # The person of a quarantined user has the access that an earlier run gave.
        if not (each.code == QUARANTINED and each.subject.arn in replaced)
    ]
    no_users = [] if fleet.desired.claims else [_NO_USERS]
    for sign, line, _ in rows:
        say(f"  {sign} {line}")
    for line in _former_lines(fleet, center, run, members, read):
        say(line)
    for line in (*unrecorded, *unexpected_members, *elsewhere, *deviations, *refused, *no_users):
        say(f"  ! {line}")
    wider = sum(total is not None and total.verdict in UNPROVEN for _, _, total in rows)
    say(
        f"Audit: {len(state.current.holders)} accounts, {len(rows)} people and accounts; {wider} wider or undecided, "
        f"{sum(total is None for _, _, total in rows)} not among the intents, {len(unexpected_members)} unexpected "
        f"members of managed groups, {len(deviations)} deviations from the requested access, {len(refused)} users "
        "refused."
    )
    return [
        *unchecked,
        *unrecorded,
        *(line for sign, line, _ in rows if sign == "!"),
        *unexpected_members,
        *elsewhere,
        *deviations,
        *refused,
        *no_users,
    ]


def _emptied(
    fleet: Fleet, history: History, read: ReadAccounts | None
) -> Callable[[Collection[str]], frozenset[str]]:
    """Which accounts are ``emptied``, see Evidence."""
    refused_in = {each.subject.account_id for each in fleet.desired.refused}
    empty = frozenset(each.account_id for each in fleet.intents) - refused_in

    def emptied(accounts: Collection[str]) -> frozenset[str]:
        return empty.intersection(accounts) | emptied_accounts(set(accounts) - empty, history.users, read)

    return emptied


def _former_members(
    fleet: Fleet,
    center: Center,
    run: AccessRun,
    members: Sequence[model.UnexpectedMember],
    read: ReadAccounts | None,
) -> FormerMembers:
    return FormerMembers.read(
        fleet.records,
        center.instance,
        members,
        run.membership_users,
        read,
        run.reviewed_groups,
        fleet.deleted,
    )


def _former_lines(
    fleet: Fleet,
    center: Center,
    run: AccessRun,
    members: Sequence[model.UnexpectedMember],
    read: ReadAccounts | None,
) -> Iterator[str]:
    """The former members, those whose IAM users are deleted for the longest time first. Records their ages."""
    ages = _former_members(fleet, center, run, members, read)
    for each in sorted(members, key=lambda each: (ages.moment(each), _member_line(each))):
        if each.is_former:
            yield f"  = {_member_line(each)}{ages.age(each)}"
    if fleet.deleted is None and any(each.is_former for each in members):
        yield "  ? since when IAM users are deleted is not recorded: this tool may have deleted them: give --deletions"
    try:
        ages.record(fleet.records, center.instance)
    except OSError as error:
        yield f"  ? since when IAM users are deleted can't be recorded: {error}"


def _member_line(each: model.UnexpectedMember) -> str:
    return f"{each.username} in group {each.group} (account {shown(each.accounts)}): {each.reason.text}"


_NO_USERS = (
    "nothing was compared, as the intents have no users: check that the policies find the IAM users, and give the "
    "output of all policies"
)


def _lines(
    report: Report, state: model.CenterState, managed_sets: Collection[str]
) -> Iterator[tuple[str, str, model.TotalAccess | None]]:
    """A sign, a line and the total for each person and account; None for people without intents in the account.

    The sign is ! for a finding. ``managed_sets``: ARNs. Access only by memberships that an earlier run made for IAM
    users without intents is no finding, as this is the normal end of a migration.
    """
    former = {
        (each.username, f"group {each.group}") for each in report.plan.unexpected_members if each.is_former
    }
    ids = {known.user_id: key for key, known in report.plan.known_people.items()}
    totals = {(each.person, each.account_id): each for each in report.plan.totals}
    claimed = {(each.person, each.grant.account_id) for each in report.desired.claims}
    seen = set()
    for account, user_id, held in held_by_people(state.current):
        key = ids.get(user_id)
        total = totals.get((key, account)) if key else None
        username = state.current.usernames.get(user_id, f"user id {user_id}")
        if key and total:
            seen.add((key, account))
            yield "!" if total.verdict in UNPROVEN else "=", reports.in_words(total, username), total
            continue
        is_managed = any(
            (each.managed or each.arn in managed_sets) and (username, each.through) not in former
            for each in held
        )
        why = "no IAM user there is this person's" if key else "there are no intents of this person"
        why = "could not be compared" if (key, account) in claimed else why
        holdings = "; ".join(_holding(each) for each in held)
        yield (
            "!" if key or is_managed else "?",
            f"{username} in account {account}: {why}: holds {holdings}",
            None,
        )
    for total in report.plan.totals:
        # Of groups that are assigned in accounts that were not read.
        if total.beyond and (total.person, total.account_id) not in seen:
            sign = "!" if total.verdict in UNPROVEN else "="
            yield sign, reports.in_words(total, report.plan.known_people[total.person].username), total


def _left_behind(found: AuditData) -> Iterator[str]:
    """What runs assigned to shared groups and nobody requests, and managed groups without members."""
    stale = found.report.plan.stale
    ending = {change.calls[0].parameters["GroupId"] for change in stale if change.kind == model.GROUP}
    for change in stale:
        if change.kind == model.ASSIGNMENT and change.calls[0].parameters["PrincipalId"] not in ending:
            then = f"it stays: {change.rests_on}" if change.rests_on else "run provision --prune"
            yield f"assignment {change.name}, which a run made, is not requested any more: {then}"
    for group in sorted(found.empty, key=lambda each: each.name):
        accounts = shown(sorted({each.account_id for each in group.assignments}))
        given = f", and whoever joins it gets access to account {accounts}" if accounts else ""
        yield (
            f"group {group.name}, which is managed, is not requested and has no members{given}: run provision --prune, "
            "with --prune-former where no IAM user of ours is left in the account"
        )


def _not_as_requested(report: Report, state: model.CenterState) -> Iterator[str]:
    """Managed permission sets whose content, or whose content in an account, is not the requested one."""
    updated = {change.name for change in report.plan.changes if change.action == model.UPDATE}
    sets = {**{each.settings.name: each for each in state.current.sets.values()}, **state.permission_sets}
    for name, known in sorted(sets.items()):
        differences = (
            list(changed(known.settings, report.desired.permission_sets[name])) if name in updated else []
        )
        if known.settings.is_managed and known.stale:
            accounts = shown(sorted(known.stale))
            differences.append(f"account {accounts} has an earlier form, which can't be read: provision it")
        if differences:
            yield (
                f"permission set {name} is not as requested, and provision would change it: "
                f"{shown(differences)}: find out who changed it"
            )


def _not_provisioned(plan: model.AccessPlan) -> Iterator[str]:
    """Requested access that does not exist."""
    for kind in model.KINDS:
        names = [
            change.name
            for change in plan.changes
            if change.kind == kind and change.action in (model.CREATE, model.ASSIGN, model.AWAIT)
        ]
        if names:
            yield f"{len(names)} requested {kind}(s) don't exist: {shown(names)}: run provision"
    yield from (each.reason.text for each in plan.missing)


def _assigned_elsewhere(group: model.KnownGroup, names: Mapping[str, str]) -> str:
    """``names``: of permission sets, by ARN."""
    given = shown(
        [
            f"{names.get(each.permission_set_arn, each.permission_set_arn)} in account {each.account_id}"
            for each in sorted(group.assignments)
        ]
    )
    return (
        f"group {group.name}, which is managed, has {given}, where no other access is managed: find out who "
        "assigned it"
    )


def _holding(held: Held) -> str:
    return f"{held.set_name} through {held.through}{' (managed)' if held.managed else ''}"
