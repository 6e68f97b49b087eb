# SPDX-License-Identifier: Apache-2.0
"""Addresses that an account has itself."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.key_usage.data_plane import DATA_PLANE, is_data_plane
from c7n_iamusers.key_usage.own_addresses import read_own_addresses
from tests.fakes import ScriptedClient, client_error


def found(interfaces: list[dict[str, Any]], addresses: list[dict[str, Any]]) -> dict[str, str]:
    client = ScriptedClient(
        describe_network_interfaces=[{"NetworkInterfaces": interfaces}],
        describe_addresses=[{"Addresses": addresses}],
    )
    return read_own_addresses(client, Backoff(sleep=lambda _: None, budget=1))


def test_private_public_and_ipv6_addresses_of_an_instance() -> None:
    interface = {
        "NetworkInterfaceId": "eni-1",
        "Attachment": {"InstanceId": "i-1"},
        "PrivateIpAddresses": [
            {"PrivateIpAddress": "10.0.0.4", "Association": {"PublicIp": "192.0.2.4"}},
            {"PrivateIpAddress": "10.0.0.5"},
        ],
        "Ipv6Addresses": [{"Ipv6Address": "2001:DB8::1"}],
    }
    assert found([interface], []) == dict.fromkeys(
        ("10.0.0.4", "192.0.2.4", "10.0.0.5", "2001:db8::1"), "i-1"
    )


def test_what_has_no_instance_is_named_by_its_description_or_id() -> None:
    nat = {"NetworkInterfaceId": "eni-2", "Description": "Interface for NAT Gateway nat-1"}
    addresses = [{"PrivateIpAddress": "10.0.0.6"}]
    assert found([{**nat, "PrivateIpAddresses": addresses}], [])["10.0.0.6"] == nat["Description"]
    plain = {"NetworkInterfaceId": "eni-2", "PrivateIpAddresses": addresses}
    assert found([plain], [])["10.0.0.6"] == "eni-2"


def test_elastic_addresses_that_nothing_has_are_the_accounts_too() -> None:
    assert found([], [{"PublicIp": "192.0.2.9", "AllocationId": "eipalloc-1"}]) == {"192.0.2.9": "eipalloc-1"}


def test_what_is_no_address_is_left_out() -> None:
    interface = {"PrivateIpAddresses": [{}, {"PrivateIpAddress": None}], "Ipv6Addresses": [{}]}
    assert found([interface], [{}, {"PublicIp": "None"}]) == {}


def test_a_denied_list_is_an_error_and_never_empty() -> None:
    client = ScriptedClient(describe_network_interfaces=[client_error("UnauthorizedOperation")])
    with pytest.raises(ClientError):
        read_own_addresses(client, Backoff(sleep=lambda _: None, budget=1))


@pytest.mark.parametrize("service", [*DATA_PLANE, "S3"])
def test_services_of_data_events(service: str) -> None:
    assert is_data_plane(service)


@pytest.mark.parametrize("service", ["ec2", "iam", "sts", "", "N/A"])
def test_other_services(service: str) -> None:
    assert not is_data_plane(service)
