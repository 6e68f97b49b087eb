# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers verify``: whether runs' records are unchanged, and match AWS's own events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import EvidenceUnreadable, OutputUnreadable
from c7n_iamusers.text.validators import is_account_id
from c7n_iamusers_cli.arguments import ACCOUNT_ID, S3, external_id, open_place, role_template, targets_in
from c7n_iamusers_cli.notices_places import NamedPlaces, NoPlace, known_names
from c7n_iamusers_cli.output import end_check, format_option, print_json, say
from c7n_iamusers_cli.user import notices_store

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.report.journal_calls import Call
    from c7n_iamusers.report.outputs import PolicyOutput
    from c7n_iamusers.report.trail_matching import Matching
    from c7n_iamusers.report.verification import Found, Verified

#: The maximum of calls named per kind of finding.
_MOST = 20


@click.command()
@click.argument("places", nargs=-1, required=True, metavar="DIR...")
@click.option(
    "--notices",
    "notices_place",
    metavar="PLACE",
    help="Where the notices are.  [default: as the policies name it]",
)
@click.option(
    "--plan",
    "plans",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A reviewed plan that lies elsewhere. Repeatable.",
)
@click.option(
    "--cloudtrail", is_flag=True, help="Match each call with AWS's own event of the last 90 days, both ways."
)
@click.option(
    "--role",
    callback=role_template,
    metavar="ARN",
    help="With --cloudtrail: a role that may call cloudtrail:LookupEvents. {account_id} stands for each account.",
)
@click.option(
    "-c",
    "--accounts",
    "accounts_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="c7n-org's accounts file, which says whose each directory is. With {account_id} in --role, roles are assumed "
    "only in its accounts.",
)
@click.option(
    "--external-id", default="", callback=external_id, help="The sts:ExternalId that the role asks for."
)
@format_option("text", "json")
def verify(
    places: tuple[str, ...],
    notices_place: str | None,
    plans: tuple[Path, ...],
    cloudtrail: bool,
    role: str | None,
    accounts_file: Path | None,
    external_id: str,
    output_format: str,
) -> None:
    """Verify runs' records in DIR, which may be s3://BUCKET/PREFIX: every digest, and every journal line in order.

    --cloudtrail also matches each changing call with AWS's own event, and each change of these users by our roles with
    a journal's line. Give all outputs of these roles: a call with its journal elsewhere counts as a call without a
    line. The command ends with 1 if something is wrong or can't be read, and with 3 if something needs attention.
    """
    if (role or external_id) and not cloudtrail:
        raise click.UsageError("--role and --external-id are for --cloudtrail: give it too")
    if role and ACCOUNT_ID in role and not accounts_file:
        raise click.UsageError(
            f"{ACCOUNT_ID} in --role stands for each account that a journal names, whoever wrote it: give "
            "-c accounts.yml, so that a role is assumed in your accounts alone"
        )
    targets = targets_in(accounts_file, strict=False) if accounts_file else ()
    known = {each.account_id for each in targets} if accounts_file else None
    from c7n_iamusers.report.checks import ATTENTION, BLOCKING
    from c7n_iamusers.report.verification import Verified

    now = datetime.now(timezone.utc)
    verified = Verified(keeps_calls=cloudtrail)
    names = {each.name: each.account_id for each in targets}
    named = NamedPlaces(notices_place, known_names(accounts_file), places, names)
    _verify(verified, places, named, plans, now)
    found, counts = verified.found, verified.counts
    compared = (
        _compared(_by_account(verified.calls, known, found), role, external_id, now, found)
        if cloudtrail
        else {}
    )
    levels = Counter(each.level for each in found)
    if output_format == "json":
        print_json(
            {"counts": dict(counts), "found": [each.as_data() for each in found], "cloudtrail": compared}
        )
    else:
        _tell(found, counts, compared)
    end_check(levels[BLOCKING], levels[ATTENTION])


def _verify(
    verified: Verified,
    places: Sequence[str],
    named: NamedPlaces,
    plans: Sequence[Path],
    now: datetime,
) -> None:
    """Raises OutputUnreadable if a place can't be listed, or a plan can't be read."""
    from c7n_iamusers.deletion.reviewed_plan import load_plan
    from c7n_iamusers.exceptions import PlanInvalid
    from c7n_iamusers.report.checks import BLOCKING
    from c7n_iamusers.report.grounds import verify_elsewhere, verify_notices, verify_plans
    from c7n_iamusers.report.verification import verify_outputs

    def plan_fault(content: bytes) -> str:
        try:
            load_plan(content)
        except PlanInvalid as error:
            return str(error)
        return ""

    for place in places:
        try:
            verify_outputs(open_place(place), plan_fault, verified, named.accounts)
        except OSError as error:
            raise OutputUnreadable(
                f"{place}: {error}: let this user read all of it, and run again"
            ) from error
    if not verified.counts["journals"]:
        raise OutputUnreadable(
            f"{', '.join(places)}: no journal lies there: give the directory or s3://BUCKET/PREFIX that custodian run "
            "or c7n-org run was given as -s"
        )
    verify_elsewhere(verified)
    verify_plans(verified, {*verified.plans, *_digests(plans), *_digests_named(verified)})
    outputs = [*_outputs(places, named.accounts)]
    for each in outputs:
        for why in each.of_others:
            verified.add(BLOCKING, each.place, why)
    verify_notices(verified, _notices(outputs, named, verified), now, outputs)


def _outputs(places: Iterable[str], names: Mapping[str, str]) -> Iterator[PolicyOutput]:
    """As reports read them."""
    from c7n_iamusers.report.output_reader import read_outputs

    for place in places:
        try:
            yield from read_outputs(open_place(place), names)
        except OutputUnreadable:
            continue  # a journal lies there without the files of Cloud Custodian


def _digests(paths: Iterable[Path]) -> Iterator[str]:
    """The SHA-256 of each. Raises OutputUnreadable."""
    from hashlib import sha256

    from c7n_iamusers.execution.given import read_given

    for path in paths:
        try:
            yield sha256(read_given(path)).hexdigest()
        except OSError as error:
            raise OutputUnreadable(f"the plan {path} can't be read: {error}") from error


def _digests_named(verified: Verified) -> Iterator[str]:
    """The SHA-256 of those plans named by deletions that still exist. A journal may name anything."""
    named = {str((line.get("plan") or {}).get("place") or "") for _, line in verified.decisions}
    for place in sorted(named):
        try:
            if place and not place.startswith(S3) and Path(place).is_file():
                yield from _digests([Path(place)])
        except (OSError, ValueError, OutputUnreadable):
            continue  # the plan is unavailable, which each deletion reports


def _notices(outputs: Iterable[PolicyOutput], places: NamedPlaces, verified: Verified) -> dict[str, Store]:
    """Account id -> where its notices are, if that is given, or the policies name it.

    Several places of one account are reported, and what can be none: whoever writes to an output may name any text.
    """
    from c7n_iamusers.report.checks import ATTENTION, BLOCKING
    from c7n_iamusers.report.mail import places_of

    if places.given:
        lines = [*(line["arn"] for _, line in verified.decisions), *(each.arn for each in verified.keys.made)]
        accounts = {arn.split(":")[4] for arn in lines} | {account for account, _ in places_of(outputs)}
        return dict.fromkeys(accounts, notices_store(places.given))
    found = dict[str, tuple[str, "Store"]]()
    for account, at in places_of(outputs):
        try:
            store = places.store(at)
        except NoPlace as error:
            verified.add(BLOCKING, f"account {account}", str(error))
            continue
        first, _ = found.setdefault(account, (at, store))
        if first != at:
            why = f"the outputs name {first} and {at} as the place of its notices: give --notices"
            verified.add(ATTENTION, f"account {account}", why)
    return {account: store for account, (_, store) in found.items()}


def _by_account(
    calls: Iterable[Call], known: Collection[str] | None, found: list[Found]
) -> dict[str, list[Call]]:
    """Account id -> its calls of IAM. ``known``: the accounts to ask; None if the role names the account.

    It adds to ``found`` what is not compared.
    """
    from c7n_iamusers.report.checks import BLOCKING
    from c7n_iamusers.report.verification import NOTE, Found

    of_account: defaultdict[str, list[Call]] = defaultdict(list)
    others = Counter[str]()
    for call in calls:
        if call.service == "iam":
            of_account[call.arn.split(":")[4]].append(call)
        else:
            others[call.service] += 1
    for service, count in others.items():
        found.append(
            Found(NOTE, "CloudTrail", f"{count} calls of {service} are not compared: only those of IAM are")
        )
    for account in sorted(of_account):
        if not is_account_id(account) or (known is not None and account not in known):
            why = f"its {len(of_account.pop(account))} calls are not compared: the accounts file lacks it"
            found.append(Found(BLOCKING, f"account {account}", f"{why}. Find out who wrote them, or add it"))
    return of_account


def _compared(
    of_account: Mapping[str, Sequence[Call]],
    role: str | None,
    external: str,
    now: datetime,
    found: list[Found],
) -> dict[str, Any]:
    """The result of each account's comparison. It adds faults to ``found``."""
    from c7n_iamusers.report.checks import ATTENTION, BLOCKING
    from c7n_iamusers.report.trail_matching import match
    from c7n_iamusers.report.verification import Found

    told = dict[str, Any]()
    for account, its in sorted(of_account.items()):
        try:
            trail = _trail(account, its, role, external, now)
        except EvidenceUnreadable as error:
            why = f"its {len(its)} calls are not compared: {error}. Allow cloudtrail:LookupEvents there, and run again"
            found.append(Found(BLOCKING, f"account {account}", why))
            continue
        matching = match(its, trail.events, now, complete=not trail.gaps)
        found += [Found(ATTENTION, f"account {account}", f"not read to the end: {gap}") for gap in trail.gaps]
        found += _findings(account, matching)
        told[account] = {
            "calls": len(its),
            "events": len(trail.events),
            "matched": matching.matched,
            "unproven": len(matching.unproven),
            "late": len(matching.late),
            "missing": len(matching.missing),
            "unjournaled": len(matching.unjournaled),
            "strangers": len(matching.strangers),
        }
    return told


def _trail(account: str, calls: Sequence[Call], role: str | None, external: str, now: datetime) -> Any:
    """Raises EvidenceUnreadable."""
    from botocore.exceptions import BotoCoreError

    from c7n_iamusers.execution.callers import account_of
    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.execution.sessions import account_session
    from c7n_iamusers.iam.accounts import home_region
    from c7n_iamusers.report.trail_reader import read_trail

    session = account_session(role and role.replace(ACCOUNT_ID, account), external)
    if (acting := account_of(session)) != account:
        raise EvidenceUnreadable(
            f"the session acts in account {acting}: give --role ARN, with {ACCOUNT_ID} where there are several accounts"
        )
    try:
        client = session.client("cloudtrail", region_name=home_region(session.region_name))
    except BotoCoreError as error:
        raise EvidenceUnreadable(str(error)) from error
    return read_trail(client, calls, Backoff(), now)


def _findings(account: str, matching: Matching) -> Iterator[Found]:
    from c7n_iamusers.report.checks import ATTENTION, BLOCKING
    from c7n_iamusers.report.verification import Found

    place = f"account {account}"
    for event in matching.unjournaled[:_MOST]:
        yield Found(BLOCKING, place, f"no journal here has the call of AWS's event {event.id}: {event}")
    for call in matching.missing[:_MOST]:
        yield Found(BLOCKING, call.place, f"AWS has no event of {_named(call)}, which it calls {call.result}")
    for rest in (len(matching.unjournaled) - _MOST, len(matching.missing) - _MOST):
        if rest > 0:
            yield Found(BLOCKING, place, f"{rest} more like these")
    yield from _of_strangers(place, matching)
    reasons: defaultdict[str, list[Call]] = defaultdict(list)
    for call, why in matching.unproven:
        reasons[why].append(call)
    for why, calls in sorted(reasons.items()):
        yield Found(ATTENTION, place, f"unproven: {_several(calls)}: {why}")
    if matching.late:
        why = "CloudTrail mostly shows an event after 15 minutes: run again later"
        yield Found(ATTENTION, place, f"not yet: {_several(matching.late)}: {why}")


def _of_strangers(place: str, matching: Matching) -> Iterator[Found]:
    from c7n_iamusers.report.checks import ATTENTION
    from c7n_iamusers.report.verification import Found
    from c7n_iamusers.text.wording import shown

    if many := len(matching.strangers):
        users = shown(sorted({each.user for each in matching.strangers}))
        why = (
            f"{many} changes by sessions of these roles are of users in no journal here ({users}): give all outputs of "
            "these roles; or every line about these users was removed, or others act by such a role"
        )
        yield Found(ATTENTION, place, why)


def _named(call: Call) -> str:
    request = f", request id {call.request_id}" if call.request_id else ""
    return f"{call.operation} of {call.user} at {call.time}{request}"


def _several(calls: Sequence[Call]) -> str:
    more = f", and {len(calls) - 1} more" if len(calls) > 1 else ""
    return f"{_named(calls[0])}{more}"


def _tell(found: Sequence[Found], counts: Counter[str], compared: dict[str, Any]) -> None:
    from c7n_iamusers.report.checks import ATTENTION
    from c7n_iamusers.report.verification import NOTE

    for each in found:
        if each.level == NOTE:
            say(f"{each.place}: {each.why}")
        else:
            level = f"{ATTENTION}: " if each.level == ATTENTION else ""
            say(f"{level}{each.place}: {each.why}", err=True)
    for account, its in compared.items():
        matched = ", ".join(f"{count} by {how}" for how, count in its["matched"].items() if count)
        say(
            f"account {account}: of {its['calls']} calls, AWS's own events have {matched or 'none'}; "
            f"{its['unproven']} unproven, {its['late']} too new, {its['missing']} without an event, "
            f"{its['unjournaled']} events without a line"
        )
    read = ", ".join(
        f"{count} {what.removesuffix('s') if count == 1 else what}" for what, count in counts.items()
    )
    wrong = sum(each.level not in (NOTE, ATTENTION) for each in found)
    say(f"read: {read}; {wrong} wrong, {sum(each.level == ATTENTION for each in found)} to look at")
