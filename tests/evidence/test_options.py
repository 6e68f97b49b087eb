# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.evidence.model import Hint, Provisioning, Thresholds
from c7n_iamusers.evidence.selection import AskedUsage, Selection, parse_options
from c7n_iamusers.exceptions import InvalidPolicyData

pytestmark = pytest.mark.pure


def test_everything_by_default() -> None:
    found = parse_options({"type": "unnecessary"}, "here")
    assert found.selection == Selection()
    assert found.criteria.thresholds == Thresholds(90, 90)
    assert not found.full


def test_every_option() -> None:
    found = parse_options(
        {
            "kinds": ["human", "unknown"],
            "unused-for": 90,
            "min-age": 30.5,
            "findings": {"any-of": ["key-unused"], "none-of": ["compromised-key"]},
            "hints": {"machine": {"user": "bot-*"}},
            "thresholds": {"unused": 45},
            "provisioning": {"tag": "ManagedBy=*", "role": ["arn:*:role/iac"]},
            "attachments": "full",
        },
        "here",
    )
    assert found.selection == Selection(("human", "unknown"), 90, 30.5, ("key-unused",), ("compromised-key",))
    assert found.criteria.hints == (Hint("machine", "user", "bot-*"),)
    assert found.criteria.thresholds == Thresholds(45, 90)
    assert found.criteria.provisioning == Provisioning(("ManagedBy=*",), ("arn:*:role/iac",))
    assert found.full


def test_what_is_asked_of_calls() -> None:
    assert parse_options({}, "here").usage == AskedUsage()
    given = {
        "usage": "cloudtrail",
        "usage-pages": 3,
        "usage-regions": ["us-east-1"],
        "usage-from": "events.csv",
        "usage-ranges": "ranges.csv",
    }
    asked = AskedUsage(True, 3, ("us-east-1",), "events.csv", "ranges.csv")
    assert parse_options(given, "here").usage == asked
    assert parse_options({"usage": "cloudtrail"}, "here").usage == AskedUsage(True)


def test_a_list_of_findings_means_any_of_them() -> None:
    assert parse_options({"findings": ["key-unused"]}, "here").selection.any_of == ("key-unused",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            {"usage": "trail"}, "here: usage: there is no 'trail': known are cloudtrail", id="usage"
        ),
        pytest.param({"usage-pages": 2}, "here: usage-pages: needs usage: cloudtrail", id="pages-alone"),
        pytest.param(
            {"usage-regions": ["eu-west-1"]}, "here: usage-regions: needs usage", id="regions-alone"
        ),
        pytest.param(
            {"usage": "cloudtrail", "usage-pages": 0},
            "usage-pages: must be a number of pages from 1",
            id="no-page",
        ),
        pytest.param(
            {"usage": "cloudtrail", "usage-pages": True},
            "must be a number of pages from 1 to 60, not True",
            id="yes",
        ),
        pytest.param(
            {"usage": "cloudtrail", "usage-regions": "eu-west-1"},
            "usage-regions: must be a list of Regions, not 'eu-west-1'",
            id="usage-region",
        ),
        pytest.param(
            {"blast-radius": ["s3"], "blast-radius-regions": []},
            r"blast-radius-regions: must be a list of Regions, not \[\]",
            id="no-region",
        ),
        pytest.param(
            {"usage-from": []}, "usage-from: must be a path or s3://BUCKET/KEY, not", id="usage-from"
        ),
        pytest.param(
            {"usage-ranges": "r.csv"},
            "usage-ranges: needs usage: cloudtrail, or usage-from",
            id="ranges-alone",
        ),
        pytest.param(
            {"kinds": ["robot"]}, "here: kinds: there is no 'robot': known are human, machine", id="kind"
        ),
        pytest.param(
            {"kinds": "human"}, "here: kinds: must be a list with at least one of human", id="no-list"
        ),
        pytest.param({"kinds": []}, "here: kinds: must be a list with at least one", id="empty-list"),
        pytest.param(
            {"unused-for": "90"}, "here: unused-for: must be a number of days above 0, not '90'", id="text"
        ),
        pytest.param({"unused-for": 0}, "unused-for: must be a number of days above 0", id="zero"),
        pytest.param({"min-age": -1}, "min-age: must be a number of days above 0", id="negative"),
        pytest.param({"min-age": True}, "min-age: must be a number of days above 0", id="boolean"),
        pytest.param(
            {"findings": ["mfa"]}, "findings.any-of: there is no 'mfa': known are iam-user,", id="finding"
        ),
        pytest.param({"findings": {"none-of": ["mfa"]}}, "findings.none-of: there is no 'mfa'", id="none-of"),
        pytest.param(
            {"findings": {"any": ["iam-user"]}}, "findings: must be a mapping of any-of, none-of", id="key"
        ),
        pytest.param({"findings": 5}, "findings: must be a mapping of any-of, none-of", id="no-mapping"),
        pytest.param({"findings": {}}, "findings: must be a mapping of any-of, none-of", id="no-findings"),
        pytest.param(
            {"findings": "iam-user"}, "findings: must be a mapping of any-of, none-of", id="findings-text"
        ),
        pytest.param({"hints": {"robot": {}}}, "here: hints.robot: a hint can say", id="hints"),
        pytest.param(
            {"thresholds": {"unused": 0}}, "thresholds.unused: must be a number of days", id="threshold"
        ),
        pytest.param(
            {"thresholds": {"used": 9}}, "thresholds: must be a mapping of unused, rotation", id="thresholds"
        ),
        pytest.param({"provisioning": {"tag": "x"}}, "provisioning.tag: 'x' must be Key=glob", id="tag"),
        pytest.param(
            {"provisioning": {"role": [7]}}, "provisioning.role: must be a glob over the ARNs", id="role"
        ),
        pytest.param(
            {"attachments": "all"}, "attachments: there is no 'all': known are bulk, full", id="attachments"
        ),
        pytest.param({"attachments": ["full"]}, "attachments: there is no", id="attachments-list"),
    ],
)
def test_faulty_options_name_the_place_and_the_mend(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidPolicyData, match=message):
        parse_options(data, "here")


@pytest.mark.parametrize(
    "key",
    [
        *("kinds", "unused-for", "min-age", "findings", "hints", "thresholds", "provisioning", "attachments"),
        *("findings.any-of", "findings.none-of", "thresholds.unused", "thresholds.rotation"),
        *("provisioning.tag", "provisioning.role"),
    ],
)
def test_a_key_without_a_value_is_a_fault(key: str) -> None:
    outer, _, inner = key.partition(".")
    with pytest.raises(
        InvalidPolicyData, match=rf"^here: {key}: has no value: give one, or leave the key out$"
    ):
        parse_options({outer: {inner: None} if inner else None}, "here")


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(InvalidPolicyData, match=r"kinds: .*; here: unused-for: .*; here: hints"):
        parse_options({"kinds": ["x"], "unused-for": "y", "hints": "z"}, "here")


@pytest.mark.parametrize("wrong", ["eu-wst-1", "EU-WEST-1", " eu-west-1"])
@pytest.mark.parametrize(
    ("key", "block"),
    [
        ("usage-regions", lambda names: {"usage": "cloudtrail", "usage-regions": names}),
        ("blast-radius-regions", lambda names: {"blast-radius": ["s3"], "blast-radius-regions": names}),
        ("managed-by.cloudformation", lambda names: {"managed-by": {"cloudformation": names}}),
    ],
)
def test_a_mistyped_region_is_named_with_the_nearest_right_one(wrong: str, key: str, block: Any) -> None:
    with pytest.raises(
        InvalidPolicyData, match=rf"here: {key}: '{wrong}' is no Region .*: correct it \(eu-west-1\?\), "
    ):
        parse_options(block(["us-east-1", wrong]), "here")
