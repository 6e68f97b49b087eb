# SPDX-License-Identifier: Apache-2.0
"""Which permission sets a plan marks as those of administrators."""

from __future__ import annotations

import json

import pytest

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.identity_center.planning.set_contents import administrative

pytestmark = pytest.mark.pure

AWS = "arn:aws:iam::aws:policy/"
ALL_OF_IAM = json.dumps(
    {"Statement": {"Effect": "Allow", "Action": "iam:*", "NotResource": "arn:aws-cn:iam::*:*"}}
)


@pytest.mark.parametrize(
    ("managed", "inline", "found"),
    [
        pytest.param(
            ["AdministratorAccess", "ReadOnlyAccess"], "", "AdministratorAccess", id="administrator"
        ),
        pytest.param(["ReadOnlyAccess", "SecurityAudit"], "", "", id="harmless"),
        pytest.param(
            ["BrandNewAccess"],
            "",
            "BrandNewAccess, perhaps: what it grants is not known",
            id="newer-than-the-tables",
        ),
        pytest.param(
            ["BrandNewAccess", "AdministratorAccess"],
            "",
            "AdministratorAccess",
            id="what-is-known-comes-first",
        ),
        pytest.param([], ALL_OF_IAM, "its inline policy", id="all-but-another-partition"),
        pytest.param(
            [],
            "{}",
            "its inline policy, perhaps: what it grants is not known",
            id="inline-that-does-not-parse",
        ),
    ],
)
def test_sets_of_administrators(managed: list[str], inline: str, found: str) -> None:
    requested = PermissionSet(
        "Team", managed_policies=frozenset(AWS + each for each in managed), inline_policy=inline
    )
    assert administrative(requested, {}) == found
