# SPDX-License-Identifier: Apache-2.0
"""What the tags of a user say of the code that manages it. Pure.

Keys that begin with ``aws:`` are reserved: only AWS writes them ("Tag naming limits and requirements", Tag Editor User
Guide). All others are conventions, and anybody with iam:TagUser can write them, so they are claims.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from c7n_iamusers.infrastructure_code.model import (
    CDK,
    CLOUDFORMATION,
    CONTROL_TOWER,
    OPENTOFU,
    PULUMI,
    SERVICE_CATALOG,
    TERRAFORM,
    ManagedBy,
)

#: "Resource tags", CloudFormation Template Reference. Which resources get them varies by type.
_STACK_NAME, _STACK_ID = "aws:cloudformation:stack-name", "aws:cloudformation:stack-id"
#: "AWS Service Catalog AutoTags", Service Catalog Administrator Guide.
_SERVICE_CATALOG, _PRODUCT = "aws:servicecatalog:", "aws:servicecatalog:provisionedproductarn"
#: The CDK's own tags, such as aws-cdk:auto-delete-objects and aws-cdk:cr-owned:... (aws-cdk-lib).
_CDK = "aws-cdk:"
#: "About AWS accounts in AWS Control Tower": its stack sets begin with AWSControlTower, and their stacks have the names
#: that StackSets gives them. Of what it makes itself it says aws-control-tower: managed-by-control-tower.
_STACKS_OF_CONTROL_TOWER, _CONTROL_TOWER = "StackSet-AWSControlTower", "awscontroltower"
#: Pulumi's automatic tags: "Automatically enforcing AWS resource tagging policies", Pulumi's blog.
_PULUMI = ("pulumi:project", "pulumi:stack")
#: Keys that say what manages, as default_tags of Terraform's AWS provider and its modules commonly have them, without
#: case, hyphens and underscores.
_KEYS = frozenset(
    {"managedby", "provisionedby", "provisioner", "deployedby", "createdby", "iac", "iactool", "managedwith"}
)
#: A word in the value of such a tag, or such a key with a value that agrees -> the tool.
_TOOLS: Mapping[str, str] = {
    "terraform": TERRAFORM,
    "terragrunt": TERRAFORM,
    "opentofu": OPENTOFU,
    "tofu": OPENTOFU,
    "pulumi": PULUMI,
    "cdk": CDK,
    "awscdk": CDK,
    "cloudformation": CLOUDFORMATION,
    "cfn": CLOUDFORMATION,
    "servicecatalog": SERVICE_CATALOG,
    "controltower": CONTROL_TOWER,
    "awscontroltower": CONTROL_TOWER,
    "aft": CONTROL_TOWER,  # Account Factory for Terraform tags managed_by: AFT
    "crossplane": "Crossplane",
    "ansible": "Ansible",
    "serverless": "Serverless Framework",
}
#: Values that deny what their key says.
_NO = frozenset({"", "0", "false", "no", "none", "off"})
_JOINED, _WORD = re.compile(r"[-_ ]"), re.compile(r"[a-z0-9]+")
#: Characters of a value that are told: others write it.
_TOLD = 80


def managed_by_tags(tags: Mapping[str, str]) -> tuple[ManagedBy, ...]:
    """What manages a user with these ``tags`` (key -> value), each tool once, the surest first."""
    of_aws = {key.lower(): value for key, value in tags.items() if key.lower().startswith("aws:")}
    found = {each.by: each for each in reversed([*_by_aws(of_aws), *_by_claims(tags)])}
    return tuple(reversed(found.values()))


def _by_aws(tags: Mapping[str, str]) -> Iterator[ManagedBy]:
    if any(key.startswith(_SERVICE_CATALOG) for key in tags):
        product = tags.get(_PRODUCT, "")
        where = f"provisioned product {product}" if product else ""
        yield ManagedBy(SERVICE_CATALOG, where, f"by its tags {_SERVICE_CATALOG}...")
    key = next((each for each in (_STACK_NAME, _STACK_ID) if tags.get(each)), "")
    if key:
        name, where = stack_of(tags.get(_STACK_NAME, ""), tags.get(_STACK_ID, ""))
        by = CONTROL_TOWER if name.startswith(_STACKS_OF_CONTROL_TOWER) else CLOUDFORMATION
        yield ManagedBy(by, where, f"by its tag {key}")


def stack_of(name: str, stack_id: str) -> tuple[str, str]:
    """The name of a stack, and where it is, in words. Either may be empty.

    ``stack_id``: ``arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/UNIQUE`` (botocore's ``StackId``).
    """
    parts = stack_id.split(":", 5)
    if len(parts) < 6 or not parts[5].startswith("stack/"):
        return name, f"stack {name}"
    name = name or parts[5].split("/")[1]
    return name, f"stack {name} in {parts[3]}"


def _by_claims(tags: Mapping[str, str]) -> Iterator[ManagedBy]:
    for key, value in tags.items():
        lower = key.lower()
        if lower.startswith("aws:"):
            continue
        if by := _claimed(lower, value):
            where = f"stack {tags[key][:_TOLD]}" if lower == "pulumi:stack" else ""
            yield ManagedBy(by, where, f"by its tag {key}={value[:_TOLD]}", claim=True)


def _claimed(key: str, value: str) -> str:
    """The tool that a tag names; empty if it names none. ``key``: in lower case."""
    if key.startswith(_CDK):
        return CDK
    if key in _PULUMI:
        return PULUMI
    joined, said = _JOINED.sub("", key), _JOINED.sub("", value.lower())
    if joined == _CONTROL_TOWER and said == "managedbycontroltower":
        return CONTROL_TOWER
    if joined in _TOOLS and value.lower() not in _NO:
        return _TOOLS[joined]
    if joined not in _KEYS:
        return ""
    words = (said, *_WORD.findall(value.lower()))
    return next((_TOOLS[each] for each in words if each in _TOOLS), "")
