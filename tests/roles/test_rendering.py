# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from c7n_iamusers.iam.permissions import Needed
from c7n_iamusers.roles.documents import (
    CENTER,
    DEPLOYER,
    FUNCTION,
    READER,
    REMOVER,
    RESTORER,
    RUNNER,
    Functions,
    RoleDocument,
    RoleNeeds,
    RoleSettings,
    role_documents,
)
from c7n_iamusers.roles.guardrail import guardrail
from c7n_iamusers.roles.places import Places
from c7n_iamusers.roles.rendering import rendered_guardrail, rendered_role

pytestmark = pytest.mark.pure

READS = Needed(frozenset({"iam:GetUser"}), bound=frozenset({("s3:GetObject", "s3:::lists/x.csv")}))
OUTPUT = Places(
    ("https://sqs.us-east-1.amazonaws.com/123456789012/q",), ("s3://runs/${aws:PrincipalAccount}",)
)
NEEDS = RoleNeeds(
    READS,
    READS,
    READS,
    frozenset({"sso:ListInstances"}),
    (Functions("f/Role", ("custodian-x",), READS, OUTPUT),),
    True,
)


def roles(
    principal: str = "codebuild.amazonaws.com", organization: str = "o-a1b2c3d4e5"
) -> dict[str, RoleDocument]:
    settings = RoleSettings(
        ("arn:aws:iam::123456789012:role/ops/Runner",),
        reader="Reader",
        remover="Remover",
        restorer="Restorer",
        center="arn:aws:iam::123456789012:role/Center",
        runner_principal=principal,
        external_id="e-1",
        organization=organization,
        deployer="Deployer",
    )
    return {each.kind: each for each in role_documents(NEEDS, settings, Places(written=("s3://runs/*/x",)))}


def faults(template: Mapping[str, Any]) -> list[str]:
    # more than a second to import, in each worker that only collects this file
    from cfnlint.api import ManualArgs, lint

    return [str(each) for each in lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"]))]


def test_cloudformation_accepts_the_templates() -> None:
    existing = rendered_role(roles(principal="")["runner"], "cloudformation")
    assert set(existing["Resources"]) == {"Policy"}
    assert set(roles()) == {READER, REMOVER, RESTORER, FUNCTION, DEPLOYER, CENTER, RUNNER}
    for template in (
        existing,
        *(rendered_role(each, "cloudformation") for each in roles().values()),
        rendered_guardrail(guardrail(("Restorer",), ()), "cloudformation"),
    ):
        assert "Parameters" not in template
        assert faults(template) == []
    # a control: what is no property is found
    template["Resources"]["Guardrail"]["Properties"]["Nothing"] = 1
    assert faults(template)


def test_terraform_gets_the_documents_as_text() -> None:
    role = roles()["runner"]
    found = rendered_role(role, "terraform")["resource"]
    assert json.loads(found["aws_iam_role_policy"]["runner"]["policy"]) == role.policy
    assert found["aws_iam_role_policy"]["runner"]["role"] == "${aws_iam_role.runner.id}"
    assert json.loads(found["aws_iam_role"]["runner"]["assume_role_policy"]) == role.trust
    assert found["aws_iam_role"]["runner"]["path"] == "/ops/"
    existing = rendered_role(roles(principal="")["runner"], "terraform")["resource"]
    assert set(existing) == {"aws_iam_role_policy"}
    assert existing["aws_iam_role_policy"]["runner"]["role"] == "Runner"
    scp = guardrail(("Restorer",), ())
    content = rendered_guardrail(scp, "terraform")["resource"]["aws_organizations_policy"]["guardrail"][
        "content"
    ]
    assert json.loads(content) == scp.document


@pytest.mark.parametrize("kind", [READER, REMOVER, FUNCTION, DEPLOYER, CENTER, RUNNER])
def test_no_template_of_terraform_is_in_the_texts(kind: str) -> None:
    module = json.loads(json.dumps(rendered_role(roles()[kind], "terraform")))
    (policy,) = module["resource"]["aws_iam_role_policy"].values()
    # what Terraform evaluates begins with ${, which $${ escapes
    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", policy["policy"])
    assert json.loads(policy["policy"].replace("$${", "${")) == roles()[kind].policy
    assert ("$${aws:PrincipalAccount}" in policy["policy"]) == (kind == FUNCTION)


@pytest.mark.parametrize("principal", ["", "codebuild.amazonaws.com"])
def test_json_is_what_iam_takes(principal: str) -> None:
    found = rendered_role(roles(principal)["runner"], "json")
    assert found["PolicyDocument"] == roles()["runner"].policy
    assert ("AssumeRolePolicyDocument" in found) == bool(principal)
    assert rendered_guardrail(guardrail(("R",), ()), "json") == guardrail(("R",), ()).document
