# SPDX-License-Identifier: Apache-2.0
"""Intents: what the users of one account need in IAM Identity Center, as one policy's run found it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import PermissionSet, Person

#: The file in a policy's output directory, and the version of its form.
INTENTS_FILE, INTENTS_SCHEMA = "identity-center-intents.json", 2
#: The outcome of a user whose needs are on record and not yet met.
INTENDED = "intended"


@dataclass(frozen=True, slots=True)
class UserIntent:
    """An IAM user and the person it stands for, or the ``problem`` that keeps it from standing for one.

    ``rests_on``: where username and e-mail were found, in words. ``on_file``: in the mapping file, so that no tag
    has a say in it. ``detail``: botocore's ``UserDetail``, where
    the permission set is derived from what the user may do.
    """

    subject: Subject
    person: Person | None
    rests_on: str = ""
    problem: str = ""
    detail: Mapping[str, Any] | None = None
    on_file: bool = False


@dataclass(frozen=True)
class PolicySource:
    """What derivation reads beside users: ``groups`` by name as ``GroupDetail``, ``policies`` by ARN as documents."""

    groups: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Intents:
    """Either ``group`` and ``permission_set`` are given, or ``derive``: the policy's settings of derivation.

    ``place``: where they were read from, in words that a person finds; empty in a run that needs no file. ``time``:
    when the users were read, in UTC; None in a run that needs no file.
    """

    account_id: str
    policy: str
    users: tuple[UserIntent, ...]
    external: bool = False
    shared_group: bool = False
    group: str = ""
    permission_set: PermissionSet | None = None
    derive: Mapping[str, Any] | None = None
    source: PolicySource = field(default_factory=PolicySource)
    place: str = ""
    time: datetime | None = None
