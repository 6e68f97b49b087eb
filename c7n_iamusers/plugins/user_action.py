# SPDX-License-Identifier: Apache-2.0
"""What all actions on users share: several users at a time, each on its own, every outcome recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from botocore.config import Config
from c7n.actions import BaseAction
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.query import MaxResourceLimit
from c7n.utils import local_session

from c7n_iamusers.evidence.index import EvidenceIndex
from c7n_iamusers.evidence.inventory import CREATION
from c7n_iamusers.evidence.options import Selection
from c7n_iamusers.evidence.reader import USUAL
from c7n_iamusers.execution.client import Backoff
from c7n_iamusers.execution.executor import Executor
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import JournalReader, JournalWriter
from c7n_iamusers.execution.journaled_call import SINGLE_TRY
from c7n_iamusers.execution.outcomes import SKIPPED, Outcome, OutcomeWriter, missing_outcomes
from c7n_iamusers.execution.sessions import callers
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, Store
from c7n_iamusers.execution.user_run import LOG, Run, Work, outcome_of
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.iam.accounts import AccountDetails, read_account
from c7n_iamusers.iam.live_users import LiveUsers
from c7n_iamusers.plugins.account_readings import AccountReadings, unreadable
from c7n_iamusers.plugins.lambda_packaging import is_pull, validate_lambda_packaging
from c7n_iamusers.plugins.resources import annotate, subject_of
from c7n_iamusers.plugins.run_outputs import RunStore, fail_at_the_end, outputs_to_s3, run_store, store_at
from c7n_iamusers.safeguards.recheck import LiveRecheck
from c7n_iamusers.snapshots.archive import RecordStores, UserRecords

#: Region prefix -> the Region in which the partition has IAM's only endpoint ("IAM endpoints and quotas").
_HOMES = {"cn-": "cn-north-1", "us-gov-": "us-gov-west-1"}
_HOME = "us-east-1"
#: Those that c7n-org takes for an account without any.
_USUAL = ("us-east-1", "us-west-2")


def idle_region(manager: Any, argv: Sequence[str] | None = None) -> str | None:
    """Why nothing is done in the policy's Region, in words; None where this is the one that acts.

    That is the only Region of a c7n-org run in the account, else the home of IAM. Plain custodian runs in one.
    Raises PolicyExecutionError where none of several Regions is the home, as then nothing would be done at all.
    """
    policy = getattr(manager.ctx, "policy", None)
    account = policy.conditions.env_vars.get("account") if policy else None
    if not account:
        return None
    region, name = (
        str(manager.config.region),
        f"policy {manager.data.get('name')}: account {account.get('name')}",
    )
    regions = _given(sys.argv if argv is None else argv) or tuple(account.get("regions") or _USUAL)
    if len(regions) == 1 and "all" not in regions:
        return None
    home = next((each for prefix, each in _HOMES.items() if region.startswith(prefix)), _HOME)
    if home not in regions and "all" not in regions:
        raise PolicyExecutionError(
            f"{name}: IAM is the same in every Region, so one acts for all: the only one, or {home}; this run has "
            f"{', '.join(regions)}. Give one of them, by regions in accounts.yml or by -r. Nothing was touched"
        )
    if region == home:
        return None
    return f"{name}: nothing is done in {region}: IAM is the same in every Region, and {home} acts for all"


def _given(argv: Sequence[str]) -> tuple[str, ...]:
    """The Regions on c7n-org's command line, which outrank those of accounts.yml."""
    if not argv or not (
        Path(argv[0]).name.startswith("c7n-org") or "c7n_org" in argv[0] or "c7n-org" in argv
    ):
        return ()
    return tuple(region for value in _values(argv) for region in value.split(",") if region)


def _values(argv: Sequence[str]) -> Iterator[str]:
    for option, following in zip(argv, [*argv[1:], ""], strict=True):
        if option in ("-r", "--region"):
            yield following
        elif option.startswith("--region="):
            yield option.partition("=")[2]
        elif option.startswith("-r") and not option.startswith("--"):
            yield option[2:]


def enforce_max_resources(manager: Any, selected: int) -> None:
    """Raises c7n's ResourceLimitExceeded where a policy in an event mode selected more users than it allows."""
    data = manager.data
    amount, percent = data.get("max-resources"), data.get("max-resources-percent")
    if not (amount or percent) or is_pull(manager):
        return
    of_all = percent or (isinstance(amount, dict) and amount.get("percent"))
    population = _users_of_account(manager) if of_all else selected
    MaxResourceLimit(manager.ctx.policy, selected, population).check_resource_limits()


def _users_of_account(manager: Any) -> int:
    client = local_session(manager.session_factory).client("iam", manager.config.region)
    with unreadable(manager, "how many users the account has", "iam:GetAccountSummary"):
        return int(Backoff().call(client.get_account_summary)["SummaryMap"]["Users"])


Resource = dict[str, Any]
#: The schema of an option in days.
DAYS = {"type": "number", "exclusiveMinimum": 0}
_EVERYBODY = Selection()


class UserAction(BaseAction):  # type: ignore[misc]  # c7n is untyped
    """An action that deals with each user by itself; ``prepare`` gives what is done to one."""

    max_workers = 8

    def prepare(self, run: Run) -> Work:
        """What is done to a user. Raises PolicyExecutionError where nothing can be done to any."""
        raise NotImplementedError

    def process(self, resources: list[Resource]) -> None:
        """Deal with each user. Raises PolicyExecutionError where that can't be done safely, before any is touched."""
        if idle := idle_region(self.manager):
            self.log.info("%s: %s", self.type, idle)
            return
        enforce_max_resources(self.manager, len(resources))
        target = run_store(self.manager)
        with Interruption() as interruption:
            try:
                outcomes = self._run(target, resources, interruption)
            except (OSError, ValueError) as error:
                raise PolicyExecutionError(
                    f"policy {self.manager.data.get('name')}: account {self.manager.config.account_id}: {error}. "
                    f"Make {target.store} readable and writable, move a broken file away, and run again"
                ) from error
        interruption.exit_if_stopped()
        fail_at_the_end(self.manager, self.type, outcomes)

    def tools(self, store: Store, journal: JournalWriter, interruption: Interruption, count: int) -> Run:
        """What a run over ``count`` users works with. Raises PolicyExecutionError where nobody knows who acts."""
        region, session = self.manager.config.region, local_session(self.manager.session_factory)
        # One connection a worker, which the default of 10 would have them wait for.
        config = Config(max_pool_connections=self.max_workers)
        client = session.client("iam", region, config=config)
        writer = session.client("iam", region, config=config.merge(SINGLE_TRY))
        backoff = Backoff(sleep=interruption.sleep)
        executor = Executor({"iam": writer}, journal, backoff, before_each=interruption.check)
        with unreadable(self.manager, "who is acting", "sts:GetCallerIdentity"):
            found = callers(self.manager.session_factory, session, region)
        for untold in found.unknown:
            _warn_once(
                f"on whose behalf the run acts is not wholly known ({untold}): if it is an IAM user, exempt it"
            )
        return Run(client, executor, backoff, store, found.arns, count, journal)

    def spared(self, resource: Mapping[str, Any]) -> str | None:
        """Why a user is left alone by what an earlier action found out; None where nothing speaks against it."""
        return None

    def require_lasting_output(self) -> None:
        """Raises PolicyValidationError if the policy runs in AWS Lambda with an output on the Lambda's disk."""
        validate_lambda_packaging(self.manager)
        if not is_pull(self.manager) and not outputs_to_s3(self.manager):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: {self.type} in a Lambda mode keeps snapshots and journal in "
                "S3 only, as a Lambda's disk does not outlive it: set mode.execution-options.output_dir to "
                "s3://BUCKET/PREFIX"
            )

    def require_exemptions(self, rules: bool = True) -> None:
        """Raises PolicyValidationError if the policy has no filter ``unnecessary`` at the top level.

        ``rules``: that filter must also have exemption rules, a list of them, or ``exempt: none``.
        """
        found = self._filters()
        if not found:
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: {self.type} needs the filter unnecessary at the top level of "
                "filters (not inside and, or, not): add '- type: unnecessary' with its exempt rules"
            )
        if rules and not any(each.says_whom_it_spares for each in found):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: {self.type} needs exemptions, since break-glass users are "
                "among all users: give unnecessary an exempt rule, such as {path: /emergency/*, reason: break-glass "
                "access, expires: 'YYYY-MM-DD'}, or exempt-from, or, if nobody is exempt, exempt: none"
            )

    def exemption_rules(self) -> tuple[ExemptionRule, ...]:
        """The exemption rules of the policy's filters ``unnecessary``."""
        return tuple(rule for each in self._filters() for rule in each.rules())

    def active_within(self) -> float | None:
        """The option ``active-within`` in days; by default the smallest ``unused-for`` of filters ``unnecessary``."""
        given = self.data.get("active-within")
        unused = [each.data.get("unused-for") for each in self._filters()]
        return (
            given if given is not None else min((days for days in unused if days is not None), default=None)
        )

    def account(self, run: Run) -> AccountDetails:
        """The account's roles and groups. Raises PolicyExecutionError if they can't be read."""
        with unreadable(self.manager, "its roles and groups", "iam:GetAccountAuthorizationDetails"):
            return read_account(run.client, run.backoff, "Role", "Group")

    def recheck(self, run: Run, account: AccountDetails) -> LiveRecheck:
        """The recheck by the filters ``unnecessary``. ``account``: its roles and groups.

        Raises PolicyExecutionError if the filter's options are invalid or the account can't be read.
        """
        options = [each.options() for each in self._filters()]
        if all(each.selection == _EVERYBODY for each in options):
            return LiveRecheck(None, options)
        pieces = (*USUAL, CREATION) if any(each.criteria.provisioning.roles for each in options) else USUAL
        inventory = AccountReadings.of(self.manager).inventory(pieces, run.backoff)
        index = EvidenceIndex(replace(inventory, roles=account.roles, groups=account.groups))
        return LiveRecheck(index, options)

    def record_stores(self, run: Run) -> RecordStores:
        """The stores of snapshots and journals: this output, its siblings, and the one that ``record-from`` names.

        Raises PolicyExecutionError if there is no journal in ``record-from``.
        """
        place = self.data.get("record-from")
        named = store_at(self.manager, place) if place else []
        return RecordStores(run.store, lambda: [*named, *run.store.siblings()])

    def user_records(self, run: Run, account: AccountDetails) -> UserRecords:
        """The records of users in ``record_stores``. Raises PolicyExecutionError as that does."""
        policy = str(self.manager.data.get("name"))
        return UserRecords(self.record_stores(run), run.journal, account, policy)

    def _filters(self) -> list[Any]:
        return [each for each in self.manager.filters if each.type == "unnecessary"]

    def _run(self, target: RunStore, resources: list[Resource], interruption: Interruption) -> list[Outcome]:
        with target.journal() as journal:
            book = OutcomeWriter(target.store, journal)
            self._settle(target.store, book, journal)
            work = self.prepare(self.tools(target.store, journal, interruption, len(resources)))
            with self.executor_factory(max_workers=self.max_workers) as pool:
                deal = partial(self._deal, book, work, interruption)
                outcomes = list(pool.map(deal, resources))
            self.tell(resources, outcomes)
            book.close()
        return outcomes

    def settle(self) -> None:
        """Write the rows that earlier runs of this output did not get to write, in case this run selects nobody."""
        try:
            target = run_store(self.manager)
        except PolicyExecutionError:
            return  # the run will say so, should it have anything to do
        if isinstance(target.store, DirectoryStore) and not (target.store.directory / JOURNAL).exists():
            return
        try:
            with target.journal() as journal:
                book = OutcomeWriter(target.store, journal)
                self._settle(target.store, book, journal)
                book.close()
        except (OSError, ValueError) as error:
            self.log.warning("%s: outcomes of earlier runs can't be completed: %s", self.type, error)

    def _settle(self, store: Store, book: OutcomeWriter, journal: JournalWriter) -> None:
        def name_of(unique_id: str) -> str | None:
            client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
            with unreadable(self.manager, "which users there are", "iam:ListUsers"):
                return LiveUsers(client, 1, Backoff()).name_of(unique_id)

        lines = JournalReader(lambda: [store]).lines()
        for subject, outcome in missing_outcomes(lines, book.earlier, name_of):
            self.log.info("%s: %s %s %s", self.type, outcome.arn, outcome.status, outcome.reason)
            book.add(subject, outcome)

    def _deal(
        self, book: OutcomeWriter, work: Work, interruption: Interruption, resource: Resource
    ) -> Outcome:
        subject = subject_of(resource)
        reason = self.spared(resource)
        if reason is not None:
            return book.add(subject, Outcome(subject.name, subject.arn, SKIPPED, reason))
        return book.add(subject, outcome_of(subject, work, interruption))

    def tell(self, resources: Sequence[Resource], outcomes: Sequence[Outcome]) -> None:
        """Note each outcome on its resource and in the log."""
        for resource, outcome in zip(resources, outcomes, strict=True):
            annotate(resource, "outcome", outcome.as_data())
            self.log.info("%s: %s %s %s", self.type, outcome.arn, outcome.status, outcome.reason)


@cache
def _warn_once(text: str) -> None:
    """Not for each action and account of a process."""
    LOG.warning(text)
