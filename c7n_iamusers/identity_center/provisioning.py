# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers provision``: the intents of a fleet, planned, applied or audited."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.outcomes import FAILED
from c7n_iamusers.execution.stores import Store, as_store
from c7n_iamusers.iam.accounts import PolicySource
from c7n_iamusers.identity_center.access_run import AccessRun, Report
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.claimed_people import PeopleAuthority
from c7n_iamusers.identity_center.claimed_settings import Asked, check_settings, unchecked
from c7n_iamusers.identity_center.confirming import Reading, confirmed
from c7n_iamusers.identity_center.deriving import Deriving
from c7n_iamusers.identity_center.desired import desired_access
from c7n_iamusers.identity_center.intent_files import MAX_AGE, read_intents
from c7n_iamusers.identity_center.intents import Intents
from c7n_iamusers.identity_center.model import (
    CenterQuotas,
    CenterState,
    Choices,
    DesiredAccess,
    KnownGroup,
    Total,
)
from c7n_iamusers.identity_center.plan import Evidence
from c7n_iamusers.identity_center.plan_files import (
    Papers,
    check_reviewed,
    read_plan,
    refuse_unreviewed,
    write_plan,
)
from c7n_iamusers.identity_center.reports import (
    MIGRATION,
    in_words,
    plan_lines,
    write_derivation_report,
    write_people_to_add,
)
from c7n_iamusers.identity_center.run_lock import exclusive
from c7n_iamusers.identity_center.run_records import (
    apply_and_record,
    created_so_far,
    memberships_made,
    write_account_results,
)
from c7n_iamusers.identity_center.totals import FORMER, Held, held_by_people
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.policy_comparison.proof import UNPROVEN
from c7n_iamusers.text.wording import escaping, shown

_SOURCES = {True: "external", False: "identity-center"}


@dataclass(frozen=True)
class Fleet:
    """The intents below ``output``, merged. ``intents``: less their users; ``deriving``: what was derived for it.

    ``unchecked``: lines on what they ask for that no policy was held against.
    """

    output: Store
    intents: Sequence[Intents]
    desired: DesiredAccess
    deriving: Deriving = field(default_factory=Deriving)
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Belief:
    """What of intents to believe. ``max_age``: how old they may be. ``accounts``: account's name -> id, where known.

    ``read``: reads accounts again, so that users and policies are those of now. ``trusted``: who can't be read is
    taken at the intents' word. ``authority``: who people are, in place of what intents say. ``asked``: what the policy
    of intents asks for in their account; None where nobody gave the policies.
    """

    max_age: timedelta = MAX_AGE
    accounts: Mapping[str, str] | None = None
    read: Reading | None = None
    trusted: bool = False
    authority: PeopleAuthority = field(default_factory=PeopleAuthority)
    asked: Callable[[Intents], Asked] | None = None


def read_fleet(
    output: Path | Store,
    identity_source: str | None = None,
    belief: Belief | None = None,
    deriving: Deriving | None = None,
) -> Fleet:
    """The fleet of an output: a directory, or a bucket's prefix. ``identity_source``: what the caller expects.

    Raises IdentityCenterError where intents are missing, unreadable, too old, of another identity source, or claim
    what they can't; ClientError and BotoCoreError where nobody can tell who asks.
    """
    belief, deriving, store = belief or Belief(), deriving or Deriving(), as_store(output)
    found = read_intents(store, belief.max_age, belief.accounts, trusted=belief.trusted)
    authorities = _authorities(found, belief)
    claimed = [authorities[each.account_id, each.policy].checked(each) for each in found]
    intents = confirmed(
        claimed, belief.read, belief.trusted, lambda each: authorities[each.account_id, each.policy]
    )
    desired = desired_access(intents, deriving)
    source = _SOURCES[desired.external]
    if identity_source not in (None, source):
        raise IdentityCenterError(
            f"the policies say identity-source: {source}, not {identity_source}: correct the one that is wrong"
        )
    # What users may do is in what was derived; the texts that it came from are most of a large fleet's memory.
    places = [replace(each, users=(), source=PolicySource()) for each in intents]
    claims = () if belief.asked or belief.trusted else unchecked(places)
    return Fleet(store, places, desired, deriving, claims)


def _authorities(found: Sequence[Intents], belief: Belief) -> Mapping[tuple[str, str], PeopleAuthority]:
    """Account and policy -> what is believed of people. Raises IdentityCenterError where settings differ."""
    given = replace(belief.authority, trusted=belief.trusted)
    authorities = {}
    for each in found:
        asked = belief.asked(each) if belief.asked else None
        if asked:
            check_settings(each, asked)
        authorities[each.account_id, each.policy] = given.completed(asked.authority) if asked else given
    return authorities


def provision(
    fleet: Fleet,
    center: Center,
    say: Callable[[str], None],
    options: ApplyOptions | None = None,
    choices: Choices | None = None,
    papers: Papers | None = None,
    quotas: CenterQuotas | None = None,
) -> list[str]:
    """Plan, and apply if ``options`` are given; the failures, in words.

    ``choices``: what of ours that nobody asks for any more may go. ``papers``: the plan to write, or the reviewed one
    that is to be applied. What is applied is planned while no other run of ours writes.

    Raises IdentityCenterError, ClientError and BotoCoreError only before anything is touched.
    """
    told, chosen, given = escaping(say), choices or Choices(), papers or Papers()
    with exclusive(fleet.output, center.instance) if options else nullcontext():
        return _run(fleet, center, told, options, chosen, given, quotas or CenterQuotas())


def _run(
    fleet: Fleet,
    center: Center,
    say: Callable[[str], None],
    options: ApplyOptions | None,
    choices: Choices,
    papers: Papers,
    quotas: CenterQuotas,
) -> list[str]:
    _refuse_claims(fleet, say, bool(options and not papers.reviewed))
    for line in (
        *fleet.deriving.warnings,
        *write_derivation_report(fleet.output, fleet.deriving.derivations),
    ):
        say(line)
    # What follows needs the proofs alone.
    fleet.deriving.derivations.clear()
    reviewed = read_plan(papers.reviewed, papers.digest, center.instance, choices) if papers.reviewed else {}
    made_for = memberships_made(fleet.output, center.instance)
    evidence = Evidence(fleet.deriving.proofs, made_for, quotas)
    run = AccessRun(center, fleet.desired, evidence, choices)
    report = run.plan()
    if choices.migrate:
        say(MIGRATION)
    for line in plan_lines(report.plan):
        say(line)
    if papers.out:
        notes = (*fleet.unchecked, *fleet.deriving.warnings)
        digest = write_plan(papers.out, report.plan, center.instance, choices, notes)
        say(
            f"Plan: {papers.out}. To read it whole: c7n-iamusers plan {papers.out}. To apply it: --plan {papers.out} "
            f"--plan-sha256 {digest}"
        )
    if papers.reviewed:
        check_reviewed(papers.reviewed, reviewed, report.plan, created_so_far(fleet.output))
        options = replace(options, adopts=False) if options else None
    elif options:
        refuse_unreviewed(report.plan)
    if path := write_people_to_add(fleet.output, fleet.desired, report.plan.missing):
        say(f"For the owners of the identity provider: {path}")
    return _apply(fleet, center, run, report, say, options) if options else []


def _refuse_claims(fleet: Fleet, say: Callable[[str], None], unreviewed: bool) -> None:
    """Says what no policy was held against. Raises IdentityCenterError where that would be applied ``unreviewed``."""
    for line in fleet.unchecked:
        say(line)
    if fleet.unchecked and unreviewed:
        raise IdentityCenterError(
            "what intents ask for is a claim of whoever can write there, and no policy was held against it: give the "
            "files that c7n-org ran by -u, with -c accounts.yml. Or review a plan (--dry-run --plan-out FILE) and "
            "apply that by --plan; or, where you trust whoever wrote the intents, give --trust-intents"
        )


def _apply(
    fleet: Fleet,
    center: Center,
    run: AccessRun,
    report: Report,
    say: Callable[[str], None],
    options: ApplyOptions,
) -> list[str]:
    report, result = apply_and_record(run, report, center, fleet.output, options)
    write_account_results(fleet.output, {each.place for each in fleet.intents}, report)
    if result is None:
        say("Nothing to do.")
    else:
        say(f"Done: {sum(ended.calls for ended in report.ended.values())} calls. To undo: --undo {result}")
    failed = {outcome.reason for _, outcome in report.outcomes() if outcome.status == FAILED}
    return sorted(failed.union(report.strangers))


def audit(fleet: Fleet, center: Center, say: Callable[[str], None]) -> list[str]:
    """Say what each person holds in each account of the intents, and in each that has a set of ours.

    What is returned are the findings, in sentences: who holds more than their IAM users could do; who holds
    anything of ours, or is in a group of ours, without being asked for; who could not be compared, or that nobody was.

    Nothing is changed. It takes a call an account, one a permission set in it, and some a group and a set. Raises
    IdentityCenterError, ClientError and BotoCoreError.
    """
    say = escaping(say)
    for line in fleet.deriving.warnings:
        say(line)
    made_for = memberships_made(fleet.output, center.instance)
    run = AccessRun(center, fleet.desired, Evidence(fleet.deriving.proofs, made_for))
    found = run.look_at_everybody()
    report, state = found.report, found.state
    rows = list(_lines(report, state, found.ours))
    strangers, former = (
        sorted(
            f"{each.username} in group {each.group} (account {shown(each.accounts)}): {each.reason}"
            for each in report.plan.strangers
            if (each.reason == FORMER) == made
        )
        for made in (False, True)
    )
    elsewhere = sorted(_given(each) for each in found.elsewhere)
    refused = [each.reason for each in report.plan.refused]
    nobody = [] if fleet.desired.claims else [_NOBODY]
    for sign, line, _ in rows:
        say(f"  {sign} {line}")
    for line in former:
        say(f"  = {line}")
    for line in (*strangers, *elsewhere, *refused, *nobody):
        say(f"  ! {line}")
    wider = sum(total is not None and total.verdict in UNPROVEN for _, _, total in rows)
    say(
        f"Audit: {len(state.standing.holders)} accounts, {len(rows)} people and accounts; {wider} wider or undecided, "
        f"{sum(total is None for _, _, total in rows)} not among the intents, {len(strangers)} in groups of ours "
        f"unasked, {len(refused)} users refused."
    )
    return [*(line for sign, line, _ in rows if sign == "!"), *strangers, *elsewhere, *refused, *nobody]


_NOBODY = (
    "nothing was compared, as the intents name nobody: see that the policies that left them find the IAM users, and "
    "give the output of all of them"
)


def _lines(
    report: Report, state: CenterState, ours: Collection[str]
) -> Iterator[tuple[str, str, Total | None]]:
    """For each person and account a sign, a line and the total; that is None where there are no intents of it.

    The sign is ! for a finding. ``ours``: ARNs of permission sets. What people hold only by memberships that a run of
    ours made for IAM users without intents is none: so ends each migration.
    """
    former = {
        (each.username, f"group {each.group}") for each in report.plan.strangers if each.reason == FORMER
    }
    ids = {known.user_id: key for key, known in report.plan.known_people.items()}
    totals = {(each.person, each.account_id): each for each in report.plan.totals}
    claimed = {(each.person, each.grant.account_id) for each in report.desired.claims}
    for account, user_id, held in held_by_people(state.standing):
        key = ids.get(user_id)
        total = totals.get((key, account)) if key else None
        username = state.standing.usernames.get(user_id, f"user id {user_id}")
        if total:
            yield "!" if total.verdict in UNPROVEN else "=", in_words(total, username), total
            continue
        of_ours = any(
            (each.ours or each.arn in ours) and (username, each.through) not in former for each in held
        )
        why = "no IAM user there is theirs" if key else "no intents are of it"
        why = "could not be compared" if (key, account) in claimed else why
        told = "; ".join(_holding(each) for each in held)
        yield "!" if key or of_ours else "?", f"{username} in account {account}: {why}: holds {told}", None


def _given(group: KnownGroup) -> str:
    given = shown(
        [f"{each.permission_set_arn} in account {each.account_id}" for each in sorted(group.assignments)]
    )
    return f"group {group.name}, which is ours, has {given}, where nothing else is ours: find out who assigned it"


def _holding(held: Held) -> str:
    return f"{held.set_name} through {held.through}{' (ours)' if held.ours else ''}"
