# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from moto.core.responses import BaseResponse
from moto.core.utils import camelcase_to_underscores, get_service_model
from moto.identitystore.responses import IdentityStoreResponse
from moto.ssoadmin.responses import SSOAdminResponse

from aws_local_org import identity_center
from aws_local_org.identity_center import operations
from tests.local_org.identity_center.center import Center, refusal

ROWS = [
    *((service, operation) for service, rows in operations.OF_CALLER.items() for operation in rows),
    *(("sso-admin", operation) for operation in operations.OF_INSTANCE),
    *(("identitystore", operation) for operation in operations.OF_STORE),
]


@pytest.mark.parametrize(("service", "operation"), ROWS)
def test_every_row_is_an_operation_of_its_service(service: str, operation: str) -> None:
    assert operation in get_service_model(service).operation_names


@pytest.mark.parametrize(
    ("service", "responses", "count"),
    [
        pytest.param("sso-admin", SSOAdminResponse, 41, id="sso-admin"),
        pytest.param("identitystore", IdentityStoreResponse, 21, id="identitystore"),
    ],
)
def test_no_operation_is_left_to_moto(service: str, responses: type[BaseResponse], count: int) -> None:
    """Otherwise moto's own, lax state would show through."""
    identity_center.install()
    names = {camelcase_to_underscores(name) for name in get_service_model(service).operation_names}
    methods = {name: method for name, method in vars(responses).items() if name in names}
    assert len(methods) == count
    assert {method.__module__ for method in methods.values()} == {operations.__name__}


def test_an_operation_that_nobody_implements_is_refused_in_aws_style(center: Center) -> None:
    with pytest.raises(Exception, match="does not implement sso-admin ListApplications"):
        center.admin("list_applications")


def test_a_member_that_is_null_counts_as_absent(center: Center) -> None:
    arn = center.admin("create_permission_set", Name="X", SessionDuration=None)["PermissionSet"]
    assert arn["SessionDuration"] == "PT1H"
    refusal("ValidationException", center.admin, "create_permission_set", Name=None)
