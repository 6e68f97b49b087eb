# SPDX-License-Identifier: Apache-2.0
"""Inline policies, their size quotas, and IAM's checks of policy documents.

"User policy size cannot exceed 2,048 characters, role policy size 10,240, group policy size 5,120"; "IAM doesn't count
white space": https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from moto.core.responses import ActionResult, EmptyResult
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from aws_local_org.errors import iam_error, no_such_entity
from aws_local_org.iam.base import Backend, Response
from aws_local_org.iam.results import PlainResult

_SID = re.compile("[0-9A-Za-z]*")


def check_document(text: str) -> None:
    """Raise MalformedPolicyDocument, in IAM's words, for what is no identity-based policy.

    moto knows the grammar; the rest is what moto lets through and IAM does not. Source:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html, ..._elements_principal.html.
    """
    IAMPolicyDocumentValidator(text).validate()
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        if {"Principal", "NotPrincipal"} & set(statement):
            raise iam_error("MalformedPolicyDocument", "Policy document should not specify a principal.")
        if not _SID.fullmatch(statement.get("Sid") or ""):
            raise iam_error(
                "MalformedPolicyDocument",
                "Statement IDs (SID) must be alpha-numeric. "  # codespell:ignore
                "Check that your input satisfies the regular expression [0-9A-Za-z]*",
            )


def size_of(text: str) -> int:
    """The characters that count: "IAM doesn't count white space when calculating the size of a policy"."""
    return len("".join(text.split()))


CHARACTERS_OF_USER = 2_048
CHARACTERS_OF_GROUP = 5_120
CHARACTERS_OF_ROLE = 10_240


class InlinePoliciesBackend(Backend):
    def put_user_policy(self, user_name: str, policy_name: str, policy_json: str) -> None:
        held = self.get_user(user_name).policies
        _check_size(held, policy_name, policy_json, CHARACTERS_OF_USER, f"user {user_name}")
        super().put_user_policy(user_name, policy_name, policy_json)

    def put_group_policy(self, group_name: str, policy_name: str, policy_json: str) -> None:
        held = self.get_group(group_name).policies
        _check_size(held, policy_name, policy_json, CHARACTERS_OF_GROUP, f"group {group_name}")
        super().put_group_policy(group_name, policy_name, policy_json)

    def put_role_policy(self, role_name: str, policy_name: str, policy_json: str) -> None:
        held = self.get_role(role_name).policies
        _check_size(held, policy_name, policy_json, CHARACTERS_OF_ROLE, f"role {role_name}")
        super().put_role_policy(role_name, policy_name, policy_json)


class InlinePoliciesResponse(Response):
    def get_user_policy(self) -> ActionResult:
        return self._shown("User", self.backend.get_user(self.params["UserName"]))

    def get_group_policy(self) -> ActionResult:
        return self._shown("Group", self.backend.get_group(self.params["GroupName"]))

    def get_role_policy(self) -> ActionResult:
        return self._shown("Role", self.backend.get_role(self.params["RoleName"]))

    def delete_user_policy(self) -> ActionResult:
        return self._deleted("User", self.backend.get_user(self.params["UserName"]))

    def delete_group_policy(self) -> ActionResult:
        return self._deleted("Group", self.backend.get_group(self.params["GroupName"]))

    def delete_role_policy(self) -> ActionResult:
        return self._deleted("Role", self.backend.get_role(self.params["RoleName"]))

    def _shown(self, kind: str, holder: Any) -> ActionResult:
        name = self._name_of_one(kind, holder)
        document = quote(holder.policies[name])
        return PlainResult({f"{kind}Name": holder.name, "PolicyName": name, "PolicyDocument": document})

    def _deleted(self, kind: str, holder: Any) -> ActionResult:
        del holder.policies[self._name_of_one(kind, holder)]
        return EmptyResult()

    def _name_of_one(self, kind: str, holder: Any) -> str:
        name: str = self.params["PolicyName"]
        if name not in holder.policies:
            raise no_such_entity(f"The {kind.lower()} policy with name {name} cannot be found.")
        return name


def _check_size(held: Mapping[str, str], name: str, document: str, limit: int, holder: str) -> None:
    check_document(document)
    if sum(size_of(text) for text in {**held, name: document}.values()) > limit:
        raise iam_error("LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for {holder}")
