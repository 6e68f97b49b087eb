# SPDX-License-Identifier: Apache-2.0
"""The base class of actions on users: several users in parallel, each independent, every outcome recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from itertools import chain
from typing import Any

from botocore.config import Config
from botocore.session import get_session
from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.utils import local_session

from c7n_iamusers.evidence.index import CREATION, EvidenceIndex
from c7n_iamusers.evidence.reader import DEFAULT_PIECES
from c7n_iamusers.evidence.selection import BlastRadius, Selection
from c7n_iamusers.exceptions import RunLockLost
from c7n_iamusers.execution.callers import callers
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.executor import LOG, SINGLE_TRY, Applied, Executor, Run
from c7n_iamusers.execution.interruption import Interrupted, Interruption
from c7n_iamusers.execution.journal import BucketJournal, JournalReader, JournalWriter, utc_now
from c7n_iamusers.execution.outcomes import (
    FAILED,
    Outcome,
    OutcomeWriter,
    Work,
    outcome_of,
)
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.stopped_runs import missing_outcomes
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, Store
from c7n_iamusers.iam import sign_in_sessions
from c7n_iamusers.iam.accounts import AccountDetails, read_account
from c7n_iamusers.iam.live_policies import ENTITIES, LivePolicies
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.iam.users import change_shows, key_shows
from c7n_iamusers.infrastructure_code.model import Managed
from c7n_iamusers.key_retirement import key_history
from c7n_iamusers.plugins import gates, policy_checks, run_outputs
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.policy_reader import with_policies
from c7n_iamusers.plugins.resources import AccountReadings, annotate, subject_of, unreadable
from c7n_iamusers.plugins.run_outputs import visible_errors, write_privately
from c7n_iamusers.reasons import Reason
from c7n_iamusers.safeguards.live_recheck import LiveRecheck
from c7n_iamusers.safeguards.user_identity import changed_namesake
from c7n_iamusers.snapshots.user_records import RecordStores, UserRecords
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import visible_log

Resource = dict[str, Any]
_EVERYBODY = Selection()
#: What AWS shows of an access key later than that after a call without an answer may be of anybody.
_SETTLES_FOR = timedelta(days=14)


class UserAction(BaseAction):  # type: ignore[misc]  # c7n is untyped
    """An action on users. A subclass implements ``prepare``, which returns the function that processes one user."""

    log = visible_log("custodian.actions")
    max_workers = 8
    #: Whether the action ends the sign-in sessions of users, where AWS and the installed botocore offer that.
    ends_sessions = False
    #: Unique id -> the outcome that a killed run did not write, and this run wrote for it.
    _completed: Mapping[str, Outcome] = {}

    def get_permissions(self) -> list[str]:
        """The permissions that the action needs."""
        return [
            *super().get_permissions(),
            *(sign_in_sessions.PERMISSIONS if self.ends_sessions and _offers_sessions() else ()),
        ]

    def prepare(self, run: Run) -> Work:
        """The function that processes one user of ``run``. Raises PolicyExecutionError if no user can be processed."""
        raise NotImplementedError

    @visible_errors
    def process(self, resources: list[Resource]) -> None:
        """Process each user. Raises PolicyExecutionError, before any user is changed, if the run is not safe.

        A signal ends the process once the current call is journaled.
        """
        if not policy_checks.acts_on(self, resources):
            return
        policy_checks.check_numbers(self, PolicyExecutionError)
        policy_checks.enforce_max_resources(self.manager, len(resources))
        target = run_outputs.run_store(self.manager)
        with Interruption() as interruption:
            try:
                outcomes = self._run(target, resources, interruption)
            except Interrupted:
                # before the first user
                interruption.exit_if_stopped()
                raise
            except (OSError, ValueError, RunLockLost) as error:
                raise PolicyExecutionError(
                    f"policy {self.manager.data.get('name')}: account {self.manager.config.account_id}: {error}. "
                    f"Make {target.store} readable and writable, move a broken file away, and run again"
                ) from error
        interruption.exit_if_stopped()
        self._fail(outcomes)

    def _fail(self, outcomes: Sequence[Outcome] = ()) -> None:
        """End the policy with an error if a user failed, in this run or in a killed one without an outcome since.

        Also if calls of a killed run may have changed another user.
        """
        processed = {each.unique_id for each in outcomes}
        left = [each for key, each in self._completed.items() if key not in processed]
        told = {each.unique_id for each in (*outcomes, *left) if each.status == FAILED}
        notes = (
            (each.arn, note)
            for key, each in self._completed.items()
            if key not in told
            for note in each.reason.notes
        )
        faults = [f"{arn}: {note.text}" for arn, note in notes]
        run_outputs.fail_at_the_end(self.manager, self.type, (*outcomes, *left), faults)

    def new_run(
        self,
        store: Store,
        journal: JournalWriter,
        interruption: Interruption,
        count: int,
        check: Callable[[], None] = lambda: None,
    ) -> Run:
        """The Run over ``count`` users. ``check``: called before each changing call; what it raises ends the user.

        Raises PolicyExecutionError if GetCallerIdentity fails.
        """
        region, session = self.manager.config.region, local_session(self.manager.session_factory)
        # One connection for each worker.
        config = Config(max_pool_connections=self.max_workers)
        client = session.client("iam", region, config=config)
        writer = session.client("iam", region, config=config.merge(SINGLE_TRY))
        backoff = Backoff(sleep=interruption.sleep, clock=gates.CLOCK)
        clients = {"iam": writer}
        if self.ends_sessions and _offers_sessions():
            clients[sign_in_sessions.SERVICE] = session.client(
                sign_in_sessions.SERVICE, region, config=config.merge(SINGLE_TRY)
            )

        def before_each() -> None:
            interruption.check()
            check()

        with unreadable(self.manager, "who is acting", "sts:GetCallerIdentity"):
            found = callers(self.manager.session_factory, session, region)
        executor = Executor(
            clients,
            journal,
            backoff,
            before_each=before_each,
            caller=found.arns[0],
            shows=change_shows(client, backoff),
        )
        for unknown in found.unknown:
            _note_once(
                f"a principal behind this run is unknown ({unknown}): only if it is an IAM user, add an exemption for "
                "it; otherwise there is nothing to do"
            )
        return Run(client, executor, backoff, store, found.arns, count, journal)

    def sign_in_sessions(self, run: Run) -> sign_in_sessions.SignInSessions:
        """The sign-in sessions of the account's users."""
        client = None
        if not _offers_sessions():
            _note_once(
                f"sign-in sessions of users are not ended: {sign_in_sessions.NOT_OFFERED}. There is nothing to do, as "
                "the Deny-all holds for them too; c7n 0.9.53 and older pin a boto3 before it"
            )
        else:
            client = local_session(self.manager.session_factory).client(
                sign_in_sessions.SERVICE, self.manager.config.region
            )
        return sign_in_sessions.SignInSessions(client, run.account_id, run.backoff)

    def require_lasting_output(self) -> None:
        """Raises PolicyValidationError for an unknown Region, or a policy in AWS Lambda that writes to its disk."""
        write_privately(self.manager)
        policy_checks.require_bounded(self.manager)
        policy_checks.require_brake(self.manager)
        policy_checks.require_known_region(self.manager)
        validate_lambda_packaging(self.manager)
        if not policy_checks.is_pull(self.manager) and not run_outputs.outputs_to_s3(self.manager):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: {self.type} in a Lambda mode keeps snapshots and journal in "
                "S3 only, as a Lambda's disk does not outlive it: set mode.execution-options.output_dir to "
                "s3://BUCKET/PREFIX"
            )

    def require_exemptions(self, rules: bool = True) -> None:
        """Raises PolicyValidationError as the function of this name does."""
        policy_checks.require_exemptions(self.manager, self.type, rules)

    def require_numbers(self) -> None:
        """Raises PolicyValidationError if an option is neither a number nor a variable."""
        policy_checks.check_numbers(self, PolicyValidationError)

    def account(self, run: Run) -> AccountDetails:
        """The account's roles, groups and policies. Raises PolicyExecutionError if they can't be read."""
        with unreadable(self.manager, "its roles, groups and policies", "iam:GetAccountAuthorizationDetails"):
            return read_account(run.client, run.backoff, "Role", *ENTITIES)

    def recheck(self, run: Run, account: AccountDetails) -> LiveRecheck:
        """The recheck by the filters ``unnecessary``. ``account``: its roles and groups.

        Raises PolicyExecutionError if the filter's options are invalid or the account can't be read.
        """
        options = [each.options() for each in self._filters()]
        if all(option.selection == _EVERYBODY for option in options):
            return LiveRecheck(None, options)
        pieces = [*DEFAULT_PIECES]
        if any(option.criteria.provisioning.roles for option in options):
            pieces.append(CREATION)
        inventory = AccountReadings.of(self.manager).inventory(pieces, run.backoff)
        asked = BlastRadius.of_all(option.blast_radius for option in options)
        inventory = with_policies(self.manager, inventory, asked, run.backoff, utc_now)
        inventory = replace(inventory, roles=account.roles, groups=account.groups)
        index = EvidenceIndex(inventory, self.managed_found())
        return LiveRecheck(index, options)

    def managed_found(self) -> Mapping[str, Managed]:
        """Unique id of each user -> which code manages it, as the filter ``unnecessary`` found it."""
        return {}

    def record_stores(self, run: Run) -> RecordStores:
        """The stores of snapshots and journals: this output, its siblings, and the one that ``record-from`` names.

        Raises PolicyExecutionError if there is no journal in ``record-from``.
        """
        place = self.data.get("record-from")
        named = run_outputs.store_at(self.manager, place) if place else []
        return RecordStores(run.store, lambda: [*named, *run.store.siblings()])

    def user_records(self, run: Run, account: AccountDetails) -> UserRecords:
        """The records of users in ``record_stores``. ``account``: read just now.

        Raises PolicyExecutionError as that does.
        """
        policy, live = str(self.manager.data.get("name")), LivePolicies(run.client, run.backoff, account)
        stores = self.record_stores(run)
        if isinstance(run.journal, BucketJournal):
            run.journal.follows = stores.own.last_digest
        return UserRecords(stores, run.journal, account, live, policy)

    def _filters(self) -> list[Any]:
        return [each for each in self.manager.filters if each.type == "unnecessary"]

    def _run(
        self, target: run_outputs.RunStore, resources: list[Resource], interruption: Interruption
    ) -> list[Outcome]:
        with target.held() as output:
            writer = OutcomeWriter(target.store, output.journal)
            self._complete_outcomes(target.store, writer)
            if not isinstance(target.store, DirectoryStore):
                writer.begin()
            run = self.new_run(target.store, output.journal, interruption, len(resources), output.check)
            prepared = self.prepare(run)

            def work(subject: Subject, applied: Applied) -> tuple[str, Reason]:
                output.check()
                with output.lock(subject):
                    return prepared(subject, applied)

            process = partial(self._process_user, writer, work, interruption)
            with self.executor_factory(max_workers=self.max_workers) as pool:
                done = pool.map(lambda its: [(each, process(each)) for each in its], _by_user(resources))
                processed = [*chain.from_iterable(done)]
            outcomes = [outcome for _, outcome in processed]
            self.report([resource for resource, _ in processed], outcomes)
            writer.close()
        return outcomes

    def complete_outcomes(self) -> None:
        """Write the outcomes that a killed run with this output did not write, since this run may select no user.

        Those that are failures end the policy with an error, unless it selects the user.
        """
        try:
            target = run_outputs.run_store(self.manager)
        except PolicyExecutionError:
            return  # process() raises it again if users are selected
        if isinstance(target.store, DirectoryStore) and not (target.store.directory / JOURNAL).exists():
            return
        try:
            with target.held() as output:
                writer = OutcomeWriter(target.store, output.journal)
                self._complete_outcomes(target.store, writer)
                writer.close()
        except (OSError, ValueError, RunLockLost) as error:
            self.log.warning("%s: outcomes of earlier runs can't be completed: %s", self.type, error)
        if self._completed:
            run_outputs.fail_even_if_idle(self.manager, self.type, last=self._fail)

    def _complete_outcomes(self, store: Store, writer: OutcomeWriter) -> None:
        def client() -> Any:
            return local_session(self.manager.session_factory).client("iam", self.manager.config.region)

        def name_of(unique_id: str) -> str | None:
            with unreadable(self.manager, "which users there are", "iam:ListUsers"):
                return LiveUsers(client(), 1, Backoff()).name_of(unique_id)

        def note_on(subject: Subject, begun: Sequence[Mapping[str, Any]]) -> Reason | None:
            if subject.is_key:  # whose id no other user's key has
                return None
            with unreadable(self.manager, "who has the name of a user", "iam:GetUser"):
                return changed_namesake(client(), Backoff(), subject, begun)

        def shown(key: Subject, begun: Mapping[str, Any]) -> bool:
            name = None if _is_long_ago(begun) else name_of(key_history.user_of(begun))
            call = (str(begun.get("operation")), begun["parameters"])
            with unreadable(self.manager, "the state of an access key", "iam:ListAccessKeys"):
                # the user may have another name now, and another one its name
                return bool(name) and key_shows(client(), Backoff(), replace(key, name=str(name)), *call)

        lines = JournalReader(lambda: [store]).lines()
        # Another instance of the function may be running: what it has not ended yet is no failure.
        alone = policy_checks.is_pull(self.manager)
        noted = (note_on, shown) if alone else ()
        for subject, outcome in missing_outcomes(lines, writer.earlier, name_of, *noted):
            self._log(outcome)
            written = writer.add(subject, outcome)
            if alone:
                self._completed = {**self._completed, subject.unique_id: written}

    def _process_user(
        self, writer: OutcomeWriter, work: Work, interruption: Interruption, resource: Resource
    ) -> Outcome:
        subject = subject_of(resource)
        outcome = outcome_of(subject, work, interruption)
        if earlier := self._completed.get(subject.unique_id):
            outcome = replace(outcome, reason=outcome.reason.and_also(*earlier.reason.notes))
        return writer.add(subject, outcome)

    def report(self, resources: Sequence[Resource], outcomes: Sequence[Outcome]) -> None:
        """Annotate each resource with its outcome, and log it."""
        for resource, outcome in zip(resources, outcomes, strict=True):
            annotate(resource, "outcome", outcome.as_data())
            self._log(outcome)

    def _log(self, outcome: Outcome) -> None:
        told = ": ".join(filter(None, (outcome.status, outcome.reason.text)))
        self.log.info("%s: %s: %s", self.type, outcome.arn, told)


def _by_user(resources: Iterable[Resource]) -> Collection[Sequence[Resource]]:
    """Each user alone, and the keys of a user together: whether one is the last depends on what became of the other."""
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        found.setdefault(subject_of(resource).arn, []).append(resource)
    return found.values()


@cache
def _offers_sessions() -> bool:
    """Whether the installed botocore can list and revoke sign-in sessions."""
    botocore = get_session()
    known = sign_in_sessions.SERVICE in botocore.get_available_services()
    return known and sign_in_sessions.offers_sessions(
        botocore.get_service_model(sign_in_sessions.SERVICE).operation_names
    )


@cache
def _note_once(text: str) -> None:
    """Log a hint once in a process, not for each action and account."""
    LOG.info(text)


def _is_long_ago(begun: Mapping[str, Any]) -> bool:
    time = moment(begun.get("time"))
    return time is None or utc_now() - time > _SETTLES_FOR
