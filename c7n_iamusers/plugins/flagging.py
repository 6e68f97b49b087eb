# SPDX-License-Identifier: Apache-2.0
"""One run of the filter ``unnecessary``: exemptions, assessment, selection by the options, annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from logging import Logger
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.evidence.assessment import Assessment, Assessor, unread_kinds
from c7n_iamusers.evidence.index import CREATION, EvidenceIndex, Inventory
from c7n_iamusers.evidence.options import FilterOptions
from c7n_iamusers.evidence.reader import DEFAULT_PIECES
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.exemptions import Exemption, ExemptionRule, denied_line, find_exemption, usage_lines
from c7n_iamusers.iam.deny_all import is_denied
from c7n_iamusers.iam.own_changes import quarantine_of
from c7n_iamusers.plugins.account_readings import AccountReadings
from c7n_iamusers.plugins.resources import UserRecord, annotate_anew, user_records

Resource = dict[str, Any]
Found = tuple[Resource, Assessment]


@dataclass(frozen=True)
class Flagging:
    """One run of the filter. ``client``: an IAM client. ``clock``: returns the current time in UTC.

    ``exempt``: the users that exemptions protect, and by which rules, after ``flagged``.
    """

    manager: Any
    client: Any
    backoff: Backoff
    options: FilterOptions
    clock: Callable[[], datetime]
    log: Logger
    exempt: list[tuple[Subject, ExemptionRule]] = field(default_factory=list)

    def flagged(
        self,
        resources: list[Resource],
        rules: Sequence[ExemptionRule],
        pool: Executor,
        elsewhere: Sequence[ExemptionRule] = (),
    ) -> list[Resource]:
        """The resources to flag, annotated. ``pool``: for calls that read single users.

        ``elsewhere``: rules of other accounts. The log counts their users too, so that a report over all accounts finds
        those that protect nobody.

        Raises PolicyExecutionError if groups, roles or policies of the account can't be read.
        """
        records = user_records(self.manager, self.client, resources, self.backoff)
        unprotected = list(self._unprotected(records, rules, elsewhere))
        found = self._selected(unprotected, pool) if unprotected else []
        for resource, assessment in found:
            annotate_anew(resource, {"exemption": None, **assessment.as_data()})
        kinds = Counter(assessment.classification.kind for _, assessment in found)
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
        self.log.info(
            "unnecessary: of %d users %d are not exempt, %d are flagged: %s",
            *(len(resources), len(unprotected), len(found), counts),
        )
        return [resource for resource, _ in found]

    def _unprotected(
        self, records: list[UserRecord], rules: Sequence[ExemptionRule], elsewhere: Sequence[ExemptionRule]
    ) -> Iterator[tuple[UserRecord, Exemption]]:
        today = self.clock().date()
        spared: Counter[ExemptionRule] = Counter()
        for record in records:
            try:
                exemption = find_exemption(record.user, rules, today)
            except EvidenceUnreadable as error:
                self.log.warning("unnecessary: %s is left alone: %s", record.user.subject, error)
                continue
            annotate_anew(record.resource, {"exemption": exemption.rule and exemption.rule.as_data()})
            if exemption.rule:
                spared[exemption.rule] += 1
                self.exempt.extend((record.user.subject, each) for each in (exemption.rule, *exemption.more))
                if is_denied(record.user.detail):
                    ours = quarantine_of(record.user) is not None
                    self.log.warning("unnecessary: %s", denied_line(record.user.arn, exemption.rule, ours))
            else:
                yield record, exemption
        for line in usage_lines((*rules, *elsewhere), spared):
            self.log.info("unnecessary: %s", line)

    def _selected(self, unprotected: list[tuple[UserRecord, Exemption]], pool: Executor) -> list[Found]:
        assessor = self._assessor()
        assessed = [(record.resource, self._assessed(assessor, record, why)) for record, why in unprotected]
        known = [(resource, found) for resource, found in assessed if found]
        selection, now = self.options.selection, self.clock()
        settled = pool.map(lambda each: self._settled(assessor, each[0], each[1], now), known)
        chosen = [each for each in settled if each and selection.selects(each[1], now)]
        if not self.options.full:
            return chosen
        return [
            each for each in pool.map(lambda each: self._in_full(assessor, each[0], each[1]), chosen) if each
        ]

    def _assessor(self) -> Assessor:
        pieces = (*DEFAULT_PIECES, CREATION) if self.options.criteria.provisioning.roles else DEFAULT_PIECES
        inventory = AccountReadings.of(self.manager).inventory(pieces, self.backoff)
        index = EvidenceIndex(inventory)
        self._log_account(inventory, index)
        return Assessor(index, self.options.criteria, self.client, self.backoff, self.clock)

    def _log_account(self, inventory: Inventory, index: EvidenceIndex) -> None:
        account = self.manager.config.account_id
        for name, source in inventory.sources.items():
            if source.problem:
                self.log.warning(
                    "unnecessary: account %s: %s can't be read, so evidence from it is unknown: %s",
                    *(account, name, source.problem),
                )
        if index.orphaned_mfa:
            count = len(index.orphaned_mfa)
            self.log.info(
                "unnecessary: account %s: %d virtual MFA devices are assigned to nobody", account, count
            )

    def _assessed(self, assessor: Assessor, record: UserRecord, exemption: Exemption) -> Assessment | None:
        try:
            return assessor.assess(record.user, record.source, exemption)
        except EvidenceUnreadable as error:
            self.log.warning("unnecessary: %s is left alone: %s", record.user.subject, error)
            return None

    def _settled(
        self, assessor: Assessor, resource: Resource, found: Assessment, now: datetime
    ) -> Found | None:
        """The user with its own lists, such as SSH keys, if the selection depends on them. Unread lists are unknown."""
        if not self.options.selection.needs_user_lists(found, now):
            return resource, found
        try:
            return resource, assessor.with_user_lists(found)
        except (ClientError, BotoCoreError) as error:
            if _is_gone(error):
                return None
            unread = " and ".join(kind.plural for kind in unread_kinds(found.evidence))
            self.log.warning("unnecessary: %s: its %s can't be read: %s", found.user.subject, unread, error)
            return resource, found

    def _in_full(self, assessor: Assessor, resource: Resource, found: Assessment) -> Found | None:
        try:
            return resource, assessor.with_all_attachments(found)
        except (ClientError, BotoCoreError) as error:
            if not _is_gone(error):
                self.log.warning(
                    "unnecessary: %s is left alone, what is attached to it can't be read: %s",
                    *(found.user.subject, error),
                )
            return None


def _is_gone(error: Exception) -> bool:
    return isinstance(error, ClientError) and error_code(error) == "NoSuchEntity"
