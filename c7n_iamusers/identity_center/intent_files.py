# SPDX-License-Identifier: Apache-2.0
"""The intents that the policies of a fleet run have left below its output, and what of them to believe.

c7n-org writes to ``<account's name>/<region>/<policy>``, Cloud Custodian to ``<policy>``. In a bucket they lie as
snapshots and journals do, where the account's id follows: ``<account's name>/<region>/<account id>/<policy>`` and
``<account id>/<policy>``. Whoever can write there can claim anything, so what a file says is held against where it
lies: a run has one layout, in which each account has one directory, and each policy leaves one file in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.stores import DirectoryStore, Store, as_store, others_may_write, read_all
from c7n_iamusers.iam.policy_documents import PolicyInterner
from c7n_iamusers.identity_center.intent_claims import check_claims
from c7n_iamusers.identity_center.intents import INTENTS_FILE, Intents, NotIntents, intents_data, intents_from

#: The age up to which intents are applied unless somebody says otherwise: what is older speaks of other users.
MAX_AGE = timedelta(hours=24)
#: Bytes of a file: several times what the largest account needs.
LARGEST = 512 * 1024 * 1024
#: By how much another machine's clock may be ahead.
_AHEAD = timedelta(minutes=5)
_ACCOUNT_ID = re.compile(r"\d{12}", re.ASCII)
REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d", re.ASCII)
_OF_SLASHES = " (an account's name with / in it is known by the accounts file, -c)"
_LAYOUT = "<account's name>/<region>/<policy>"


def write_intents(output: Path | Store, intents: Intents) -> str:
    """Replace the intents of a policy's output; durable when this returns. Where they are. Raises OSError."""
    store = as_store(output)
    timed = replace(intents, time=intents.time or utc_now())
    store.replace(INTENTS_FILE, json.dumps(intents_data(timed), indent=1, default=str).encode())
    return store.place(INTENTS_FILE)


def read_intents(
    output: Path | Store,
    max_age: timedelta = MAX_AGE,
    accounts: Mapping[str, str] | None = None,
    now: datetime | None = None,
    trusted: bool = False,
) -> list[Intents]:
    """All intents below ``output``; their place is where they lie, as seen from there.

    ``accounts``: account's name -> id, as c7n-org's accounts file has them, where that is known. ``trusted``: whoever
    may write files of a directory is. Raises IdentityCenterError where there are none, where a file can't be read, is
    too old, may be somebody else's, or claims what the place it lies in does not: one account's intents less would
    look like a smaller fleet.
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
            (name, _read(store.place(name), name, each, shared))
            for name, each in read_all(store, names, LARGEST)
        ]
        if not trusted and isinstance(store, DirectoryStore):
            _check_writers(store.directory, names)
    except OSError as error:
        raise _unreadable(error) from error
    _check_ages(store, found, max_age, now or datetime.now(timezone.utc))
    _check_places(store, found, accounts)
    _check_copies(store, found)
    return [intents for _, intents in found]


def _unreadable(error: OSError) -> IdentityCenterError:
    return IdentityCenterError(
        f"{error}: so it can't be read as intents. Nothing was touched: see that all of the output can be read, and "
        "run again"
    )


def _check_writers(directory: Path, names: Iterable[str]) -> None:
    for name in names:
        if why := others_may_write(directory, name):
            raise IdentityCenterError(
                f"{directory / name} may be somebody else's: {why}. Nothing was touched: find out who wrote it, let "
                "this run's user alone own and write the output, and run the policies again; or, where you trust "
                "whoever can write there, give --trust-intents"
            )


def _read(place: str, name: str, content: bytes | None, shared: PolicyInterner) -> Intents:
    try:
        data = json.loads((content or b"").decode(), object_hook=shared)
        check_claims(data)
        return intents_from(data, str(PurePosixPath(name).parent))
    except (ValueError, RecursionError) as error:
        kind = "" if isinstance(error, NotIntents) else f"{type(error).__name__}: "
        raise IdentityCenterError(f"{place}: can't be read as intents: {kind}{error}") from error


def _check_ages(
    store: Store, found: Iterable[tuple[str, Intents]], max_age: timedelta, now: datetime
) -> None:
    for name, intents in found:
        age = now - (intents.time or now)
        told = f"{store.place(name)} (account {intents.account_id}) is of {intents.time}"
        if age > max_age:
            raise IdentityCenterError(
                f"{told}, older than {max_age}: users and their policies may be others by now: run the policies again, "
                "or give a longer --max-age; where its policy finds nobody any more, remove it"
            )
        if age < -_AHEAD:
            raise IdentityCenterError(
                f"{told}, which is yet to come: correct the clock of the machine that ran the policies"
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
                f"a policy's run leaves it in {_LAYOUT} below {store}{_OF_SLASHES}",
            )
        layouts.setdefault(_layout(beside), path)
        if len(layouts) > 1:
            raise _elsewhere(
                f"{path} (account {account})",
                f"those of one run lie alike, and {next(iter(layouts.values()))} does not",
            )
        directory, names = _account_directory(beside)
        known = of_directory.setdefault(directory, account)
        place = of_account.setdefault(account, directory)
        if known != account or place != directory:
            against = f"where others are of account {known}" if known != account else f"and so does {place}"
            raise _claims(path, f"to be of account {account}", against)
        if not _names_account(names, account, accounts):
            where = " and ".join(each for each in names if each) or "its directory"
            raise _claims(path, f"to be of account {account}", f"not that of {where}")


def _check_copies(store: Store, found: Iterable[tuple[str, Intents]]) -> None:
    of_policy: dict[tuple[str, str], str] = {}
    for name, intents in found:
        path = store.place(name)
        other = of_policy.setdefault((intents.account_id, intents.policy), path)
        if other != path:
            raise IdentityCenterError(
                f"{path} is a second one of policy {intents.policy} and account {intents.account_id}, beside {other}: "
                "find out who wrote it, and remove it; where one run has left both, in two Regions, give the account "
                "one Region, as IAM is the same in all, and run the policies again into an empty directory"
            )


def _name_in_one(beside: Sequence[str], accounts: Mapping[str, str]) -> Sequence[str]:
    """``beside`` with an account's name that has ``/`` in it, which becomes several directories, as one again."""
    ends = (end for end in range(len(beside), 1, -1) if "/".join(beside[:end]) in accounts)
    end = next(ends, 0)
    return ("/".join(beside[:end]), *beside[end:]) if end else beside


def _is_elsewhere(beside: Sequence[str]) -> bool:
    """Whether these are more directories than runs make: an account's name, a Region and an account's id."""
    regions = sum(bool(REGION.fullmatch(each)) for each in beside)
    ids = sum(bool(_ACCOUNT_ID.fullmatch(each)) for each in beside)
    return regions > 1 or len(beside) - regions - ids > 1 or len(beside) - regions > 2


def _layout(beside: Sequence[str]) -> str:
    """The kinds of directories."""
    return "/".join("region" if REGION.fullmatch(each) else "account" for each in beside)


def _beside_policy(store: Store, name: str, policy: str) -> Sequence[str] | None:
    """The directories that ``name`` lies in beside the policy's own; None where it does not lie in that.

    c7n's ``{policy_name}`` may stand anywhere in an output URL, also above what is read here.
    """
    directories = PurePosixPath(name).parent.parts
    if policy in directories:
        at = len(directories) - 1 - directories[::-1].index(policy)
        return directories[:at] + directories[at + 1 :]
    output = Path(str(store)).resolve().parts
    if not directories:
        return () if output[-1] == policy else None
    return directories if policy in output and _ACCOUNT_ID.fullmatch(directories[-1]) else None


def _account_directory(beside: Sequence[str]) -> tuple[PurePosixPath, tuple[str, ...]]:
    """The account's directory, whatever the Region, and what of it names the account: c7n-org's name for it, its id.

    ``beside``: the directories beside a policy's.
    """
    if not (beside and _ACCOUNT_ID.fullmatch(beside[-1])):
        return PurePosixPath(*beside[:-1]), (beside[-2] if len(beside) > 1 else "",)
    *rest, account = beside
    if not (rest and REGION.fullmatch(rest[-1])):
        return PurePosixPath(*rest, account), (account,)
    named = rest[:-1]
    return PurePosixPath(*(named or [account])), (*named[-1:], account)


def _names_account(names: Sequence[str], account: str, accounts: Mapping[str, str] | None) -> bool:
    """Whether ``names`` are all of the account. ``accounts``: name -> id, where that is known."""
    if accounts is None:
        return all(each == account for each in names if _ACCOUNT_ID.fullmatch(each))
    ids = set(accounts.values())
    return all(accounts.get(each, each if each in ids else "") == account for each in names)


def _elsewhere(path: str, why: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"{path} lies where it can't belong: {why}: find out who put it there, remove it, and give -s the output of "
        "one run alone"
    )


def _claims(path: str, claim: str, against: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"{path} claims {claim}, {against}: find out who wrote it, remove it, and run the policies again"
    )
