# SPDX-License-Identifier: Apache-2.0
"""Giving one user back: the action ``release``, or ``c7n-iamusers restore``, and then a mail to its owner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.arguments import S3
from c7n_iamusers_cli.bucket_copy import copied
from c7n_iamusers_cli.only import narrowed
from c7n_iamusers_cli.output import say
from c7n_iamusers_cli.restore import restore

if TYPE_CHECKING:
    from c7n_iamusers.execution.calls import Subject
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.report.user_history import UserHistory
    from c7n_iamusers_cli.user import Record

_RELEASE, _NOTIFY, _LATER = "release", "notify-owners", "raise-at-the-end"


def give_back(
    context: click.Context,
    record: Record,
    history: UserHistory,
    policies: Path,
    accepted: Mapping[str, Any],
) -> None:
    """Release or restore the user, and mail its owner. Raises ClickException if one of these fails.

    A user whose deletion has begun is restored. If it is then still denied everything, it is also released, because a
    restoration leaves its quarantine on. If only the mail of an earlier release or restoration is missing, only the
    mail is sent. A user that is back and whose owner knows it gets no second mail: this raises. ``policies``: the file
    with the policy that releases. ``accepted``: the options of a restoration.
    """
    from c7n_iamusers.execution.outcomes import RELEASED, RESTORED

    target = target_of(record, history.account)
    release = _Release(_release_policy(policies, history.subject), target, _base(record, history))
    is_back = history.state in (RELEASED, RESTORED) and not _taken_again(record, history)
    if is_back and release.owes(history):
        release.tell_owed(history)
    elif not _is_deleted(record, history):
        release.run(history)
    else:
        restored = _restore(context, record, history, target, accepted)
        denied = release.denied(history)
        if denied == history.subject.unique_id:
            release.run(history)
        elif denied:
            raise click.ClickException(
                f"{history.subject}: it is back ({denied}), and denied everything, as in its snapshot: find out who "
                "put that Deny-all on it. Its owner gets no mail"
            )
        elif restored:
            release.tell(history, RESTORED, _restored_at(record, history))
        else:
            raise click.ClickException(f"{history.subject}: nothing was restored, so its owner gets no mail")
    say(
        "The next run takes it again unless it is exempt. A row for the list of exemptions, whose reason and last day "
        f'you write: {history.account},"{history.subject.name}",,"REASON",{target.variables.get("owner") or ""},'
        "YYYY-MM-DD"
    )


def target_of(record: Record, account: str) -> Target:
    """The entry of ``account``. Raises ClickException if it has none, or none with which a policy can run here."""
    found = [each for each in record.targets if each.account_id == account]
    if not found:
        raise click.ClickException(f"the accounts file has no account {account}: nothing was done")
    (target, *_) = found
    if target.role_fault:
        raise click.ClickException(f"{target}: {target.role_fault}: correct it: nothing was done")
    if len(target.roles) != 1:
        raise click.ClickException(
            f"{target} has {len(target.roles)} roles in the accounts file, and one is needed: run c7n-org with "
            "policies/release.yml, or c7n-iamusers restore with credentials of the account: nothing was done"
        )
    return target


def _is_deleted(record: Record, history: UserHistory) -> bool:
    """Whether a deletion took something from the user that a release can't give back."""
    from c7n_iamusers.execution.outcomes import DELETED, RESTORED
    from c7n_iamusers.lockout.journal_lines import history_of

    if history.state in (DELETED, RESTORED):
        return True
    return history_of(history.subject, _lines(record, history)).began_deletion()


def _lines(record: Record, history: UserHistory, others: Iterable[str] = ()) -> Iterator[Mapping[str, Any]]:
    """The lines about the user in the journals of its outputs, and those with the unique ids of ``others``."""
    for unique_id in {history.subject.unique_id, *others}:
        for place in history.outputs:
            yield from record.journal(place, replace(history.subject, unique_id=unique_id))


def _taken_again(record: Record, history: UserHistory) -> bool:
    """Whether a run began to change the user after it was given back, with its former or its new unique id."""
    from c7n_iamusers.execution.calls import BEFORE
    from c7n_iamusers.execution.outcomes import RELEASED, RESTORED
    from c7n_iamusers.text.times import moment

    ended = [event for event in history.events if event.what in (RELEASED, RESTORED)]
    last = max((event.time for event in ended if event.time), default=None)
    lines = _lines(record, history, (made for event in ended for made in event.made))
    begun = (moment(line.get("time")) for line in lines if line.get("phase") == BEFORE)
    return last is not None and any(time > last for time in begun if time)


def _base(record: Record, history: UserHistory) -> str:
    """The directory or URL of the account's outputs that has the output of the user's quarantine."""
    from c7n_iamusers.execution.outcomes import QUARANTINED

    of_quarantine = [event.place for event in reversed(history.events) if event.what == QUARANTINED]
    places = [*of_quarantine, *history.outputs]
    if not places:
        raise click.ClickException(
            f"{history.subject}: no run has changed it, by the outputs in {', '.join(record.places)}: nothing was done"
        )
    return beside(record, places[0], history.account)


def beside(record: Record, place: str, account: str) -> str:
    """The directory or URL of the outputs of ``account`` beside the one at ``place``."""
    if not place.startswith(S3):
        return str(Path(place).parent)
    above = PurePosixPath(place.removeprefix(S3)).parent
    # the account's id precedes the policy there
    return record.url(f"{S3}{above.parent if above.name == account else above}")


def _release_policy(file: Path, user: Subject) -> dict[str, Any]:
    """The policy that releases ``user`` and nobody else, by the file's own. Raises InvalidPolicyData.

    It also selects the unique id: another user may have the name by now, and must not be freed.
    """
    from c7n_iamusers.execution.given import parsed_file
    from c7n_iamusers.text.documents import read_json
    from c7n_iamusers.text.yaml_documents import read_yaml

    read = read_json if file.suffix == ".json" else read_yaml
    try:
        data = parsed_file(file, lambda content: narrowed(read(content), [user.name]))
    except ValueError as error:
        raise InvalidPolicyData(
            f"{file}: nothing was done: {error}: run in the checkout's root, or give the file as -u"
        ) from error
    found = [
        each for each in data["policies"] if {_RELEASE, _NOTIFY} <= {*map(_kind, each.get("actions") or ())}
    ]
    if len(found) != 1:
        raise InvalidPolicyData(
            f"{file}: nothing was done: one policy must have the actions {_RELEASE} and {_NOTIFY}, as "
            f"policies/release.yml, and {len(found)} have them"
        )
    (policy,) = found
    this_one = {"type": "value", "key": "UserId", "value": user.unique_id}
    return {**data, "policies": [{**policy, "filters": [*policy["filters"], this_one]}]}


def _kind(action: Any) -> str:
    return str(action.get("type") if isinstance(action, Mapping) else action)


def policy_in(data: Mapping[str, Any], target: Target, base: str) -> Any:
    """The policy in ``data`` as c7n-org runs it in the account of ``target``, with its output below ``base``.

    Raises InvalidPolicyData.
    """
    from c7n.config import Config
    from c7n.exceptions import PolicyValidationError
    from c7n.policy import PolicyCollection
    from c7n.resources import load_resources
    from c7n.utils import reset_session_cache

    from c7n_iamusers import register

    load_resources(("aws.iam-user", "aws.iam-access-key"))
    register()
    reset_session_cache()
    config = Config.empty(
        region=target.region,
        account_id=target.account_id,
        assume_role=target.roles[0],
        external_id=target.external_id or None,
        output_dir=base,
        cache_period=0,
    )
    (policy,) = PolicyCollection.from_data(data, config)
    entry = {"name": target.name, "account_id": target.account_id, "regions": [target.region]}
    policy.conditions.env_vars["account"] = entry
    try:
        policy.expand_variables(policy.get_variables(dict(target.variables)))
        policy.validate()
    except (PolicyValidationError, KeyError, ValueError) as error:
        raise InvalidPolicyData(f"{target}: nothing was done: {error}") from error
    return policy


@contextmanager
def selecting(policy: Any, resources: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """A run of ``policy``, whose output says that it selected ``resources``: without them it counts as failed."""
    with policy.ctx:
        Path(policy.ctx.log_dir, "resources.json").write_text(json.dumps([*resources], default=str))
        yield


def fault_of(run: Callable[[], object]) -> str:
    """The error that ends ``run``, in words; empty if none does."""
    from botocore.exceptions import BotoCoreError, ClientError
    from c7n.exceptions import CustodianError

    try:
        run()
    except (CustodianError, ClientError, BotoCoreError, OSError, ValueError) as error:
        return str(error)
    return ""


class _Release:
    """The policy ``data`` as c7n-org runs it in the account of ``target``, with its output below ``base``."""

    def __init__(self, data: dict[str, Any], target: Target, base: str) -> None:
        self._target, self._policy = target, policy_in(data, target, base)

    def run(self, history: UserHistory) -> None:
        """Release the user. Raises ClickException if it is not released, or its owner is not told."""
        from c7n_iamusers.execution.outcomes import RELEASED, load_outcomes
        from c7n_iamusers.plugins.run_outputs import run_store

        began, fault = datetime.now(timezone.utc), fault_of(self._policy.run)
        try:
            rows = load_outcomes(run_store(self._policy.resource_manager).store)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{history.subject}: its outcome can't be read: {error}") from error
        new = [
            row
            for row in rows
            if row.get("unique_id") == history.subject.unique_id and str(row.get("time")) >= began.isoformat()
        ]
        for row in new:
            say(f"{history.subject}: {': '.join(filter(None, (row['status'], row.get('reason'))))}")
        if not new and not fault:
            fault = (
                f"account {self._target} has no user {history.subject.name} with this unique id now: somebody else "
                "deleted or renamed it, and whoever has the name now is another user"
            )
        if not any(row["status"] == RELEASED for row in new):
            raise click.ClickException(f"{history.subject} was not released{f': {fault}' if fault else ''}")
        self._told(history, fault)

    def tell(self, history: UserHistory, status: str, at: str) -> None:
        """Mail the owner that the existing user has ``status`` since ``at``, a time from the journal.

        Raises ClickException if that fails.
        """
        from c7n_iamusers.execution.outcomes import Outcome, OutcomeWriter
        from c7n_iamusers.execution.retries import Backoff
        from c7n_iamusers.iam.users import read_detail
        from c7n_iamusers.plugins.resources import annotate, subject_of
        from c7n_iamusers.plugins.run_outputs import run_store

        manager = self._policy.resource_manager

        def notify() -> None:
            found = read_detail(self._client(), history.subject.name, Backoff())
            if found is None:
                raise ValueError("it is gone")
            resource = {**found, "CreateDate": str(found.get("CreateDate") or "")}
            subject = subject_of(resource)
            with self._output([resource]):
                target = run_store(manager)
                # the next run with this output, or the next --give-back, sends a mail that is still owed
                with target.held() as output:
                    writer = OutcomeWriter(target.store, output.journal)
                    outcome = writer.add(subject, Outcome.of(subject, status, rests_on=at))
                    writer.close()
                annotate(resource, "outcome", outcome.as_data())
                # a message that fails appends raise-at-the-end to these, meanwhile
                for action in manager.actions:
                    if action.type in (_NOTIFY, _LATER):
                        action.process([resource])

        self._told(history, fault_of(notify))

    def denied(self, history: UserHistory) -> str:
        """The unique id of the user with this name now, if it is under a Deny-all; else empty."""
        from c7n_iamusers.execution.retries import Backoff
        from c7n_iamusers.iam.users import read_user
        from c7n_iamusers.restoration.deny import deny_forms

        found = read_user(self._client(), history.subject.name, Backoff())
        return found.unique_id if found and deny_forms(found) else ""

    def _client(self) -> Any:
        from c7n.utils import local_session

        session = local_session(self._policy.resource_manager.session_factory)
        return session.client("iam", self._target.region)

    def owes(self, history: UserHistory) -> bool:
        """Whether an earlier run of this command gave the user back without telling its owner.

        Raises ClickException, NoticesUnreadable if that can't be read.
        """
        from c7n_iamusers.execution.journal import utc_now

        try:
            with self._output():
                owing = [action.owes(utc_now()) for action in self._notifying]
        except (OSError, ValueError) as error:
            raise click.ClickException(
                f"{history.subject}: what its owner was told can't be read: {error}"
            ) from error
        return any(mail.resource["UserName"] == history.subject.name for _, mails in owing for mail in mails)

    def tell_owed(self, history: UserHistory) -> None:
        """Send the owner the owed mail. Raises ClickException if that fails."""
        with self._output():
            for action in self._notifying:
                action.send_owed()
        self._told(history, "the mail was not sent" if self.owes(history) else "")

    def _output(self, resources: Sequence[Mapping[str, Any]] = ()) -> AbstractContextManager[None]:
        return selecting(self._policy, resources)

    @property
    def _notifying(self) -> list[Any]:
        return [action for action in self._policy.resource_manager.actions if action.type == _NOTIFY]

    def _told(self, history: UserHistory, fault: str) -> None:
        if fault:
            raise click.ClickException(
                f"{history.subject} was given back, but its owner may not know it: {fault}"
            )
        owner = self._target.variables.get("owner")
        whoever = f"its owner {owner} gets" if owner else "whoever the policy addresses gets"
        say(f"{history.subject}: {whoever} a mail")


def _restore(
    context: click.Context,
    record: Record,
    history: UserHistory,
    target: Target,
    accepted: Mapping[str, Any],
) -> bool:
    """Restore the user. Returns whether this run or an unfinished one made calls. Raises ClickException."""
    from c7n_iamusers.restoration.snapshot_files import has_record

    directories = {Path(output) for output in history.outputs if not output.startswith(S3)}
    stores = {place: record.store(place) for place in history.outputs if place.startswith(S3)}
    known, undone = _calls(record, history), history.is_half_restored
    with copied(stores, history.subject) as (copies, put_back):
        context.invoke(
            restore,
            snapshots=tuple(sorted(filter(has_record, directories.union(copies)))),
            dry_run=False,
            role=target.roles[0],
            external_id=target.external_id,
            accounts=(history.account,),
            names=(history.subject.name,),
            journal=None,
            copy=put_back,
            **accepted,
        )
    return undone or _calls(record, history) > known


def _restored_at(record: Record, history: UserHistory) -> str:
    """The time when a restoration of the user last ended, by the journals; empty if none did."""
    from c7n_iamusers.execution.journal import OUTCOME
    from c7n_iamusers.execution.outcomes import RESTORED

    ends = (line for line in _lines(record, history) if line.get("phase") == OUTCOME)
    return max((str(line["time"]) for line in ends if line.get("status") == RESTORED), default="")


def _calls(record: Record, history: UserHistory) -> int:
    """How many calls on the user were begun, by the journals."""
    from c7n_iamusers.execution.calls import BEFORE

    return sum(line.get("phase") == BEFORE for line in _lines(record, history))
