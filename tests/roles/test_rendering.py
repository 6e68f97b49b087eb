# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from c7n_iamusers.iam.permissions import Needed
from c7n_iamusers.roles.documents import Places, RoleDocument, RoleNeeds, RoleSettings, role_documents
from c7n_iamusers.roles.guardrail import guardrail
from c7n_iamusers.roles.rendering import rendered_guardrail, rendered_role

NEEDS = RoleNeeds(Needed(frozenset({"iam:GetUser"})))


def roles(principal: str = "ec2.amazonaws.com") -> dict[str, RoleDocument]:
    settings = RoleSettings(
        "arn:aws:iam::123456789012:role/ops/Runner", "Reader", "Remover", runner_principal=principal
    )
    return {each.kind: each for each in role_documents(NEEDS, settings, Places())}


def faults(template: Mapping[str, Any]) -> list[str]:
    # more than a second to import, in each worker that only collects this file
    from cfnlint.api import ManualArgs, lint

    return [str(each) for each in lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"]))]


def test_cloudformation_accepts_the_templates() -> None:
    existing = rendered_role(roles(principal="")["runner"], "cloudformation")
    assert set(existing["Resources"]) == {"Policy"}
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


@pytest.mark.parametrize("principal", ["", "ec2.amazonaws.com"])
def test_json_is_what_iam_takes(principal: str) -> None:
    found = rendered_role(roles(principal)["runner"], "json")
    assert found["PolicyDocument"] == roles()["runner"].policy
    assert ("AssumeRolePolicyDocument" in found) == bool(principal)
    assert rendered_guardrail(guardrail(("R",), ()), "json") == guardrail(("R",), ()).document
