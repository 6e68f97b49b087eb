# SPDX-License-Identifier: Apache-2.0
"""A fleet's intents, planned and applied: what the command ``c7n-iamusers provision`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from c7n_iamusers.aws.stores import Store, as_store
from c7n_iamusers.decisions.access_plan import Evidence
from c7n_iamusers.decisions.claimed_people import PeopleAuthority
from c7n_iamusers.decisions.desired_access import desired_access
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.fleet.access_run import AccessRun, Report
from c7n_iamusers.fleet.center import Center
from c7n_iamusers.fleet.confirming import Reading, confirmed
from c7n_iamusers.fleet.derivation_report import write_derivation_report
from c7n_iamusers.fleet.deriving import Deriving
from c7n_iamusers.fleet.exclusive import exclusive
from c7n_iamusers.fleet.intent_files import MAX_AGE, read_intents
from c7n_iamusers.fleet.people_to_add import write_people_to_add
from c7n_iamusers.fleet.plan_files import Papers, check_reviewed, read_plan, write_plan
from c7n_iamusers.fleet.plan_text import MIGRATION, plan_lines
from c7n_iamusers.fleet.recorded_run import apply_and_record
from c7n_iamusers.fleet.results import memberships_made, write_account_results
from c7n_iamusers.identity_center.writer.writer import ApplyOptions
from c7n_iamusers.model.access import DesiredAccess
from c7n_iamusers.model.access_plan import Choices
from c7n_iamusers.model.center_quotas import CenterQuotas
from c7n_iamusers.model.intents import Intents, PolicySource
from c7n_iamusers.model.outcome import FAILED

_SOURCES = {True: "external", False: "identity-center"}


@dataclass(frozen=True)
class Fleet:
    """The intents below ``output``, merged. ``intents``: less their users; ``deriving``: what was derived for it."""

    output: Store
    intents: Sequence[Intents]
    desired: DesiredAccess
    deriving: Deriving = field(default_factory=Deriving)


@dataclass(frozen=True)
class Belief:
    """What of intents to believe. ``max_age``: how old they may be. ``accounts``: account's name -> id, where known.

    ``read``: reads accounts again, so that users and policies are those of now. ``trusted``: who can't be read is
    taken at the intents' word. ``authority``: who people are, in place of what intents say.
    """

    max_age: timedelta = MAX_AGE
    accounts: Mapping[str, str] | None = None
    read: Reading | None = None
    trusted: bool = False
    authority: PeopleAuthority = field(default_factory=PeopleAuthority)


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
    found = read_intents(store, belief.max_age, belief.accounts)
    authority = replace(belief.authority, trusted=belief.trusted)
    claimed = [authority.checked(each) for each in found]
    intents = confirmed(claimed, belief.read, belief.trusted, authority)
    desired = desired_access(intents, deriving)
    source = _SOURCES[desired.external]
    if identity_source not in (None, source):
        raise IdentityCenterError(
            f"the policies say identity-source: {source}, not {identity_source}: correct the one that is wrong"
        )
    # What users may do is in what was derived; the texts that it came from are most of a large fleet's memory.
    places = [replace(each, users=(), source=PolicySource()) for each in intents]
    return Fleet(store, places, desired, deriving)


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
    with exclusive(fleet.output, center.instance) if options else nullcontext():
        return _run(
            fleet, center, say, options, choices or Choices(), papers or Papers(), quotas or CenterQuotas()
        )


def _run(
    fleet: Fleet,
    center: Center,
    say: Callable[[str], None],
    options: ApplyOptions | None,
    choices: Choices,
    papers: Papers,
    quotas: CenterQuotas,
) -> list[str]:
    for line in (
        *fleet.deriving.warnings,
        *write_derivation_report(fleet.output, fleet.deriving.derivations),
    ):
        say(line)
    # What follows needs the proofs alone.
    fleet.deriving.derivations.clear()
    reviewed = read_plan(papers.reviewed, papers.digest, center.instance, choices) if papers.reviewed else []
    made_for = memberships_made(fleet.output)
    evidence = Evidence(fleet.deriving.proofs, made_for, quotas)
    run = AccessRun(center, fleet.desired, evidence, choices)
    report = run.plan()
    if choices.migrate:
        say(MIGRATION)
    for line in plan_lines(report.plan):
        say(line)
    if papers.out:
        digest = write_plan(papers.out, report.plan, center.instance, choices)
        say(f"Plan: {papers.out}. To apply it: --plan {papers.out} --plan-sha256 {digest}")
    if papers.reviewed:
        check_reviewed(papers.reviewed, reviewed, report.plan)
    if path := write_people_to_add(fleet.output, fleet.desired, report.plan.missing):
        say(f"For the owners of the identity provider: {path}")
    return _apply(fleet, center, run, report, say, options) if options else []


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
    return sorted({outcome.reason for _, outcome in report.outcomes() if outcome.status == FAILED})
