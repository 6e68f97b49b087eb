# SPDX-License-Identifier: Apache-2.0
"""Reads and writes the intents files of a run of policies over many accounts, and checks them against their paths.

c7n-org writes to ``<account's name>/<region>/<policy>``, Cloud Custodian to ``<policy>``. In a bucket the account id
precedes the policy: ``<account's name>/<region>/<account id>/<policy>`` and ``<account id>/<policy>``. Whoever can
write there can claim anything, so a file's content must agree with its path: a run has one layout, each account has one
directory, and each policy has one file in it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath

from c7n_iamusers import defaults
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.output_layout import Layout
from c7n_iamusers.execution.stores import DirectoryStore, Store, as_store, others_may_write, read_all
from c7n_iamusers.iam.policy_documents import PolicyInterner
from c7n_iamusers.identity_center.requests.intents import (
    INTENTS_FILE,
    Intents,
    NotIntents,
    check_intents,
    intents_data,
    intents_from,
)
from c7n_iamusers.text.documents import MOST_JSON, NotInFormat, read_json, unpacked
from c7n_iamusers.text.validators import is_account_id

#: The maximum age of intents, unless a command states another. Users change.
MAX_AGE = timedelta(hours=defaults.INTENTS_MAX_AGE)
#: A longer age could exceed Python's dates.
_LONGEST_AGE = timedelta(days=36_500)
#: What Cloud Custodian writes at the end of each run of a policy, even a failed one; compressed in a bucket.
_METADATA = ("metadata.json", "metadata.json.gz")
_LARGEST_METADATA = 16 * 1024 * 1024
#: How far another machine's clock may be ahead.
_AHEAD = timedelta(minutes=5)
REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d", re.ASCII)
_OF_SLASHES = " (for account names with / give the accounts file, -c)"
_LAYOUT = "<account's name>/<region>/<policy>"


def write_intents(output: Path | Store, intents: Intents) -> str:
    """Replace the intents of a policy's output and return their place.

    Raises OSError, and IdentityCenterError, before anything is written, for intents that could not be read back.
    """
    store = as_store(output)
    place = store.place(INTENTS_FILE)
    timed = replace(intents, time=intents.time or utc_now())
    content = json.dumps(intents_data(timed), indent=1, default=str).encode()
    _read(place, INTENTS_FILE, content, PolicyInterner())
    store.replace(INTENTS_FILE, content)
    return place


def read_intents(
    output: Path | Store,
    max_age: timedelta = MAX_AGE,
    accounts: Mapping[str, str] | None = None,
    now: datetime | None = None,
    trusted: bool = False,
    only: Collection[str] | None = None,
    left_out: set[str] | None = None,
) -> list[Intents]:
    """All intents below ``output``, or those of the accounts ``only``.

    ``accounts``: name -> account id, of c7n-org's accounts file, if given. ``trusted``: don't check who can write files
    of a directory. ``left_out``: gets the ids of the other accounts with intents. Raises IdentityCenterError if there
    are none, or if any file can't be read, is too old, can be written by others, does not agree with its path, or is
    not from the policy's last run. A skipped file would look like withdrawn requests.
    """
    store = as_store(output)
    try:
        names = store.names("", INTENTS_FILE)
    except OSError as error:
        raise _unreadable(error) from error
    if not names:
        raise IdentityCenterError(
            f"no {INTENTS_FILE} below {store}: run a policy whose action provision-identity-center has mode: intent, "
            f"with c7n-org run ... -s {store}"
        )
    shared = PolicyInterner()
    try:
        found = [
            (name, _read(store.place(name), name, each, shared)) for name, each in read_all(store, names)
        ]
        if not trusted and isinstance(store, DirectoryStore):
            _check_writers(store.directory, names)
        _check_places(store, found, accounts)
        if only is not None:
            found = _of_accounts(store, found, only, set() if left_out is None else left_out)
        later = _runs(store, [intents.time for _, intents in found if intents.time], accounts)
    except OSError as error:
        raise _unreadable(error) from error
    found = list(_of_last_runs(store, found, later))
    _check_ages(store, found, max_age, now or datetime.now(timezone.utc))
    _check_copies(store, found)
    return [intents for _, intents in found]


def _of_accounts(
    store: Store, found: list[tuple[str, Intents]], only: Collection[str], left_out: set[str]
) -> list[tuple[str, Intents]]:
    """Those of ``found`` in the accounts ``only``. ``left_out`` gets the ids of the others."""
    left_out.update(intents.account_id for _, intents in found if intents.account_id not in only)
    chosen = [(name, intents) for name, intents in found if intents.account_id in only]
    if not chosen:
        raise IdentityCenterError(
            f"none of the {len(found)} {INTENTS_FILE} below {store} is of the {len(only)} accounts that -a and -t "
            "choose: run the policies there, or correct -a and -t"
        )
    return chosen


def _unreadable(error: OSError) -> IdentityCenterError:
    return IdentityCenterError(
        f"the intents can't be read: {error}. Nothing was touched: make the whole output readable, and run again"
    )


def _check_writers(directory: Path, names: Iterable[str]) -> None:
    for name in names:
        if why := others_may_write(directory, name):
            raise IdentityCenterError(
                f"{directory / name} is not trusted: {why}. Nothing was touched: find out who wrote it, make this "
                "run's user the only owner and writer of the output, and run the policies again; or, if you trust "
                "everyone who can write there, give --trust-intents"
            )


def _read(place: str, name: str, content: bytes | None, shared: PolicyInterner) -> Intents:
    try:
        data = read_json(content or b"", shared, MOST_JSON)
        check_intents(data)
        return intents_from(data, str(PurePosixPath(name).parent))
    except ValueError as error:
        kind = "" if isinstance(error, NotIntents | NotInFormat) else f"{type(error).__name__}: "
        raise IdentityCenterError(f"{place}: can't be read as intents: {kind}{error}") from error


def _check_ages(
    store: Store, found: Iterable[tuple[str, Intents]], max_age: timedelta, now: datetime
) -> None:
    for name, intents in found:
        age = now - (intents.time or now)
        file = f"{store.place(name)} (account {intents.account_id}) has the time {intents.time}"
        if age > max_age:
            raise IdentityCenterError(
                f"{file}, older than {max_age}, and users may have changed: run the policies again, or give a longer "
                "--max-age; if its policy no longer finds users, remove it"
            )
        if age < -_AHEAD:
            raise IdentityCenterError(
                f"{file}, which is in the future: correct the clock of the machine that ran the policies"
            )


def _check_places(
    store: Store, found: Iterable[tuple[str, Intents]], accounts: Mapping[str, str] | None
) -> None:
    of_directory: dict[PurePosixPath, str] = {}
    of_account: dict[str, PurePosixPath] = {}
    layouts: dict[str, str] = {}
    for name, intents in found:
        path, account = store.place(name), intents.account_id
        beside = _beside_policy(store, name, intents.policy)
        if beside is None:
            raise _claims(path, f"to be of policy {intents.policy}", "the directory of another")
        beside = _name_in_one(beside, accounts or {})
        if _is_elsewhere(beside):
            raise _elsewhere(
                f"{path} (account {account})",
                f"a policy's run writes it to {_LAYOUT} below {store}{_OF_SLASHES}",
            )
        layouts.setdefault(_layout(beside), path)
        if len(layouts) > 1:
            raise _elsewhere(
                f"{path} (account {account})",
                f"the files of one run have the same layout, and {next(iter(layouts.values()))} has another",
            )
        directory, names = _account_directory(beside)
        known = of_directory.setdefault(directory, account)
        place = of_account.setdefault(account, directory)
        if known != account or place != directory:
            against = (
                f"where other files are for account {known}"
                if known != account
                else f"and so do the files in {place}"
            )
            raise _claims(path, f"to be of account {account}", against)
        if not _names_account(names, account, accounts):
            where = " and ".join(names) or "its directory"
            raise _claims(path, f"to be of account {account}", f"not that of {where}")


def _check_copies(store: Store, found: Iterable[tuple[str, Intents]]) -> None:
    of_policy: dict[tuple[str, str], str] = {}
    for name, intents in found:
        path = store.place(name)
        other = of_policy.setdefault((intents.account_id, intents.policy), path)
        if other != path:
            raise IdentityCenterError(
                f"{path} is a second file of policy {intents.policy} and account {intents.account_id}, besides "
                f"{other}: find out who wrote it, and remove it; if one run has written both, in two Regions, give the "
                "account one Region, as IAM is the same in all, and run the policies again into an empty directory"
            )


def _of_last_runs(
    store: Store, found: Iterable[tuple[str, Intents]], runs: Iterable[_Run]
) -> Iterator[tuple[str, Intents]]:
    """``found``, without users if the policy's last run found none: such a run leaves the file unchanged.

    Raises IdentityCenterError for intents older than a failed run, or one with --dryrun.
    """
    of_policy: defaultdict[tuple[str, str], list[_Run]] = defaultdict(list)
    for run in runs:
        of_policy[run.account_id, run.policy].append(run)
    for name, intents in found:
        last = _later_run(name, intents, of_policy[intents.account_id, intents.policy])
        if last is None:
            yield name, intents
        elif last.found_nobody:
            yield name, replace(intents, users=(), time=last.start)
        else:
            raise IdentityCenterError(
                f"{store.place(name)} (account {intents.account_id}) has the time {intents.time}, and policy "
                f"{intents.policy} ran again at {last.start}{' with --dryrun' if last.is_dry else ''} and wrote no "
                "intents. Nothing was touched: run the policies again"
            )


def _later_run(name: str, intents: Intents, runs: Iterable[_Run]) -> _Run | None:
    """The last of ``runs``, if it began after ``intents`` were written; None if not."""
    if intents.time is None:
        return None
    regions = [part for part in PurePosixPath(name).parts if REGION.fullmatch(part)]
    later = [run for run in runs if run.start > intents.time and (not regions or run.region in regions)]
    return max(later, key=lambda each: each.start, default=None)


def check_complete(
    output: Store,
    found: Iterable[Intents],
    policies_in: Callable[[Intents], Iterable[str]],
    max_age: timedelta = MAX_AGE,
    now: datetime | None = None,
    accounts: Mapping[str, str] | None = None,
) -> None:
    """Raises IdentityCenterError if an account of ``found`` has no intents of a policy that runs there.

    A policy whose last run found no users has none. ``policies_in``: the policies that run in the account and Region of
    intents. ``accounts``: see ``read_intents``.
    """
    oldest = (now or datetime.now(timezone.utc)) - min(max_age, _LONGEST_AGE)
    try:
        runs = sorted(_runs(output, [oldest], accounts), key=lambda each: each.start)
    except OSError as error:
        raise _unreadable(error) from error
    latest = {(run.account_id, run.policy, run.region): run for run in runs if run.start >= oldest}
    written = defaultdict[str, list[Intents]](list)
    for each in found:
        written[each.account_id].append(each)
    for account_id, of_account in written.items():
        of_policies = {each.policy for each in of_account}
        regions = {part for each in of_account for part in each.place.split("/") if REGION.fullmatch(part)}
        for policy in policies_in(of_account[0]):
            last = [
                run
                for (account, name, region), run in latest.items()
                if (account, name) == (account_id, policy) and (not regions or region in regions)
            ]
            if policy not in of_policies and not any(run.found_nobody for run in last):
                raise IdentityCenterError(
                    f"account {account_id} has no intents of policy {policy}, and no run of it there in the last "
                    f"{max_age} found no users, so access that it may request would be removed. Nothing was "
                    "touched: run all policies of -u over all accounts into the same output; if the policy "
                    "must not run in that account, give it conditions"
                )


@dataclass(frozen=True)
class _Run:
    """A run of a policy, from Cloud Custodian's records. ``found_nobody``: it completed, without users."""

    policy: str
    account_id: str
    region: str
    start: datetime
    is_dry: bool
    found_nobody: bool


def _runs(store: Store, times: Sequence[datetime], accounts: Mapping[str, str] | None) -> list[_Run]:
    """The runs of policies below ``store``, at least those since ``times``.

    Raises IdentityCenterError for a file that is no JSON, or that lies where another account writes; OSError.
    """
    since = min(times, default=None)
    names = store.names("", *_METADATA, since=since - _AHEAD if since else None)
    found = list[_Run]()
    for name, content in read_all(store, names, _LARGEST_METADATA):
        run = _run_of(store.place(name), content)
        writes = Layout.of(PurePosixPath(name).parent.parts, accounts or {}).of_account
        if run and writes not in ("", run.account_id):
            raise _claims(
                store.place(name), f"to be of account {run.account_id}", f"where account {writes} writes"
            )
        found += [run] if run else []
    return found


def _run_of(place: str, content: bytes | None) -> _Run | None:
    """None for a file that Cloud Custodian did not write."""
    try:
        data = read_json(unpacked(content or b"", _LARGEST_METADATA))
    except NotInFormat as error:
        raise IdentityCenterError(
            f"{place} can't be read, so it is not known whether a policy ran again: {error}. Nothing was touched: run "
            "the policies again, or move the file away"
        ) from error
    try:
        config, start = data["config"], datetime.fromtimestamp(data["execution"]["start"], timezone.utc)
        counts = [each["Value"] for each in data.get("metrics", ()) if each["MetricName"] == "ResourceCount"]
        return _Run(
            str(data["policy"]["name"]),
            str(config["account_id"]),
            str(config["region"]),
            start,
            bool(config.get("dryrun")),
            counts == [0] and not config.get("dryrun"),
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def _name_in_one(beside: Sequence[str], accounts: Mapping[str, str]) -> Sequence[str]:
    """``beside`` with the directories of an account's name joined, if the name has ``/`` in it."""
    ends = (end for end in range(len(beside), 1, -1) if "/".join(beside[:end]) in accounts)
    end = next(ends, 0)
    return ("/".join(beside[:end]), *beside[end:]) if end else beside


def _is_elsewhere(beside: Sequence[str]) -> bool:
    """Whether there are more directories than an account's name, a Region and an account id."""
    regions = sum(bool(REGION.fullmatch(each)) for each in beside)
    ids = sum(is_account_id(each) for each in beside)
    return regions > 1 or len(beside) - regions - ids > 1 or len(beside) - regions > 2


def _layout(beside: Sequence[str]) -> str:
    """The layout, by the kinds of directories."""
    return "/".join("region" if REGION.fullmatch(each) else "account" for each in beside)


def _beside_policy(store: Store, name: str, policy: str) -> Sequence[str] | None:
    """The directories of ``name`` without the policy's; None if the policy's directory is not among them.

    An output URL may have c7n's ``{policy_name}`` anywhere, even above ``store``.
    """
    directories = PurePosixPath(name).parent.parts
    if policy in directories:
        at = len(directories) - 1 - directories[::-1].index(policy)
        return directories[:at] + directories[at + 1 :]
    output = Path(str(store)).resolve().parts
    if not directories:
        return () if output[-1] == policy else None
    return directories if policy in output and is_account_id(directories[-1]) else None


def _account_directory(beside: Sequence[str]) -> tuple[PurePosixPath, tuple[str, ...]]:
    """The account's directory without the Region, and the parts that name the account: its name, its id.

    ``beside``: see ``_beside_policy``.
    """
    if not (beside and is_account_id(beside[-1])):
        return PurePosixPath(*beside[:-1]), (beside[-2] if len(beside) > 1 else "",)
    *rest, account = beside
    if not (rest and REGION.fullmatch(rest[-1])):
        return PurePosixPath(*rest, account), (account,)
    named = rest[:-1]
    return PurePosixPath(*(named or [account])), (*named[-1:], account)


def _names_account(names: Sequence[str], account: str, accounts: Mapping[str, str] | None) -> bool:
    """Whether all ``names`` belong to the account. ``accounts``: name -> id, if known."""
    if accounts is None:
        return all(name == account for name in names if is_account_id(name))
    ids = set(accounts.values())
    return all(accounts.get(name, name if name in ids else "") == account for name in names)


def _elsewhere(path: str, why: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"{path} is in a wrong place: {why}: find out who put it there, remove it, and give -s the output of one run "
        "only"
    )


def _claims(path: str, claim: str, against: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"{path} claims {claim}, {against}: find out who wrote it, remove it, and run the policies again"
    )
