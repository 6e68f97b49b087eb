# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers report``: the results of runs over a fleet, as a page, JSON or CSV, and as a check between waves."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import OutputUnreadable
from c7n_iamusers_cli.arguments import S3, fleet_choice, open_place, output_places, read_accounts
from c7n_iamusers_cli.notices_places import NamedPlaces, known_names
from c7n_iamusers_cli.output import end_check, format_option, say

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.notices import Notices
    from c7n_iamusers.report.accounts import Expected
    from c7n_iamusers.report.fleet import FleetReport
    from c7n_iamusers.report.mail import MailReport
    from c7n_iamusers.report.outputs import PolicyOutput

_AGE = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
#: The tag of an account with the path of its organizational unit.
_PATH = "path:"
#: Without an earlier report, changes within this time are reported.
_A_WEEK = timedelta(days=7)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _time(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A time in UTC, in ISO 8601, or before now, such as "2h". Raises click.BadParameter."""
    from c7n_iamusers.text.times import moment

    if value is None:
        return None
    now = datetime.now(timezone.utc)
    age = _AGE.fullmatch(value)
    found = now - timedelta(**{_UNITS[age[2]]: int(age[1])}) if age else moment(value)
    if found is None or found > now:
        raise click.BadParameter(
            f"{value!r} is not a past time: give one in UTC, such as 2026-01-31T12:00:00Z, or how long ago it was, "
            "such as 30m, 2h or 1d"
        )
    return found


@click.command()
@output_places
@fleet_choice(
    "c7n-org's accounts file: those that are missing from the outputs are reported.",
    "With -c: report only on the account of this name or id, as c7n-org run -a. Repeatable.",
)
@click.option(
    "-t",
    "--tags",
    multiple=True,
    metavar="TAG",
    help="With -c: report only on accounts with this tag, as c7n-org run -t. Repeatable.",
)
@click.option(
    "-u",
    "--use",
    "files",
    multiple=True,
    metavar="POLICIES",
    help="The policies that c7n-org ran, FILE or FILE#POLICY: an account without a result of each of them did not run. "
    "A dry run does not count. Repeatable.",
)
@click.option(
    "--since",
    callback=_time,
    metavar="TIME",
    help="When the run began: an account whose result is older did not run. In UTC, such as 2026-01-31T12:00:00Z, or "
    "so long ago: 30m, 2h, 1d. With -u for its policies, otherwise for those that the account or two "
    "others ran.",
)
@format_option("html", "json", "csv")
@click.option(
    "--output",
    metavar="FILE",
    help="Where to write it, also s3://BUCKET/KEY.  [default: report.html, report.json or report.csv]",
)
@click.option(
    "--split",
    type=click.Choice(["owner"]),
    help="Also write a page for each owner, with its users alone, into the directory or prefix NAME-owners beside the "
    "page NAME.html.",
)
@click.option(
    "--notices",
    "notices_place",
    metavar="PLACE",
    help="Where the notices are, if not where the policies name them: a directory or s3://BUCKET/PREFIX.",
)
@click.option(
    "--users-output",
    metavar="FILE",
    help="With --check, where nothing blocks: also write how many users each account has, for `shard --users`.",
)
@click.option(
    "--check-output",
    metavar="FILE",
    help="With --check: also write its lines to this file, as JSON; also s3://BUCKET/KEY.",
)
@click.option(
    "--check",
    is_flag=True,
    help="End with 1 where something blocks the next step: a user failed or is counted twice, an account did not run, "
    "is denied or unreadable, a quarantine is in use, broken or of an exempt user, a mail did not leave the queue for "
    "a day, an owner was not told, an exemption expired and nothing else protects its users, or a policy for named "
    "users selected none of them. Otherwise end with 3 where something needs attention: an exemption protects nobody, "
    "a policy selects nobody any more, or evidence that was asked for could not be read. A line for each.",
)
def report(
    places: tuple[str, ...],
    accounts_file: Path | None,
    names: tuple[str, ...],
    tags: tuple[str, ...],
    files: tuple[str, ...],
    since: datetime | None,
    output_format: str,
    output: str | None,
    split: str | None,
    notices_place: str | None,
    users_output: str | None,
    check_output: str | None,
    check: bool,
) -> None:
    """Report on all accounts that policies ran over: users, evidence, outcomes, progress. It does not call AWS.

    OUTPUT_DIR may be s3://BUCKET/PREFIX. Outputs of several runs show the progress. Each user is shown as the latest
    run saw it. Only its owner can read the file, which names every user and what is wrong with it.

    It says what changed since the report that it replaces, or in the last week if it replaces none.
    """
    if (names or tags) and accounts_file is None:
        raise click.UsageError("-a and -t choose accounts of the accounts file: give -c FILE too")
    if split and output_format != "html":
        raise click.UsageError("--split owner writes pages: leave --format html")
    from c7n_iamusers.report.accounts import Wanted
    from c7n_iamusers.report.fleet import fleet_of

    wanted = Wanted([name for file in files for name in _policies(file)], since, bool(names or tags))
    known = _entries_in(accounts_file) if accounts_file else []
    expected = list(_expected(accounts_file, known, names, tags)) if accounts_file else []
    now = datetime.now(timezone.utc)
    place = output or f"report.{output_format}"
    outputs = _outputs(places, {each.name: each.id for each, _ in known})
    named = NamedPlaces(
        notices_place, known_names(accounts_file), places, {each.name: each.id for each, _ in known}
    )
    notices = _Notices.read(outputs, expected if wanted.expected_only else None, named, now)
    fleet = fleet_of(outputs, expected, now, wanted, notices.known, _last_report(place, now))
    fleet = fleet.with_needs((mail := notices.report(fleet.gone(), now)).needs)
    del outputs, notices  # a report may cover 600,000 users
    made = {
        "generated": now.isoformat(timespec="seconds"),
        "outputs": list(places),
        "expected": bool(expected),
    }
    data = {**made, **fleet.as_data()}
    _write(place, output_format, data)
    _tell(fleet, data["totals"], place)
    for remark in (*mail.remarks, *(_split(fleet, made, place, now) if split else ())):
        say(remark)
    if check:
        _end_check(fleet, users_output, check_output, data["accounts"])


def _outputs(places: Iterable[str], known: Mapping[str, str]) -> list[PolicyOutput]:
    """The outputs below ``places``, each once. ``known``: see ``read_outputs``. Raises OutputUnreadable."""
    from c7n_iamusers.report.output_reader import read_outputs

    found = (each for place in places for each in read_outputs(open_place(place), known))
    return list({each.place: each for each in found}.values())


def _end_check(
    fleet: FleetReport,
    users_output: str | None,
    check_output: str | None,
    accounts: Iterable[Mapping[str, Any]],
) -> None:
    """Prints a line for each thing that needs attention, also to ``check_output``; ends the command if there is one.

    ``users_output``: where the numbers of users of ``accounts`` go if nothing blocks.
    """
    from c7n_iamusers.report.checks import BLOCKING
    from c7n_iamusers.text.wording import all_visible

    for each in fleet.attention:
        level = "" if each["level"] == BLOCKING else f"{each['level']}: "
        say(f"{level}{_who(each)}{each['what']}: {each['why']}", err=True)
    if check_output:
        _write_json(check_output, [all_visible(each) for each in fleet.attention], "--check-output")
    blocking, attention = _levels(fleet)
    if users_output and not blocking:
        _write_json(users_output, {each["account"]: each["users"] for each in accounts}, "--users-output")
    end_check(blocking, attention)


def _levels(fleet: FleetReport) -> tuple[int, int]:
    """The numbers of lines that block, and that need attention."""
    from c7n_iamusers.report.checks import BLOCKING

    blocking = sum(each["level"] == BLOCKING for each in fleet.attention)
    return blocking, len(fleet.attention) - blocking


@dataclass(frozen=True)
class _Notices:
    """The notices that the runs name. ``outputs``: of the accounts that count. ``faults``: why some can't be read."""

    outputs: Sequence[PolicyOutput]
    known: Mapping[tuple[str, str], Notices]
    faults: Mapping[tuple[str, str], str]

    @classmethod
    def read(
        cls,
        outputs: Sequence[PolicyOutput],
        only: Sequence[Expected] | None,
        places: NamedPlaces,
        now: datetime,
    ) -> _Notices:
        """``only``: the accounts that count; None for all."""
        from c7n_iamusers.report.mail import places_of

        if only is not None:
            ids = {known.id for known in only}
            outputs = [output for output in outputs if output.account in ids]
        return cls(outputs, *places.read(places_of(outputs), now))

    def report(self, gone: Collection[tuple[str, str]], now: datetime) -> MailReport:
        """What they say of their mails. ``gone``: see ``mail_report``."""
        from c7n_iamusers.report.mail import mail_report

        names = {output.account: output.name for output in self.outputs if output.name}
        return mail_report(self.outputs, self.known, self.faults, names, gone, now)


def _last_report(place: str, now: datetime) -> datetime:
    """The time of the report to replace; a week ago if there is none, or it has no time."""
    from c7n_iamusers.report.rendering import made_at

    store, name = file_target(place)
    try:
        found = made_at(store.read(name) or b"")
    except OSError:  # too large, or no file: a fault of the place is reported on writing
        found = None
    return found if found and found <= now else now - _A_WEEK


def _who(row: Mapping[str, Any]) -> str:
    """The beginning of a line of --check; empty if it is about several accounts."""
    from c7n_iamusers.execution.calls import is_key_id

    if not row["account"]:
        return ""
    key = f"access key {row['unique_id']} of " if is_key_id(row["unique_id"]) else ""
    user = f"{key}user {row['user']} of " if row["user"] else ""
    named = f" ({row['name']})" if row["name"] not in ("", row["account"]) else ""
    return f"{user}account {row['account']}{named}: "


def _write(place: str, output_format: str, data: dict[str, Any]) -> None:
    from c7n_iamusers.report.csv_columns import render_csv
    from c7n_iamusers.report.rendering import render_html, render_json

    renderers = {"html": render_html, "json": render_json, "csv": render_csv}
    store, name = file_target(place)
    try:
        store.stream(name, renderers[output_format](data))
    except OSError as error:
        raise OutputUnreadable(f"the report can't be written: {error}: give another --output FILE") from error


def _write_json(place: str, content: Any, option: str) -> None:
    store, name = file_target(place)
    try:
        store.replace(name, json.dumps(content).encode())
    except OSError as error:
        raise OutputUnreadable(f"{place} can't be written: {error}: give another {option} FILE") from error


def _split(fleet: FleetReport, made: Mapping[str, Any], place: str, now: datetime) -> Iterator[str]:
    """Writes a page for each owner of users; says where, and how many users have an unknown owner."""
    path, mark, query = place.partition("?") if place.startswith(S3) else (place, "", "")
    beside = f"{path.removesuffix('.html')}-owners"
    pages, unknown = 0, 0
    for owner, of_owner in fleet.of_owners(now):
        if not owner:
            unknown = len(of_owner.users)
            continue
        data = {**made, "outputs": [], "owner": owner, **of_owner.as_data()}
        _write(f"{beside}/{_page_of(owner)}{mark}{query}", "html", data)
        pages += 1
    yield f"{beside}/: a page for each of {pages} owners"
    if unknown:
        yield f"{unknown} users are on no owner's page: no announcement of them is on record, and -c names no owner"


def _page_of(owner: str) -> str:
    """The name of an owner's page. A digest distinguishes owners whose address is no plain file name."""
    plain = re.sub(r"[^a-z0-9._@+-]", "_", owner.lower())[:100].lstrip(".") or "_"
    told_apart = "" if plain == owner else f"-{hashlib.sha256(owner.encode()).hexdigest()[:12]}"
    return f"{plain}{told_apart}.html"


def file_target(place: str) -> tuple[Store, str]:
    """The store of a file's directory or prefix, and the file's name there."""
    from c7n_iamusers.execution.stores import DirectoryStore

    if not place.startswith(S3):
        return DirectoryStore(Path(place).parent), Path(place).name
    url, mark, query = place.partition("?")
    above, _, name = url.rpartition("/")
    if not name or above == S3[:-1]:
        raise click.BadParameter(f"{place} names no object: give s3://BUCKET/KEY", param_hint="--output")
    return open_place(f"{above}{mark}{query}"), name


def _tell(fleet: FleetReport, totals: Mapping[str, Any], place: str) -> None:
    from c7n_iamusers.text.wording import counted

    blocking, attention = _levels(fleet)
    say(
        f"{place}: {counted(totals['users'], 'user')} seen in {counted(totals['accounts'], 'account')}: "
        f"{totals['deleted']} deleted, {totals['gone']} deleted by others, {totals['left']} still there, of which "
        f"{totals['exempt']} are exempt and {totals['high']} of high severity; {blocking} blocking, {attention} to "
        "look at"
    )
    if fleet.keys:
        say(_of_keys(totals["keys"]))
    for policy in fleet.policies:
        say(_did(policy))
    for each in fleet.exemptions:
        if told := each["state"] or ("matches nobody" if each["users"] == 0 else ""):
            where = f" in account {each['account']!r}" if each["account"] else ""
            say(f"exemption by {each['field']} {each['pattern']!r}{where} until {each['expires']}: {told}")


def _of_keys(totals: Mapping[str, int]) -> str:
    """What became of the access keys that policies selected or changed by themselves."""
    from c7n_iamusers.report.key_states import STATES
    from c7n_iamusers.text.wording import counted

    states = ", ".join(f"{totals[each]} {each}" for each in STATES if totals[each])
    return f"{counted(totals['all'], 'access key')}: {states}"


def _did(row: Mapping[str, Any]) -> str:
    """What a policy's latest run did."""
    from c7n_iamusers.execution.outcomes import SKIPPED
    from c7n_iamusers.reasons import in_words
    from c7n_iamusers.text.wording import counted

    when = f", {row['time'][:16].replace('T', ' ')} UTC" if row["time"] else ""
    dry = ", dry run" if row["dry_run"] else ""
    counts = {"selected": row["selected"], **row["outcomes"]}
    done = {status: f"{count} {status}" for status, count in counts.items()}
    if row["deployed"] and not row["selected"]:
        done["selected"] = f"deployed in {counted(len(row['deployed']), 'account')}"
    if row["skipped"]:
        why = (f"{each['users']} {': '.join(map(in_words, each['codes']))}" for each in row["skipped"])
        done[SKIPPED] += f" ({'; '.join(why)})"
    if row["not_run"]:
        done["not_run"] = f"{counted(len(row['not_run']), 'account')} without a result"
    return f"{row['policy']}{when}{dry}: {', '.join(done.values())}"


def _policies(place: str) -> Iterator[str]:
    """The names of FILE's policies on IAM users and access keys, or the one that FILE#POLICY names.

    Raises OutputUnreadable.
    """
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.report.policy_text import is_reported
    from c7n_iamusers.text.yaml_documents import read_yaml

    whole, _, only = (place, "", "") if Path(place).is_file() else place.partition("#")
    try:
        names = parsed_file(
            Path(whole),
            lambda content: {str(each["name"]): is_reported(each) for each in read_yaml(content)["policies"]},
        )
    except ValueError as error:
        raise OutputUnreadable(
            f"{whole} can't be read as policies: {error}: give the file that c7n-org run -u was given"
        ) from error
    if only and only not in names:
        raise OutputUnreadable(f"{whole} has no policy {only}: give one of {', '.join(names)}")
    yield from (name for name, is_ours in names.items() if is_ours and only in ("", name))


def _entries_in(path: Path) -> list[tuple[Expected, set[str]]]:
    """The accounts of the accounts file, each with its tags. Raises InvalidPolicyData."""
    return read_accounts(path, lambda data: list(_entries(data)))


def _expected(
    path: Path, rows: Sequence[tuple[Expected, set[str]]], names: tuple[str, ...], tags: tuple[str, ...]
) -> Iterator[Expected]:
    """Those of ``rows``, from ``path``, that have one of ``names`` (or ids), if any are given, and all ``tags``.

    Raises OutputUnreadable.
    """
    ids = {each: {each.id, each.name} for each, _ in rows}
    if unknown := set(names).difference(*ids.values()):
        raise OutputUnreadable(
            f"{path} has no account {', '.join(sorted(unknown))}: c7n-org run -a leaves it out without an error: "
            "correct it"
        )
    found = [each for each, of in rows if set(tags) <= of and (not names or not ids[each].isdisjoint(names))]
    if not found:
        chosen = (
            f"with the tags {', '.join(tags)}: give the tags that c7n-org run -t was given"
            if tags
            else "at all: give the file that c7n-org run -c was given"
        )
        raise OutputUnreadable(f"{path} has no account {chosen}")
    yield from found


def _entries(data: Any) -> Iterator[tuple[Expected, set[str]]]:
    """The accounts of an accounts file, each with its tags.

    The organizational unit is ``vars.ou``, or the longest tag ``path:``, which c7n-org's orgaccounts.py writes.
    """
    from c7n_iamusers.organization.owners import OWNER
    from c7n_iamusers.report.accounts import Expected

    shared = data.get("vars") or {}
    for each in data["accounts"]:
        variables, tags = {**shared, **(each.get("vars") or {})}, [*map(str, each.get("tags") or ())]
        paths = [tag.removeprefix(_PATH) for tag in tags if tag.startswith(_PATH)]
        unit = str(variables.get("ou") or max(paths, key=len, default=""))
        owner = str(variables.get(OWNER) or "")
        yield Expected(str(each["account_id"]).zfill(12), str(each["name"]), owner, unit), set(tags)
