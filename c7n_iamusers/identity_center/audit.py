# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision audit``: all access of people, compared with what the intents request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.access_derivation import QUARANTINED
from c7n_iamusers.identity_center.applying.access_run import AccessRun
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.fleet import Fleet
from c7n_iamusers.identity_center.output import reports
from c7n_iamusers.identity_center.output.run_report import AuditData, Report
from c7n_iamusers.identity_center.planning.access_review import Held, held_by_people
from c7n_iamusers.identity_center.planning.changeset import changed
from c7n_iamusers.identity_center.requests.member_accounts import ReadAccounts
from c7n_iamusers.policy_comparison.comparison import UNPROVEN
from c7n_iamusers.text.wording import escaping, folded, shown


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
    for line in fleet.notes():
        say(line)
    unchecked = [" ".join(each.removeprefix("  ! ").split()) for each in fleet.unchecked]
    unrecorded = [each] if (each := fleet.without_records(center)) else []
    run = fleet.access_run(center)
    found = run.read_for_audit(fleet.emptied(run.history, read))
    membership_users = run.membership_users
    report, state = found.report, found.state
    rows = list(_lines(report, state, found.managed_sets))
    members = report.plan.unexpected_members
    unexpected_members = sorted(_member_line(member) for member in members if not member.is_former)
    elsewhere = sorted(_assigned_elsewhere(each, found.set_names) for each in found.elsewhere)
    deviations = [
        *_not_as_requested(report, state),
        *_not_provisioned(report.plan),
        *_left_behind(found),
    ]
    replaced = {
        arn
        for member in report.plan.unexpected_members
        if member.is_former
        for arn in membership_users.get((member.group, folded(member.username)), ())
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


def _former_lines(
    fleet: Fleet,
    center: Center,
    run: AccessRun,
    members: Sequence[access_plan.UnexpectedMember],
    read: ReadAccounts | None,
) -> Iterator[str]:
    """The former members, those whose IAM users are deleted for the longest time first. Records their ages."""
    ages = fleet.former_members(center, run, members, read)
    for member in sorted(members, key=lambda each: (ages.moment(each), _member_line(each))):
        if member.is_former:
            yield f"  = {_member_line(member)}{ages.age(member)}"
    if fleet.deleted is None and any(member.is_former for member in members):
        yield "  ? since when IAM users are deleted is not recorded: this tool may have deleted them: give --deletions"
    try:
        ages.record(fleet.records, center.instance)
    except OSError as error:
        yield f"  ? since when IAM users are deleted can't be recorded: {error}"


def _member_line(each: access_plan.UnexpectedMember) -> str:
    return f"{each.username} in group {each.group} (account {shown(each.accounts)}): {each.reason.text}"


_NO_USERS = (
    "nothing was compared, as the intents have no users: check that the policies find the IAM users, and give the "
    "output of all policies"
)


def _lines(
    report: Report, state: model.CenterState, managed_sets: Collection[str]
) -> Iterator[tuple[str, str, access_plan.TotalAccess | None]]:
    """A sign, a line and the total for each person and account; None for people without intents in the account.

    The sign is ! for a finding. ``managed_sets``: ARNs. Access only by memberships that an earlier run made for IAM
    users without intents is no finding, as this is the normal end of a migration.
    """
    former = {
        (member.username, f"group {member.group}")
        for member in report.plan.unexpected_members
        if member.is_former
    }
    ids = {known.user_id: key for key, known in report.plan.known_people.items()}
    totals = {(each.person, each.account_id): each for each in report.plan.totals}
    claimed = {(claim.person, claim.grant.account_id) for claim in report.desired.claims}
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
            then = f"it stays: {change.rests_on}" if change.rests_on else "run provision prune --unrequested"
            yield f"assignment {change.name}, which a run made, is not requested any more: {then}"
    for group in sorted(found.empty, key=lambda each: each.name):
        accounts = shown(sorted({each.account_id for each in group.assignments}))
        given = f", and whoever joins it gets access to account {accounts}" if accounts else ""
        yield (
            f"group {group.name}, which is managed, is not requested and has no members{given}: run provision prune "
            "--unrequested, with --former DAYS where no IAM user of ours is left in the account"
        )


def _not_as_requested(report: Report, state: model.CenterState) -> Iterator[str]:
    """Managed permission sets whose content, or whose content in an account, is not the requested one."""
    updated = {change.name for change in report.plan.changes if change.action == access_plan.UPDATE}
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


def _not_provisioned(plan: access_plan.AccessPlan) -> Iterator[str]:
    """Requested access that does not exist."""
    for kind in model.KINDS:
        names = [
            change.name
            for change in plan.changes
            if change.kind == kind
            and change.action in (access_plan.CREATE, access_plan.ASSIGN, access_plan.AWAIT)
        ]
        if names:
            yield f"{len(names)} requested {kind}(s) don't exist: {shown(names)}: run provision apply"
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
