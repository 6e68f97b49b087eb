# SPDX-License-Identifier: Apache-2.0
"""The private store that an action writes to, by its policy's output; how failures end the policy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlparse

from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.output import DirectoryOutput
from c7n.utils import parse_url_config

from c7n_iamusers.execution.bucket_store import BucketStore, bucket_output, put_arguments
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.given import read_given
from c7n_iamusers.execution.journal import BucketJournal, Journal, JournalWriter
from c7n_iamusers.execution.locks import holder_of, run_lock
from c7n_iamusers.execution.outcomes import FAILED, OUTCOMES, SKIPPED, Outcome, load_outcomes
from c7n_iamusers.execution.stores import JOURNAL as JOURNAL
from c7n_iamusers.execution.stores import DirectoryStore, Store, below, foreign_entry, make_directory
from c7n_iamusers.execution.user_locks import UserLocks
from c7n_iamusers.identity_center.applying.run_records import RUNS
from c7n_iamusers.plugins.policy_checks import is_pull
from c7n_iamusers.reasons import NO_QUARANTINE, Reason, read_reason
from c7n_iamusers.text.wording import VisibleLog, all_visible, quoted

Method = TypeVar("Method", bound=Callable[..., Any])


def visible_errors(method: Method) -> Method:
    """``method`` of a plugin, whose PolicyExecutionErrors are made visible: Cloud Custodian prints and logs them."""

    @wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except PolicyExecutionError as error:
            error.args = tuple(map(all_visible, error.args))
            raise

    return cast(Method, wrapped)


def write_privately(manager: Any) -> None:
    """Let nobody else read what this process writes from now on: files 0600, directories 0700.

    Cloud Custodian makes its output directories and files, which name every user, by the umask. Plugins call this when
    a policy is validated, before it makes the first of them.

    Raises PolicyValidationError where something else than a run's own files lies in the policy's output directory:
    Cloud Custodian opens custodian-run.log, resources.json and metadata.json there and follows any link.
    """
    os.umask(os.umask(0o077) | 0o077)
    directory = _directory_of(manager.ctx)
    try:
        fault = foreign_entry(directory) if directory else ""
    except OSError as error:
        fault = str(error)
    if fault:
        raise PolicyValidationError(
            f"policy {manager.data.get('name')}: {fault}. Nothing was touched: find out who put it there, and move it "
            "away, since Cloud Custodian would write through it"
        )


def _directory_of(ctx: Any) -> Path | None:
    """The directory that Cloud Custodian will write to; None where that is not a lasting one, or none was given."""
    given = str(ctx.options.output_dir or "")
    place = given.removeprefix("file://")
    if not place or "://" in place:
        return None
    output = object.__new__(DirectoryOutput)  # which would make the directory
    output.ctx = ctx
    return Path(output.get_output_path(place))


def output_directory(manager: Any) -> Path:
    """The policy's output directory, ``<-s DIR>/<policy>/`` or ``<-s DIR>/<account>/<region>/<policy>/``.

    Raises PolicyExecutionError if the output is not a lasting directory: c7n's s3 output is a temporary one that is
    uploaded at the end, so a crash would lose it.
    """
    output = manager.ctx.output
    if getattr(output, "type", "") not in ("file", "default"):
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: output {output} does not outlive a crash of the run, so snapshots and "
            "journal are not safe there: give a directory (-s DIR) and copy it away afterwards. Nothing was touched"
        )
    return Path(manager.ctx.log_dir)


def fail_at_the_end(
    manager: Any, action: str, outcomes: Iterable[Outcome], faults: Iterable[str] = ()
) -> None:
    """If an outcome is ``failed``, end the policy with an error after its later actions have run.

    ``faults``: further errors that end the policy so, as sentences. All actions' errors end it together.
    """
    problems = list(faults)
    if failed := [outcome for outcome in outcomes if outcome.status == FAILED]:
        named = "; ".join(f"{outcome.arn}: {outcome.reason.text}" for outcome in failed[:10])
        more = f"; and {len(failed) - 10} more, see {OUTCOMES}" if len(failed) > 10 else ""
        problems.insert(0, f"{action} failed for {len(failed)} users: {named}{more}")
    if not problems:
        return
    if not (manager.actions and isinstance(manager.actions[-1], _RaiseAtTheEnd)):
        manager.actions.append(_RaiseAtTheEnd({}, manager))
    manager.actions[-1].problems += problems


def fail_even_if_idle(
    manager: Any, action: str, fault: str = "", last: Callable[[], object] = lambda: None
) -> None:
    """``fail_at_the_end`` with ``fault``, if there is one, even if the policy selects nobody and c7n runs no action.

    ``last``: called first if nobody is selected. It may add failures.
    """
    fail_at_the_end(manager, action, (), filter(None, [fault]))
    select = manager.filter_resources

    def filter_resources(*given: Any, **named: Any) -> Any:
        found = select(*given, **named)
        if not found:
            last()
            if manager.actions and isinstance(manager.actions[-1], _RaiseAtTheEnd):
                manager.actions[-1].process(found)
        return found

    manager.filter_resources = filter_resources


class _RaiseAtTheEnd(BaseAction):  # type: ignore[misc]  # c7n is untyped
    type = "raise-at-the-end"

    def __init__(self, data: Any, manager: Any) -> None:
        super().__init__(data, manager)
        self.problems: list[str] = []

    @visible_errors
    def process(self, resources: list[dict[str, Any]]) -> None:
        raise PolicyExecutionError(f"policy {self.manager.data.get('name')}: {'; '.join(self.problems)}")


#: Placeholders in an output URL whose values differ between runs.
_CHANGING = re.compile(r"\{(now|uuid)[^{}]*\}")


@dataclass(frozen=True)
class HeldOutput:
    """The output of a run that has begun. ``check``: raises RunLockLost once the run lock or the journal is lost.

    ``lock``: holds the lock on a user. Raises UserInUse if somebody else does, JournalRefused if it can't be put.
    """

    journal: JournalWriter
    check: Callable[[], None] = lambda: None
    lock: Callable[[Subject], AbstractContextManager[None]] = lambda _: nullcontext()


@dataclass(frozen=True)
class RunStore:
    """``store``: of the policy and account, the same one in each run. ``what``: the run, in words, for the lock."""

    store: Store
    what: str = "a run"

    @contextmanager
    def held(self) -> Iterator[HeldOutput]:
        """The journal of this run, under the run lock. A bucket has locks on users in its place.

        Raises OSError if it can't be opened, LockHeld if it is locked, RunLockLost if the lock changes just then.
        """
        if isinstance(self.store, DirectoryStore):
            make_directory(self.store.directory)
            self.store.directory.chmod(0o700)  # Cloud Custodian creates it readable for everybody
            with (
                run_lock(self.store.directory, self.what) as check_lock,
                Journal(self.store.directory / JOURNAL) as journal,
            ):

                def check() -> None:
                    check_lock()
                    journal.require_in_place()

                yield HeldOutput(journal, check)
        else:
            locks = UserLocks(self.store, holder_of(self.what))
            yield HeldOutput(BucketJournal(self.store, renew=locks.renew), lock=locks.held)


def why_in_no_quarantine(store: Store, log: VisibleLog) -> dict[str, Reason]:
    """Unique id -> why a policy with the output of ``store`` skipped the user, by its last outcome.

    None if that can't be read, which is logged: an owner is told of the user all the same.
    """
    latest = dict[str, dict[str, Any]]()
    try:
        rows = [row for sibling in store.siblings() for row in load_outcomes(sibling)]
    except (OSError, ValueError) as error:
        log.warning("the reasons why users are not in quarantine can't be read: %s", error)
        rows = []
    for row in sorted(rows, key=lambda row: str(row.get("time"))):
        if row.get("code") not in NO_QUARANTINE:
            latest[str(row.get("unique_id"))] = row
    return {key: read_reason(row) for key, row in latest.items() if row.get("status") == SKIPPED}


def store_beside(manager: Any, policy: str) -> Store:
    """The store of another ``policy`` that runs with the same output in the same account.

    Raises PolicyExecutionError where there is none, as far as that can be seen: a bucket has no directories.
    """
    output = manager.ctx.output
    if getattr(output, "type", "") == "s3":
        return _bucket_store(manager, output, policy)
    own = Path(manager.ctx.log_dir)
    if own.name != manager.data.get("name") or not (own.parent / policy).is_dir():
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: there is no output of policy {policy} beside {own}: run them with the "
            "same -s, this one last, or correct the name"
        )
    return DirectoryStore(own.parent / policy)


def run_store(manager: Any) -> RunStore:
    """The store of a policy's run: the output directory, or for s3 output ``<prefix>/<account id>/<policy>/``.

    c7n's own s3 output is a temporary directory that is uploaded at exit under a prefix with the hour: a crash would
    lose it, and the next run would not find it. Here each write is a put of its own, with the session and the
    encryption of c7n's output.

    Raises PolicyExecutionError if the output does not outlive the run.
    """
    output = manager.ctx.output
    kind = getattr(output, "type", "")
    what = f"policy {manager.data.get('name')}"
    if kind == "s3":
        return RunStore(_bucket_store(manager, output), what)
    if kind in ("file", "default") and is_pull(manager):
        return RunStore(DirectoryStore(Path(manager.ctx.log_dir)), what)
    raise PolicyExecutionError(
        f"policy {manager.data.get('name')}: output {output} does not outlive the run, so snapshots and journal "
        "are not safe there: give a directory (-s DIR), or a bucket (-s s3://BUCKET/PREFIX; in a Lambda mode by "
        "mode.execution-options.output_dir). Nothing was touched"
    )


def outputs_to_s3(manager: Any) -> bool:
    """True if a policy that runs in AWS Lambda writes to S3, as far as its text says."""
    options = (manager.data.get("mode") or {}).get("execution-options") or {}
    configured = options.get("output_dir") or getattr(manager.config, "output_dir", "") or ""
    return str(configured).startswith("s3://")


def stable_prefix(path: str, account_id: str, region: str, policy: str) -> str:
    """The prefix in the bucket that is the same in every run of ``policy`` in the account.

    ``path``: of the output URL, with placeholders of c7n such as ``{account_id}``.
    """
    known = {"account_id": account_id, "region": region, "policy_name": policy}
    fixed = _CHANGING.sub("", path).format(**known)
    segments = [segment for segment in fixed.split("/") if segment]
    return "/".join([*segments, *(each for each in (account_id, policy) if each not in segments)])


def _bucket_store(manager: Any, output: Any, policy: str = "") -> BucketStore:
    options = manager.ctx.options
    session = manager.ctx.session_factory(region=output.config.region or None, assume=False)
    path = parse_url_config(options.output_dir).path or ""
    name = policy or str(manager.data.get("name"))
    prefix = stable_prefix(path, str(options.account_id), str(options.region), name)
    return BucketStore(session.client("s3"), output.bucket, prefix, put_arguments(output.config))


def store_at(manager: Any, place: str) -> list[Store]:
    """The stores at ``place``: ``s3://bucket/prefix`` of an earlier run, or all output directories in a directory.

    Raises PolicyExecutionError if there is no journal.
    """
    if place.startswith("s3://"):
        bucket, _, prefix = place[len("s3://") :].partition("/")
        found: list[Store] = [
            BucketStore(manager.session_factory(assume=False).client("s3"), bucket, prefix, {})
        ]
    else:
        found = [DirectoryStore(path.parent) for path in _below(manager, "record-from", Path(place), JOURNAL)]
    if not found:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: record-from: there is no {JOURNAL} in {place}. Nothing was touched: "
            "name the output directory of the quarantine's run"
        )
    return found


def records_at(manager: Any, place: str) -> list[Store]:
    """Where runs of provisioning left records: at ``place``, or in directories below it. One store at least.

    Raises PolicyExecutionError as ``notices_store`` does.
    """
    store = notices_store(manager, place, option="records")
    if not isinstance(store, DirectoryStore) or (store.directory / RUNS).exists():
        return [store]
    found: list[Store] = [
        DirectoryStore(each.parent)
        for each in _below(manager, "records", store.directory, RUNS)
        if each.is_dir()
    ]
    return found or [store]


def _below(manager: Any, option: str, top: Path, name: str) -> list[Path]:
    """Raises PolicyExecutionError for a directory that can't be read: its records would be missed."""
    try:
        return sorted(below(top, name))
    except OSError as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: {option}: {error}. Nothing was touched: run as a user who can read "
            f"all of {top}, or name another place"
        ) from error


def content_at(manager: Any, place: str) -> bytes:
    """The content of the file at ``place``: a path (relative to the working directory), or ``s3://bucket/key``.

    S3 is read with the credentials that Cloud Custodian runs with, as c7n's S3 output is written with them.
    Raises OSError, ClientError, BotoCoreError.
    """
    if place.startswith("s3://"):
        url = urlparse(place)
        client = manager.session_factory(assume=False).client("s3")
        content = BucketStore(client, url.netloc, "", {}).read(url.path.lstrip("/"))
    else:
        # The policy may name a link, such as in a Kubernetes volume. It must lead to a regular file.
        content = read_given(Path(place))
    if content is None:
        raise FileNotFoundError("No such file or object")
    return content


#: The option of actions that read or write notices.
NOTICES = {"type": "string", "minLength": 1}


def notices_store(
    manager: Any, place: Any, attach: Callable[[Any], object] | None = None, option: str = "notices"
) -> Store:
    """Where the notices of all accounts are: a directory, or ``s3://BUCKET/PREFIX`` (with c7n's ``?sse=...``).

    ``option``: the option with that place, for errors.
    ``attach``: called with the client that is made, if any. The session is that of whoever runs Cloud Custodian, not
    the member account's role.
    Raises PolicyExecutionError where it is no text, or would not outlive the run.
    """
    if not isinstance(place, str) or not place:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: {option} is {quoted(place)}, and must be a directory or "
            "s3://BUCKET/PREFIX. "
            "Nothing was touched: where it is a variable, define it under vars in accounts.yml"
        )
    if place.startswith("s3://"):
        return bucket_output(place, manager.session_factory(assume=False), attach)
    if not is_pull(manager):
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: {option}: the directory {place} does not outlive a run in AWS Lambda: "
            "name s3://BUCKET/PREFIX. Nothing was touched"
        )
    return DirectoryStore(Path(place))
