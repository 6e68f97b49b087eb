# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision audit``: which access of people is a finding, by what the intents request, and its words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center import access_plan, model
from c7n_iamusers.identity_center.access_derivation import QUARANTINED
from c7n_iamusers.identity_center.applying.access_run import AccessRun
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.fleet import Fleet
from c7n_iamusers.identity_center.output import reports
from c7n_iamusers.identity_center.output.run_report import AuditData, Report
from c7n_iamusers.identity_center.output.terraform_ownership import EXPORTED_TAG
from c7n_iamusers.identity_center.planning.access_review import HeldSet, held_by_people
from c7n_iamusers.identity_center.planning.permission_sets import differs
from c7n_iamusers.identity_center.planning.replacements import RunHistory
from c7n_iamusers.identity_center.planning.set_contents import changed
from c7n_iamusers.identity_center.requests.member_accounts import ReadAccounts
from c7n_iamusers.policy_comparison.comparison import UNPROVEN
from c7n_iamusers.text.wording import escaping, folded, shown


def audit(
    fleet: Fleet, center: Center, say: Callable[[str], None], read: ReadAccounts | None = None
) -> list[str]:
    """Report all access of people in the accounts of the intents, and in accounts with managed permission sets.

    Returns the findings, in sentences: people with more access than their IAM users; managed access without a request;
    requested access that does not exist, or has other content; people who could not be compared; settings of intents
    that were not checked against a policy. Changes nothing. Takes one call per account, one per permission set in an
    account, and a few per group and permission set.

    ``read``: reads accounts that have managed access and no intents, to find IAM users of earlier runs and of former
    memberships. The output records since when the latter are deleted. Raises IdentityCenterError, ClientError and
    BotoCoreError.
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
    rows = list(_lines(report, state, found.managed_sets, run.history))
    members = report.plan.unexpected_members
    unexpected_members = sorted(_member_line(member) for member in members if not member.is_former)
    elsewhere = sorted(_assigned_elsewhere(each, found.set_names) for each in found.elsewhere)
    deviations = [
        *_not_as_requested(report, state, run.history),
        *_not_provisioned(report.plan),
        *_left_behind(found),
        *report.plan.leftovers,
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
    """The former members; those whose IAM users were deleted first come first. Records their ages."""
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
    report: Report, state: model.CenterState, managed_sets: Collection[str], history: RunHistory
) -> Iterator[tuple[str, str, access_plan.TotalAccess | None]]:
    """A sign, a line and the total for each person and account; None for people without intents in the account.

    The sign is ! for a finding. ``managed_sets``: ARNs. Access by memberships that runs made for IAM users without
    intents is no finding: that is the normal end of a migration. Others' assignments to these groups are.
    """
    former = {
        (member.username, f"group {member.group}")
        for member in report.plan.unexpected_members
        if member.is_former
    }
    made, groups = history.assignments or frozenset(), state.current.groups
    managed_groups = {group_id for group_id, group in groups.items() if group.is_managed}
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
        of_others = [
            one
            for one in held
            if (username, one.through) not in former
            or (one.group_id, model.Assignment(account, one.arn)) not in made
        ]
        is_managed = any(
            one.managed
            or one.arn in managed_sets
            or (one.group_id in managed_groups and (username, one.through) in former)
            for one in of_others
        )
        why = "no IAM user there is this person's" if key else "nothing is requested for this person"
        why = "could not be compared" if (key, account) in claimed else why
        holdings = "; ".join(_holding(each) for each in held)
        yield (
            "!" if is_managed or (key and (of_others or (key, account) in claimed)) else "?",
            f"{username} in account {account}: {why}: holds {holdings}",
            None,
        )
    for total in report.plan.totals:
        # Of groups that are assigned in accounts that were not read.
        if total.beyond and (total.person, total.account_id) not in seen:
            sign = "!" if total.verdict in UNPROVEN else "="
            yield sign, reports.in_words(total, report.plan.known_people[total.person].username), total


def _left_behind(found: AuditData) -> Iterator[str]:
    """Runs' assignments to shared groups that nobody requests, and managed groups without members."""
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


def _not_as_requested(report: Report, state: model.CenterState, history: RunHistory) -> Iterator[str]:
    """Managed permission sets with other content than requested, in themselves or in an account.

    Sets that now serve nobody are compared with what runs requested. So are sets that runs assigned and that have lost
    the tag, unless Terraform owns them now.
    """
    made = {assignment.permission_set_arn for _, assignment in history.made}
    corrected = (access_plan.UPDATE, access_plan.PROVISION)
    updated = {change.identifier for change in report.plan.changes if change.action in corrected}
    sets = {**{each.settings.name: each for each in state.current.sets.values()}, **state.permission_sets}
    for name, known in sorted(sets.items()):
        requested = report.desired.permission_sets.get(name)
        if requested and known.arn in updated:
            yield _updated(known, requested)
        elif known.settings.is_managed or (
            known.arn in made and EXPORTED_TAG not in known.settings.tags.items()
        ):
            yield from _as_it_is(known, [*history.sets.get(name, ()), *([requested] if requested else ())])


def _earlier_form(known: model.KnownPermissionSet) -> str:
    """The finding that accounts have an earlier form of the permission set; empty if none has."""
    accounts = shown(sorted(known.stale))
    return f"account {accounts} has an earlier form, which can't be read" if known.stale else ""


_WHO_LEFT = "find out which run failed there, or which undo left it (lines `! kept`)"


def _updated(known: model.KnownPermissionSet, requested: PermissionSet) -> str:
    """What provision would change in a permission set, because it is not as requested."""
    differences, earlier_form = list(changed(known.settings, requested)), _earlier_form(known)
    if earlier_form:
        # Provisioned before it is corrected, it would give people what others have put into it.
        differences.append(
            earlier_form if differences else f"{earlier_form}: provision plan says who would get it"
        )
    # A run that failed there, or an undo, can also leave an earlier form.
    origin = f"{_WHO_LEFT}, or who changed it" if earlier_form else "find out who changed it"
    return (
        f"permission set {requested.name} is not as requested, and provision would change it: {shown(differences)}: "
        f"{origin}"
    )


def _as_it_is(known: model.KnownPermissionSet, forms: Sequence[PermissionSet]) -> Iterator[str]:
    """The faults of a managed permission set that provision leaves unchanged. ``forms``: the accepted ones."""
    name, earlier_form, differences = known.settings.name, _earlier_form(known), list[str]()
    if forms and all(differs(form, known.settings) for form in forms):
        differences += changed(replace(known.settings, tags=forms[0].tags), forms[0])
    if known.accounts and not forms:
        yield (
            f"permission set {name}, which is managed, is in account {shown(sorted(known.accounts))}, and no run with "
            "records here requested it, so what it allows could not be compared: find out who made it"
        )
    elif differences:
        stale = f" {earlier_form}; don't provision it before that." if earlier_form else ""
        yield (
            f"permission set {name} is not as requested by the last run that gave access by it, and provision does "
            "not change it, because it now serves nobody with it. To make it as requested: "
            f"{shown(differences)}.{stale} Find out who changed it, and change it back"
        )
    elif earlier_form:
        yield (
            f"permission set {name} is not as requested: {earlier_form}: {_WHO_LEFT}, or who changed the permission "
            "set; a run that requests it there, and whose plan says who gets what, provisions it, or remove its "
            "assignments there"
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


def _holding(held: HeldSet) -> str:
    return f"{held.set_name} through {held.through}{' (managed)' if held.managed else ''}"
