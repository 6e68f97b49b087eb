# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.evidence.credential_report import parse_report
from c7n_iamusers.evidence.index import Inventory
from c7n_iamusers.plugins.authorization_details import MfaDevices, asks_for_any_mfa, fill_groups

TEAM = {"GroupName": "Team", "GroupId": "AGPA1", "Path": "/", "Arn": "arn", "GroupPolicyList": []}
DEVICE = {
    "SerialNumber": "mfa/alice",
    "EnableDate": "then",
    "User": {"UserName": "alice", "Arn": "user/alice"},
}
REPORT = "user,user_creation_time,mfa_active\nalice,2020-01-01T00:00:00Z,{}"


@pytest.mark.parametrize(
    ("names", "filled"),
    [
        pytest.param(
            ["Team"], [{"GroupName": "Team", "GroupId": "AGPA1", "Path": "/", "Arn": "arn"}], id="known"
        ),
        pytest.param([], [], id="none"),
        pytest.param(["Team", "New"], None, id="one-not-listed-yet"),
    ],
)
def test_groups(names: list[str], filled: list[dict[str, str]] | None) -> None:
    resource: dict[str, Any] = {"GroupList": names}
    fill_groups(resource, {"Team": TEAM})
    assert resource.get("c7n:Groups") == filled


def test_groups_are_each_resources_own() -> None:
    """c7n's filters write into them."""
    first: dict[str, Any] = {"GroupList": ["Team"]}
    second: dict[str, Any] = {"GroupList": ["Team"]}
    for resource in (first, second):
        fill_groups(resource, {"Team": TEAM})
    assert first["c7n:Groups"][0] is not second["c7n:Groups"][0]


@pytest.mark.parametrize(
    ("devices", "mfa_active", "created", "filled"),
    [
        pytest.param(
            (DEVICE,),
            "false",
            None,
            [{"UserName": "alice", "SerialNumber": "mfa/alice", "EnableDate": "then"}],
            id="virtual-and-fresher-than-the-report",
        ),
        pytest.param((), "false", None, [], id="none"),
        pytest.param((), "true", None, None, id="another-sort"),
        pytest.param((), "N/A", None, None, id="report-does-not-say"),
        pytest.param((), "false", "2021-01-01T00:00:00Z", None, id="row-of-an-earlier-user"),
        pytest.param(
            ({"SerialNumber": "x"}, {"SerialNumber": "y", "User": {"Arn": "root"}}),
            "false",
            None,
            [],
            id="others",
        ),
        pytest.param(None, "false", None, None, id="devices-not-read"),
    ],
)
def test_mfa_devices(devices: Any, mfa_active: str, created: str | None, filled: list[Any] | None) -> None:
    resource: dict[str, Any] = {"UserName": "alice", "CreateDate": created}
    report = parse_report(REPORT.format(mfa_active), None)
    MfaDevices(Inventory(virtual_mfa=devices, report=report)).fill(resource)
    assert resource.get("MFADevices") == filled


@pytest.mark.parametrize(
    ("data", "simple"),
    [
        pytest.param({"value": "empty"}, True, id="empty"),
        pytest.param({"value": "not-null", "op": "eq"}, True, id="not-null"),
        pytest.param({"value": [], "op": "ne"}, True, id="list"),
        pytest.param({"value": 2, "value_type": "size"}, False, id="size"),
        pytest.param({"value": "arn:.*", "op": "regex"}, False, id="regex"),
        pytest.param({"value_from": {"url": "file://x"}}, False, id="value-from"),
        pytest.param({"UserName": "not-null"}, False, id="nothing-asked"),
    ],
)
def test_which_questions_lists_answer(data: dict[str, Any], simple: bool) -> None:
    assert asks_for_any_mfa({"type": "mfa-device", **data}) is simple
