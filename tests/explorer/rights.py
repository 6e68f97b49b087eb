# SPDX-License-Identifier: Apache-2.0
"""What an IAM user may do by its policies: a small evaluator of its own, of single requests. Pure.

"Policy evaluation logic" (IAM User Guide): an explicit Deny, a boundary, an Allow. It knows one condition, the date of
a brownout. Any other may hold or not, so each question is asked twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

#: What is asked of a user: an action, and the resource that it is about.
PROBES = (
    ("s3:GetObject", "arn:aws:s3:::data/report"),
    ("s3:PutObject", "arn:aws:s3:::data/report"),
    ("s3:DeleteObject", "arn:aws:s3:::data/report"),
    ("s3:ListAllMyBuckets", "*"),
    ("ec2:DescribeInstances", "*"),
    ("ec2:RunInstances", "*"),
    ("ec2:TerminateInstances", "*"),
    ("sqs:SendMessage", "arn:aws:sqs:us-east-1:111122223333:queue"),
    ("sns:Publish", "arn:aws:sns:us-east-1:111122223333:topic"),
    ("iam:CreateAccessKey", "arn:aws:iam::111122223333:user/alice"),
    ("iam:CreateUser", "arn:aws:iam::111122223333:user/mallory"),
    ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:111122223333:table/t"),
    ("kms:Decrypt", "*"),
    ("lambda:InvokeFunction", "*"),
)
Probe = tuple[str, str, bool]


def rights(
    user: Mapping[str, Any], documents: Mapping[str, str], groups: Mapping[str, Any], now: datetime
) -> set[Probe]:
    """What ``user`` (see facts) may do: action, resource, and whether what is not known of conditions holds.

    ``documents``: ARN -> text of the managed policy. ``groups``: name -> inline and attached policies. A policy or
    group that is missing grants nothing, and denies nothing.
    """
    texts = [*_texts(user, documents)]
    for name in user["groups"]:
        texts += _texts(groups.get(name, {}), documents)
    boundary = user["boundary"]
    bounds = None if not boundary else (documents.get(boundary, _NOTHING),)
    ends = any("aws:CurrentTime" in text for text in texts)
    return set(_allowed(tuple(texts), bounds, now if ends else None))


@cache
def _allowed(
    texts: tuple[str, ...], bounds: tuple[str, ...] | None, now: datetime | None
) -> frozenset[Probe]:
    return frozenset(
        (action, resource, holds)
        for holds in (False, True)
        for action, resource in PROBES
        if _is_allowed(texts, bounds, action, resource, holds, now)
    )


_NOTHING = '{"Version": "2012-10-17", "Statement": []}'


def _texts(holder: Mapping[str, Any], documents: Mapping[str, str]) -> Iterator[str]:
    yield from holder.get("inline", {}).values()
    yield from (documents[arn] for arn in holder.get("attached", {}) if arn in documents)


def _is_allowed(
    texts: Iterable[str],
    bounds: Iterable[str] | None,
    action: str,
    resource: str,
    holds: bool,
    now: datetime | None,
) -> bool:
    found = _effects(texts, action, resource, holds, now)
    if "Deny" in found or "Allow" not in found:
        return False
    return bounds is None or _effects(bounds, action, resource, holds, now) == {"Allow"}


def _effects(texts: Iterable[str], action: str, resource: str, holds: bool, now: datetime | None) -> set[str]:
    return {
        effect
        for text in texts
        for effect, actions, resources, condition in _statements(text)
        if _covers(actions, action) and _covers(resources, resource) and _applies(condition, holds, now)
    }


@cache
def _statements(text: str) -> list[tuple[str, Any, Any, Any]]:
    held = json.loads(text)["Statement"]
    return [
        (
            each["Effect"],
            _patterns(each, "Action", re.IGNORECASE),
            _patterns(each, "Resource", 0),
            each.get("Condition"),
        )
        for each in (held if isinstance(held, list) else [held])
    ]


def _patterns(statement: Mapping[str, Any], name: str, flags: int) -> tuple[bool, list[re.Pattern[str]]]:
    """Whether the statement is about what matches, and the patterns."""
    negated = f"Not{name}" in statement
    given = statement[f"Not{name}"] if negated else statement[name]
    listed = [given] if isinstance(given, str) else given
    return not negated, [
        re.compile(re.escape(each).replace(r"\*", ".*").replace(r"\?", "."), flags) for each in listed
    ]


def _covers(patterns: tuple[bool, list[re.Pattern[str]]], text: str) -> bool:
    wanted, found = patterns
    return any(each.fullmatch(text) for each in found) is wanted


def _applies(condition: Any, holds: bool, now: datetime | None) -> bool:
    if not condition:
        return True
    if now and list(condition) == ["DateLessThan"] and list(condition["DateLessThan"]) == ["aws:CurrentTime"]:
        return now < datetime.fromisoformat(
            condition["DateLessThan"]["aws:CurrentTime"].replace("Z", "+00:00")
        )
    return holds
