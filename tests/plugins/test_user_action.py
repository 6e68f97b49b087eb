# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from c7n.exceptions import PolicyExecutionError

from aws_local_org import LocalOrg
from c7n_iamusers.execution.interruption import Interruption
from c7n_iamusers.execution.journal import Journal
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.plugins.policy_checks import idle_region
from tests.gateway import Gateway, operation
from tests.plugins.deletions import acting


@pytest.mark.parametrize("kind", ["quarantine", "release", "composite-delete"])
def test_after_a_lost_answer_only_what_reads_is_sent_again(
    org: LocalOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    (action,) = acting(kind, tmp_path).resource_manager.actions
    with Journal(tmp_path / "journal.jsonl") as journal:
        run = action.new_run(DirectoryStore(tmp_path), journal, Interruption(), 1)
    deletion = Gateway("502-html", operation("DeleteUser")).install(monkeypatch)
    reading = Gateway("502-html", operation("GetUser")).install(monkeypatch)
    with pytest.raises(ClientError):
        run.executor._clients["iam"].delete_user(UserName="nobody")
    with pytest.raises(ClientError):
        run.client.get_user(UserName="nobody")
    assert (deletion.seen, reading.seen > 1) == (1, True)


def manager(region: str, account: dict[str, Any] | None) -> Any:
    variables = {"account": account} if account is not None else {}
    policy = SimpleNamespace(conditions=SimpleNamespace(env_vars=variables))
    return SimpleNamespace(
        ctx=SimpleNamespace(policy=policy), config=SimpleNamespace(region=region), data={"name": "clean"}
    )


ORG = ["/usr/bin/c7n-org", "run"]
US = ("us-east-1", "eu-west-1")
ACTS, IDLE, ERROR = "acts", "idle", "error"


@pytest.mark.parametrize(
    ("region", "listed", "argv", "expected"),
    [
        pytest.param("eu-west-1", ("eu-west-1",), ORG, ACTS, id="only-one"),
        pytest.param("us-east-1", US, ORG, ACTS, id="home"),
        pytest.param("eu-west-1", US, ORG, IDLE, id="not-home"),
        pytest.param("us-east-1", None, ORG, ACTS, id="none-listed-home"),
        pytest.param("us-west-2", None, ORG, IDLE, id="none-listed-other"),
        pytest.param("us-east-1", (), ORG, ACTS, id="empty-home"),
        pytest.param("us-west-2", (), ORG, IDLE, id="empty-other"),
        pytest.param("us-east-1", ("all",), ORG, ACTS, id="only-all-home"),
        pytest.param("us-east-1", ("all", "x"), ORG, ACTS, id="all-home"),
        pytest.param("eu-west-1", ("all", "x"), ORG, IDLE, id="all-other"),
        pytest.param("cn-north-1", ("cn-north-1", "cn-northwest-1"), ORG, ACTS, id="china-home"),
        pytest.param("cn-northwest-1", ("cn-north-1", "cn-northwest-1"), ORG, IDLE, id="china-other"),
        pytest.param("us-gov-west-1", ("us-gov-east-1", "us-gov-west-1"), ORG, ACTS, id="govcloud-home"),
        pytest.param("us-gov-east-1", ("us-gov-east-1", "us-gov-west-1"), ORG, IDLE, id="govcloud-other"),
        pytest.param("eu-west-1", ("eu-west-1", "eu-west-2"), ORG, ERROR, id="none-is-home"),
        pytest.param(
            "cn-north-1", ("us-east-1", "cn-northwest-1"), ORG, ERROR, id="home-of-another-partition"
        ),
        pytest.param("eu-west-1", US, [*ORG, "-r", "eu-west-1"], ACTS, id="option"),
        pytest.param("eu-west-1", US, [*ORG, "-reu-west-1"], ACTS, id="option-joined"),
        pytest.param("eu-west-1", US, [*ORG, "-vr", "eu-west-1"], ACTS, id="option-behind-another"),
        pytest.param(
            "us-west-2",
            ("us-west-2",),
            [*ORG, "-vr", "us-east-1", "-vvrus-west-2"],
            IDLE,
            id="two-behind-another",
        ),
        pytest.param("eu-west-1", US, [*ORG, "--region", "eu-west-1"], ACTS, id="long-option"),
        pytest.param("eu-west-1", US, [*ORG, "--region=eu-west-1"], ACTS, id="long-option-joined"),
        pytest.param("eu-west-1", ("eu-west-1",), [*ORG, "-r", "us-east-1,eu-west-1"], IDLE, id="commas"),
        pytest.param(
            "eu-west-1", ("eu-west-1",), [*ORG, "-r", "us-east-1", "-r", "eu-west-1"], IDLE, id="repeated"
        ),
        pytest.param(
            "eu-west-1", US, [*ORG, "-r", "eu-west-1", "-r", "eu-west-2"], ERROR, id="options-without-home"
        ),
        pytest.param("eu-west-1", US, ["custodian", "run", "-r", "eu-west-1"], IDLE, id="not-c7n-org"),
        pytest.param("eu-west-1", US, [], IDLE, id="no-command-line"),
    ],
)
def test_one_region_acts(region: str, listed: tuple[str, ...] | None, argv: list[str], expected: str) -> None:
    account = {"name": "sandbox", **({} if listed is None else {"regions": list(listed)})}
    error = r"policy clean: account sandbox: IAM is the same in every Region.*Give one of them.*Nothing was touched"
    with pytest.raises(PolicyExecutionError, match=error) if expected == ERROR else nullcontext():
        found = idle_region(manager(region, account), argv)
        assert (found is not None) == (expected == IDLE)
        if found:
            assert found.startswith(f"policy clean: account sandbox: nothing is done in {region}: ")


@pytest.mark.parametrize("argv", [["custodian", "run"], ORG], ids=["custodian", "c7n-org"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_run_without_an_account_of_c7n_org_acts_where_it_is(region: str, argv: list[str]) -> None:
    assert idle_region(manager(region, None), argv) is None


def test_a_manager_without_a_policy_acts() -> None:
    bare = SimpleNamespace(
        ctx=SimpleNamespace(), config=SimpleNamespace(region="eu-west-1"), data={"name": "clean"}
    )
    assert idle_region(bare, ORG) is None
