# SPDX-License-Identifier: Apache-2.0
"""An invented kind of credential, the badge: one more row in the table, and an IAM client with its operations.

And an invented finding: one more function among the rules.
``python -m pytest -p tests.new_kind`` loads this before any module that derives something from the table.
"""

from __future__ import annotations

import inspect
import sys
from collections import defaultdict
from types import ModuleType
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from c7n_iamusers.iam import attachments
from c7n_iamusers.iam.attachments import (
    PROGRAM,
    AttachmentKind,
    CredentialTraits,
    ReadingCall,
    Removal,
    RestoringCall,
    StatusChange,
)

ROW = AttachmentKind(
    "badge",
    "badge",
    "BadgeId",
    ReadingCall("ListBadges", "Badges"),
    (Removal("DeleteBadge", {"BadgeId": "BadgeId"}),),
    state=("BadgeId", "Status"),
    status_change=StatusChange("UpdateBadge", {"BadgeId": "BadgeId"}),
    restoration=RestoringCall("UploadBadge", {"BadgeBody": "BadgeBody"}, match="BadgeBody"),
    credential=CredentialTraits(PROGRAM, created="UploadDate"),
    later=True,
)
#: Operation -> the parameters that it needs.
OPERATIONS = {
    "ListBadges": ("UserName",),
    "UploadBadge": ("UserName", "BadgeBody"),
    "UpdateBadge": ("UserName", "BadgeId", "Status"),
    "DeleteBadge": ("UserName", "BadgeId"),
}
#: User name -> badges, as ListBadges gives them.
badges: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)


FINDING = '''
@_finding("named-root", HIGH, rests_on="nothing", basis="this test", note="`named-root` is invented.")
def named_root(case: Case) -> Texts:
    """Its name is root."""
    return ("Looks like the root user.",) if case.user.name == "root" else ()


'''


def _add(module: ModuleType, table: str, text: str, before: str, **names: Any) -> None:
    """``text`` in the source of ``module``, in the only place, before any other module has seen its ``table``."""
    loaded = {name: each for name, each in sys.modules.items() if name.startswith("c7n_iamusers")}
    assert [each for each in loaded.values() if hasattr(each, table)] == [module], (
        f"{table} is in use: {loaded}"
    )
    source = inspect.getsource(module)
    assert source.count(before) == 1
    vars(module).update(names)
    exec(compile(source.replace(before, f"{text}{before}"), str(module.__file__), "exec"), vars(module))


def _add_row_and_rule() -> None:
    _add(attachments, "ATTACHMENT_KINDS", "    BADGE,\n", "    MFA_DEVICE,\n", BADGE=ROW)
    # Imported here, since what they import uses the tables.
    from c7n_iamusers.iam import removal_order

    _add(
        removal_order,
        "REMOVAL_ORDER",
        "    BADGE,\n",
        "    MFA_DEVICE,\n    GROUP,\n",
        BADGE=ROW,
    )
    from c7n_iamusers.evidence import findings as finding_rules

    _add(finding_rules, "FINDING_RULES", FINDING, "FINDING_RULES = ")


def _refuse(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"badges: {code}"}}, operation)


def _answer(operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    held = badges[parameters["UserName"]]
    if operation == "ListBadges":
        return {"Badges": [dict(badge) for badge in held], "IsTruncated": False}
    if operation == "UploadBadge":
        made = {"BadgeId": f"BADGE{id(parameters)}", "BadgeBody": parameters["BadgeBody"], "Status": "Active"}
        held.append(made)
        return {"Badge": made}
    badge = next((badge for badge in held if badge["BadgeId"] == parameters["BadgeId"]), None)
    if badge is None:
        raise _refuse("NoSuchEntity", operation)
    if operation == "DeleteBadge":
        held.remove(badge)
    else:
        badge["Status"] = parameters["Status"]
    return {}


def _answer_operations() -> None:
    """Clients of IAM have the operations, and DeleteUser refuses a user with a badge."""
    load, call = Loader.load_service_model, BaseClient._make_api_call  # type: ignore[attr-defined]

    def load_service_model(self: Any, service_name: str, *rest: Any, **more: Any) -> Any:
        model = load(self, service_name, *rest, **more)
        if service_name == "iam" and "operations" in model:
            for name, members in OPERATIONS.items():
                model["operations"][name] = {
                    "name": name,
                    "http": {"method": "POST", "requestUri": "/"},
                    "input": {"shape": f"{name}Request"},
                }
                model["shapes"][f"{name}Request"] = {
                    "type": "structure",
                    "required": list(members),
                    "members": {member: {"shape": "BadgeText"} for member in members},
                }
            model["shapes"]["BadgeText"] = {"type": "string"}
        return model

    def make_api_call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation in OPERATIONS:
            return _answer(operation, parameters)
        if operation == "DeleteUser" and badges[parameters["UserName"]]:
            raise _refuse("DeleteConflict", operation)
        return call(self, operation, parameters)

    Loader.load_service_model = load_service_model  # type: ignore[method-assign]
    BaseClient._make_api_call = make_api_call  # type: ignore[attr-defined]


_add_row_and_rule()
_answer_operations()
