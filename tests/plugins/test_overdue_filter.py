# SPDX-License-Identifier: Apache-2.0
"""The filter ``overdue``, and the runbook's policy that carries its users to Security Hub and to a webhook."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from aws_local_org import LocalOrg
from tests.plugins import test_announced_groups
from tests.plugins.test_announced_groups import QUIET, day
from tests.plugins.test_notify_owners import EVERYBODY, age, notify, records
from tests.plugins.test_overdue import overdue
from tests.policies import ACCOUNT, policy

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("elsewhere")
iam = test_announced_groups.iam


@pytest.fixture
def tickets() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a webhook, and what was posted there."""
    got = list[dict[str, Any]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/iam-users", got
        server.shutdown()
        thread.join()


def example(notices: Path, url: str) -> dict[str, Any]:
    """The policy of docs/escalate.md, with its variables filled in."""
    text = (ROOT / "docs" / "escalate.md").read_text()
    (block,) = re.findall(
        r"```yaml\n(policies:\n  - name: iam-users-overdue-elsewhere.*?)```", text, re.DOTALL
    )
    center = "arn:aws:iam::123456789012:role/IdentityCenterProvisioner"
    known = {"identity_center_role": center, "identity_center_region": "us-east-1", "notices": str(notices)}
    for key, value in known.items():
        block = block.replace(f"{{{key}}}", value)
    block = block.replace('"{active_within_days}"', "30").replace(
        "https://tickets.example.com/iam-users", url
    )
    (found,) = yaml.safe_load(
        block.replace("policies/exemptions.csv", str(ROOT / "policies" / "exemptions.csv"))
    )["policies"]
    return dict(found)


def selected(notices: Path, **options: Any) -> dict[str, dict[str, Any]]:
    filters = [*EVERYBODY, {"type": "overdue", "notices": str(notices), **options}]
    return {each["UserName"]: each for each in policy({"filters": filters}).run()}


def test_who_is_overdue_is_selected_with_why(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, **QUIET)
    assert selected(tmp_path) == {}  # the day is yet to come
    age(tmp_path / ACCOUNT, 31)
    overdue(tmp_path)
    before = records(tmp_path)
    for _ in range(2):
        found = selected(tmp_path)
        assert sorted(found) == ["bot", "jane"]  # alice is in nobody's way
        notice = found["bot"]["c7n:IamUser"]["notice"]
        assert (notice["day"], notice["overdue"], notice["group"]) == (day(-1), 1, "in-use")
        assert found["bot"]["c7n:Overdue"] == f"to be moved by {day(-1)}, 1 messages sent: {notice['text']}"
    assert records(tmp_path) == before
    assert sorted(selected(tmp_path, **{"active-within": 1})) == ["jane"]
    assert selected(tmp_path, **{"active-within": 1, "require": "none"}) == {}


def test_security_hub_and_a_webhook_get_who_is_overdue(
    org: LocalOrg, iam: Any, tmp_path: Path, tickets: tuple[str, list[dict[str, Any]]]
) -> None:
    url, got = tickets
    notify(tmp_path / "notices", **QUIET)
    age(tmp_path / "notices" / ACCOUNT, 31)
    for _ in range(2):
        policy(example(tmp_path / "notices", url), tmp_path / "out").run()
    findings = org.client("securityhub", account_id=ACCOUNT).get_findings()["Findings"]
    said = {each["Resources"][0]["Id"].rpartition("/")[2]: each for each in findings}
    assert sorted(said) == ["bot", "jane"]
    details = said["bot"]["Resources"][0]["Details"]["Other"]
    assert details["c7n:Overdue"].startswith(
        f"to be moved by {day(-1)}, 0 messages sent: in use: active within 30 days"
    )
    assert said["bot"]["Title"] == "iam-user-overdue"
    assert len(got) == 4
    first = next(each for each in got if each["user"] == "jane")
    assert {key: first[key] for key in ("account", "user", "day", "messages")} == {
        "account": ACCOUNT,
        "user": "jane",
        "day": day(-1),
        "messages": 0,
    }
    assert first["why"].startswith("needs a replacement first: ")


def test_who_is_overdue_is_unknown_without_the_notices(org: LocalOrg, iam: Any, tmp_path: Path) -> None:
    notify(tmp_path, **QUIET)
    (path,) = (tmp_path / ACCOUNT).glob("*-announced-*.json")
    path.write_text("{")
    with pytest.raises(PolicyExecutionError, match="it is unknown which users are overdue"):
        selected(tmp_path)


def test_exempt_users_have_to_be_named_before(tmp_path: Path) -> None:
    with pytest.raises(PolicyValidationError, match="overdue needs the filter unnecessary"):
        policy({"filters": [{"type": "overdue", "notices": str(tmp_path)}]})
