# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers receipt``: the records of the deletion of a user or an access key, as a page and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import OutputUnreadable
from c7n_iamusers_cli.arguments import fleet_choice, output_places, targets_in
from c7n_iamusers_cli.notices_places import NamedPlaces, known_names
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.user import Record, notices_store, targets_of

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.notices import Notices
    from c7n_iamusers.report.outputs import PolicyOutput
    from c7n_iamusers.report.receipts import Material
    from c7n_iamusers.report.selected_users import Selected
    from c7n_iamusers.report.user_history import UserHistory


@click.command()
@click.argument("user", metavar="[USER|KEY_ID]", required=False)
@click.option(
    "--all", "everybody", is_flag=True, help="A receipt of each user and access key that was deleted."
)
@output_places
@click.option(
    "-o",
    "--output",
    default="receipts",
    show_default=True,
    metavar="DIR",
    help="Where to write them, also s3://BUCKET/PREFIX.",
)
@fleet_choice(
    "c7n-org's accounts file, with notices.",
    "Only of the account of this name or id. Repeatable.",
)
@click.option(
    "--notices",
    "notices_place",
    metavar="PLACE",
    help="Where the notices are.  [default: notices under vars in the accounts file, or as the policies name it]",
)
def receipt(
    user: str | None,
    everybody: bool,
    places: tuple[str, ...],
    output: str,
    accounts_file: Path | None,
    names: tuple[str, ...],
    notices_place: str | None,
) -> None:
    """Write the receipt of the deletion of USER, of the access key KEY_ID, or of --all: who, why, who was told, every
    call, and how to restore a user.

    Each is <account id>/<user>.<unique id>.html and .json, of a key <account id>/<user>.<key id>, readable by their
    owner alone. It does not call AWS. What no output, journal or notice has is shown as "not on record". A key that was
    deleted with its user is in the receipt of the user. The command ends with 1 if no deletion is on record, or if
    something can't be read, which a receipt may then lack.
    """
    if bool(user) == everybody:
        raise click.UsageError("give one USER or KEY_ID, or --all")
    from c7n_iamusers.execution.calls import is_key_id
    from c7n_iamusers.report.receipts import deletion_of

    targets = targets_in(accounts_file, strict=False) if accounts_file else ()
    chosen = targets_of(targets, names)
    asked = {each for at in chosen for each in (at.account_id, at.name)} | {*names}
    record = Record(places, asked, targets, notices_place, once=True)
    now = datetime.now(timezone.utc)
    found = [each for each in record.histories(user) if deletion_of(each)]
    found += record.key_histories(user)  # of which some are deleted
    if found:
        ids = {target.name: target.account_id for target in targets}
        named = NamedPlaces(notices_place, known_names(accounts_file), places, ids)
        store, materials = notices_store(output), _Materials(record, named, now, found)
        ordered = sorted(found, key=lambda history: (history.account, history.subject.name))
        found = [each for each in ordered if _write(store, each, materials, now)]
    unread = _say_problems(record)
    if not found:
        kind = "an access key" if user and is_key_id(user) else "a user"
        what = f"{kind} {user}" if user else "any user or access key"
        raise click.ClickException(
            f"no deletion of {what} is on record in {', '.join(places)}: correct the name or id, or give -s and -a of "
            "the runs that deleted it"
        )
    if unread:
        raise click.exceptions.Exit(1)


def _write(store: Store, history: UserHistory, materials: _Materials, now: datetime) -> bool:
    """Write one receipt. Returns whether there is one to write: not of a key that is not deleted.

    Raises OutputUnreadable if it can't be written.
    """
    from c7n_iamusers.report.key_receipts import key_receipt_of
    from c7n_iamusers.report.receipts import file_name, receipt_of
    from c7n_iamusers.report.rendering import render_json, render_receipt

    subject, template = history.subject, "receipt.html.j2"
    try:
        if subject.is_key:
            material, template = materials.of_key(history), "key_receipt.html.j2"
            data = key_receipt_of(material, [*materials.files(history)], materials.others(history), now)
            if data is None:
                return False
        else:
            data = receipt_of(materials.of(history), now)
        name, page = file_name(data), render_receipt(data, template)
    except Exception as error:  # noqa: BLE001  # its files may hold anything, and hide no other user
        text = f"{subject}: its records are not what a run writes: {error!r}"
        materials.problems[text] = history.account
        return True
    try:
        store.stream(f"{name}.json", render_json(data))
        store.replace(f"{name}.html", page)
    except OSError as error:
        raise OutputUnreadable(f"the receipt can't be written: {error}: give another -o DIR") from error
    say(f"{subject}: {store.place(name)}.html, .json")
    return True


def _say_problems(record: Record) -> bool:
    for problem in record.problems:
        say(f"can't be read: {problem}", err=True)
    return bool(record.problems)


def _key(arn: str, unique_id: str) -> tuple[str, str]:
    """An account's output may name the unique ids of others' users."""
    return arn.split(":")[4], unique_id


def _is_about(key: Subject, line: Mapping[str, Any]) -> bool:
    return (line.get("parameters") or {}).get("AccessKeyId") == key.unique_id


class _Materials:
    """The records of each user. Unreadable ones become problems of ``record``."""

    def __init__(
        self, record: Record, named: NamedPlaces, now: datetime, found: Sequence[UserHistory]
    ) -> None:
        self._record, self._now, self.problems = record, now, record.problems
        self._stores: dict[str, Store] = {}
        self._digest = cache(self._digest_of)
        self._journals: dict[str, defaultdict[str, list[str]]] = {}
        self._accounts: defaultdict[str, set[str]] = defaultdict(set)
        for each in found:
            self._accounts[each.subject.unique_id].add(each.account)
        self._places: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._seen: defaultdict[tuple[str, str], list[tuple[PolicyOutput, Selected]]] = defaultdict(list)
        self._rows: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for output in record.outputs:
            for user in output.users or ():
                self._seen[_key(user.arn, user.unique_id)].append((output, user))
            for row in output.rows:
                key = _key(str(row["arn"]), str(row.get("unique_id")))
                self._rows[key].append(row)
                self._places[key][output.place] = None
        self._rules = {output.place: (output.time, output.rules) for output in record.outputs}
        self._notices = {**self._named_by_runs(named), **record.notices}

    def of(self, history: UserHistory) -> Material:
        from c7n_iamusers.report.receipts import Material
        from c7n_iamusers.restoration.cannot_come_back import lost

        key = history.account, history.subject.unique_id
        return Material(
            history,
            self._seen[key],
            self._rows[key],
            lambda place: self._rules.get(place, (None, ())),
            {place: self._record.journal(place, history.subject) for place in history.outputs},
            self._notices.get(history.account),
            self._file_of,
            lost,
        )

    def of_key(self, history: UserHistory) -> Material:
        """What is on record of an access key: its lines, and those of its user that are about it."""
        from c7n_iamusers.execution.calls import Subject
        from c7n_iamusers.key_retirement.key_history import user_of

        key = history.subject
        its = {place: self._own(place, key) for place in history.outputs}
        for user_id in sorted({user_of(line) for lines in its.values() for line in lines}):
            user = Subject(key.name, key.arn, user_id)
            for place in self._places[history.account, user_id]:
                of_user = self._own(place, user)
                its[place] = [*its.get(place, ()), *(each for each in of_user if _is_about(key, each))]
        return replace(self.of(history), lines=its)

    def _own(self, place: str, subject: Subject) -> list[Mapping[str, Any]]:
        """The lines about a subject of its account: who writes there may name any id."""
        lines = self._record.journal(place, subject)
        return [each for each in lines if each["arn"].split(":")[4] == subject.account_id]

    def others(self, history: UserHistory) -> list[str]:
        """The ids of other accounts that tell of a user or key with this id."""
        return sorted(self._accounts[history.subject.unique_id] - {history.account})

    def files(self, history: UserHistory) -> Iterator[dict[str, str]]:
        """The journals and outcomes with a key, and their SHA-256. Raises OSError."""
        from c7n_iamusers.execution.journal import BUCKET_JOURNALS, user_of_object
        from c7n_iamusers.execution.outcomes import OUTCOMES
        from c7n_iamusers.execution.stores import JOURNAL

        for place in history.outputs:
            if place not in self._journals:
                self._journals[place] = defaultdict(list)
                for name in self._store_of(place).names(BUCKET_JOURNALS):
                    self._journals[place][user_of_object(name)[1]].append(name)
            journals = (JOURNAL, *self._journals[place][history.subject.unique_id])
            for kind, name in (*(("journal", each) for each in journals), ("outcomes", OUTCOMES)):
                if digest := self._digest(place, name):
                    yield {"kind": kind, "file": f"{place}/{name}", "sha256": digest}

    def _digest_of(self, place: str, name: str) -> str | None:
        """Of a file that may tell of thousands of keys; None if there is none."""
        content = self._file_of(place, name)
        return None if content is None else sha256(content).hexdigest()

    def _store_of(self, place: str) -> Store:
        if place not in self._stores:
            self._stores[place] = self._record.store(place)
        return self._stores[place]

    def _file_of(self, place: str, name: str) -> bytes | None:
        return self._store_of(place).read(name)

    def _named_by_runs(self, places: NamedPlaces) -> dict[str, Notices]:
        """The notices in places that policies name, for accounts without a place in the accounts file."""
        from c7n_iamusers.report.mail import places_of

        named = {key: True for key in places_of(self._record.outputs) if key[0] not in self._record.notices}
        found, faults = places.read(named, self._now, self._record.of_account)
        self.problems |= {text: account for (account, _), text in faults.items()}
        return {account: notices for (account, _), notices in found.items()}
