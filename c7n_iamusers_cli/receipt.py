# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers receipt``: the records of each user's deletion, as a page and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import OutputUnreadable
from c7n_iamusers_cli.arguments import fleet_choice, output_places, targets_in
from c7n_iamusers_cli.notices_places import NamedPlaces, known_names
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.user import Record, notices_store, targets_of

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.notices import Notices
    from c7n_iamusers.report.outputs import PolicyOutput
    from c7n_iamusers.report.receipts import Material
    from c7n_iamusers.report.selected_users import Selected
    from c7n_iamusers.report.user_history import UserHistory


@click.command()
@click.argument("user", required=False)
@click.option("--all", "everybody", is_flag=True, help="A receipt of each user that was deleted.")
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
    """Write the receipt of the deletion of USER, or of --all: who, why, who was told, every call, and how to restore
    it.

    Each is <account id>/<user>.<unique id>.html and .json, readable by their owner alone. It does not call AWS. What no
    output, journal or notice has is shown as "not on record". The command ends with 1 if no deletion is on record, or
    if something can't be read, which a receipt may then lack.
    """
    if bool(user) == everybody:
        raise click.UsageError("give one USER, or --all")
    from c7n_iamusers.report.receipts import deletion_of

    targets = targets_in(accounts_file, strict=False) if accounts_file else ()
    chosen = targets_of(targets, names)
    asked = {each for at in chosen for each in (at.account_id, at.name)} | {*names}
    record = Record(places, asked, targets, notices_place, once=True)
    now = datetime.now(timezone.utc)
    found = [each for each in record.histories(user) if deletion_of(each)]
    if not found:
        _say_problems(record)
        raise click.ClickException(
            f"no deletion of {f'a user {user}' if user else 'any user'} is on record in {', '.join(places)}: correct "
            "the name, or give -s and -a of the runs that deleted it"
        )
    ids = {target.name: target.account_id for target in targets}
    named = NamedPlaces(notices_place, known_names(accounts_file), places, ids)
    store, materials = notices_store(output), _Materials(record, named, now)
    for each in sorted(found, key=lambda history: (history.account, history.subject.name)):
        _write(store, each, materials, now)
    if _say_problems(record):
        raise click.exceptions.Exit(1)


def _write(store: Store, history: UserHistory, materials: _Materials, now: datetime) -> None:
    """Write one receipt. Raises OutputUnreadable if it can't be written."""
    from c7n_iamusers.report.receipts import file_name, receipt_of
    from c7n_iamusers.report.rendering import render_json, render_receipt

    try:
        data = receipt_of(materials.of(history), now)
        name, page = file_name(data), render_receipt(data)
    except Exception as error:  # noqa: BLE001  # its files may hold anything, and hide no other user
        text = f"{history.subject}: its records are not what a run writes: {error!r}"
        materials.problems[text] = history.account
        return
    try:
        store.stream(f"{name}.json", render_json(data))
        store.replace(f"{name}.html", page)
    except OSError as error:
        raise OutputUnreadable(f"the receipt can't be written: {error}: give another -o DIR") from error
    say(f"{history.subject}: {store.place(name)}.html, .json")


def _say_problems(record: Record) -> bool:
    for problem in record.problems:
        say(f"can't be read: {problem}", err=True)
    return bool(record.problems)


def _key(arn: str, unique_id: str) -> tuple[str, str]:
    """An account's output may name the unique ids of others' users."""
    return arn.split(":")[4], unique_id


class _Materials:
    """The records of each user. Unreadable ones become problems of ``record``."""

    def __init__(self, record: Record, named: NamedPlaces, now: datetime) -> None:
        self._record, self._now, self.problems = record, now, record.problems
        self._stores: dict[str, Store] = {}
        self._seen: defaultdict[tuple[str, str], list[tuple[PolicyOutput, Selected]]] = defaultdict(list)
        self._rows: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for output in record.outputs:
            for user in output.users or ():
                self._seen[_key(user.arn, user.unique_id)].append((output, user))
            for row in output.rows:
                self._rows[_key(str(row["arn"]), str(row.get("unique_id")))].append(row)
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

    def _file_of(self, place: str, name: str) -> bytes | None:
        if place not in self._stores:
            self._stores[place] = self._record.store(place)
        return self._stores[place].read(name)

    def _named_by_runs(self, places: NamedPlaces) -> dict[str, Notices]:
        """The notices in places that policies name, for accounts without a place in the accounts file."""
        from c7n_iamusers.report.mail import places_of

        named = {key: True for key in places_of(self._record.outputs) if key[0] not in self._record.notices}
        found, faults = places.read(named, self._now, self._record.of_account)
        self.problems |= {text: account for (account, _), text in faults.items()}
        return {account: notices for (account, _), notices in found.items()}
