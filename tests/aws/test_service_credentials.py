# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.aws.service_credentials import SERVICES, all_service_credentials
from tests.fakes import ScriptedClient, Sleeps, client_error


def page(*services: str, marker: str = "") -> dict[str, Any]:
    found = [{"ServiceName": f"{service}.amazonaws.com", "UserName": "alice"} for service in services]
    more = {"IsTruncated": True, "Marker": marker} if marker else {"IsTruncated": False}
    return {"ServiceSpecificCredentials": found, **more}


NONE = page()
ABSENT = client_error("NotSupportedService")


@pytest.mark.parametrize(
    ("answers", "asked", "found"),
    [
        pytest.param([page("codecommit", "bedrock")], [None], 2, id="everything-at-once"),
        pytest.param(
            [page("codecommit", marker="m"), page("logs")], [None, None], 2, id="everything-in-two-pages"
        ),
        pytest.param([NONE] * 5, [None, *SERVICES], 0, id="nothing-anywhere"),
        pytest.param(
            [page("codecommit"), NONE, page("bedrock"), NONE],
            [None, "cassandra.amazonaws.com", "bedrock.amazonaws.com", "logs.amazonaws.com"],
            2,
            id="one-service-only",
        ),
        pytest.param(
            [client_error("ValidationError"), page("codecommit", "codecommit"), NONE, ABSENT, NONE],
            [None, *SERVICES],
            2,
            id="a-service-must-be-named",
        ),
        pytest.param(
            [client_error("InvalidInput"), *[NONE] * 4], [None, *SERVICES], 0, id="refused-otherwise"
        ),
        pytest.param([client_error("Throttling"), page("logs", "bedrock")], [None, None], 2, id="throttled"),
    ],
)
def test_no_service_is_missed(answers: list[Any], asked: list[str | None], found: int) -> None:
    client = ScriptedClient(list_service_specific_credentials=answers)
    assert len(all_service_credentials(client, Sleeps().backoff())) == found
    assert [parameters.get("ServiceName") for _, parameters in client.calls] == asked
    assert all(parameters["AllUsers"] and "UserName" not in parameters for _, parameters in client.calls)


@pytest.mark.parametrize(
    "answers",
    [[client_error("AccessDenied")], [NONE, client_error("AccessDenied")]],
    ids=["at-once", "by-name"],
)
def test_a_refusal_is_passed_on(answers: list[Any]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        all_service_credentials(ScriptedClient(list_service_specific_credentials=answers), Sleeps().backoff())
