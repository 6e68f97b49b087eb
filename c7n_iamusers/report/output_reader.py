# SPDX-License-Identifier: Apache-2.0
"""Reads what runs of policies have left below an output directory or bucket prefix. Decides nothing.

The place of an output says of which account it is (``output_layout``): data on another account's users is a fault.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import PurePosixPath
from statistics import median_high
from threading import Lock
from typing import Any

from c7n_iamusers.evidence.seen_users import FLAGGED, SEEN, SeenUsers, parse_seen, sees_all
from c7n_iamusers.exceptions import InvalidPolicyData, OutputUnreadable
from c7n_iamusers.execution.calls import is_key_id
from c7n_iamusers.execution.journal import RESTORE_JOURNAL, utc_now
from c7n_iamusers.execution.outcomes import (
    MEMBERS,
    OUTCOMES,
    provisioned_fault,
)
from c7n_iamusers.execution.output_layout import DATE, DATE_PARTS, Layout, Owner
from c7n_iamusers.execution.output_layout import REGION as REGION
from c7n_iamusers.execution.stopped_runs import missing_outcomes, unfinished_restorations
from c7n_iamusers.execution.stores import JOURNAL, Store
from c7n_iamusers.exemptions import KEYS as RULE_KEYS
from c7n_iamusers.report.output_files import OutputFiles
from c7n_iamusers.report.output_names import (
    GZ,
    LOG,
    METADATA,
    OF_CUSTODIAN,
    OF_RUNS,
    RESOURCES,
    RESULT_FILE,
    OutputName,
    what_is,
)
from c7n_iamusers.report.output_shapes import METADATA_SHAPE, RESULT_SHAPE, ROWS_SHAPE, USER_ARN, USERS_SHAPE
from c7n_iamusers.report.outputs import (
    ACTION_FAILED,
    DENIED,
    FAILED,
    RAN,
    REPLACES,
    RESTORE,
    STOPPED,
    TOO_MANY,
    UNREADABLE,
    PolicyOutput,
)
from c7n_iamusers.report.policy_text import (
    KEY_TYPES,
    is_reported,
    mails_of,
    own_rules,
    parked_for,
    selected_names,
)
from c7n_iamusers.report.selected_keys import KEY_ID, selected_keys
from c7n_iamusers.report.selected_users import Selected, selected_users
from c7n_iamusers.text.kept import Kept, size
from c7n_iamusers.text.times import CLOCKS_APART
from c7n_iamusers.text.validators import record

_NAMES = (*OF_CUSTODIAN, *OF_RUNS)
#: Directories that are read at once, so that a bucket's answers are waited for together.
_AT_ONCE = 8
_LONGEST_FAULT = 1_000
#: Bytes in memory of what is kept of one directory: so many, or so many times those of its files as they lie there,
#: whichever is more. Runs leave up to TIMES times.
_LARGEST_KEPT, _MOST_KEPT_TIMES = 4 * 1024 * 1024, 40
#: The same of all directories of one account, which may be many; and what is the most that is kept of them.
_LARGEST_OF_ACCOUNT, _MOST_OF_ACCOUNT = 64 * 1024 * 1024, 1024 * 1024 * 1024
_DENIED = (b"AccessDenied", b"not authorized to perform")
#: The files of several directories are read at once, and those of one at a time are unpacked and parsed: what is parsed
#: takes much more memory than what is kept of it.
_PARSING = Lock()
_Row = Mapping[str, Any]
#: Without an accounts file.
NO_NAMES: Mapping[str, str] = {}
#: What is kept of outcomes, those of provisioning among them.
_OF_ROWS = (*MEMBERS, "policy", "users")


def read_outputs(
    store: Store, known: Mapping[str, str] = NO_NAMES, accounts: Collection[str] = ()
) -> list[PolicyOutput]:
    """The outputs of policies on IAM users below ``store``.

    ``known``: the name of each account of the accounts file -> its id. ``accounts``: names and ids of the only accounts
    that are wanted; what the directories of others hold is not read. An output that can't be read, or that tells of
    another account's users, has the state UNREADABLE, and does not have these users. Raises OutputUnreadable where
    nothing lies there that a run leaves, or the place itself can't be read.
    """
    of_directory = _directories(store)
    rules, bounds = Kept(RULE_KEYS), _Bounds()
    if accounts:
        of_directory = {
            path: files
            for path, files in of_directory.items()
            if not (own := Layout.of(path.parts, known).owners(known)) or own & {*accounts}
        }

    def read(directory: PurePosixPath, names: Collection[OutputName]) -> PolicyOutput | None:
        if faults := [f"{store.place(each.full)} {each.fault}" for each in names if each.fault]:
            return _output(OutputFiles(store, directory, ()), known, "; ".join(faults))
        files = OutputFiles(store, directory, names)
        files.read_ahead()
        with _PARSING:
            return _read(files, known, rules, bounds)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outputs = list(
            pool.map(read, *zip(*sorted(of_directory.items()), strict=True)) if of_directory else ()
        )
    of_users = [output for output in outputs if output]
    if not of_users and not accounts:
        raise OutputUnreadable(
            f"{store} holds runs of policies on other resources only: give -s one of policies on aws.iam-user or "
            "aws.iam-access-key"
        )
    return _dated(of_users)


def _directories(store: Store) -> dict[PurePosixPath, list[OutputName]]:
    """The files of each directory, but for those of provisioning's own runs. Raises OutputUnreadable."""
    try:
        files = [what_is(name) for name in store.names("", *_NAMES, *(name + GZ for name in _NAMES))]
    except OSError as error:
        raise OutputUnreadable(f"{error}: let this user read all of {store}, and run again") from error
    if all(each.what in (JOURNAL, RESTORE_JOURNAL) for each in files):
        raise OutputUnreadable(
            f"{store} holds no output of a run: no {RESOURCES}, {METADATA} or {OUTCOMES} lies in it or below it: give "
            "-s the directory or s3://BUCKET/PREFIX that custodian run or c7n-org run was given"
        )
    found = defaultdict[PurePosixPath, list[OutputName]](list)
    for each in files:
        if not each.provisions:
            found[PurePosixPath(each.place)].append(each)
    return dict(found)


def _dated(outputs: list[PolicyOutput]) -> list[PolicyOutput]:
    """A run without a date gets that of its other accounts; if these have none either, it counts as the last."""
    times = defaultdict[str, dict[str, datetime]](dict)
    for output in outputs:
        if output.time:
            of_account, account = times[output.run], output.account or output.name
            of_account[account] = max(output.time, of_account.get(account, output.time))
    # each account has one vote, however many outputs it writes: it writes their times, too
    of_run = {run: max(filter(None, (median_high(its.values()), _hour(run)))) for run, its in times.items()}
    return [output if output.time else replace(output, time=of_run.get(output.run)) for output in outputs]


def _hour(run: str) -> datetime | None:
    """The hour in the directories of a bucket, in which the run began."""
    date = "/".join(run.split("/")[-DATE_PARTS:])
    try:
        return (
            datetime.strptime(date, "%Y/%m/%d/%H").replace(tzinfo=timezone.utc)
            if DATE.fullmatch(date)
            else None
        )
    except ValueError:
        return None


class _Bounds:
    """How much is kept of each account's directories: only who may write there decides how many there are.

    ``reached``: account -> why nothing more of it is read.
    """

    def __init__(self) -> None:
        self._packed, self._kept = Counter[str](), Counter[str]()
        self.reached: dict[str, str] = {}

    def fault(self, owner: str, packed: int, found: PolicyOutput | None) -> str:
        """Why no more of the account is kept; empty if it is. ``packed``: bytes of the directory's files.

        ``owner``: the account that writes there; empty where that is not known, and the directory alone is bounded.
        """
        most = max(_LARGEST_KEPT, _MOST_KEPT_TIMES * packed)
        kept = size(found, most)
        self._packed[owner] += packed
        self._kept[owner] += kept  # also of what is refused: it was read
        of_all = min(max(_LARGEST_OF_ACCOUNT, _MOST_KEPT_TIMES * self._packed[owner]), _MOST_OF_ACCOUNT)
        if owner and self._kept[owner] > of_all:
            why = f"is not read: what a report keeps of all outputs of account {owner} takes more than {of_all} bytes"
            return self.reached.setdefault(owner, f"{why}, which is more than runs leave")
        if kept > most:
            return f"holds more than a run leaves: what a report keeps of it takes more than {most} bytes"
        return ""


def _read(files: OutputFiles, known: Mapping[str, str], rules: Kept, bounds: _Bounds) -> PolicyOutput | None:
    """As ``_output``; whatever is wrong in one directory is said of that directory, and hides no other.

    ``rules``: those of all directories, of which the refused ones leave none there.
    """
    layout = Layout.of(files.directory.parts, known)
    owner = layout.of_account or layout.name
    try:
        fault, found = bounds.reached.get(owner, ""), None
        if not fault:
            found = _output(files, known)
            fault = bounds.fault(owner, files.packed, found)
        if not fault:
            return found and replace(found, rules=tuple(map(rules.of, found.rules)))
    except MemoryError:
        raise  # of all that is kept, and no fault of this directory
    except Exception as error:  # noqa: BLE001  # its files may hold anything
        fault = f"holds what no run leaves: {error!r}"[:_LONGEST_FAULT]
    return _output(OutputFiles(files.store, files.directory, ()), known, fault)


def _output(files: OutputFiles, known: Mapping[str, str], fault: str = "") -> PolicyOutput | None:
    """None for a policy on other resources. ``fault``: why nothing is read."""
    store, directory, kept = files.store, files.directory, Kept(RULE_KEYS)
    files.faults += [fault] if fault else []
    metadata = _metadata(files)
    policy = metadata["policy"] if metadata else {}
    if policy and not is_reported(policy):
        return None
    layout = Layout.of(directory.parts, known)
    owner = layout.owner(known, str((metadata or {}).get("config", {}).get("account_id") or ""))
    if owner.fault:
        files.tells_of_others(layout.policy, owner.fault)
        metadata, policy = None, {}  # whoever wrote it chose what it says
    refused = bool(fault or owner.fault)
    on_keys = policy.get("resource") in KEY_TYPES
    resources = None if refused else _resources(files, owner, on_keys)
    of_users, of_keys = _parted(() if refused else _rows(files, owner))
    execution = str((metadata or {}).get("execution", {}).get("id") or "")
    seen = None if refused else _seen(files, execution, owner)
    denied = files.mentions(LOG, _DENIED)
    state, why = _state(files, metadata, resources is not None, denied, on_keys)
    selected = (resources or ()) if state in (RAN, ACTION_FAILED) else None
    users = None if on_keys or selected is None else tuple(selected_users(selected))
    keys = tuple(selected_keys(selected)) if on_keys and selected is not None else None
    return PolicyOutput(
        place=store.place(str(directory)).removesuffix("/."),
        run=f"{store}/{layout.run}".rstrip("/"),
        policy=str(policy.get("name") or layout.policy),
        account=owner.account or _account_of(resources or (), (*of_users, *of_keys)),
        name=layout.name,
        region=layout.region,
        time=_began(metadata),
        state=state,
        why=why,
        dry_run=bool((metadata or {}).get("config", {}).get("dryrun")),
        users=users,
        rows=of_users,
        rules=tuple(map(kept.of, own_rules(policy.get("filters")))),
        execution=execution,
        sees_all=sees_all(policy.get("filters")),
        seen=seen and _without_selected(seen, users or ()),
        mails=tuple(dict.fromkeys(mails_of(policy.get("actions")))),
        names=selected_names(policy.get("filters")),
        deployed=state == RAN and resources is None,
        of_others=tuple(files.of_others),
        on_keys=on_keys,
        keys=keys,
        key_rows=of_keys,
        parked_for=parked_for(policy.get("actions")) if on_keys else None,
    )


def _resources(files: OutputFiles, owner: Owner, on_keys: bool) -> list[_Row] | None:
    """What the policy selected, which is ``on_keys`` or on users: no other resources are believed."""
    what = "access keys" if on_keys else "IAM users"
    found = files.data(RESOURCES, USERS_SHAPE, f"a list of {what}")
    if found and any((KEY_ID in each) != on_keys for each in found):
        files.fault(RESOURCES, f"is not a list of {what}, as its policy selects")
    return _own(files, owner, RESOURCES, found) if found else found


def _parted(rows: Iterable[_Row]) -> tuple[tuple[_Row, ...], tuple[_Row, ...]]:
    """Outcomes of users, and those of access keys."""
    found: tuple[list[_Row], list[_Row]] = [], []
    for row in rows:
        found[is_key_id(str(row.get("unique_id")))].append(row)
    return tuple(found[False]), tuple(found[True])


def _metadata(files: OutputFiles) -> dict[str, Any] | None:
    """Cloud Custodian's record of the run; None if there is none, or if it began in the future: it would count as the
    last run for good.
    """
    found: dict[str, Any] | None = files.data(METADATA, METADATA_SHAPE, "metadata")
    began = _began(found)
    if began is None or began <= utc_now() + CLOCKS_APART:
        return found
    files.fault(METADATA, f"says that its run began at {began:%Y-%m-%d %H:%M:%S} UTC, which is in the future")
    return None


def _own(files: OutputFiles, owner: Owner, name: str, rows: Iterable[_Row]) -> list[_Row]:
    """Those of the ``rows`` of the file ``name`` that are of users of the account; others are a fault of the file."""
    found, others = list[_Row](), list[str]()
    for row in rows:
        # a row of a run has one of them
        arns = [str(row[key] or "") for key in ("arn", "Arn") if key in row] or [""]
        if foreign := [arn for arn in arns if owner.is_of_another(arn)]:
            others.append(foreign[0])
        else:
            found.append(row)
    if others:
        files.tells_of_others(name, owner.refusal(others))
    return found


def _seen(files: OutputFiles, execution: str, owner: Owner) -> SeenUsers | None:
    """What the filter ``unnecessary`` saw in this ``execution``; the file may be an earlier one's."""
    if (data := files.data(SEEN, record({}, others=True), "a list of seen users")) is None:
        return None
    try:
        seen = parse_seen(data)
    except (ValueError, InvalidPolicyData) as error:
        files.fault(SEEN, f"is not a list of seen users that a run leaves: {error}")
        return None
    if seen.execution != execution:
        return None
    own = {user["arn"] for user in _own(files, owner, SEEN, ({"arn": each.arn} for each in seen.users))}
    return replace(seen, users=tuple(user for user in seen.users if user.arn in own))


def _without_selected(seen: SeenUsers, users: Iterable[Selected]) -> SeenUsers:
    """Without the selected ``users``, who are kept with all that is known: a report may be on 600,000 of them."""
    selected = {user.unique_id for user in users}
    kept = (
        user for user in seen.users if user.expired or user.state != FLAGGED or user.unique_id not in selected
    )
    return replace(seen, users=tuple(kept))


def _state(files: OutputFiles, metadata: Any, selected: bool, denied: bool, on_keys: bool) -> tuple[str, str]:
    """How the run ended, and in words why not well. A list of users may be an earlier run's.

    ``denied``: whether its log tells of a denied call.

    The deployment of a function selects nobody, and so do most events that one gets.
    """
    if files.faults:
        return UNREADABLE, "; ".join(files.faults)
    if not any(map(files.has, (METADATA, RESOURCES, LOG))):
        return "", ""
    if metadata is None:
        return STOPPED, f"it left no {METADATA}: its role can't be assumed, or it was killed"
    counts = {str(metric.get("MetricName")): metric.get("Value") for metric in metadata.get("metrics") or ()}
    what = "access keys" if on_keys else "users"
    if "ResourceLimitExceeded" in counts:
        many = counts["ResourceLimitExceeded"]
        touched = "none" if on_keys else "nobody"
        return TOO_MANY, f"it selected {many} {what}, more than max-resources allows, and touched {touched}"
    if "PolicyException" in counts and "ResourceCount" in counts and selected:
        return ACTION_FAILED, f"it selected its {what}, and then an action ended with an error"
    if denied and "ResourceCount" not in counts:
        return DENIED, "access was denied before it had selected users"
    mode = metadata["policy"].get("mode")
    is_function = isinstance(mode, dict) and mode.get("type", "pull") != "pull"
    if "PolicyException" in counts or not (selected or is_function):
        return FAILED, "it ended with an error before it had selected users, such as a denied call"
    return RAN, ""


def _rows(files: OutputFiles, owner: Owner) -> tuple[_Row, ...]:
    """Outcomes, those of provisioning, of a run that was killed and of restorations that are not done among them."""
    rows = files.data(OUTCOMES, ROWS_SHAPE, "a list of outcomes", _OF_ROWS) or ()
    rows = _own(files, owner, OUTCOMES, rows)
    result = files.data(RESULT_FILE, RESULT_SHAPE, "a result of provisioning", _OF_ROWS) or {}
    lines = _own(files, owner, JOURNAL, files.journal())
    restored = _own(files, owner, RESTORE_JOURNAL, files.lines(RESTORE_JOURNAL))
    stopped = missing_outcomes(lines, rows, lambda unique_id: unique_id)
    last = {line.get("unique_id"): str(line.get("time")) for line in lines}
    return (
        *rows,
        *_provisioned(files, _own(files, owner, RESULT_FILE, result.get("users", ()))),
        *(
            {**outcome.as_data(), "unique_id": subject.unique_id, "time": last.get(subject.unique_id, "")}
            for subject, outcome in stopped
        ),
        # a later outcome of the policy says nothing of them
        *(
            {**outcome.as_data(), "policy": RESTORE, REPLACES: former}
            for former, outcome in unfinished_restorations(restored)
        ),
    )


def _provisioned(files: OutputFiles, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Those of provisioning's ``rows`` that it can write; that there are others is a fault."""
    for row in rows:
        if fault := provisioned_fault(row):
            files.fault(RESULT_FILE, f"is not a result of provisioning that a run leaves: {fault}")
        else:
            yield row


def _began(metadata: Any) -> datetime | None:
    start = (metadata or {}).get("execution", {}).get("start")
    try:
        return datetime.fromtimestamp(start, timezone.utc) if isinstance(start, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _account_of(resources: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> str:
    arns = (str(each.get("Arn") or each.get("arn")) for each in (*resources, *rows))
    return next((found[1] for arn in arns if (found := USER_ARN.fullmatch(arn))), "")
