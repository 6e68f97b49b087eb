# SPDX-License-Identifier: Apache-2.0
"""The filter ``unnecessary``: flags every IAM user that no exemption with a reason and an expiry protects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from functools import cached_property
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.filters import Filter
from c7n.utils import local_session, type_schema

from c7n_iamusers import exemptions
from c7n_iamusers.evidence.seen_users import SEEN, SeenUser, SeenUsers, sees_all
from c7n_iamusers.evidence.selection import BLAST_RADIUS, AskedCode, AskedUsage, FilterOptions
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.iam.attachments import ACCESS_KEY
from c7n_iamusers.iam.user import IamUser, Item
from c7n_iamusers.iam.user_fields import ID
from c7n_iamusers.plugins import policy_checks
from c7n_iamusers.plugins.code_owners import CodeOwners
from c7n_iamusers.plugins.exemption_list import OneSession
from c7n_iamusers.plugins.flagging import Flagging
from c7n_iamusers.plugins.key_usage_reader import UsageReader
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.resources import Resource, subject_of
from c7n_iamusers.plugins.run_outputs import visible_errors, write_privately
from c7n_iamusers.plugins.unnecessary_options import IDENTIFIED, NOBODY_AT_ALL, SCHEMA, FilterText
from c7n_iamusers.text.wording import visible_log


class Unnecessary(Filter):  # type: ignore[misc]  # c7n is untyped
    """Flags every IAM user of the account that no exemption protects, and annotates it with the evidence.

    ``exempt``: exemption rules. A rule has one pattern (``user``, ``path``, ``group``, or ``tag`` as ``Key=pattern``:
    case-sensitive shell globs), or the ``unique-id`` of one user, which a later user of its name does not have; a
    ``reason``, optionally an ``owner``, and ``expires``: the last day, in UTC, on which it protects. After that day the
    user is flagged again, with the finding ``expired-exemption``. Quote the date: Cloud Custodian stops with a
    traceback at an unquoted date that does not exist. ``account`` limits a rule to an account or several: an id in
    quotes, or a glob over the ids and names in c7n-org's accounts file. In a run of ``custodian`` the name is not
    known, so a rule by name holds. A pattern that can match nobody is refused. ``exempt: none`` states that there are
    no exemptions; actions that delete or quarantine require it if there is no rule. Anybody with iam:TagUser can exempt
    a user by a ``tag`` rule.

    ``exempt-from``: a list of such rules for many policies: a path, or a URL (file, https, http, s3), ending
    in .json, .csv or .yaml; or ``{from: PLACE}`` with any of ``format``, ``headers``, ``min-rules`` and ``sha256``. A
    list with fewer rules, or another SHA-256, is refused. It is read in each run. If it is empty or can't be read, the
    policy fails before anything is done; the same holds for groups. An entry may have more columns, such as ``ticket``,
    as long as none resembles the name of one that is read. CSV may have commas, semicolons or tabs. The encoding is
    UTF-8, or that of a byte order mark. Cloud Custodian writes the policy into ``metadata.json`` of each output, with
    the URL and ``headers``: give a secret as ``headers: {Authorization: {env: NAME}}``, which is read from that
    environment variable, and use no URL that gives access by itself.

    ``spare``, for functions that run on events: whoever creates a user chooses its name, path, groups and tags. With
    ``identified`` only rules by ``unique-id`` protect, and with ``nobody`` none does. The annotation, and messages of
    ``notify-owners``, name the rule that would exempt a user (``would-be-exempt``). With ``nobody``, the run continues
    if a list can't be read, and logs that.

    Options that select among the other users; by default all are flagged. What is unknown never selects a user. A user
    whose deletion this policy began is flagged: the deletion judges it as it was before.

    - ``kinds``: human, machine, mixed, bedrock-api-key, no-credentials, unknown
    - ``unused-for``: days without activity: no sign-in, no key used, nothing created. Users with credentials whose use
      AWS does not report (SSH keys, certificates, service-specific credentials) are never selected
    - ``min-age``: days since the user was created
    - ``findings``: ``any-of`` and ``none-of``, with ids from docs/findings.md

    Options for the evidence: ``hints`` (kind -> field -> patterns) describe an organization's own naming and outrank
    all other signs of a kind; ``thresholds`` (``unused``, ``rotation``: days, 90 each) are for findings;
    ``provisioning`` (``tag``: Key=glob, ``role``: globs over ARNs in CloudTrail's last 90 days) is how users should
    have been created.

    ``blast-radius``: services, as boto3 names them, or ``all``: the policies of their resources (buckets, keys, queues,
    topics, secrets, repositories, ...) and the access entries of EKS clusters are read, as Cloud Custodian's filters
    ``cross-account`` read them. Those that name a user are in ``named_by``, and in the finding
    ``resource-policy-names-user``. What can't be read makes that finding unknown. ``blast-radius-regions``: only there;
    by default, in each Region that is enabled in the account. Without ``blast-radius`` nothing of it is read: it takes
    a call for each resource, once a run and account.

    ``managed-by`` asks which code manages each flagged user, beside its tags, which are always looked at:
    ``cloudformation``: a list of Regions (one call a user and Region); ``terraform-states``: a list of paths or
    s3://BUCKET/KEY, read with the credentials that Cloud Custodian runs with; a place that ends with / stands for all
    names below it that end with .tfstate. What can't be read is in ``sources``; whether code manages the user is then
    unknown, and deletions leave it alone.

    ``usage: cloudtrail`` asks who calls with each access key of the flagged users: CloudTrail's event history in the
    Region of the key's last use, one page of 50 events, two calls a second (``usage-pages``: more of them;
    ``usage-regions``: there as well). It has management events of 90 days. ``usage-from`` reads CloudTrail's files, or
    the result of the query that ``c7n-iamusers usage --athena-query`` prints: a path or s3://BUCKET/KEY.
    ``usage-ranges`` names networks: a list with cidr and name, or AWS's ip-ranges.json. Each key is in ``usage`` of the
    annotation, with its callers and sources; what can't be read makes its callers unknown, never none.
    ``priority`` says which flagged user to look at first, and why. It changes who is flagged in nothing.

    Each flagged user is annotated with ``c7n:IamUser``: ``kind``, ``reasons``, ``replacement``, ``findings``,
    ``unknown_findings``, ``last_activity``, ``credentials`` (with ages), ``attachments`` (kind -> count), ``unread``,
    ``trusted_by`` (roles), ``managed`` (by which code), ``sources`` (with times) and ``exemption``. This takes tens of
    calls for each account, not for each user. AWS lists SSH keys and non-virtual MFA devices for one user at a time
    only, so these kinds are in ``unread``, where a count is a minimum; ``attachments: full`` lists them for each
    flagged user, and leaves a user alone if that fails. ``kinds`` and ``unused-for`` list SSH keys if the selection
    depends on them.

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
    _code: CodeOwners | None = None
    #: Whether what manages an access key counts for its user.
    _with_keys = True

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
        validate_lambda_packaging(self.manager)
        policy_checks.require_own_roles(self.manager)
        policy_checks.require_real_time(self.manager, self.data.get("spare"))
        if BLAST_RADIUS in self.data and not policy_checks.is_pull(self.manager):
            raise PolicyValidationError(
                f"policy {self.manager.data.get('name')}: filter unnecessary: {BLAST_RADIUS} takes hundreds of calls: "
                "leave it out of a function, and state it in a policy without mode"
            )
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
        """The policy's exemption rules that protect users of the account, and the others. ``exempt-from`` is read now.

        Raises PolicyExecutionError if one is invalid or the list can't be read.
        """
        held, others = self._held(account_id)
        return self._protecting(held), others

    def _protecting(self, rules: Sequence[exemptions.ExemptionRule]) -> tuple[exemptions.ExemptionRule, ...]:
        """Those of the ``rules`` that protect anybody."""
        spare = self.data.get("spare")
        return tuple(rule for rule in rules if spare is None or (spare == IDENTIFIED and rule.field == ID))

    def _held(
        self, account_id: str
    ) -> tuple[tuple[exemptions.ExemptionRule, ...], tuple[exemptions.ExemptionRule, ...]]:
        name = policy_checks.account_name(self.manager)
        held, others = exemptions.in_account(
            self._text.rules(PolicyExecutionError, self._session), account_id, name
        )
        unsure = [str(rule) for rule in held if rule.account not in ("", account_id)]
        if unsure and not name and not self._warned:
            self._warned = True  # it is asked again for each half-minute of an action
            self.log.warning(
                "unnecessary: the name of account %s is unknown. So these exemptions hold, but may be for "
                "other accounts: %s. Run c7n-org, whose accounts file has the names, or write account ids",
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
        (held, elsewhere), options = self._told(subject_of(resources[0]).account_id), self.options()
        rules = self._protecting(held or ())
        self._warn((*rules, *elsewhere))
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        asked = options.code
        self._code = (
            CodeOwners(self.manager, asked, Backoff(), self._with_keys) if asked != AskedCode() else None
        )
        flagging = Flagging(
            *(self.manager, client, Backoff(), options, utc_now, self.log),
            unfinished=self._unfinished,
            code=self._code,
            usage=self._usage(client, options.usage),
            otherwise=held and [rule for rule in held if rule not in rules],
        )
        with self.executor_factory(max_workers=self.max_workers) as pool:
            flagged = flagging.flagged(resources, rules, pool, elsewhere)
        self._note_seen((*rules, *elsewhere), list(flagging.seen.values()))
        self._note_exempt(flagging.exempt)
        return flagged

    def _usage(self, client: Any, asked: AskedUsage) -> UsageReader | None:
        if asked == AskedUsage():
            return None
        return UsageReader(self.manager, client, asked, Backoff(), utc_now, self.log, self._keys_read)

    def _keys_read(self, user: IamUser) -> Sequence[Item] | None:
        """The access keys of a user to ask about, where they are read already; None to list them."""
        return user.attachments.get(ACCESS_KEY.name)

    def _told(
        self, account_id: str
    ) -> tuple[tuple[exemptions.ExemptionRule, ...] | None, tuple[exemptions.ExemptionRule, ...]]:
        """As ``_held``; None for rules that can't be read and protect nobody."""
        try:
            return self._held(account_id)
        except PolicyExecutionError as error:
            if self.data.get("spare") != NOBODY_AT_ALL:
                raise
            self.log.error("unnecessary: %s. Nobody is exempt here, so the run continues", error)
            return None, ()

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
        asked = [ask for action in self.manager.actions or () if (ask := getattr(action, "unfinished", None))]
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


#: The attribute of the policy's manager for what its filters saw in this run.
_SEEN_BEFORE = "_c7n_iamusers_seen"
