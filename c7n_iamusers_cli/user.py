# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers user``: what was done to one user, by whom and when, what comes next; and giving it back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import NoticesUnreadable, OutputUnreadable
from c7n_iamusers_cli.arguments import S3, fleet_choice, notices_option, open_place, output_places, targets_in
from c7n_iamusers_cli.output import format_option, print_json, say
from c7n_iamusers_cli.restore import acceptances

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.execution.journal import JournalReader
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.notices import Notices
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.report.outputs import PolicyOutput
    from c7n_iamusers.report.user_history import Event, UserHistory

#: Characters with another meaning in a bucket's URL or a policy's output. No run's key has them.
_NO_PLACE = frozenset("?#{}")


@click.command()
@click.argument("name")
@output_places
@fleet_choice(
    "c7n-org's accounts file, with notices and owners. With --give-back, the file with the role that gives back.",
    "Only in the account of this name or id, which is faster. Repeatable.",
)
@notices_option
@format_option("text", "json")
@click.option(
    "--give-back",
    is_flag=True,
    help="Release the user from quarantine, or restore it if it was deleted, and mail its owner. Needs -c.",
)
@click.option(
    "-u",
    "--use",
    "policies",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("policies", "release.yml"),
    show_default=True,
    metavar="FILE",
    help="With --give-back: the policy with the actions release and notify-owners.",
)
@click.option(
    "--gone-for-good",
    multiple=True,
    metavar="SNAPSHOT",
    help="State that this snapshot, which SnapshotMissing names, is lost, so that runs go on. Repeatable.",
)
@acceptances
@click.pass_context
def user(
    context: click.Context,
    /,
    name: str,
    places: tuple[str, ...],
    accounts_file: Path | None,
    names: tuple[str, ...],
    notices_place: str | None,
    output_format: str,
    give_back: bool,
    policies: Path,
    **accepted: Any,
) -> None:
    """Show what was done to the user NAME, by whom, when, and what comes next.

    It reads all outputs and notices, and does not call AWS. It shows each user that had the name, the latest first. It
    ends with 1 if nobody of this name is on record, or if something can't be read, so that there may be more.

    --give-back undoes what was done last: it runs the action release for this user only, or does what c7n-iamusers
    restore does, with its questions, refusals and options. Then the owner gets a mail.

    --gone-for-good writes a line to the journal that names the snapshot. From then on, only later snapshots count:
    nothing that only the lost one had is given back, and no earlier one replaces it.
    """
    gone: Sequence[str] = accepted.pop("gone_for_good")
    targets = targets_in(accounts_file, strict=False) if accounts_file else ()
    asked = {each for target in targets_of(targets, names) for each in (target.account_id, target.name)}
    record = Record(places, asked | {*names}, targets, notices_place)
    found = record.histories(name)
    keys = record.key_ids(name)
    _print(name, found, keys, record.problems, output_format)
    if not found:
        where = f" in {', '.join(names)}" if names else ""
        alone = ", but for its access keys" if keys else ""
        raise click.ClickException(
            f"no user {name}{where} is on record in {', '.join(places)}{alone}: correct the name, or give -s and -a of "
            "the runs that touched it"
        )
    if gone:
        from c7n_iamusers_cli.gone_for_good import give_up

        give_up(record, _one(found), gone)
    if give_back:
        from c7n_iamusers_cli.give_back import give_back as give

        if accounts_file is None:
            raise click.UsageError("--give-back needs the role and the owner of the account: give -c FILE")
        give(context, record, _one(found), policies, accepted)
    elif record.problems:
        raise click.exceptions.Exit(1)


def targets_of(targets: Sequence[Target], names: Sequence[str]) -> list[Target]:
    """The accounts with one of ``names``. Raises OutputUnreadable for a name that is no account's."""
    known = {each for target in targets for each in (target.account_id, target.name)}
    if targets and (unknown := [name for name in names if name not in known]):
        raise OutputUnreadable(
            f"the accounts file has no account {', '.join(unknown)}: correct -a, or the file"
        )
    return [each for each in targets if {each.account_id, each.name} & {*names}]


class Record:
    """The content of outputs and notices. ``asked``: ids and names of the wanted accounts; empty for all.

    ``targets``: all accounts of the accounts file, since a directory of any name may tell of any account. ``problems``:
    what can't be read, in words, after ``histories`` -> the id of its account, or empty. ``once``: whether each journal
    is read once, since the command changes nothing.
    """

    def __init__(
        self,
        places: Sequence[str],
        asked: set[str],
        targets: Sequence[Target],
        notices_place: str | None,
        once: bool = False,
    ) -> None:
        self.places, self.targets, self._once = places, targets, once
        self._asked, self._notices_place = asked, notices_place
        self._journals: dict[str, JournalReader] = {}
        self.problems: dict[str, str] = {}
        self.outputs: list[PolicyOutput] = []
        self.notices: dict[str, Notices] = {}

    def histories(self, name: str | None) -> list[UserHistory]:
        """See user_history.histories, after ``read``."""
        from c7n_iamusers.report.user_history import histories

        self.read()
        held = {
            target.account_id: days
            for target in self.targets
            if isinstance(days := target.variables.get("quarantined_for_days"), int | float)
        }
        now = datetime.now(timezone.utc)
        return histories(name, self.outputs, self.journal, self.notices, held, now)

    def key_ids(self, name: str) -> list[tuple[str, str]]:
        """See user_history.key_ids, of what was read last."""
        from c7n_iamusers.report.user_history import key_ids

        return key_ids(name, self.outputs, self.notices)

    def key_histories(self, key_id: str | None) -> list[UserHistory]:
        """See user_history.key_histories, of what was read last."""
        from c7n_iamusers.report.user_history import key_histories

        return key_histories(key_id, self.outputs, self.journal)

    def read(self) -> None:
        """Set ``outputs`` and ``notices`` (by account id) to what is there now."""
        self.problems = {}
        self.outputs, self.notices = list(self._outputs()), dict(self._notices())

    def journal(self, place: str, subject: Subject) -> list[Mapping[str, Any]]:
        """The lines about a user in the journals of an output. An unreadable journal is a problem."""
        from c7n_iamusers.execution.journal import JournalReader

        if place not in self._journals or not self._once:
            self._journals[place] = JournalReader(lambda: [self.store(place)])
        try:
            return [*self._journals[place].of(subject)]
        except (OSError, OutputUnreadable) as error:
            self.problems[f"the journal in {place}: {error}"] = subject.account_id
            return []

    def of_account(self, account: str) -> Callable[[str], None]:
        """Notes what can't be read of ``account``."""
        return lambda text: self.problems.update({text: account})

    def store(self, place: str) -> Store:
        """The store of the output at ``place``."""
        if not place.startswith(S3):
            return open_place(place)
        held = self._holding(place)
        # exactly one slash, as keys may have empty parts
        return open_place(held, f"{place}/".removeprefix(f"{_without_options(held)}/").removesuffix("/"))

    def url(self, place: str) -> str:
        """``place``, never from a hostile key, with the options of what holds it, such as the Region."""
        _, mark, options = self._holding(place).partition("?")
        return f"{place}{mark}{options}"

    def _holding(self, place: str) -> str:
        """The one of ``places`` that holds ``place``."""
        within = (each for each in self.places if f"{place}/".startswith(f"{_without_options(each)}/"))
        return next(within, place)

    def _outputs(self) -> Iterator[PolicyOutput]:
        from c7n_iamusers.report.output_reader import read_outputs
        from c7n_iamusers.report.user_history import unread

        known = {target.name: target.account_id for target in self.targets}
        for place in self.places:
            found = read_outputs(open_place(place), known, self._asked)
            ids = {each.name: each.account for each in found if each.account} | known
            self.problems |= {
                text: each.account or ids.get(each.name, "") for each in found for text in unread([each])
            }
            top = _without_options(place) if place.startswith(S3) else None
            for each in found:
                if top is not None and _NO_PLACE.intersection(each.place.removeprefix(top)):
                    text = f"{each.place}: no run writes to a place of this name: it is left out"
                    self.problems[text] = each.account
                else:
                    yield each

    def _notices(self) -> Iterator[tuple[str, Notices]]:
        """The notices of each account that may have the user."""
        from c7n_iamusers.notices.notices import Notices

        now = datetime.now(timezone.utc)
        for target in self.targets:
            place = self._notices_place or target.variables.get("notices")
            if not place or (self._asked and not {target.account_id, target.name} & self._asked):
                continue
            account = target.account_id
            try:
                yield account, Notices.read(notices_store(str(place)), account, now, self.of_account(account))
            except (NoticesUnreadable, OutputUnreadable) as error:
                self.problems[str(error)] = account


def _without_options(place: str) -> str:
    return place.partition("?")[0].rstrip("/")


def notices_store(place: str) -> Store:
    """A directory of notices need not exist yet."""
    from c7n_iamusers.execution.stores import DirectoryStore

    return open_place(place) if place.startswith(S3) else DirectoryStore(Path(place))


def _one(found: Sequence[UserHistory]) -> UserHistory:
    """The latest user of the name. Raises ClickException if several accounts have one."""
    accounts = sorted({each.account for each in found})
    if len(accounts) > 1:
        raise click.ClickException(
            f"{found[0].subject.name} is in {', '.join(accounts)}: name one account by -a: nothing was done"
        )
    return found[0]


def _print(
    name: str,
    found: Sequence[UserHistory],
    keys: Sequence[tuple[str, str]],
    problems: Iterable[str],
    output_format: str,
) -> None:
    if output_format == "json":
        users = [each.as_data() for each in found]
        its = [{"account": account, "key": key_id} for account, key_id in keys]
        print_json({"name": name, "users": users, "keys": its, "unread": [*problems]})
    else:
        for each in found:
            _show(each)
        for account, key_id in keys:
            say(f"access key {key_id} of a user {name} of account {account}: see c7n-iamusers key {key_id}")
    for problem in problems:
        say(f"can't be read: {problem}", err=True)


def _show(history: UserHistory) -> None:
    from c7n_iamusers.report.comparisons import ALONE_IN_WORDS

    named = f" ({history.account_name})" if history.account_name not in ("", history.account) else ""
    say(f"user {history.subject.name} of account {history.account}{named}: {history.state}")
    say(f"  {history.subject.arn}, unique id {history.subject.unique_id or 'unknown'}")
    for event in history.events:
        say(f"  {_line(event)}")
    for each in history.next:
        say(f"  next: {each}")
    say(f"  note: {ALONE_IN_WORDS}")


def _line(event: Event) -> str:
    time = f"{event.time:%Y-%m-%d %H:%M} UTC" if event.time else "at an unknown time"
    parts = [f"{event.what}{f': {event.why}' if event.why else ''}"]
    parts += [f"to {', '.join(event.to)}"] if event.to else []
    parts += [f"policy {event.policy}"] if event.policy else []
    parts += [f"by {event.by}"] if event.by else []
    return f"{time}  {', '.join(parts)} ({event.place})"
