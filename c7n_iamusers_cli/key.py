# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers key``: what was done to one access key, by whom and when; and giving it back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers_cli.arguments import fleet_choice, notices_option, output_places, targets_in
from c7n_iamusers_cli.output import format_option, print_json, say
from c7n_iamusers_cli.user import Record, targets_of

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.key_retirement.key_history import KeyHistory, Parking

#: The policy that gives a key back, beside the output of the one that parked it.
_POLICY = "iam-keys-give-back"


@click.command()
@click.argument("key_id", metavar="KEY_ID")
@output_places
@fleet_choice(
    "c7n-org's accounts file, with notices. With --give-back, the file with the role that gives back.",
    "Only in the account of this name or id, which is faster. Repeatable.",
)
@notices_option
@format_option("text", "json")
@click.option("--give-back", is_flag=True, help="Activate the key, if a run parked it. Needs -c.")
@click.option(
    "--adopt",
    is_flag=True,
    help="With --give-back: also where somebody else may have deactivated it, or its last use has changed.",
)
@click.option(
    "--include-compromised",
    is_flag=True,
    help="With --give-back: also if AWS found a key of its user exposed.",
)
def key(
    key_id: str,
    places: tuple[str, ...],
    accounts_file: Path | None,
    names: tuple[str, ...],
    notices_place: str | None,
    output_format: str,
    give_back: bool,
    adopt: bool,
    include_compromised: bool,
) -> None:
    """Show what was done to the access key KEY_ID: when, by which policy, why, and when it was last used then.

    It reads all outputs and notices, and does not call AWS. It ends with 1 if the key is not on record, or if something
    can't be read, so that there may be more.

    --give-back activates the key by the action activate, which touches no other key, and refuses one that no journal
    shows as parked. A file STOP does not stop it. The key is not parked again until it is announced again.
    """
    from c7n_iamusers.execution.calls import is_key_id

    if not is_key_id(key_id):
        raise click.BadParameter(f"{key_id!r} is not the id of an access key, which begins with AKIA")
    targets = targets_in(accounts_file, strict=False) if accounts_file else ()
    asked = {each for target in targets_of(targets, names) for each in (target.account_id, target.name)}
    record = Record(places, asked | {*names}, targets, notices_place)
    record.read()
    found = _on_record(record, key_id)
    _print(key_id, found, record, output_format)
    if found is None:
        raise click.ClickException(
            f"access key {key_id} is not on record in {', '.join(places)}: correct the id, or give -s and -a of the "
            "runs that touched it"
        )
    if give_back:
        if accounts_file is None:
            raise click.UsageError("--give-back needs the role of the account: give -c FILE")
        options = {"adopt": adopt, "include-compromised": include_compromised}
        _give_back(record, found, {name: True for name, given in options.items() if given})
    elif record.problems:
        raise click.exceptions.Exit(1)


@dataclass(frozen=True)
class _Key:
    """What is on record of a key. ``events``: time, words and place of each, the oldest first.

    ``outputs``: the places with lines or outcomes about it.
    """

    subject: Subject
    history: KeyHistory
    events: tuple[tuple[str, str, str], ...]
    outputs: tuple[str, ...]

    @property
    def parking(self) -> Parking | None:
        """The last one that no call of ours ended."""
        return self.history.parking


def _on_record(record: Record, key_id: str) -> _Key | None:
    """Raises ClickException if several accounts have the key: each writes its own records."""
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.key_retirement.key_history import key_history

    events = [*_told(record, key_id), *_outcomes(record, key_id)]
    if not events:
        return None
    if len(accounts := sorted({subject.account_id for subject, *_ in events})) > 1:
        raise click.ClickException(
            f"access key {key_id} is on record in {', '.join(accounts)}, and AWS gives no id twice: name its account "
            "by -a, and find out who wrote the other record: nothing was done"
        )
    subject = events[0][0]
    lines, outputs = list[Mapping[str, Any]](), dict[str, None]()
    for output in record.outputs:
        if output.account == subject.account_id:
            found = record.journal(output.place, Subject(subject.name, subject.arn, key_id))
            lines += found
            if found or any(row.get("unique_id") == key_id for row in output.key_rows):
                outputs[output.place] = None
    told = sorted((each[1:] for each in events), key=lambda each: each[0])
    ordered = sorted(lines, key=lambda line: str(line.get("time")))
    return _Key(subject, key_history(subject, ordered), tuple(told), tuple(outputs))


def _told(record: Record, key_id: str) -> Iterator[tuple[Subject, str, str, str]]:
    for notices in record.notices.values():
        for notice in notices.all:
            for user in (each for each in notice.users if each.unique_id == key_id):
                stop = f", inactive on {notice.stop}" if notice.stop else ""
                what = notice.what.get(key_id) or f"its day is {notice.day}{stop}"
                said = f"{notice.step}: {what}, to {', '.join(notice.addresses)}"
                yield user, f"{notices.told_at(notice):%Y-%m-%d %H:%M:%S}", said, notices.place


def _outcomes(record: Record, key_id: str) -> Iterator[tuple[Subject, str, str, str]]:
    from c7n_iamusers.execution.calls import Subject

    for output in record.outputs:
        for row in (each for each in output.key_rows if each.get("unique_id") == key_id):
            subject = Subject(str(row.get("user")), str(row["arn"]), key_id)
            for each in (*row.get("history", ()), row):
                said = ": ".join(filter(None, (str(each.get("status")), str(each.get("reason") or ""))))
                time = str(each.get("time"))[:19].replace("T", " ")
                yield subject, time, f"{said}, policy {output.policy}", output.place


def _print(key_id: str, found: _Key | None, record: Record, output_format: str) -> None:
    if output_format == "json":
        print_json({"key": key_id, "found": found and _as_data(found), "unread": [*record.problems]})
    elif found:
        say(f"{found.subject}: {_state(found)}")
        for time, what, place in found.events:
            say(f"  {time} UTC  {what} ({place})")
    for problem in record.problems:
        say(f"can't be read: {problem}", err=True)


def _state(found: _Key) -> str:
    if found.history.deleted:
        return f"deleted on {found.history.deleted:%Y-%m-%d %H:%M} UTC"
    if parking := found.parking:
        sure = "" if parking.certain else ", though the run was stopped before AWS answered"
        used = f"last used on {parking.used:%Y-%m-%d}" if parking.used else "never used"
        by = f"policy {parking.policy or '-'}{f': {parking.reason}' if parking.reason else ''}"
        seen = f", and seen active on {parking.seen_active:%Y-%m-%d %H:%M} UTC" if parking.seen_active else ""
        return f"made inactive on {parking.since:%Y-%m-%d %H:%M} UTC by {by}, {used} then{sure}{seen}"
    if found.history.changed:
        return f"given back on {found.history.changed:%Y-%m-%d %H:%M} UTC"
    return "no run has changed it"


def _as_data(found: _Key) -> dict[str, Any]:
    from c7n_iamusers.text.times import as_text

    parking = found.parking
    parked = parking and {
        "since": as_text(parking.since),
        "policy": parking.policy,
        "reason": parking.reason,
        "used": as_text(parking.used),
        "certain": parking.certain,
        "seen-active": as_text(parking.seen_active),
    }
    return {
        "user": found.subject.name,
        "arn": found.subject.arn,
        "account": found.subject.account_id,
        "state": _state(found),
        "parked": parked,
        "deleted": as_text(found.history.deleted),
        "events": [{"time": time, "what": what, "place": place} for time, what, place in found.events],
    }


def _give_back(record: Record, found: _Key, options: Mapping[str, Any]) -> None:
    """Activate the key. Raises ClickException if it is not active then."""
    from c7n_iamusers.execution.outcomes import ACTIVATED, UNCHANGED
    from c7n_iamusers_cli.give_back import beside, fault_of, policy_in, selecting, target_of

    subject = found.subject
    target = target_of(record, subject.account_id)
    if not found.outputs:
        raise click.ClickException(f"{subject}: no run has changed it, by these outputs: nothing was done")
    data = {
        "name": _POLICY,
        "resource": "aws.iam-access-key",
        "source": "access-keys",
        "filters": [{"AccessKeyId": subject.unique_id}],
        "actions": [{"type": "activate", **options}],
    }
    base = beside(record, _parked_in(record, found), subject.account_id)
    policy, began = policy_in({"policies": [data]}, target, base), datetime.now(timezone.utc).isoformat()

    def run() -> None:
        resource = _resource(policy.resource_manager, target.region, subject)
        with selecting(policy, [resource]):
            policy.resource_manager.actions[0].process([resource])

    fault = fault_of(run)
    new = [row for row in _rows(policy, subject) if str(row.get("time")) >= began]
    for row in new:
        say(f"{subject}: {': '.join(filter(None, (row['status'], row.get('reason'))))}")
    if not any(row["status"] in (ACTIVATED, UNCHANGED) for row in new):
        raise click.ClickException(f"{subject} was not given back{f': {fault}' if fault else ', see above'}")
    say("It is left alone until its owner is told again. To keep it for longer, exempt its user.")


def _rows(policy: Any, subject: Subject) -> list[Mapping[str, Any]]:
    """The outcomes of the key in the output of ``policy``. Raises ClickException."""
    from botocore.exceptions import BotoCoreError, ClientError

    from c7n_iamusers.execution.outcomes import load_outcomes
    from c7n_iamusers.plugins.run_outputs import run_store

    try:
        with policy.ctx:
            rows = load_outcomes(run_store(policy.resource_manager).store)
    except (OSError, ValueError, ClientError, BotoCoreError) as error:
        raise click.ClickException(f"{subject}: its outcome can't be read: {error}") from error
    return [row for row in rows if row.get("unique_id") == subject.unique_id]


def _parked_in(record: Record, found: _Key) -> str:
    """The output whose journal has the parking of the key; else the last one that tells of it."""
    from c7n_iamusers.key_retirement.key_history import key_history

    for place in found.outputs:
        if key_history(found.subject, record.journal(place, found.subject)).parking:
            return place
    return found.outputs[-1]


def _resource(manager: Any, region: str, subject: Subject) -> dict[str, Any]:
    """The key as AWS shows it, also of a renamed user. Raises ValueError if it is gone."""
    from botocore.exceptions import ClientError
    from c7n.utils import local_session

    from c7n_iamusers.execution.retries import Backoff
    from c7n_iamusers.iam.attachments import ACCESS_KEY
    from c7n_iamusers.iam.users import list_kind, read_detail

    client, backoff = local_session(manager.session_factory).client("iam", region), Backoff()
    try:
        last = backoff.call(client.get_access_key_last_used, AccessKeyId=subject.unique_id)
    except ClientError as error:
        raise ValueError(
            f"user {subject.name} has no such key now, or its last use can't be read: {error}"
        ) from error
    name = str(last.get("UserName") or subject.name)
    user = read_detail(client, name, backoff)
    held = list_kind(client, name, ACCESS_KEY, backoff) if user else ()
    item = next((each for each in held if each["AccessKeyId"] == subject.unique_id), None)
    if user is None or item is None:
        raise ValueError(f"user {name} has no such key now: it was deleted")
    own: dict[str, Any] = {name: user[name] for name in ("UserName", "UserId", "Arn", "Path") if name in user}
    return {**own, **item, "CreateDate": str(item.get("CreateDate") or "")}
