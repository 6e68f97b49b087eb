# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from aws_local_org import LocalOrg
from aws_local_org.identity_center import instance as instances
from aws_local_org.identity_center import state
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import _check_region, resolve_instance
from tests.access_center import ACCOUNT

MANAGEMENT = "123456789012"


def _none() -> None:
    instances.remove_instance()


def _several() -> None:
    instances.add_instance(MANAGEMENT, "us-east-1")


def _switched_off() -> None:
    state.instances[0].permission_sets_enabled = False


def _in_creation() -> None:
    state.instances[0].status = "CREATE_IN_PROGRESS"


def _not_primary() -> None:
    _none()
    instances.add_instance(MANAGEMENT, "eu-west-1")


def test_the_one_instance(org: LocalOrg) -> None:
    found = resolve_instance(org.client("sso-admin"), Backoff())
    (real,) = state.instances
    assert (found.arn, found.identity_store_id, found.region, found.owner) == (
        real.arn,
        real.store.id,
        "us-east-1",
        MANAGEMENT,
    )
    assert found.portal == f"https://{real.store.id}.awsapps.com/start"


@pytest.mark.parametrize(
    ("prepare", "refusal"),
    [
        pytest.param(_none, "no Identity Center instance in us-east-1: set region: .* and role:", id="none"),
        pytest.param(
            _several, "several .*ssoins-.* of account 123456789012; .*ssoins-.* set role:", id="several"
        ),
        pytest.param(_switched_off, "permission sets disabled", id="permission-sets-off"),
        pytest.param(_in_creation, "is CREATE_IN_PROGRESS: run again", id="not-active"),
        pytest.param(_not_primary, "it is in eu-west-1, so set region: eu-west-1", id="wrong-region"),
    ],
)
def test_an_instance_that_will_not_do(org: LocalOrg, prepare: Callable[[], None], refusal: str) -> None:
    prepare()
    with pytest.raises(IdentityCenterError, match=refusal):
        resolve_instance(org.client("sso-admin"), Backoff())


def test_a_member_account_has_none(org: LocalOrg) -> None:
    with pytest.raises(IdentityCenterError, match="no Identity Center instance"):
        resolve_instance(org.client("sso-admin", ACCOUNT), Backoff())


@pytest.mark.parametrize(("primary", "refused"), [("eu-west-1", False), ("us-east-1", True), (None, False)])
def test_an_instance_is_changed_in_its_primary_region(primary: str | None, refused: bool) -> None:
    listed = {"InstanceArn": "arn", **({"PrimaryRegion": primary} if primary else {})}
    with pytest.raises(IdentityCenterError, match="set region: us-east-1") if refused else nullcontext():
        _check_region(listed, "eu-west-1")
