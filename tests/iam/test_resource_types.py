# SPDX-License-Identifier: Apache-2.0
"""The resources of actions agree with the Service Authorization Reference, of which cfn-lint carries a copy."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.iam.permissions import DELETION, QUARANTINE, RELEASE, RESTORATION
from c7n_iamusers.iam.resource_types import resources_of
from c7n_iamusers.identity_center.aws.access_check import PERMISSIONS as READING
from c7n_iamusers.identity_center.aws.instance import PERMISSION
from c7n_iamusers.identity_center.planning.operations import REMOVING
from c7n_iamusers.plugins.provisioning_settings import PERMISSIONS as PROVISIONING

pytestmark = pytest.mark.pure

DECLARED = sorted(
    {*DELETION, *QUARANTINE, *RELEASE, *RESTORATION, *READING, *PROVISIONING, *REMOVING, PERMISSION}
)
#: Action -> why its resources are others than the reference's.
EXCEPTIONS = {
    "iam:DeleteVirtualMFADevice": "sms-mfa devices no longer exist",
    "iam:ListServiceSpecificCredentials": "with AllUsers it names no user",
    "sso:ListTagsForResource": "called for permission sets only",
    "sso:TagResource": "called for permission sets only",
}


@cache
def reference() -> Any:
    spec = importlib.util.find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "data" / "AdditionalSpecs" / "Policies.json"
    return json.loads(path.read_text())


def kinds(service: str, action: str) -> set[str]:
    """The last part of each resource type's ARN, such as ``user/`` or ``instance/``."""
    entry = reference()[service]
    names = entry["Actions"][action.lower()].get("Resources", ())
    formats = [each for name in names for each in entry["Resources"][name.lower()]["ARNFormats"]]
    return {re.sub(r"\.?\*$", "", each.split(":", 5)[5]) for each in formats}


@pytest.mark.parametrize("action", sorted(set(DECLARED) - set(EXCEPTIONS)))
def test_an_action_is_bound_to_the_resource_types_that_it_has(action: str) -> None:
    service, _, name = action.partition(":")
    found = resources_of(action, "*", "aws")
    assert {each.split(":", 5)[5].rstrip("*") for each in found if each != "*"} == kinds(service, name)


@pytest.mark.parametrize("action", sorted(EXCEPTIONS))
def test_an_exception_is_still_one(action: str) -> None:
    service, _, name = action.partition(":")
    found = {each.split(":", 5)[-1].rstrip("*") for each in resources_of(action, "*", "aws")} - {""}
    assert found < kinds(service, name)


def test_the_account_and_the_partition() -> None:
    assert resources_of("iam:GetUser", "111122223333", "aws-cn") == ("arn:aws-cn:iam::111122223333:user/*",)
    # AWS-managed policies are of another account
    assert resources_of("iam:GetPolicy", "111122223333", "aws") == ("arn:aws:iam::*:policy/*",)
    assert resources_of("iam:ListUsers", "111122223333", "aws") == ("*",)
