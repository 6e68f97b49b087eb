# SPDX-License-Identifier: Apache-2.0
"""What tags say of the code that manages a user."""

from __future__ import annotations

import pytest

from c7n_iamusers.infrastructure_code.tags import managed_by_tags

pytestmark = pytest.mark.pure

STACK_ID = "arn:aws:cloudformation:eu-west-1:111122223333:stack/payments/51af3dc0-da77-11e4-872e-1234567db123"


@pytest.mark.parametrize(
    ("tags", "by", "where"),
    [
        pytest.param(
            {"aws:cloudformation:stack-name": "payments"}, "CloudFormation", "stack payments", id="name"
        ),
        pytest.param(
            {"aws:cloudformation:stack-name": "payments", "aws:cloudformation:stack-id": STACK_ID},
            "CloudFormation",
            "stack payments in eu-west-1",
            id="name-and-id",
        ),
        pytest.param(
            {"AWS:CloudFormation:stack-id": STACK_ID},
            "CloudFormation",
            "stack payments in eu-west-1",
            id="id-alone",
        ),
        pytest.param(
            {"aws:cloudformation:stack-name": "StackSet-AWSControlTowerBP-BASELINE-ROLES-1"},
            "Control Tower",
            "stack StackSet-AWSControlTowerBP-BASELINE-ROLES-1",
            id="stack-set-of-control-tower",
        ),
        pytest.param(
            {"aws:servicecatalog:provisionedProductArn": "arn:aws:servicecatalog:x:1:stack/p/pp-1"},
            "Service Catalog",
            "provisioned product arn:aws:servicecatalog:x:1:stack/p/pp-1",
            id="service-catalog",
        ),
    ],
)
def test_tags_that_only_aws_writes(tags: dict[str, str], by: str, where: str) -> None:
    (found,) = managed_by_tags(tags)
    assert (found.by, found.where, found.claim) == (by, where, False)
    assert found.known.startswith("by its tag")
    assert where in found.text


@pytest.mark.parametrize(
    ("key", "value", "by"),
    [
        ("ManagedBy", "terraform", "Terraform"),
        ("managed-by", "Terraform Cloud", "Terraform"),
        ("managed_by", "AFT", "Control Tower"),
        ("ManagedBy", "OpenTofu", "OpenTofu"),
        ("terraform", "true", "Terraform"),
        ("Terraform", "yes", "Terraform"),
        ("IaC", "aws-cdk", "AWS CDK"),
        ("provisioned by", "pulumi", "Pulumi"),
        ("pulumi:project", "payments", "Pulumi"),
        ("aws-cdk:cr-owned:1", "x", "AWS CDK"),
        ("aws-control-tower", "managed-by-control-tower", "Control Tower"),
    ],
)
def test_conventions_are_claims(key: str, value: str, by: str) -> None:
    (found,) = managed_by_tags({key: value})
    assert (found.by, found.claim) == (by, True)
    assert f"by its tag {key}={value}" in found.text
    assert "if so, it comes back" in found.text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ManagedBy", "payments team"),
        ("terraform", "false"),
        ("Terraform", ""),
        ("Owner", "terraform"),
        ("ManagedBy", "transformers"),
        ("aws-control-tower", "no"),
        ("aws:autoscaling:groupName", "x"),
        ("cloudformation:stack-name", "x"),
    ],
)
def test_others_say_nothing(key: str, value: str) -> None:
    assert managed_by_tags({key: value}) == ()


def test_what_aws_writes_outranks_a_claim_of_the_same_tool() -> None:
    tags = {"ManagedBy": "cloudformation", "aws:cloudformation:stack-name": "payments", "Terraform": "true"}
    assert [(each.by, each.claim) for each in managed_by_tags(tags)] == [
        ("CloudFormation", False),
        ("Terraform", True),
    ]


def test_a_long_value_is_cut_off() -> None:
    (found,) = managed_by_tags({"ManagedBy": f"terraform {'x' * 246}"})
    assert len(found.known) < 120
