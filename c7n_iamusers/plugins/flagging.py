# SPDX-License-Identifier: Apache-2.0
"""The run of the filter ``unnecessary``: exemptions, assessment, selection by the options, annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers import exemptions
from c7n_iamusers.evidence.assessment import Assessment, Assessor, unread_kinds
from c7n_iamusers.evidence.index import CREATION, EvidenceIndex, Inventory
from c7n_iamusers.evidence.priority import priorities
from c7n_iamusers.evidence.reader import DEFAULT_PIECES
from c7n_iamusers.evidence.seen_users import BY_NOBODY, BY_OTHERS, BY_US, EXEMPT, LEFT_OUT, SeenUser
from c7n_iamusers.evidence.selection import FilterOptions
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.lockout.deny_all import is_denied
from c7n_iamusers.lockout.lockout_state import quarantine_of
from c7n_iamusers.plugins.code_owners import CodeOwners
from c7n_iamusers.plugins.key_usage_reader import UsageReader
from c7n_iamusers.plugins.policy_reader import with_policies
from c7n_iamusers.plugins.resources import (
    ANNOTATION,
    AccountReadings,
    Resource,
    UserRecord,
    annotate_anew,
    user_records,
)
from c7n_iamusers.text.wording import VisibleLog, shown

#: The key of the annotation for which flagged user or key comes first.
PRIORITY = "priority"
Judged = tuple[UserRecord, exemptions.Exemption]
Found = tuple[Resource, Assessment]
#: The key of the annotation for the rule by which a user would be exempt, in words, where rules protect nobody.
WOULD_BE_EXEMPT = "would-be-exempt"


@dataclass(frozen=True)
class Flagging:
    """One run of the filter. ``client``: an IAM client. ``clock``: returns the current time in UTC.

    ``unfinished``: the unique ids of those of the given users whose deletion by this policy was stopped. They are
    flagged: what it removed may be all that selected a user, and an exempt one is locked out. The deletion judges them
    as they were before it, and reports that it leaves the exempt unfinished.

    ``otherwise``: rules that protect nobody in real time; None if they can't be read. The annotation of a flagged user
    says by which one it would be exempt.

    ``code``: asks which code manages users; None if only their tags are to say it. ``usage``: asks who calls with the
    access keys of flagged users; None if the policy does not ask.

    After ``flagged``: ``exempt``: the users that exemptions protect, each with the first rule that does. ``seen``:
    unique id -> what became of each user that exists.
    """

    manager: Any
    client: Any
    backoff: Backoff
    options: FilterOptions
    clock: Callable[[], datetime]
    log: VisibleLog
    exempt: list[tuple[Subject, exemptions.ExemptionRule]] = field(default_factory=list)
    seen: dict[str, SeenUser] = field(default_factory=dict)
    unfinished: Callable[[Sequence[IamUser]], Collection[str]] = lambda _: ()
    otherwise: Sequence[exemptions.ExemptionRule] | None = ()
    code: CodeOwners | None = None
    usage: UsageReader | None = None

    def flagged(
        self,
        resources: list[Resource],
        rules: Sequence[exemptions.ExemptionRule],
        pool: Executor,
        elsewhere: Sequence[exemptions.ExemptionRule] = (),
    ) -> list[Resource]:
        """The resources to flag, annotated. ``pool``: for calls that read single users.

        ``elsewhere``: rules of other accounts. The log counts their users too, so that a report over all accounts finds
        those that protect nobody.

        Raises PolicyExecutionError if groups, roles or policies of the account can't be read.
        """
        records = user_records(self.manager, self.client, resources, self.backoff)
        users = (record.user for record in records)
        self.seen.update((user.unique_id, SeenUser(user.arn, user.unique_id)) for user in users)
        unprotected = list(self._unprotected(records, rules, elsewhere))
        judged = [*unprotected, *self._exempt_half_way(records, rules)]
        flagged = self._selected(judged, pool) if judged else []
        for resource, assessment in flagged:
            told = self._would_be_exempt(assessment.user)
            rule = assessment.exemption.rule
            exemption = {"exemption": rule and rule.as_data()}
            annotate_anew(resource, {**exemption, **told, **assessment.as_data()})
        if self.usage:
            note_priorities([resource for resource, _ in flagged], self.clock(), self.options)
        kinds = Counter(assessment.classification.kind for _, assessment in flagged)
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
        self.log.info(
            "unnecessary: of %d users %d are not exempt, %d are flagged: %s",
            *(len(resources), len(unprotected), len(flagged), counts),
        )
        return [resource for resource, _ in flagged]

    def _unprotected(
        self,
        records: list[UserRecord],
        rules: Sequence[exemptions.ExemptionRule],
        elsewhere: Sequence[exemptions.ExemptionRule],
    ) -> Iterator[Judged]:
        today = self.clock().date()
        spared: Counter[exemptions.ExemptionRule] = Counter()
        # a rule may be there twice; the first one counts
        numbers = {rule: number for number, rule in reversed([*enumerate(rules)])}
        for record in records:
            try:
                exemption = exemptions.find_exemption(record.user, rules, today)
            except EvidenceUnreadable as error:
                self.log.warning("unnecessary: %s is left alone: %s", record.user.subject, error)
                self._leave_out(record.user, str(error))
                continue
            annotate_anew(record.resource, {"exemption": exemption.rule and exemption.rule.as_data()})
            if exemption.rule:
                protecting = (exemption.rule, *exemption.more)
                self.exempt.append((record.user.subject, exemption.rule))
                told = protecting[: exemptions.MOST_TOLD]
                # each rule that protects somebody is named for one user at least
                told += tuple(rule for rule in protecting[len(told) :] if rule not in spared)
                spared.update(set(protecting))
                denied = _denied(record.user)
                self.seen[record.user.unique_id] = SeenUser(
                    *(record.user.arn, record.user.unique_id, EXEMPT, ""),
                    rule=numbers[exemption.rule],
                    denied=denied,
                    more=tuple({numbers[rule]: None for rule in told if rule != exemption.rule}),
                )
                if denied:
                    self.log.warning(
                        "unnecessary: %s",
                        exemptions.denied_line(record.user.arn, exemption.rule, denied == BY_US),
                    )
            else:
                expired = tuple(dict.fromkeys(numbers[rule] for rule in exemption.expired))
                self.seen[record.user.unique_id] = replace(self.seen[record.user.unique_id], expired=expired)
                yield record, exemption
        for line in exemptions.usage_lines((*rules, *elsewhere), spared):
            self.log.info("unnecessary: %s", line)

    def _exempt_half_way(
        self, records: list[UserRecord], rules: Sequence[exemptions.ExemptionRule]
    ) -> Iterator[Judged]:
        """The exempt whose deletion began and did not end."""
        spared, today = {subject.unique_id for subject, _ in self.exempt}, self.clock().date()
        begun = self._begun([record.user for record in records if record.user.unique_id in spared])
        for record in records:
            if record.user.unique_id in begun:
                yield record, exemptions.find_exemption(record.user, rules, today)

    def _begun(self, users: Sequence[IamUser]) -> Collection[str]:
        """The unique ids of those ``users`` whose deletion began and did not end."""
        begun = self.unfinished(users) if users else ()
        if begun:
            names = [user.name for user in users if user.unique_id in begun]
            self.log.info("unnecessary: the deletion of %d began: %s", len(names), shown(names))
        return begun

    def _selected(self, users: list[Judged], pool: Executor) -> list[Found]:
        assessor = self._assessor()
        assessed = [(record.resource, self._assessed(assessor, record, why)) for record, why in users]
        known = [(resource, assessment) for resource, assessment in assessed if assessment]
        early = self.options.selection.asks_who_manages
        known = self._with_code(assessor, known, pool) if early else known
        for why, count in assessor.index.doubts.items():
            self.log.warning("unnecessary: it is unknown whether a role trusts %d users: %s", count, why)
        selection, now = self.options.selection, self.clock()
        settled = pool.map(lambda user: self._settled(assessor, now, *user), known)
        judged = [(user, selection.left_out_by(user[1], now)) for user in settled if user]
        begun = self._begun([assessment.user for (_, assessment), reason in judged if reason])
        chosen, left_out = list[Found](), dict[str, list[str]]()
        for (resource, assessment), reason in judged:
            if reason and assessment.user.unique_id not in begun:
                left_out.setdefault(reason, []).append(assessment.user.name)
                self._leave_out(assessment.user, reason)
            else:
                chosen.append((resource, assessment))
        for reason, names in sorted(left_out.items()):
            self.log.info("unnecessary: %d left out by %s: %s", len(names), reason, shown(names))
        chosen = chosen if early else self._with_code(assessor, chosen, pool)
        chosen = self._with_usage(assessor, chosen, pool)
        if not self.options.full:
            return chosen
        in_full = pool.map(lambda user: self._in_full(assessor, *user), chosen)
        return [user for user in in_full if user]

    def _with_code(self, assessor: Assessor, users: list[Found], pool: Executor) -> list[Found]:
        """``users`` with which code manages each, if the policy asks for more than their tags."""
        if not self.code:
            return users
        answers = list(pool.map(self.code.of_user, (found.user.subject for _, found in users)))
        problems = {source.problem: name for _, sources in answers for name, source in sources.items()}
        for problem, name in problems.items():
            if problem:
                self.log.warning(
                    "unnecessary: %s can't be read, so what it manages is unknown: %s", name, problem
                )
        return [
            (resource, assessor.with_managed(found, *answer))
            for (resource, found), answer in zip(users, answers, strict=True)
        ]

    def _with_usage(self, assessor: Assessor, users: list[Found], pool: Executor) -> list[Found]:
        """``users`` with who calls with their access keys, if the policy asks. It takes calls for each key, so only the
        selected are asked for: it changes no selection."""
        if not self.usage or not users:
            return users
        answers = self.usage.of_users([found.user for _, found in users], pool)
        return [
            (resource, assessor.with_usage(found, *answer))
            for (resource, found), answer in zip(users, answers, strict=True)
        ]

    def _assessor(self) -> Assessor:
        pieces = (*DEFAULT_PIECES, CREATION) if self.options.criteria.provisioning.roles else DEFAULT_PIECES
        inventory = AccountReadings.of(self.manager).inventory(pieces, self.backoff)
        inventory = with_policies(
            self.manager, inventory, self.options.blast_radius, self.backoff, self.clock
        )
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

    def _assessed(
        self, assessor: Assessor, record: UserRecord, exemption: exemptions.Exemption
    ) -> Assessment | None:
        try:
            return assessor.assess(record.user, record.source, exemption)
        except EvidenceUnreadable as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001  # one user's error must not affect the others
            why = f"it can't be assessed: {error!r}"
        self.log.warning("unnecessary: %s is left alone: %s", record.user.subject, why)
        self._leave_out(record.user, why)
        return None

    def _settled(
        self, assessor: Assessor, now: datetime, resource: Resource, assessment: Assessment
    ) -> Found | None:
        """The user with its own lists, such as SSH keys, if the selection depends on them. Unread lists are unknown."""
        if not self.options.selection.needs_user_lists(assessment, now):
            return resource, assessment
        try:
            return resource, assessor.with_user_lists(assessment)
        except (ClientError, BotoCoreError) as error:
            if _is_gone(error):
                del self.seen[assessment.user.unique_id]
                return None
            unread = " and ".join(kind.plural for kind in unread_kinds(assessment.evidence))
            self.log.warning(
                "unnecessary: %s: its %s can't be read: %s", assessment.user.subject, unread, error
            )
            return resource, assessment

    def _in_full(self, assessor: Assessor, resource: Resource, assessment: Assessment) -> Found | None:
        try:
            return resource, assessor.with_all_attachments(assessment)
        except (ClientError, BotoCoreError) as error:
            if _is_gone(error):
                del self.seen[assessment.user.unique_id]
                return None
            why = f"what is attached to it can't be read: {error}"
            self.log.warning("unnecessary: %s is left alone, %s", assessment.user.subject, why)
            self._leave_out(assessment.user, why)
            return None

    def _would_be_exempt(self, user: IamUser) -> dict[str, str]:
        if self.otherwise is None:
            return {WOULD_BE_EXEMPT: "not known, as the exemptions can't be read"}
        try:
            rule = exemptions.find_exemption(user, self.otherwise, self.clock().date()).rule
        except EvidenceUnreadable as error:
            return {WOULD_BE_EXEMPT: f"not known: {error}"}
        return {WOULD_BE_EXEMPT: f"{rule} ({rule.reason})"} if rule else {}

    def _leave_out(self, user: IamUser, why: str) -> None:
        self.seen[user.unique_id] = replace(self.seen[user.unique_id], state=LEFT_OUT, why=why)


def note_priorities(resources: Sequence[Resource], now: datetime, options: FilterOptions) -> None:
    """Annotate which of the flagged ``resources``, users or keys, comes first, and why."""
    known = [resource[ANNOTATION] for resource in resources]
    rotation = options.criteria.thresholds.rotation
    for each, priority in zip(known, priorities(known, now, rotation), strict=True):
        if priority:
            each[PRIORITY] = priority


def _denied(user: IamUser) -> str:
    """Who denies everything to the user."""
    if not is_denied(user.detail):
        return BY_NOBODY
    return BY_OTHERS if quarantine_of(user) is None else BY_US


def _is_gone(error: Exception) -> bool:
    return isinstance(error, ClientError) and error_code(error) == "NoSuchEntity"
