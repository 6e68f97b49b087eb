# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from c7n_iamusers.iam import accounts as service_credentials
from c7n_iamusers.iam.accounts import SERVICES, all_service_credentials
from tests.fakes import ScriptedClient, Sleeps, client_error


def page(*services: str, marker: str = "") -> dict[str, Any]:
    found = [{"ServiceName": f"{service}.amazonaws.com", "UserName": "alice"} for service in services]
    more = {"IsTruncated": True, "Marker": marker} if marker else {"IsTruncated": False}
    return {"ServiceSpecificCredentials": found, **more}


NONE = page()
ABSENT = client_error("NotSupportedService")
GONE = client_error("NoSuchEntity")
EVERYBODY = "everybody"
OTHER_SERVICES = ("cassandra.amazonaws.com", "bedrock.amazonaws.com", "logs.amazonaws.com")
USERS = {"Users": [{"UserName": "alice"}, {"UserName": "bob"}], "IsTruncated": False}


def asked(client: ScriptedClient) -> list[str]:
    """Whom or what each call was for."""
    return [
        parameters.get("UserName") or parameters.get("ServiceName") or EVERYBODY
        for name, parameters in client.calls
        if name == "list_service_specific_credentials"
    ]


@pytest.mark.parametrize(
    ("answers", "calls", "found"),
    [
        pytest.param([page("codecommit", "bedrock")], [EVERYBODY], 2, id="everything-at-once"),
        pytest.param(
            [page("codecommit", marker="m"), page("logs")], [EVERYBODY] * 2, 2, id="everything-in-two-pages"
        ),
        pytest.param(
            [client_error("Throttling"), page("logs", "bedrock")], [EVERYBODY] * 2, 2, id="throttled"
        ),
        pytest.param([NONE] * 5, [EVERYBODY, *SERVICES], 0, id="nothing-anywhere"),
        pytest.param(
            [NONE, NONE, ABSENT, ABSENT, NONE], [EVERYBODY, *SERVICES], 0, id="nothing-and-services-missing"
        ),
        pytest.param(
            [page("codecommit"), NONE, NONE, NONE], [EVERYBODY, *OTHER_SERVICES], 1, id="one-service-in-use"
        ),
        pytest.param(
            [page("unheard-of"), NONE, NONE, NONE, NONE], [EVERYBODY, *SERVICES], 1, id="a-service-to-come"
        ),
    ],
)
def test_a_list_of_everybody_is_enough(answers: list[Any], calls: list[str], found: int) -> None:
    client = ScriptedClient(list_service_specific_credentials=list(answers))
    assert len(all_service_credentials(client, Sleeps().backoff())) == found
    assert asked(client) == calls
    assert all(
        ("UserName" in parameters) is not bool(parameters["AllUsers"]) for _, parameters in client.calls
    )


@pytest.mark.parametrize(
    ("answers", "calls"),
    [
        pytest.param(
            [page("codecommit"), NONE, page("bedrock")],
            [EVERYBODY, *OTHER_SERVICES[:2]],
            id="one-service-only",
        ),
        pytest.param(
            [NONE, NONE, NONE, NONE, page("logs")], [EVERYBODY, *SERVICES], id="none-without-a-name"
        ),
        pytest.param([client_error("ValidationError")], [EVERYBODY], id="a-service-must-be-named"),
        pytest.param([client_error("InvalidInput")], [EVERYBODY], id="refused-otherwise"),
    ],
)
@pytest.mark.parametrize(
    ("users", "found"),
    [
        pytest.param([page("codecommit", "unheard-of"), page("bedrock")], 3, id="services-to-come"),
        pytest.param([page("logs"), GONE], 1, id="user-gone"),
        pytest.param([page("logs", marker="m"), page("logs"), NONE], 2, id="two-pages"),
    ],
)
def test_users_are_asked_one_by_one_otherwise(
    answers: list[Any], calls: list[str], users: list[Any], found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking by the names of services would miss services that nobody has told us of."""
    monkeypatch.setattr(service_credentials, "_WORKERS", 1)
    client = ScriptedClient(list_service_specific_credentials=[*answers, *users], list_users=[USERS])
    assert len(all_service_credentials(client, Sleeps().backoff())) == found
    assert list(dict.fromkeys(asked(client))) == [*calls, "alice", "bob"]


@pytest.mark.parametrize(
    "answers",
    [
        [client_error("AccessDenied")],
        [NONE, client_error("AccessDenied")],
        [client_error("InvalidInput"), client_error("AccessDenied")],
    ],
    ids=["at-once", "by-name", "by-user"],
)
def test_a_refusal_is_passed_on(answers: list[Any]) -> None:
    client = ScriptedClient(list_service_specific_credentials=list(answers), list_users=[USERS])
    with pytest.raises(ClientError, match="AccessDenied"):
        all_service_credentials(client, Sleeps().backoff())
