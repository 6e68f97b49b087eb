# SPDX-License-Identifier: Apache-2.0
"""Inline policies and the size they may have together.

"User policy size cannot exceed 2,048 characters, role policy size 10,240, group policy size 5,120"; "IAM doesn't count
white space": https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
"""

from __future__ import annotations

from collections.abc import Mapping

from c7n_iamusers.local_org.iam.base import Backend
from c7n_iamusers.local_org.iam.errors import iam_error

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


def _check_size(held: Mapping[str, str], name: str, document: str, limit: int, holder: str) -> None:
    together = {**held, name: document}
    if sum(len("".join(text.split())) for text in together.values()) > limit:
        raise iam_error("LimitExceeded", f"Maximum policy size of {limit} bytes exceeded for {holder}")
