# SPDX-License-Identifier: Apache-2.0
"""Reads what runs of policies have left below an output directory or bucket prefix. Decides nothing.

Cloud Custodian writes to ``<policy>``, c7n-org to ``<account's name>/<region>/<policy>``. In a bucket both add
``<year>/<month>/<day>/<hour>``, and this package's own files lie where the account's id precedes the policy. Further
directories may stand above, one for each run, say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import PurePosixPath
from threading import Lock
from typing import Any

from c7n_iamusers.evidence.seen_users import FLAGGED, SEEN, SeenUsers, parse_seen, sees_all
from c7n_iamusers.exceptions import InvalidPolicyData, OutputUnreadable
from c7n_iamusers.execution.journal import RESTORE_JOURNAL
from c7n_iamusers.execution.outcomes import (
    MEMBERS,
    OUTCOMES,
    missing_outcomes,
    provisioned_fault,
    unfinished_restorations,
)
from c7n_iamusers.execution.stores import JOURNAL, Store
from c7n_iamusers.exemptions import KEYS as RULE_KEYS
from c7n_iamusers.iam.user_fields import named_alone
from c7n_iamusers.report.output_files import GZ, OutputFiles
from c7n_iamusers.report.output_shapes import METADATA_SHAPE, RESULT_SHAPE, ROWS_SHAPE, USER_ARN, USERS_SHAPE
from c7n_iamusers.report.outputs import (
    ACTION_FAILED,
    ANNOUNCE,
    DENIED,
    FAILED,
    RAN,
    REPLACES,
    RESTORE,
    STOPPED,
    TOO_MANY,
    UNREADABLE,
    Asks,
    Mail,
    PolicyOutput,
)
from c7n_iamusers.report.selected_users import Selected, selected_users
from c7n_iamusers.text.kept import Kept, plain, size
from c7n_iamusers.text.validators import (
    is_account_id,
    record,
)

RESOURCES, METADATA, LOG = "resources.json", "metadata.json", "custodian-run.log"
#: Of provisioning: the file beside an account's outcomes, and the directory of its own runs.
RESULT_FILE, RUNS = "identity-center-result.json", "identity-center-runs"
REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d", re.ASCII)
_JOURNALS = (JOURNAL, RESTORE_JOURNAL)
#: Files that are read, also packed: those of Cloud Custodian, which packs them in a bucket, and those of this package,
#: which are never packed. ``verification`` looks at the same ones.
OF_CUSTODIAN, OF_RUNS = (RESOURCES, METADATA, LOG, SEEN), (OUTCOMES, RESULT_FILE, *_JOURNALS)
_NAMES = (*OF_CUSTODIAN, *OF_RUNS)
#: Directories that are read at once, so that a bucket's answers are waited for together.
_AT_ONCE = 8
_DATE = re.compile(r"\d{4}/\d\d/\d\d/\d\d", re.ASCII)
_DATE_PARTS = 4
#: Where Cloud Custodian's files of a run lie in a bucket.
IN_BUCKET = re.compile(rf"(?:.*/)?{_DATE.pattern}/[^/]+", re.ASCII)
#: The resource of a policy on IAM users.
USER_TYPES = frozenset({"iam-user", "aws.iam-user"})
_LONGEST_FAULT = 1_000
#: Bytes in memory of what is kept of one directory: so many, or so many times those of its files as they lie there,
#: whichever is more. Runs leave up to TIMES times.
_LARGEST_KEPT, _MOST_KEPT_TIMES = 4 * 1024 * 1024, 40
_DENIED = (b"AccessDenied", b"not authorized to perform")
#: The files of several directories are read at once, and those of one at a time are unpacked and parsed: what is parsed
#: takes much more memory than what is kept of it.
_PARSING = Lock()
#: What is kept of outcomes, those of provisioning among them.
_OF_ROWS = (*MEMBERS, "policy", "users")


def read_outputs(
    store: Store, names: Iterable[str] = (), accounts: Collection[str] = ()
) -> list[PolicyOutput]:
    """The outputs of policies on IAM users below ``store``. ``names``: of accounts, for those with a ``/``.

    ``accounts``: names and ids of the only accounts that are wanted; what the directories of others hold is not read.
    What can't be read is an output whose state is UNREADABLE. Raises OutputUnreadable where nothing lies there that a
    run leaves, or the place itself can't be read.
    """
    try:
        found = store.names("", *_NAMES, *(name + GZ for name in _NAMES))
    except OSError as error:
        raise OutputUnreadable(f"{error}: let this user read all of {store}, and run again") from error
    of_directory: dict[PurePosixPath, list[str]] = {}
    for name in found:
        path = PurePosixPath(name)
        if RUNS not in path.parts:
            of_directory.setdefault(path.parent, []).append(name)
    if not any(PurePosixPath(name).name.removesuffix(GZ) not in _JOURNALS for name in found):
        raise OutputUnreadable(
            f"{store} holds no output of a run: no {RESOURCES}, {METADATA} or {OUTCOMES} lies in it or below it: give "
            "-s the directory or s3://BUCKET/PREFIX that custodian run or c7n-org run was given"
        )
    known, rules = frozenset(names), Kept(RULE_KEYS)
    if accounts:
        of_directory = {
            path: files
            for path, files in of_directory.items()
            if not (own := _layout(path.parts, known).owners) or own & {*accounts}
        }

    def read(directory: PurePosixPath, names: Collection[str]) -> PolicyOutput | None:
        files = OutputFiles(store, directory, names)
        files.read_ahead()
        with _PARSING:
            return _read(files, known, rules)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        outputs = list(
            pool.map(read, *zip(*sorted(of_directory.items()), strict=True)) if of_directory else ()
        )
    of_users = [output for output in outputs if output]
    if not of_users and not accounts:
        raise OutputUnreadable(
            f"{store} holds runs of policies on other resources only: give -s one of policies on aws.iam-user"
        )
    return _dated(of_users)


def _dated(outputs: list[PolicyOutput]) -> list[PolicyOutput]:
    """A run that left no date has that of its other accounts; where these have none either, it counts as the last."""
    times: dict[str, datetime] = {}
    for output in outputs:
        if output.time:
            times[output.run] = min(output.time, times.get(output.run, output.time))
    return [output if output.time else replace(output, time=times.get(output.run)) for output in outputs]


def _read(files: OutputFiles, known: frozenset[str], rules: Kept) -> PolicyOutput | None:
    """As ``_output``; whatever is wrong in one directory is said of that directory, and hides no other.

    ``rules``: those of all directories, of which the refused ones leave none there.
    """
    try:
        found, most = _output(files, known), max(_LARGEST_KEPT, _MOST_KEPT_TIMES * files.packed)
        if size(found, most) <= most:
            return found and replace(found, rules=tuple(map(rules.of, found.rules)))
        fault = f"holds more than a run leaves: what a report keeps of it takes more than {most} bytes"
    except Exception as error:  # noqa: BLE001  # its files may hold anything
        fault = f"holds what no run leaves: {error!r}"[:_LONGEST_FAULT]
    return _output(OutputFiles(files.store, files.directory, ()), known, fault)


def _output(files: OutputFiles, known: frozenset[str], fault: str = "") -> PolicyOutput | None:
    """None for a policy on other resources. ``fault``: why nothing is read."""
    store, directory, kept = files.store, files.directory, Kept(RULE_KEYS)
    files.faults += [fault] if fault else []
    metadata = files.data(METADATA, METADATA_SHAPE, "metadata")
    policy = metadata["policy"] if metadata else {}
    if policy and policy.get("resource") not in USER_TYPES:
        return None
    resources = files.data(RESOURCES, USERS_SHAPE, "a list of IAM users")
    rows = () if fault else _rows(files)
    layout = _layout(directory.parts, known)
    execution = str((metadata or {}).get("execution", {}).get("id") or "")
    seen = _seen(files, execution)
    account = str((metadata or {}).get("config", {}).get("account_id") or "") or layout.account
    denied = files.mentions(LOG, _DENIED)
    state, why = _state(files, metadata, resources is not None, denied)
    users = tuple(selected_users(resources or ())) if state in (RAN, ACTION_FAILED) else None
    return PolicyOutput(
        place=store.place(str(directory)).removesuffix("/."),
        run=f"{store}/{layout.run}".rstrip("/"),
        policy=str(policy.get("name") or layout.policy),
        account=account or _account_of(resources or (), rows),
        name=layout.name,
        region=layout.region,
        time=_began(metadata),
        state=state,
        why=why,
        dry_run=bool((metadata or {}).get("config", {}).get("dryrun")),
        users=users,
        rows=rows,
        rules=tuple(map(kept.of, _rules(policy.get("filters")))),
        execution=execution,
        sees_all=sees_all(policy.get("filters")),
        seen=seen and _without_selected(seen, users or ()),
        mails=tuple(dict.fromkeys(_mails(policy.get("actions")))),
        names=_names(policy.get("filters")),
        deployed=state == RAN and resources is None,
    )


def _seen(files: OutputFiles, execution: str) -> SeenUsers | None:
    """What the filter ``unnecessary`` saw in this ``execution``; the file may be an earlier one's."""
    if (data := files.data(SEEN, record({}, others=True), "a list of seen users")) is None:
        return None
    try:
        seen = parse_seen(data)
    except (ValueError, InvalidPolicyData) as error:
        files.fault(SEEN, f"is not a list of seen users that a run leaves: {error}")
        return None
    return seen if seen.execution == execution else None


def _without_selected(seen: SeenUsers, users: Iterable[Selected]) -> SeenUsers:
    """Without those of whom ``users``, the selected ones, says it all: a report may be on 600,000 of them."""
    selected = {user.unique_id for user in users}
    kept = (
        user for user in seen.users if user.expired or user.state != FLAGGED or user.unique_id not in selected
    )
    return replace(seen, users=tuple(kept))


def _mails(actions: Any) -> Iterator[Mail]:
    """Those that report credentials announce nothing, and nobody asks what becomes of them."""
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict) and action.get("notices") and action.get("step") != "created":
            rests, step = action.get("noticed") not in (None, "none"), str(action.get("step") or "")
            asks, others = Asks.of(action) if step == ANNOUNCE else None, action.get("of")
            of = tuple(map(str, others)) if isinstance(others, list) else ()
            yield Mail(str(action["notices"]), step, rests, asks, of)


def _names(filters: Any) -> tuple[str, ...] | None:
    """Of the first of a policy's filters that selects by names alone."""
    found = map(named_alone, filters if isinstance(filters, list) else ())
    names = next((each for each in found if each is not None), None)
    return None if names is None else tuple(dict.fromkeys(names))


def _state(files: OutputFiles, metadata: Any, selected: bool, denied: bool) -> tuple[str, str]:
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
    if "ResourceLimitExceeded" in counts:
        many = counts["ResourceLimitExceeded"]
        return TOO_MANY, f"it selected {many} users, more than max-resources allows, and touched nobody"
    if "PolicyException" in counts and "ResourceCount" in counts and selected:
        return ACTION_FAILED, "it selected its users, and then an action ended with an error"
    if denied and "ResourceCount" not in counts:
        return DENIED, "access was denied before it had selected users"
    mode = metadata["policy"].get("mode")
    is_function = isinstance(mode, dict) and mode.get("type", "pull") != "pull"
    if "PolicyException" in counts or not (selected or is_function):
        return FAILED, "it ended with an error before it had selected users, such as a denied call"
    return RAN, ""


def _rows(files: OutputFiles) -> tuple[Mapping[str, Any], ...]:
    """Outcomes, those of provisioning, of a run that was killed and of restorations that are not done among them."""
    rows = list(files.data(OUTCOMES, ROWS_SHAPE, "a list of outcomes", _OF_ROWS) or ())
    result = files.data(RESULT_FILE, RESULT_SHAPE, "a result of provisioning", _OF_ROWS) or {}
    lines = files.journal()
    stopped = missing_outcomes(lines, rows, lambda unique_id: unique_id)
    last = {line.get("unique_id"): str(line.get("time")) for line in lines}
    return (
        *rows,
        *_provisioned(files, result.get("users", ())),
        *(
            {**outcome.as_data(), "unique_id": subject.unique_id, "time": last.get(subject.unique_id, "")}
            for subject, outcome in stopped
        ),
        # a later outcome of the policy says nothing of them
        *(
            {**outcome.as_data(), "policy": RESTORE, REPLACES: former}
            for former, outcome in unfinished_restorations(files.lines(RESTORE_JOURNAL))
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


def _rules(filters: Any) -> Iterator[Mapping[str, Any]]:
    """The entries of ``exempt`` of a policy's filters, those within and, or, not among them."""
    for block in filters if isinstance(filters, list) else ():
        if isinstance(block, dict):
            exempt = block.get("exempt") if block.get("type") == "unnecessary" else None
            # a policy that ran had no other
            yield from (rule for rule in exempt or () if isinstance(rule, dict) and plain(rule, RULE_KEYS))
            for name in ("and", "or", "not"):
                yield from _rules(block.get(name))


@dataclass(frozen=True)
class _Layout:
    run: str
    name: str
    region: str
    account: str
    policy: str

    @property
    def owners(self) -> frozenset[str]:
        """The account's id and name, as far as the directories say them."""
        return frozenset(filter(None, (self.account, self.name)))


def _layout(parts: Sequence[str], known: frozenset[str]) -> _Layout:
    """What the directories say. ``run``: those above the account's, the policy, and a bucket's date."""
    date = parts[-_DATE_PARTS:] if _DATE.fullmatch("/".join(parts[-_DATE_PARTS:])) else ()
    *above, policy = parts[: len(parts) - len(date)] or ("",)
    account = name = region = ""
    if above and is_account_id(above[-1]):
        account = above.pop()
    if above and REGION.fullmatch(above[-1]):
        region = above.pop()
        own = next((at for at in range(len(above)) if "/".join(above[at:]) in known), len(above) - 1)
        name = "/".join(above[max(own, 0) :])
        above = above[: max(own, 0)]
    if is_account_id(name):
        account = account or name
    return _Layout("/".join([*above, policy, *date]), name, region, account, policy)
