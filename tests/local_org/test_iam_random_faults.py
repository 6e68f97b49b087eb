# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError

from aws_local_org import LocalOrg
from tests.policies import ACCOUNT

ONCE = Config(retries={"total_max_attempts": 1})


def asking(org: LocalOrg) -> Any:
    """A client that never retries by itself."""
    return org.client("iam", ACCOUNT, config=ONCE)


def result(call: Any, **parameters: Any) -> str:
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except (ConnectionClosedError, HTTPClientError):
        return "broken"
    return "done"


def results(org: LocalOrg, times: int, operation: str = "get_user") -> Counter[str]:
    call = getattr(asking(org), operation)
    return Counter(result(call, UserName=f"user-{number}") for number in range(times))


@pytest.mark.parametrize(
    ("settings", "operation", "expected"),
    [
        pytest.param({}, "create_user", {"done"}, id="none-by-default"),
        pytest.param({"throttled": 1.0}, "get_user", {"Throttling"}, id="throttled"),
        pytest.param({"conflicts": 1.0}, "delete_user", {"DeleteConflict"}, id="deletion-conflict"),
        pytest.param({"conflicts": 1.0}, "create_user", {"ConcurrentModification"}, id="conflict"),
        pytest.param({"conflicts": 1.0}, "get_user", {"NoSuchEntity"}, id="reading-has-no-conflict"),
        pytest.param({"resets": 1.0}, "create_user", {"broken"}, id="broken"),
    ],
)
def test_what_befalls_calls(
    org: LocalOrg, settings: dict[str, float], operation: str, expected: set[str]
) -> None:
    org.configure(**settings)
    assert results(org, 4, operation).keys() == expected


def test_the_shares_are_about_kept(org: LocalOrg) -> None:
    org.configure(throttled=0.3, resets=0.1)
    found = results(org, 200)
    assert 40 <= found["Throttling"] <= 80
    assert 8 <= found["broken"] <= 34
    assert found["NoSuchEntity"] > 80


def test_a_connection_breaks_before_or_after_the_call_was_applied(org: LocalOrg) -> None:
    org.configure(resets=1.0)
    assert results(org, 40, "create_user") == {"broken": 40}
    org.configure(resets=0.0)
    made = len(org.client("iam", ACCOUNT).list_users(MaxItems=1000)["Users"])
    assert 8 <= made <= 32
    seen = Counter(call.error_code for call in org.calls if call.operation == "CreateUser")
    assert seen == {None: made, "ConnectionReset": 40 - made}


def test_the_same_call_fares_otherwise_when_it_is_repeated(org: LocalOrg) -> None:
    org.configure(throttled=0.5)
    client = asking(org)
    assert {result(client.get_user, UserName="alice") for _ in range(20)} == {"Throttling", "NoSuchEntity"}


def test_other_services_have_a_good_day(org: LocalOrg) -> None:
    org.configure(throttled=1.0)
    assert org.client("sts", config=ONCE).get_caller_identity()["Account"]


def test_one_account_alone_has_them(org: LocalOrg) -> None:
    org.configure(throttled=1.0, faulty_accounts=("444455556666",))
    assert results(org, 4).keys() == {"NoSuchEntity"}
    org.configure(faulty_accounts=(ACCOUNT,))
    assert results(org, 4).keys() == {"Throttling"}
