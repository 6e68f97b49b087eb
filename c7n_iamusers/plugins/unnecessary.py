# SPDX-License-Identifier: Apache-2.0
"""The filter ``unnecessary``: flags every IAM user that no exemption with a reason and an expiry protects.

``Flagging`` is one run of it: exemptions, assessment, selection by the options, annotations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.filters import Filter
from c7n.utils import local_session, type_schema

from c7n_iamusers import exemptions
from c7n_iamusers.evidence.assessment import Assessment, Assessor, unread_kinds
from c7n_iamusers.evidence.classification import HINTED_KINDS
from c7n_iamusers.evidence.findings import FINDING_IDS
from c7n_iamusers.evidence.index import CREATION, EvidenceIndex, Inventory
from c7n_iamusers.evidence.model import KINDS
from c7n_iamusers.evidence.options import BULK, FULL, FilterOptions
from c7n_iamusers.evidence.reader import DEFAULT_PIECES
from c7n_iamusers.evidence.seen_users import (
    BY_NOBODY,
    BY_OTHERS,
    BY_US,
    EXEMPT,
    LEFT_OUT,
    SEEN,
    SeenUser,
    SeenUsers,
    sees_all,
)
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_patterns import FIELDS
from c7n_iamusers.lockout.deny_all import is_denied
from c7n_iamusers.lockout.lockout_state import quarantine_of
from c7n_iamusers.plugins import policy_checks
from c7n_iamusers.plugins.resources import (
    AccountReadings,
    Resource,
    UserRecord,
    annotate_anew,
    subject_of,
    user_records,
)
from c7n_iamusers.plugins.run_outputs import visible_errors, write_privately
from c7n_iamusers.plugins.unnecessary_options import FilterText, OneSession
from c7n_iamusers.text.rows import FORMATS
from c7n_iamusers.text.wording import VisibleLog, shown, visible_log


def _list_of(names: Sequence[str]) -> dict[str, Any]:
    return {"items": {"enum": list(names)}}


def _days(what: str) -> dict[str, Any]:
    return {"description": f"days: {what}", "exclusiveMinimum": 0}


_PATTERNS = {"description": "a case-sensitive shell glob, or a list of them"}
#: For ``custodian schema`` and editors. It has no ``type`` and no ``required``, since c7n checks it before validate(),
#: whose errors are better: every fault at once, with its place and what to do.
SCHEMA: dict[str, Any] = {
    "exempt": {
        "description": f"exemption rules, each with a pattern, a reason and expires; or {exemptions.NOBODY}",
        "items": {
            "properties": {
                "user": {"description": "a case-sensitive shell glob over the name"},
                "path": {"description": "a glob over the path, which begins and ends with /"},
                "tag": {"description": "Key=glob"},
                "group": {"description": "a glob over the names of groups"},
                "reason": {"description": "required: why these users may stay"},
                "owner": {"description": "the person or team to ask"},
                "account": {
                    "description": "an id, or a glob over ids and names: the only accounts of the rule"
                },
                "expires": {"description": "required: the last day, in UTC, as 'YYYY-MM-DD'"},
                "everybody": {"description": "true, where a pattern such as * is meant to match every user"},
                "alarm": {
                    "description": "use: the filter alarm selects such a user",
                    "enum": [exemptions.USE],
                },
            },
            "examples": [{"path": "/emergency/*", "reason": "break-glass access", "expires": "2027-12-31"}],
        },
    },
    "exempt-from": {
        "description": "a path or URL of a list of such rules, or a mapping with from and options",
        "properties": {
            "from": {"description": "the path or URL"},
            "url": {"description": "the same as from"},
            "format": {"enum": list(FORMATS)},
            "headers": {"description": "HTTP header -> text, or {env: NAME}: that of a variable"},
            "min-rules": {"description": "with fewer rules the list counts as cut off", "minimum": 1},
            "sha256": {"description": "of the file: a list that differs is refused"},
        },
    },
    "kinds": _list_of(KINDS),
    "unused-for": _days("without activity"),
    "min-age": _days("since the user was created"),
    "findings": {
        "description": "ids: a list of which any counts, or a mapping",
        **_list_of(FINDING_IDS),
        "properties": {"any-of": _list_of(FINDING_IDS), "none-of": _list_of(FINDING_IDS)},
    },
    "hints": {
        "description": "kind -> field -> patterns",
        "properties": {kind: {"properties": dict.fromkeys(FIELDS, _PATTERNS)} for kind in HINTED_KINDS},
    },
    "thresholds": {
        "properties": {"unused": _days("90 by default"), "rotation": _days("90 by default")},
    },
    "provisioning": {
        "properties": {
            "tag": {"description": "Key=glob, or a list of them"},
            "role": {"description": "a glob over the ARNs of creators, or a list of them"},
        },
    },
    "attachments": {"enum": [BULK, FULL]},
}


class Unnecessary(Filter):  # type: ignore[misc]  # c7n is untyped
    """Flags every IAM user of the account that no exemption protects, and annotates it with the evidence.

    ``exempt``: exemption rules. A rule has one pattern (``user``, ``path``, ``group``, or ``tag`` as ``Key=pattern``:
    case-sensitive shell globs), a ``reason``, optionally an ``owner``, and ``expires``: the last day, in UTC, on which
    it protects. After that day the user is flagged again, with the finding ``expired-exemption``. Quote the date: Cloud
    Custodian stops with a traceback at an unquoted date that does not exist. ``account`` limits a rule to an account or
    several: an id in quotes, or a glob over the ids and names in c7n-org's accounts file. In a run of ``custodian`` the
    name is not known, so a rule by name holds. A pattern that can match nobody is refused. ``exempt: none`` states that
    there are no exemptions; actions that delete or quarantine require it if there is no rule. Anybody with iam:TagUser
    can exempt a user by a ``tag`` rule.

    ``exempt-from``: a list of such rules for many policies: a path, or a URL (file, https, http, s3), ending
    in .json, .csv or .yaml; or ``{from: PLACE}`` with any of ``format``, ``headers``, ``min-rules`` and ``sha256``. A
    list with fewer rules, or another SHA-256, is refused. It is read in each run. If it is empty or can't be read, the
    policy fails before anything is done; the same holds for groups. An entry may have more columns, such as ``ticket``,
    as long as none resembles the name of one that is read. CSV may have commas, semicolons or tabs. The encoding is
    UTF-8, or that of a byte order mark. Cloud Custodian writes the policy into ``metadata.json`` of each output, with
    the URL and ``headers``: give a secret as ``headers: {Authorization: {env: NAME}}``, which is read from that
    environment variable, and use no URL that gives access by itself.

    Options that select among the other users; by default all are flagged. What is unknown never selects a user. One
    whose deletion this policy began is flagged: the deletion judges it as it was before it.

    - ``kinds``: human, machine, mixed, bedrock-api-key, no-credentials, unknown
    - ``unused-for``: days without activity: no sign-in, no key used, nothing created. Users with credentials whose use
      AWS does not report (SSH keys, certificates, service-specific credentials) are never selected
    - ``min-age``: days since the user was created
    - ``findings``: ``any-of`` and ``none-of``, with ids from docs/findings.md

    Options for the evidence: ``hints`` (kind -> field -> patterns) describe an organization's own naming and outrank
    all other signs of a kind; ``thresholds`` (``unused``, ``rotation``: days, 90 each) are for findings;
    ``provisioning`` (``tag``: Key=glob, ``role``: globs over ARNs in CloudTrail's last 90 days) is how users should
    have been created.

    Each flagged user is annotated with ``c7n:IamUser``: ``kind``, ``reasons``, ``replacement``, ``findings``,
    ``unknown_findings``, ``last_activity``, ``credentials`` (with ages), ``attachments`` (kind -> count), ``unread``,
    ``trusted_by`` (roles), ``sources`` (with times) and ``exemption``. This takes tens of calls for each account, not
    for each user. AWS lists SSH keys and non-virtual MFA devices for one user at a time only, so these kinds are in
    ``unread``, where a count is a minimum; ``attachments: full`` lists them for each flagged user, and leaves a user
    alone if that fails. ``kinds`` and ``unused-for`` list SSH keys if the selection depends on them.

    More columns for a report: ``custodian report --field 'kind="c7n:IamUser".kind' --field
    'findings=list:"c7n:IamUser".findings[].id' --field 'last="c7n:IamUser".last_activity.time' ...``

    :example:

    .. code-block:: yaml

        policies:
          - name: iam-users-unnecessary
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt:
                  - path: /emergency/*
                    reason: break-glass access, sealed in the safe
                    owner: security@example.com
                    expires: "2027-12-31"
                  - tag: Purpose=codecommit
                    reason: CodeCommit clients that are not yet on git-remote-codecommit
                    expires: "2027-06-30"

          - name: iam-users-left-behind
            resource: aws.iam-user
            source: authorization-details
            filters:
              - type: unnecessary
                exempt-from:
                  from: s3://example-governance/exemptions.csv
                  min-rules: 10
                kinds: [human, machine, no-credentials]
                unused-for: 90
                min-age: 30
                findings:
                  none-of: [compromised-key, role-trusts-user]
                hints:
                  machine:
                    user: [bot-*, app-*]
                    tag: Owner=*-team@example.com
    """

    log = visible_log("custodian.filters")
    schema = type_schema("unnecessary", **SCHEMA)
    schema_alias = False
    max_workers = 8
    _warned = False

    def __init__(self, data: Any, manager: Any = None) -> None:
        super().__init__(data, manager)
        for rule in self.data.get("exempt") or ():
            # YAML parses an unquoted date as a date object, which c7n can't write into its metadata or a notice.
            if isinstance(rule, dict) and type(rule.get("expires")) is date:
                rule["expires"] = rule["expires"].isoformat()

    @cached_property
    def _session(self) -> OneSession:
        return OneSession(self.manager.session_factory)

    @property
    def _text(self) -> FilterText:
        return FilterText(self.data, self.manager)

    def get_permissions(self) -> list[str]:
        """The IAM actions that flagging and its annotations need with these options."""
        return self._text.permissions()

    def validate(self) -> Unnecessary:
        """Raises PolicyValidationError with each fault and what to do."""
        write_privately(self.manager)
        policy_checks.require_bounded(self.manager)
        policy_checks.check_options(self, values=False)
        policy_checks.require_known_region(self.manager)
        policy_checks.validate_lambda_packaging(self.manager)
        policy_checks.require_own_roles(self.manager)
        self._warn(self.known_rules())
        return self

    def known_rules(self) -> tuple[exemptions.ExemptionRule, ...]:
        """The rules for any account that are known before the run; a list elsewhere is not read.

        Raises PolicyValidationError if one is invalid.
        """
        return self._text.check(PolicyValidationError)

    @property
    def states_exemptions(self) -> bool:
        """True if the policy has exemption rules, or a list of them, or ``exempt: none``."""
        return self._text.states_exemptions

    def rules(
        self, account_id: str
    ) -> tuple[tuple[exemptions.ExemptionRule, ...], tuple[exemptions.ExemptionRule, ...]]:
        """The policy's exemption rules that hold in the users' account, and the others. ``exempt-from`` is read now.

        Raises PolicyExecutionError if one is invalid or the list can't be read.
        """
        name = policy_checks.account_name(self.manager)
        held, others = exemptions.in_account(
            self._text.rules(PolicyExecutionError, self._session), account_id, name
        )
        unsure = [str(each) for each in held if each.account not in ("", account_id)]
        if unsure and not name and not self._warned:
            self._warned = True  # it is asked again for each half-minute of an action
            self.log.warning(
                "unnecessary: the name of account %s is not known, so these exemptions may be of other accounts, and "
                "hold: %s. Run c7n-org, whose accounts file has the names, or give the ids of accounts",
                *(account_id, ", ".join(unsure)),
            )
        return held, others

    @property
    def reads_by_call(self) -> bool:
        """Whether ``rules`` reads a list that is not on this machine."""
        return self._text.reads_by_call

    def options(self) -> FilterOptions:
        """All options but the exemptions. Raises PolicyExecutionError if one is invalid."""
        return self._text.options(PolicyExecutionError)

    @visible_errors
    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users to flag, annotated; none in a Region of a c7n-org run that does not act (see acts_on).

        None either for an event of another account.

        Raises PolicyExecutionError if the users are of another account, or the exemptions or the account can't be read.
        """
        policy_checks.refuse_undefined_variables(self.manager)
        if foreign := policy_checks.foreign_event(self.manager, event):
            self.log.info("unnecessary: %s", foreign)
            return []
        if not policy_checks.acts_on(self, resources) or not resources:
            return []
        (rules, elsewhere), options = self.rules(subject_of(resources[0]).account_id), self.options()
        self._warn((*rules, *elsewhere))
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        flagging = Flagging(
            self.manager, client, Backoff(), options, utc_now, self.log, unfinished=self._unfinished
        )
        with self.executor_factory(max_workers=self.max_workers) as pool:
            found = flagging.flagged(resources, rules, pool, elsewhere)
        self._note_seen((*rules, *elsewhere), list(flagging.seen.values()))
        self._note_exempt(flagging.exempt)
        return found

    def _note_seen(self, rules: Sequence[exemptions.ExemptionRule], users: Sequence[SeenUser]) -> None:
        """Write all users that this filter saw, and those that an earlier filter of the policy saw, to the output."""
        ctx = self.manager.ctx
        if not ctx.output:
            return
        complete = policy_checks.is_pull(self.manager) and sees_all(self.manager.data.get("filters"))
        seen = SeenUsers(str(ctx.execution_id), complete, rules, users)
        before = self.manager.__dict__.get(_SEEN_BEFORE)
        if before and before.execution == seen.execution:
            seen = before.and_then(seen)
        self.manager.__dict__[_SEEN_BEFORE] = seen
        ctx.output.write_file(SEEN, seen.content())

    def _unfinished(self, users: Sequence[IamUser]) -> Collection[str]:
        """The unique ids of those ``users`` whose deletion an action of this policy began and did not end."""
        asked = [ask for each in self.manager.actions or () if (ask := getattr(each, "unfinished", None))]
        return frozenset[str]().union(*(ask(users) for ask in asked))

    def _note_exempt(self, exempt: Sequence[tuple[Subject, exemptions.ExemptionRule]]) -> None:
        """Let our actions note who is exempt. c7n gives them the other users only, and calls none if there are none."""
        if exempt and not getattr(self.manager.config, "dryrun", False):
            for action in self.manager.actions or ():
                if note := getattr(action, "note_exempt", None):
                    note(exempt)

    def _warn(self, rules: Sequence[exemptions.ExemptionRule]) -> None:
        for doubt in exemptions.doubts(rules):
            self.log.warning("unnecessary: %s", doubt)


Found = tuple[Resource, Assessment]
#: The attribute of the policy's manager for what its filters saw in this run.
_SEEN_BEFORE = "_c7n_iamusers_seen"


@dataclass(frozen=True)
class Flagging:
    """One run of the filter. ``client``: an IAM client. ``clock``: returns the current time in UTC.

    ``unfinished``: which of some users a deletion of this policy was stopped on, as unique ids. What it removed may be
    all that selected a user. So they are flagged, and the deletion judges them as they were before it.

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
        self.seen.update((each.user.unique_id, _seen(each.user)) for each in records)
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
        self,
        records: list[UserRecord],
        rules: Sequence[exemptions.ExemptionRule],
        elsewhere: Sequence[exemptions.ExemptionRule],
    ) -> Iterator[tuple[UserRecord, exemptions.Exemption]]:
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
                # of each rule that protects somebody, one user at least is told
                told += tuple(each for each in protecting[len(told) :] if each not in spared)
                spared.update(set(protecting))
                denied = _denied(record.user)
                self.seen[record.user.unique_id] = SeenUser(
                    *(record.user.arn, record.user.unique_id, EXEMPT, ""),
                    rule=numbers[exemption.rule],
                    denied=denied,
                    more=tuple({numbers[each]: None for each in told if each != exemption.rule}),
                )
                if denied:
                    self.log.warning(
                        "unnecessary: %s",
                        exemptions.denied_line(record.user.arn, exemption.rule, denied == BY_US),
                    )
            else:
                expired = tuple(dict.fromkeys(numbers[each] for each in exemption.expired))
                self.seen[record.user.unique_id] = replace(self.seen[record.user.unique_id], expired=expired)
                yield record, exemption
        for line in exemptions.usage_lines((*rules, *elsewhere), spared):
            self.log.info("unnecessary: %s", line)

    def _selected(
        self, unprotected: list[tuple[UserRecord, exemptions.Exemption]], pool: Executor
    ) -> list[Found]:
        assessor = self._assessor()
        assessed = [(record.resource, self._assessed(assessor, record, why)) for record, why in unprotected]
        known = [(resource, found) for resource, found in assessed if found]
        for why, count in assessor.index.doubts.items():
            self.log.warning("unnecessary: it is unknown whether a role trusts %d users: %s", count, why)
        selection, now = self.options.selection, self.clock()
        settled = pool.map(lambda each: self._settled(assessor, each[0], each[1], now), known)
        judged = [(each, selection.left_out_by(each[1], now)) for each in settled if each]
        spared = [found.user for (_, found), reason in judged if reason]
        begun = self.unfinished(spared) if spared else ()
        chosen, left_out = list[Found](), dict[str, list[str]]()
        for each, reason in judged:
            if reason and each[1].user.unique_id not in begun:
                left_out.setdefault(reason, []).append(each[1].user.name)
                self._leave_out(each[1].user, reason)
            else:
                chosen.append(each)
        if begun:
            names = [user.name for user in spared if user.unique_id in begun]
            self.log.info("unnecessary: the deletion of %d began: %s", len(names), shown(names))
        for reason, names in sorted(left_out.items()):
            self.log.info("unnecessary: %d left out by %s: %s", len(names), reason, shown(names))
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

    def _assessed(
        self, assessor: Assessor, record: UserRecord, exemption: exemptions.Exemption
    ) -> Assessment | None:
        try:
            return assessor.assess(record.user, record.source, exemption)
        except EvidenceUnreadable as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001  # whatever one user has, the others are assessed
            why = f"it can't be assessed: {error!r}"
        self.log.warning("unnecessary: %s is left alone: %s", record.user.subject, why)
        self._leave_out(record.user, why)
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
                del self.seen[found.user.unique_id]
                return None
            unread = " and ".join(kind.plural for kind in unread_kinds(found.evidence))
            self.log.warning("unnecessary: %s: its %s can't be read: %s", found.user.subject, unread, error)
            return resource, found

    def _in_full(self, assessor: Assessor, resource: Resource, found: Assessment) -> Found | None:
        try:
            return resource, assessor.with_all_attachments(found)
        except (ClientError, BotoCoreError) as error:
            if _is_gone(error):
                del self.seen[found.user.unique_id]
                return None
            why = f"what is attached to it can't be read: {error}"
            self.log.warning("unnecessary: %s is left alone, %s", found.user.subject, why)
            self._leave_out(found.user, why)
            return None

    def _leave_out(self, user: IamUser, why: str) -> None:
        self.seen[user.unique_id] = replace(self.seen[user.unique_id], state=LEFT_OUT, why=why)


def _seen(user: IamUser) -> SeenUser:
    return SeenUser(user.arn, user.unique_id)


def _denied(user: IamUser) -> str:
    """Who denies everything to the user."""
    if not is_denied(user.detail):
        return BY_NOBODY
    return BY_OTHERS if quarantine_of(user) is None else BY_US


def _is_gone(error: Exception) -> bool:
    return isinstance(error, ClientError) and error_code(error) == "NoSuchEntity"
