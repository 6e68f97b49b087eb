# SPDX-License-Identifier: Apache-2.0
"""What the name, path and tags of an IAM user hint: a person, a program, a vendor, a pipeline, SMTP. Pure.

An organization's own hints are read from the policy by ``parse_hints``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from c7n_iamusers.evidence import model
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.user import IamUser
from c7n_iamusers.iam.user_fields import FIELDS, matches, pattern_fault
from c7n_iamusers.text.wording import quoted

HINTED_KINDS = (model.HUMAN, model.MACHINE, model.MIXED)

#: Words of a user name between separators: matches ``ci-checkout``, ``svc_mailer``, ``terraform``, not ``cicero``.
_MACHINE_WORDS = frozenset(
    "agent api app automation backup batch bot build cd ci cicd circleci cron daemon deploy deployer deployment "
    "etl exporter github gitlab integration jenkins job lambda machine monitoring pipeline runner robot script "
    "server service ses smtp sftp svc sync system terraform travis upload uploader worker".split()
)
_MACHINE_PATHS = frozenset(
    "apps bots ci machines pipelines robots service-accounts services system vendors".split()
)
_VENDOR_WORDS = frozenset("integration partner saas thirdparty vendor vendors".split())
_CI_WORDS = frozenset(
    "build cd ci cicd circleci deploy deployer deployment github gitlab jenkins pipeline runner terraform "
    "travis".split()
)
#: The SES console names the users that it creates for SMTP: ses-smtp-user.20260131-120000.
_SMTP_WORDS = frozenset("ses smtp".split())
#: Tags of people's users. An Owner tag indicates nothing, since programs have one too.
_PERSON_TAGS = frozenset(
    "displayname e-mail email employeeid familyname firstname givenname lastname mail surname".split()
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[a-z]+", re.IGNORECASE)
_FULL_NAME = re.compile(r"[^\W\d_]{2,}\.[^\W\d_]{2,}")


def hinted_kinds(user: IamUser, hints: Sequence[model.Hint]) -> dict[str, model.Hint]:
    """Kind -> the first of ``hints`` that matches ``user`` with this kind."""
    found: dict[str, model.Hint] = {}
    for hint in hints:
        if hint.kind not in found and matches(user, hint.field, hint.pattern):
            found[hint.kind] = hint
    return found


def machine_indicator(user: IamUser) -> str:
    """What in the name or path indicates a program, in words; empty if nothing does."""
    if words := _words(user.name) & _MACHINE_WORDS:
        return f"{min(words)!r} in its name"
    parts = {part.lower() for part in user.path.split("/")} & _MACHINE_PATHS
    return f"path {user.path}" if parts else ""


def person_indicator(user: IamUser) -> str:
    """What in the tags or name indicates a person, in words; empty if nothing does."""
    tags = sorted(key for key in user.tags if key.lower() in _PERSON_TAGS)
    if tags:
        return f"tag {tags[0]}"
    if _EMAIL.fullmatch(user.name) or _FULL_NAME.fullmatch(user.name):
        return "a person's name"
    return ""


def is_vendor(user: IamUser) -> bool:
    """Whether the name or path indicates a vendor's program."""
    return bool((_words(user.name) | {part.lower() for part in user.path.split("/")}) & _VENDOR_WORDS)


def is_ci(user: IamUser) -> bool:
    """Whether the name indicates a build or deployment pipeline."""
    return bool(_words(user.name) & _CI_WORDS)


def is_smtp(user: IamUser) -> bool:
    """Whether the name indicates SMTP access to Amazon SES, whose password is derived from an access key."""
    return bool(_words(user.name) & _SMTP_WORDS)


def parse_hints(data: Any, where: str) -> tuple[model.Hint, ...]:
    """Hints from a policy's ``hints``: kind -> field -> pattern or list of patterns.

    Raises InvalidPolicyData with the place, the fault and what to write instead.
    """
    if not isinstance(data, Mapping):
        raise InvalidPolicyData(
            f"{where}: must map kinds to patterns, such as {{machine: {{user: ['ci-*']}}}}"
        )
    return tuple(
        hint for kind, fields in data.items() for hint in _of_kind(str(kind), fields, f"{where}.{kind}")
    )


def _of_kind(kind: str, fields: Any, where: str) -> Iterator[model.Hint]:
    if kind not in HINTED_KINDS:
        raise InvalidPolicyData(f"{where}: a hint can say {', '.join(HINTED_KINDS)}, not {quoted(kind)}")
    if not isinstance(fields, Mapping) or not set(fields) <= set(FIELDS):
        raise InvalidPolicyData(f"{where}: must map {', '.join(FIELDS)} to patterns, not {quoted(fields)}")
    for field, patterns in fields.items():
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            if not isinstance(pattern, str) or not pattern:
                raise InvalidPolicyData(
                    f"{where}.{field}: must be a shell glob such as 'ci-*', not {quoted(pattern)}"
                )
            if fault := pattern_fault(field, pattern):
                raise InvalidPolicyData(f"{where}.{field}: {quoted(pattern)} {fault}")
            yield model.Hint(kind, field, pattern)


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower()))
