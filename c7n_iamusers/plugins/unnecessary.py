# SPDX-License-Identifier: Apache-2.0
"""The filter ``unnecessary``: any IAM user is, unless a rule with a reason and an end says otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError
from c7n.filters import Filter
from c7n.utils import local_session, type_schema

from c7n_iamusers.evidence.findings import FINDING_IDS
from c7n_iamusers.evidence.hints import HINTED_KINDS
from c7n_iamusers.evidence.model import KINDS
from c7n_iamusers.evidence.options import BULK, FULL, FilterOptions
from c7n_iamusers.execution.client import Backoff
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.exemptions.rules import NOBODY, ExemptionRule, doubts
from c7n_iamusers.iam.user_patterns import FIELDS
from c7n_iamusers.plugins.flagging import Flagging
from c7n_iamusers.plugins.lambda_packaging import validate_lambda_packaging
from c7n_iamusers.plugins.unnecessary_options import FilterText, refuse_undefined_variables
from c7n_iamusers.plugins.user_action import idle_region
from c7n_iamusers.text.rows import FORMATS

Resource = dict[str, Any]


def _list_of(names: Sequence[str]) -> dict[str, Any]:
    return {"items": {"enum": list(names)}}


def _days(what: str) -> dict[str, Any]:
    return {"description": f"days: {what}", "exclusiveMinimum": 0}


_PATTERNS = {"description": "a case-sensitive shell glob, or a list of them"}
#: For ``custodian schema`` and editors. It has no ``type`` and no ``required``: c7n validates it first, and what is
#: of another kind or missing is left to validate(), which names the place, every fault at once, and the mend.
SCHEMA: dict[str, Any] = {
    "exempt": {
        "description": f"rules of whom to spare: a pattern, a reason and expires each; or the word {NOBODY}",
        "items": {
            "properties": {
                "user": {"description": "a case-sensitive shell glob over the name"},
                "path": {"description": "a glob over the path, which begins and ends with /"},
                "tag": {"description": "Key=glob"},
                "group": {"description": "a glob over the names of groups"},
                "reason": {"description": "required: why these users may stay"},
                "owner": {"description": "whom to ask"},
                "expires": {"description": "required: the last day, in UTC, as 'YYYY-MM-DD'"},
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
            "headers": {"description": "HTTP header -> text"},
            "min-rules": {"description": "with fewer rules the list counts as cut off", "minimum": 1},
            "sha256": {"description": "of the file: a list that differs is refused"},
        },
    },
    "kinds": _list_of(KINDS),
    "unused-for": _days("without a sign of life"),
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
    """Flags every IAM user of the account, less those that exemptions protect, with the evidence on each.

    ``exempt``: rules. A rule has one pattern (``user``, ``path``, ``group``, or ``tag`` as ``Key=pattern``:
    case-sensitive shell globs), a ``reason``, optionally an ``owner``, and ``expires``: the last day, in UTC,
    on which it protects. After that day the user is flagged again, with the finding ``expired-exemption``.
    Quote the date: Cloud Custodian stops with a traceback at an unquoted one that does not exist. A pattern
    that can match nobody is refused. ``exempt: none`` says that nobody is to be spared, which actions that
    delete or quarantine ask for where there is no rule.
    Tags are claims: whoever holds iam:TagUser can exempt a user from a ``tag`` rule's policy.

    ``exempt-from``: a list of such rules, for many policies: a path, or a URL that c7n reads (file, https,
    s3), ending in .json, .csv or .yaml, or ``{from: PLACE}`` with any of ``format``, ``headers``, ``min-rules``
    and ``sha256``: a list with fewer rules, or other bytes, is refused. It is read anew in each run. An empty
    or unreadable list fails the policy before anything is done, and so do unreadable groups. CSV may have
    commas, semicolons or tabs; its encoding is UTF-8, or what a byte order mark says.

    Which of the others are flagged, all by default; what is unknown of a user never flags it:

    - ``kinds``: human, machine, mixed, bedrock-api-key, no-credentials, unknown
    - ``unused-for``: days without a sign of life: no sign-in, no key used, nothing created. A user with
      credentials whose use AWS doesn't tell (SSH keys, certificates, service-specific ones) never counts
    - ``min-age``: days since the user was created
    - ``findings``: ``any-of`` and ``none-of``, ids as docs/findings.md lists them

    How it is judged: ``hints`` (kind -> field -> patterns) are an organization's own naming and outrank all
    other signs; ``thresholds`` (``unused``, ``rotation``: days, 90 each) are for findings; ``provisioning``
    (``tag``: Key=glob, ``role``: globs over ARNs in CloudTrail's last 90 days) is how users should have been
    created.

    Each flagged user is annotated with ``c7n:IamUser``: ``kind``, ``reasons``, ``replacement``, ``findings``,
    ``unknown_findings``, ``last_activity``, ``credentials`` (with ages), ``attachments`` (kind -> count),
    ``unread``, ``trusted_by`` (roles), ``sources`` (with times) and ``exemption``. It takes tens of calls for
    an account, not for a user: SSH keys and non-virtual MFA devices, which AWS lists for one user at a time,
    stand in ``unread`` (a count beside it is the least there is); ``attachments: full`` lists them for each
    flagged user, and leaves a user alone of whom that fails. ``kinds`` and ``unused-for`` list SSH keys where
    these decide.

    To see it, further columns beside c7n's own: ``custodian report --field 'kind="c7n:IamUser".kind' --field
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

    schema = type_schema("unnecessary", **SCHEMA)
    schema_alias = False
    max_workers = 8

    def __init__(self, data: Any, manager: Any = None) -> None:
        super().__init__(data, manager)
        for rule in self.data.get("exempt") or ():
            # YAML reads an unquoted date as one, which c7n can write neither into its metadata nor into a
            # notice; as text it means the same.
            if isinstance(rule, dict) and type(rule.get("expires")) is date:
                rule["expires"] = rule["expires"].isoformat()

    @property
    def _text(self) -> FilterText:
        return FilterText(self.data, self.manager)

    def get_permissions(self) -> list[str]:
        """The IAM actions that flagging and its annotations need, as the options have it."""
        return self._text.permissions()

    def validate(self) -> Unnecessary:
        """Raises PolicyValidationError that names each fault, and the mend."""
        validate_lambda_packaging(self.manager)
        self._warn(self._text.check(PolicyValidationError))
        return self

    @property
    def says_whom_it_spares(self) -> bool:
        """Whether the policy has exemption rules, or a list of them, or says ``exempt: none``."""
        return self._text.says_whom_it_spares

    def rules(self) -> tuple[ExemptionRule, ...]:
        """The policy's exemption rules, those of ``exempt-from`` read now.

        Raises PolicyExecutionError where one is faulty or the list can't be read.
        """
        return self._text.rules(PolicyExecutionError)

    def options(self) -> FilterOptions:
        """Whom to flag of those that are not exempt. Raises PolicyExecutionError where the text is faulty."""
        return self._text.options(PolicyExecutionError)

    def process(self, resources: list[Resource], event: Any = None) -> list[Resource]:
        """The users to flag, annotated; nobody in a Region that leaves IAM to another one of the run.

        Raises PolicyExecutionError where it can't be told who is exempt.
        """
        refuse_undefined_variables(self.manager)
        if idle := idle_region(self.manager):
            self.log.info("unnecessary: %s", idle)
            return []
        if not resources:
            return []
        rules, options = self.rules(), self.options()
        self._warn(rules)
        client = local_session(self.manager.session_factory).client("iam", self.manager.config.region)
        flagging = Flagging(self.manager, client, Backoff(), options, utc_now, self.log)
        with self.executor_factory(max_workers=self.max_workers) as pool:
            return flagging.flagged(resources, rules, pool)

    def _warn(self, rules: Sequence[ExemptionRule]) -> None:
        for doubt in doubts(rules):
            self.log.warning("unnecessary: %s", doubt)
