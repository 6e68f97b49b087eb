# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from c7n.config import Config
from c7n.policy import Policy
from c7n.provider import clouds
from c7n.resources import load_resources

from c7n_iamusers.resource_policies.sources import LEFT_OUT, SERVICES, SOURCES, permissions_for

#: Actions of calls that c7n makes and does not declare.
MADE_ANYWAY = {"es:DescribeElasticsearchDomains", "kms:ListAliases", "lex:ListBots", "tag:GetResources"}


@pytest.fixture(scope="module")
def managers() -> dict[str, Any]:
    """The resources of c7n that have the filter."""
    load_resources(("aws.*",))
    known = clouds["aws"].resources
    found = {name: known.get(name) for name in known.keys()}  # noqa: SIM118  # it is no mapping
    return {name: each for name, each in found.items() if "cross-account" in each.filter_registry}


def test_each_resource_with_the_filter_is_read_or_left_out_for_a_reason(managers: dict[str, Any]) -> None:
    read = [each.resource for each in SOURCES]
    assert len(read) == len({*read})
    assert not {*read} & {*LEFT_OUT}
    assert {*read, *LEFT_OUT} == {*managers}
    assert all(LEFT_OUT.values())


def test_services_have_the_names_of_boto3(managers: dict[str, Any]) -> None:
    assert {each.resource: each.service for each in SOURCES} == {
        each.resource: managers[each.resource].resource_type.service for each in SOURCES
    }


@pytest.mark.parametrize("row", SOURCES, ids=lambda row: row.resource)
def test_permissions_are_those_that_c7n_declares(row: Any, managers: dict[str, Any]) -> None:
    data = {"name": "x", "resource": f"aws.{row.resource}", "filters": [{"type": "cross-account"}]}
    manager = Policy(data, Config.empty(region="us-east-1", account_id="1" * 12), None).resource_manager
    declared = {*manager.get_permissions(), *manager.filters[0].get_permissions()}
    if row.resource == "s3":  # only what its policy needs is read
        assert {*row.permissions} < declared
    else:
        assert declared <= {*row.permissions} <= declared | MADE_ANYWAY


def test_permissions_of_services() -> None:
    assert permissions_for(()) == ()
    assert permissions_for(("eks",), every_region=False) == ("eks:ListAccessEntries", "eks:ListClusters")
    assert "ec2:DescribeRegions" in permissions_for(("s3",))
    assert {"s3", "kms", "sqs", "sns", "secretsmanager", "ecr", "eks"} <= {*SERVICES}
