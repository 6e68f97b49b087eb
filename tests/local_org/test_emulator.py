# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from aws_local_org import LocalOrg, Settings
from aws_local_org.errors import LocalOrgError
from tests.local_org.refusals import AS_SENT, refusal

PAYMENTS, RESEARCH = "111122223333", "444455556666"


@pytest.fixture
def stopped(shared_org: LocalOrg) -> Iterator[LocalOrg]:
    shared_org.stop()
    org = LocalOrg(Settings())
    yield org
    org.stop()


def test_only_one_runs_in_a_process(stopped: LocalOrg) -> None:
    with stopped, pytest.raises(LocalOrgError, match="runs in this process already"):
        LocalOrg().start()
    with LocalOrg() as again:
        assert again.client("iam").list_users()["Users"] == []


def test_a_port_in_use_is_said_so(stopped: LocalOrg) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalOrgError, match=f"cannot listen on 127.0.0.1:{port}"):
            LocalOrg(Settings(port=port)).start()
    stopped.start()  # the failed start holds nothing


def test_a_port_may_be_chosen(stopped: LocalOrg) -> None:
    with stopped:
        port = int(stopped.endpoint_url.rpartition(":")[2])
    with LocalOrg(Settings(port=port)) as again:
        assert again.endpoint_url == f"http://127.0.0.1:{port}"


def test_stopping_ends_even_kept_connections(stopped: LocalOrg) -> None:
    stopped.start()
    client = stopped.session().client("iam", config=AS_SENT)
    client.list_users()
    stopped.stop()
    with pytest.raises(EndpointConnectionError):
        client.list_users()
    with pytest.raises(LocalOrgError, match="is not running"):
        assert stopped.endpoint_url


def test_accounts_are_apart(org: LocalOrg) -> None:
    org.client("iam", PAYMENTS).create_user(UserName="ada")
    names = {
        account_id: [user["UserName"] for user in org.client("iam", account_id).list_users()["Users"]]
        for account_id in org.settings.account_ids
    }
    assert names == {"123456789012": [], PAYMENTS: ["ada"], RESEARCH: [], "777788889999": []}


@pytest.mark.parametrize("account_id", ["123456789012", PAYMENTS, RESEARCH])
def test_clients_act_in_their_account(org: LocalOrg, account_id: str) -> None:
    assert org.client("sts", account_id).get_caller_identity()["Account"] == account_id


def test_clients_are_the_same_and_survive_a_reset(org: LocalOrg) -> None:
    client = org.client("iam", PAYMENTS)
    client.create_user(UserName="ada")
    org.reset()
    assert org.client("iam", PAYMENTS) is client
    assert client.list_users()["Users"] == []
    assert org.client("iam", PAYMENTS, region_name="eu-west-1") is not client


def test_no_session_in_an_account_of_nobody(org: LocalOrg) -> None:
    with pytest.raises(boto3.client("sts").exceptions.ClientError, match="AccessDenied"):
        org.client("iam", "999999999999")


def test_the_environment_leads_a_process_here_and_nowhere_else(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = org.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    identity = boto3.Session().client("sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/LocalOrgOperator/operator"
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize(
    "existing", [{}, {"NO_PROXY": "a.example, b.example"}, {"no_proxy": "a.example,b.example"}]
)
def test_nothing_for_it_goes_to_a_proxy(
    org: LocalOrg, monkeypatch: pytest.MonkeyPatch, name: str, existing: dict[str, str]
) -> None:
    for each in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(each, raising=False)
    for each, value in {name: "http://127.0.0.1:1", **existing}.items():
        monkeypatch.setenv(each, value)
    assert org.client("iam", PAYMENTS, region_name="us-east-1").list_users()["Users"] == []
    environment = org.environment()
    for each, value in environment.items():
        monkeypatch.setenv(each, value)
    assert boto3.Session().client("sts").get_caller_identity()["Account"] == "123456789012"
    kept = ["a.example", "b.example"] if existing else []
    assert environment["NO_PROXY"].split(",") == ["127.0.0.1", "localhost", *kept]


def test_a_session_ignores_the_environment(org: LocalOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    assert org.session(PAYMENTS).client("iam").list_users()["Users"] == []


def test_the_backend_is_the_one_behind_the_api(org: LocalOrg) -> None:
    org.client("iam", PAYMENTS).create_user(UserName="ada")
    assert list(org.backend("iam", PAYMENTS).users) == ["ada"]
    org.client("sqs").create_queue(QueueName="mail")
    assert "mail" in org.backend("sqs").queues


def test_a_reset_ends_sessions_and_empties_everything(org: LocalOrg) -> None:
    credentials = org.session(PAYMENTS).get_credentials()
    assert credentials is not None
    keys = credentials.get_frozen_credentials()
    before = boto3.Session(keys.access_key, keys.secret_key, keys.token, region_name="us-east-1")
    iam = before.client("iam", endpoint_url=org.endpoint_url)
    assert refusal(iam.list_users) is None
    org.client("sqs").create_queue(QueueName="mail")
    org.reset()
    assert org.calls == []
    assert refusal(iam.list_users) == ("InvalidClientTokenId", 403)
    (queue,) = org.client("sqs").list_queues()["QueueUrls"]
    assert queue.rsplit("/", 1)[1] == "c7n-mailer"


@pytest.mark.parametrize(
    "changes",
    [{"port": 1}, {"member_accounts": ()}, {"colour": "red"}, {"page_limit": 2, "region": "eu-west-1"}],
    ids=str,
)
def test_what_cannot_be_changed_while_running(org: LocalOrg, changes: dict[str, object]) -> None:
    before = org.settings
    with pytest.raises(LocalOrgError, match=r"these can be changed: .*page_limit"):
        org.configure(**changes)
    assert org.settings == before
